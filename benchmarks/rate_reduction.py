"""The default RateReductionClustering beside what one would do without it.

ACC, NMI and ARI in percent, means over seeds, the number of clusters given; labels are
used for these figures alone. Purity is the share of the 10 nearest images that are of
an image's class: that of the features must not be below that of the embeddings. Bars of
ACC: caltech101 65, pets 59, dtd 45, cars 44; odd classes halved, ACC falls by less than
3 points.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_vlclust import RateReductionClustering
from sklearn_vlclust.data.rows import UnitRows
from sklearn_vlclust.neighbors import kneighbors

from . import shared_data
from .accuracy import (
    _halve_odd_classes,
    _kmeans,
    _row,
    _some_classes,
    _spectral,
    _title,
    _ward,
)

ALL = ["caltech101", "pets", "dtd", "cars"]
SIZES = {
    "toy": {"data": ["dtd"], "n_seeds": 1, "n_classes": 5},
    "full": {"data": ALL, "n_seeds": 5},
}
BARS = {"caltech101": 65, "pets": 59, "dtd": 45, "cars": 44}
# What is ours and not in the paper, each replaced by the paper's in turn.
ABLATION = {
    "RateReductionClustering()": {},
    "hardly trained (start alone)": {"lr": 1e-9, "max_iter": 1},
    "view_neighbors=0": {"view_neighbors": 0},
    "warm_up=2": {"warm_up": 2},
    "membership_penalty=0.05": {"membership_penalty": 0.05},
    "gamma=0.1": {"gamma": 0.1},
    "random pre-feature layer, SGD": {
        "hidden_dim": 512,
        "warm_up": 2,
        "optimizer": "sgd",
        "lr": 1e-4,
        "view_neighbors": 0,
        "n_columns": None,
    },
}


def run(data, n_seeds, n_classes=None):
    """Measure the default estimator and the baselines: the issue's bars."""
    tables = {}
    for name in data:
        X, y = _some_classes(*shared_data.images(name), n_classes)
        rows = [
            _row("k-means", _kmeans, X, y, n_seeds),
            _row("Ward", _ward, X, y, n_seeds),
            _row("spectral, kNN", _spectral, X, y, n_seeds),
            _row("RateReductionClustering()", _measured(y), X, y, n_seeds),
        ]
        rows[-1] |= {
            "embeddings_purity": purity(X, y),
            "bar": f">= {BARS.get(name, 0)}",
        }
        tables[_title(name, X, y)] = rows
    return tables


def run_imbalance(data, n_seeds, n_classes=None):
    """Measure with odd classes halved, beside k-means, which falls as well."""
    tables = {}
    for name in data:
        whole = _some_classes(*shared_data.images(name), n_classes)
        halved = _halve_odd_classes(*whole)
        for what, (X, y) in {"": whole, ", odd classes halved": halved}.items():
            tables[_title(name, X, y) + what] = [
                _row("k-means", _kmeans, X, y, n_seeds),
                _row("RateReductionClustering()", _measured(y), X, y, n_seeds),
            ]
    return tables


def run_ablation(data, n_seeds, n_classes=None):
    """Measure with one thing changed at a time."""
    tables = {}
    for name in data:
        X, y = _some_classes(*shared_data.images(name), n_classes)
        tables[_title(name, X, y)] = [
            _row(what, _measured(y, **params), X, y, n_seeds)
            for what, params in ABLATION.items()
        ]
    return tables


def purity(rows, y, k=10):
    """Percentage of the `k` nearest rows that are of a row's class."""
    near, _ = kneighbors(UnitRows(np.asarray(rows)), k)
    return round(100 * float((y[near] == y[:, None]).mean()), 1)


def _measured(y, **params):
    def fit(X, k, seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = RateReductionClustering(k, random_state=seed, **params).fit(X)
        agree = (model.predict(X) == model.labels_).mean()
        return model.labels_, {
            "n_clusters": model.n_clusters_,
            "purity": purity(model.features_, y),
            "predict_agrees": round(100 * float(agree), 1),
        }

    return fit
