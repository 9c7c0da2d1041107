"""ImageSearch of a memory-mapped X: time, memory, recall, and of queries after load.

Queries are rows near those of the index, but not of it. `anonymous_gib`: memory of the
fit beside the imports and the pages of X, which the system may drop.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from sklearn_vlclust.neighbors import ImageSearch, nearest

from .machine import GIB, PeakMemory, in_fresh_process
from .neighbors import embeddings

K, N_QUERIES = 10, 500
SIZES = {
    "toy": {"sizes": [3000], "exact_limit": 1000},
    "quick": {"sizes": [50_000], "exact_limit": 10_000},
    "full": {"sizes": [200_000, 1_000_000], "exact_limit": 200_000},
}


def run(sizes, exact_limit):
    """Fit, save, load and search, at each number of rows."""
    rows = []
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            X = embeddings(n + N_QUERIES, np.random.default_rng(0))
            np.save(folder / "X.npy", X[:n])
            np.save(folder / "queries.npy", X[n:])
            del X
            fitted = in_fresh_process(fit, folder, exact_limit)
            rows.append({"rows": n, **fitted, **in_fresh_process(search, folder)})
    return {f"{K} nearest, recall=0.95": rows}


def fit(folder, exact_limit):
    """Fit and save."""
    X = np.load(folder / "X.npy", mmap_mode="r")
    ImageSearch(exact_limit=10).fit(X[:200])  # imports
    start = time.perf_counter()
    with PeakMemory() as peak:
        fitted = ImageSearch(n_neighbors=K, exact_limit=exact_limit, random_state=0)
        fitted.fit(X)
    seconds = time.perf_counter() - start
    fitted.save(folder / "search")
    return {
        "fit_s": seconds,
        "anonymous_gib": peak.bytes / GIB,
        "recall_": fitted.recall_,
    }


def search(folder):
    """Load, and search for queries at once and one by one."""
    X, queries = np.load(folder / "X.npy"), np.load(folder / "queries.npy")
    start = time.perf_counter()
    loaded = ImageSearch.load(folder / "search")
    load_s = time.perf_counter() - start
    start = time.perf_counter()
    expected, _ = nearest(queries, X, K)
    exact_s = time.perf_counter() - start
    loaded.kneighbors(queries)  # reads the files
    start = time.perf_counter()
    found = loaded.kneighbors(queries, return_distance=False)
    search_s = time.perf_counter() - start
    start = time.perf_counter()
    for query in queries[:50]:
        loaded.kneighbors(query[None])
    single_s = (time.perf_counter() - start) / 50
    shared = [len(np.intersect1d(a, b)) / K for a, b in zip(found, expected)]
    return {
        "recall": float(np.mean(shared)),
        "load_ms": 1e3 * load_s,
        "query_ms": 1e3 * single_s,
        "query_of_500_ms": 1e3 * search_s / len(queries),
        "exact_of_500_ms": 1e3 * exact_s / len(queries),
    }
