"""What a default fit and predict cost beside k-means, and where the time goes."""

import cProfile
import pstats
import time
import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from sklearn_vlclust import MCAClustering

from . import shared_data

SIZES = {
    "toy": {"n": 400, "n_predict": 1000, "repeats": 1, "max_iter": 2},
    "quick": {"n": None, "n_predict": 100_000, "repeats": 1, "max_iter": 30},
    "full": {"n": None, "n_predict": 1_000_000, "repeats": 3, "max_iter": 30},
}
# Parts of fit by the functions that do them, which do not call each other.
PARTS = {
    "read and check X": ["_read"],
    "semantic space": ["_fit_words"],
    "weight of the words": ["_weigh_words"],
    "partition to start from": ["_partition"],
    "training": ["_train"],
    "labels of all rows": ["_infer", "_number_clusters"],
    "names": ["_describe"],
}


def run(n, n_predict, repeats, max_iter):
    X, y = shared_data.images("pets")
    X, k = X[:n], len(np.unique(y[:n]))
    vocabulary = shared_data.vocabulary()
    kmeans = KMeans(k, n_init=10, random_state=0)
    mca = MCAClustering(k, semantic_space=vocabulary, max_iter=max_iter, random_state=0)
    # The first fit of a process imports torch's optimizers and skorch, once.
    first = _seconds(mca.fit, X)
    times = [(_seconds(kmeans.fit, X), _seconds(mca.fit, X)) for _ in range(repeats)]
    kmeans_s, mca_s = np.median(times, axis=0).tolist()
    fits = [
        {"what": "KMeans(n_init=10)", "seconds": kmeans_s, "ratio": 1.0},
        {"what": "MCAClustering()", "seconds": mca_s, "ratio": mca_s / kmeans_s},
        {"what": "its first fit", "seconds": first, "ratio": first / kmeans_s},
    ]
    many = np.resize(X, (n_predict, X.shape[1]))
    times = [
        (_seconds(kmeans.predict, many), _seconds(mca.predict, many))
        for _ in range(repeats + 2)
    ]
    rates = n_predict / np.median(times, axis=0)
    predicts = [
        {"what": what, "rows_a_second": float(rate), "ratio": float(rate / rates[0])}
        for what, rate in zip(["KMeans.predict", "MCAClustering.predict"], rates)
    ]
    return {
        f"fit, {len(X):,} x {X.shape[1]}, {k} clusters": fits,
        f"predict, {n_predict:,} rows": predicts,
        "where the time of fit goes": _breakdown(mca, X),
    }


def _seconds(function, X):
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        function(X)
    return time.perf_counter() - start


def _breakdown(mca, X):
    profile = cProfile.Profile()
    profile.runcall(_seconds, mca.fit, X)
    cumulative = {
        name: seconds
        for (file, _, name), (*_, seconds, _) in pstats.Stats(profile).stats.items()
        if "sklearn_vlclust" in file
    }
    total = cumulative["fit"]
    rows = [
        {"part": part, "seconds": sum(cumulative.get(name, 0.0) for name in names)}
        for part, names in PARTS.items()
    ]
    rows.append({"part": "rest", "seconds": total - sum(r["seconds"] for r in rows)})
    return [{**row, "share": row["seconds"] / total} for row in rows]
