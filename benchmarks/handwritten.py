"""Parts written by hand, and their library counterparts, within whole fits.

Each call of a part in a fit is followed by one of the library on the same input, in one
thread. The gain says by how much longer the fit would take with the library, as a share
of the fit. A part is kept if it gains 5 % of a fit, or if the library cannot do what it
does: a flat index of faiss neither reads rows in blocks nor runs on the device of the
fit.

The kept figures have two parts that are no more: an exponential by exp2 of padded
entries, and packed outer products where few columns of the membership are drawn.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from unittest.mock import patch

import faiss
import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from sklearn.cluster import kmeans_plusplus
from threadpoolctl import threadpool_limits

from sklearn_vlclust import (
    MCAClustering,
    RateReductionClustering,
    VLClustering,
)
from sklearn_vlclust.cluster import partition
from sklearn_vlclust.cluster.spectral import cut
from sklearn_vlclust.neighbors import knn

from . import shared_data

SIZES = {
    "toy": {"name": "dtd-val", "n_clusters": 5, "n_seeds": 1, "n_classes": 4},
    "full": {"name": "caltech101", "n_clusters": 100, "n_seeds": 2},
}


def run(name, n_clusters, n_seeds, n_classes=None):
    """Time the parts of fits of three methods: medians over seeds."""
    X, y = shared_data.images(name)
    X, nouns = X[y < (n_classes or np.inf)], shared_data.vocabulary()
    methods = {
        "VLClustering": (VLClustering, {"semantic_space": nouns}),
        "RateReductionClustering": (RateReductionClustering, {}),
        "MCAClustering": (MCAClustering, {"semantic_space": nouns}),
    }
    n_threads, tables = torch.get_num_threads(), {}
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            for method, (make, words) in methods.items():
                fits = [
                    _measure(make(n_clusters, random_state=seed, **words), X)
                    for seed in [0, *range(n_seeds)]
                ][1:]  # the first fit loads and compiles
                title = f"{name}: {len(X):,} rows, {n_clusters} clusters, {method}"
                tables[title] = _rows(fits)
    finally:
        torch.set_num_threads(n_threads)
    return tables


def _measure(model, X):
    """Return the seconds of a fit and, by part, those by hand and by the library."""
    parts = {what: np.zeros(2) for what in PARTS}
    with ExitStack() as stack:
        for what, (module, function, by_library) in PARTS.items():
            by_both = _call_both(getattr(module, function), by_library, parts[what])
            stack.enter_context(patch.object(module, function, by_both))
        start = time.process_time()
        model.fit(X)
        seconds = time.process_time() - start
    return seconds - sum(by_library for _, by_library in parts.values()), parts


def _call_both(by_hand, by_library, seconds):
    """Return what `by_hand` does; add the seconds of both to `seconds`."""

    def call(*args):
        rng = next((x for x in args if isinstance(x, np.random.RandomState)), None)
        state = rng.get_state() if rng else None
        start = time.process_time()
        by_library(*args)
        seconds[1] += time.process_time() - start
        if rng:
            rng.set_state(state)
        start = time.process_time()
        result = by_hand(*args)
        if isinstance(result, Iterator):
            result = list(result)
        seconds[0] += time.process_time() - start
        return result

    return call


def _rows(fits):
    rows = []
    for what in PARTS:
        columns = np.array([(fit, *parts[what]) for fit, parts in fits]).T
        fit, by_hand, by_library = columns
        if by_hand.any():
            names = "fit_cpu_seconds", "by_hand", "by_library"
            row = dict(zip(names, np.median(columns, axis=1).tolist()))
            gain = float(np.median(100 * (by_library - by_hand) / fit))
            rows.append({"what": what, **row, "gain_percent": round(gain, 1)})
    return rows


def _eigsh(graph, known, k, rng):
    """Find eigenpairs by SciPy's Lanczos."""
    n = graph.shape[0]
    deflated = LinearOperator(
        (n, n), lambda x: graph @ x - 2 * (known @ (known.T @ x)), dtype=np.float64
    )
    return eigsh(deflated, k, which="LA", tol=1e-5, v0=rng.normal(size=n))


def _search(queries, keys, k):
    """Compare every query with every key by a flat index of faiss."""
    index = faiss.IndexFlatIP(keys.shape[1])
    index.add(keys.hold().numpy())
    return index.search(queries.hold().numpy(), k)


def _starts(x, n_clusters, n_starts, rng):
    """Draw starts of k-means by scikit-learn."""
    return [
        kmeans_plusplus(x, n_clusters, random_state=rng)[0] for _ in range(n_starts)
    ]


# Part and its counterpart -> module and function, and the library's.
PARTS = {
    "eigenpairs: scipy's eigsh": (cut, "lanczos_eigenpairs", _eigsh),
    "neighbors: faiss.IndexFlatIP": (knn, "_search_all", _search),
    "starts: scikit-learn's kmeans_plusplus": (partition, "kmeans_plusplus", _starts),
}
