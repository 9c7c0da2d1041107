"""What a default fit and predict cost beside k-means, and where the time goes.

Bars: MCAClustering fits pets in at most twice the time of KMeans(n_init=10); its
predict should process at least 0.7 times as many rows per second as KMeans.predict, and
RateReductionClustering.predict 0.1 times. All take turns.
"""

import cProfile
import pstats
import time
import warnings
from functools import partial

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from sklearn_vlclust import (
    ContrastiveMaskedClustering,
    GenerativeCalibrationClustering,
    MCAClustering,
    RateReductionClustering,
)

from . import shared_data
from .machine import require, take_turns

SIZES = {
    "toy": {"n": 400, "n_predict": 1000, "repeats": 1, "max_iter": 2},
    "quick": {"n": None, "n_predict": 100_000, "repeats": 1, "max_iter": "auto"},
    "full": {"n": None, "n_predict": 1_000_000, "repeats": 3, "max_iter": "auto"},
}
PREDICT_BARS = {"MCAClustering": ">= 0.7", "RateReductionClustering": ">= 0.1"}
# Parts of fit by the functions that do them, which do not call each other.
PARTS = {
    "read and check X": ["_read"],
    "nouns, and their weight": ["_find_words"],
    "partition to start from": ["_partition"],
    "training": ["_train"],
    "labels of all rows": ["_deliver_clusters"],
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
        {
            "what": "MCAClustering()",
            "seconds": mca_s,
            "ratio": mca_s / kmeans_s,
            "bar": "<= 2",
        },
        {"what": "its first fit", "seconds": first, "ratio": first / kmeans_s},
    ]
    return {
        f"fit, {len(X):,} x {X.shape[1]}, {k} clusters": fits,
        "where the time of fit goes": breakdown(mca, X),
    }


def run_predict(n, n_predict, repeats, max_iter):
    """Measure predict of every estimator beside that of k-means."""
    X, y = shared_data.images("pets")
    X, k = X[:n], len(np.unique(y[:n]))
    fitted = {
        "KMeans": KMeans(k, n_init=1, random_state=0).fit(X),
        **barely_trained(X, k, shared_data.vocabulary()),
    }
    many = np.resize(X, (n_predict, X.shape[1]))
    calls = {name: partial(model.predict, many) for name, model in fitted.items()}
    seconds = take_turns(calls, repeats)
    return {
        f"predict, {n_predict:,} x {X.shape[1]}, {k} clusters": [
            {
                "what": f"{name}.predict",
                "rows_a_second": n_predict / took,
                "ratio": seconds["KMeans"] / took,
                "bar": PREDICT_BARS.get(name, ""),
            }
            for name, took in seconds.items()
        ]
    }


def barely_trained(X, n_clusters, vocabulary):
    """Return each clusterer by name, fitted as short as can be: predict is the same."""
    require("diffusers", "generative")
    one = {"random_state": 0}
    masked = {"pretrain_epochs": 1, "train_epochs": 1, "boost_epochs": 1}
    generative = {"contrast_epochs": 1, "head_epochs": 1, "generator_epochs": 1}
    clusterers = [
        MCAClustering(n_clusters, semantic_space=vocabulary, max_iter=1, **one),
        RateReductionClustering(n_clusters, max_iter=1, **one),
        ContrastiveMaskedClustering(n_clusters, **masked, **one),
        GenerativeCalibrationClustering(n_clusters, n_rounds=0, **generative, **one),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return {type(clusterer).__name__: clusterer.fit(X) for clusterer in clusterers}


def _seconds(function, X):
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        function(X)
    return time.perf_counter() - start


def breakdown(mca, X):
    """Seconds of each part of a fit, by profiling it."""
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
