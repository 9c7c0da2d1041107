"""Every clusterer of the library beside those of scikit-learn, faiss and ClustPy.

All get the same unit embeddings and, but for HDBSCAN and DipDECK, the true number of
clusters; otherwise their defaults. ACC, NMI and ARI in percent, mean and standard
deviation over seeds; labels are used for these figures alone, and noise counts as a
label of its own. Seconds are those of `fit_predict` alone, median over seeds, and
`core_s` what the cores spent meanwhile; `peak_mib` is the memory of the first fit
beyond what there was before it. Each method has a process of its own. Words are known
to the rows that say so, and to no other.

`peers_dec`: MCAClustering beside DEC, which sees each sample as often. Bar: at most 1.3
times its seconds, at higher ACC.
"""

import os
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from sklearn.cluster import (
    HDBSCAN,
    AgglomerativeClustering,
    KMeans,
    MiniBatchKMeans,
    SpectralClustering,
)

from sklearn_vlclust import (
    ContrastiveMaskedClustering,
    GenerativeCalibrationClustering,
    MCAClustering,
    RateReductionClustering,
)

from . import shared_data
from .accuracy import _row, _some_classes, _title
from .machine import Stopwatch, forget_peak, in_fresh_process, peak_bytes, require
from .rows import tile

SIZES = {
    "toy": {"data": ["dtd"], "n_seeds": 1, "n_classes": 3, "short": True},
    "quick": {"data": ["dtd"], "n_seeds": 1},
    # ClustPy's methods take minutes a fit, all of this 2.4 hours of a core.
    "full": {"data": ["pets", "caltech101", "dtd"], "n_seeds": 5},
}
RUN_DEC_SIZES = {
    "toy": {"n": 300, "n_classes": 3, "n_epochs": 3, "n_seeds": 1},
    "quick": {"n": 5000, "n_classes": 10, "n_epochs": 10, "n_seeds": 1},
    "full": {"n": 50_000, "n_classes": 10, "n_epochs": 30, "n_seeds": 5},
}
# Of DEC's epochs, those before it clusters: its defaults are 100 and 150.
PRETRAINING = 0.4


class FaissKMeans:
    """k-means of faiss, with its defaults."""

    def __init__(self, n_clusters, random_state):
        self.n_clusters, self.random_state = n_clusters, random_state

    def fit_predict(self, X):
        import faiss

        kmeans = faiss.Kmeans(X.shape[1], self.n_clusters, seed=self.random_state)
        kmeans.train(X)
        return kmeans.index.search(X, 1)[1][:, 0]


@dataclass(frozen=True)
class Method:
    """How a clusterer is made, ``make(k, seed, **params)``, and what it is given.

    `short` are parameters of a fit that is to import and to warm up, no more.
    """

    make: Callable
    given: str = "k"
    draws: bool = True
    clustpy: bool = False
    short: dict = field(default_factory=dict)


def _ours(make, given="k", **short):
    return Method(lambda k, s, **p: make(k, random_state=s, **p), given, short=short)


def _from_clustpy(name, given="k"):
    def make(k, seed, **params):
        import clustpy.deep

        number = {"n_clusters": k} if given == "k" else {}
        return getattr(clustpy.deep, name)(random_state=seed, **number, **params)

    short = {"pretrain_epochs": 1, "clustering_epochs": 1}
    return Method(make, given, clustpy=True, short=short)


def _with_words(k, random_state, **params):
    words = shared_data.vocabulary()
    return MCAClustering(k, semantic_space=words, random_state=random_state, **params)


METHODS = {
    "KMeans(n_init=10)": Method(lambda k, s: KMeans(k, n_init=10, random_state=s)),
    "MiniBatchKMeans": Method(lambda k, s: MiniBatchKMeans(k, random_state=s)),
    "faiss k-means": Method(FaissKMeans),
    "AgglomerativeClustering": Method(
        lambda k, s: AgglomerativeClustering(k), draws=False
    ),
    "SpectralClustering, kNN": Method(
        lambda k, s: SpectralClustering(k, affinity="nearest_neighbors", random_state=s)
    ),
    "HDBSCAN": Method(lambda k, s: HDBSCAN(copy=True), given="", draws=False),
    "DEC": _from_clustpy("DEC"),
    "IDEC": _from_clustpy("IDEC"),
    "DCN": _from_clustpy("DCN"),
    "DipDECK": _from_clustpy("DipDECK", given=""),
    "MCAClustering": _ours(_with_words, "k, words", max_iter=1),
    "MCAClustering, no words": _ours(
        partial(MCAClustering, semantic_space=None), max_iter=1
    ),
    "RateReductionClustering": _ours(RateReductionClustering, max_iter=1),
    "ContrastiveMaskedClustering": _ours(
        ContrastiveMaskedClustering,
        pretrain_epochs=1,
        train_epochs=1,
        boost_epochs=1,
    ),
    "GenerativeCalibrationClustering": _ours(
        GenerativeCalibrationClustering,
        contrast_epochs=1,
        head_epochs=1,
        generator_epochs=1,
        n_rounds=0,
    ),
}


def run(
    data,
    n_seeds,
    methods=tuple(METHODS),
    n_classes=None,
    short=False,
    own_process=True,
):
    """Measure methods side by side, one table a data set.

    `short` replaces the defaults of the deep ones by fits of a few epochs.
    """
    _require({*methods, "KMeans(n_init=10)"})
    tables = {}
    for name in data:
        rows = []
        for what in dict.fromkeys(["KMeans(n_init=10)", *methods]):
            arguments = what, name, n_classes, n_seeds, short
            measured = in_fresh_process if own_process else _here
            rows.append(measured(measure, *arguments))
            print("   ", rows[-1], flush=True)
        for row in rows:
            row["ratio"] = row["seconds"] / rows[0]["seconds"]
        X, y = _some_classes(*shared_data.images(name), n_classes)
        tables[_title(name, X, y)] = rows
    return tables


def measure(what, name, n_classes, n_seeds, short):
    """Return the row of a method on a data set."""
    method = METHODS[what]
    X, y = _some_classes(*shared_data.images(name), n_classes)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    # Imports, once per process, are no part of a fit.
    _fit_predict(method.make(3, 0, **method.short), X[:300])
    params = method.short if short else {}
    row = _measured(what, params, X, y, n_seeds if method.draws else 1)
    memory_of_first = row.pop("memory")[0]
    return {
        "what": what,
        "given": method.given,
        "seeds": len(row["ACC_each"]),
        **row,
        "peak_mib": memory_of_first / 2**20,
    }


class _Fit:
    """What `_row` calls once per seed."""

    def __init__(self, method, params):
        self.method, self.params = method, params

    def __call__(self, X, k, seed):
        clusterer = self.method.make(k, seed, **self.params)
        before = forget_peak()
        with Stopwatch() as watch:
            labels = _fit_predict(clusterer, X)
        return labels, {
            "n_clusters": len(np.unique(labels[labels >= 0])),
            "noise": round(float(np.mean(labels < 0)), 3),
            "seconds": watch.seconds,
            "core_s": watch.core_seconds,
            "memory": peak_bytes() - before,
        }


def _measured(what, params, X, y, n_seeds):
    """Return the row of a method with parameters of its own."""
    row = _row(what, _Fit(METHODS[what], params), X, y, n_seeds)
    row |= {key: float(np.median(row[key])) for key in ("seconds", "core_s")}
    if not any(row["noise"]):
        del row["noise"]
    return row


def run_dec(n, n_classes, n_epochs, n_seeds):
    """Measure MCAClustering and DEC on tiled embeddings, epoch for epoch."""
    _require({"DEC"})
    X, y = _some_classes(*shared_data.images("pets"), n_classes)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    X, index = tile(X, n, np.random.default_rng(0))
    pretraining = max(1, round(PRETRAINING * n_epochs))
    epochs = {
        "DEC": {
            "pretrain_epochs": pretraining,
            "clustering_epochs": n_epochs - pretraining,
        },
        "MCAClustering": {"max_iter": n_epochs},
        "MCAClustering, no words": {"max_iter": n_epochs},
    }
    rows = []
    for what, params in epochs.items():
        method = METHODS[what]
        _fit_predict(method.make(3, 0, **method.short), X[:200])
        row = _measured(what, params, X, y[index], n_seeds)
        del row["memory"]
        row["visits_a_sample"] = n_epochs
        rows.append(row)
        row["ratio"] = row["seconds"] / rows[0]["seconds"]
    rows[1]["bar"] = f"ratio <= 1.3, ACC > {rows[0]['ACC']}"
    return {f"pets, tiled: {n:,} x {X.shape[1]}, {n_classes} classes": rows}


def _fit_predict(clusterer, X):
    """Fit without the progress bars and warnings of methods that have no way to."""
    with (
        warnings.catch_warnings(),
        open(os.devnull, "w") as nowhere,
        redirect_stderr(nowhere),
        redirect_stdout(nowhere),
    ):
        warnings.simplefilter("ignore")
        return np.asarray(clusterer.fit_predict(X))


def _require(methods):
    if unknown := methods - set(METHODS):
        raise ValueError(
            f"methods: no {', '.join(sorted(unknown))} among {', '.join(METHODS)}."
        )
    if any(METHODS[what].clustpy for what in methods):
        require("clustpy", "bench")
    if "GenerativeCalibrationClustering" in methods:
        require("diffusers", "generative")


def _here(function, *args):
    return function(*args)
