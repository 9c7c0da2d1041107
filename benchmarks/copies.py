"""What copies of pictures do to clusters, and what looking for them costs.

ACC in percent, means over seeds, the number of clusters given; labels are used for
these figures alone. Near copies are rows of a given cosine with the picture, in random
directions, drawn once for all seeds of a cell. Bars: ACC changes by at most 3 points;
hardly any row of a set as it is counts as a copy. `ratio` is the time to find copies,
divided by that to find all nearest rows; at most 1.3 from 4,000 rows on.
"""

import time
import warnings

import numpy as np

from sklearn_vlclust import (
    ContrastiveMaskedClustering,
    GenerativeCalibrationClustering,
    MCAClustering,
    RateReductionClustering,
    VLClustering,
)
from sklearn_vlclust.data.rows import UnitRows
from sklearn_vlclust.metrics import clustering_accuracy
from sklearn_vlclust.neighbors import group_copies, kneighbors

from . import shared_data

METHODS = {
    "VLClustering()": lambda k, nouns: VLClustering(k, semantic_space=nouns),
    "MCAClustering()": lambda k, nouns: MCAClustering(k, semantic_space=nouns),
    "RateReductionClustering()": lambda k, nouns: RateReductionClustering(k),
    "ContrastiveMaskedClustering()": lambda k, nouns: ContrastiveMaskedClustering(k),
    "GenerativeCalibrationClustering()": lambda k, nouns: (
        GenerativeCalibrationClustering(k)
    ),
}
ALL = ["pets", "caltech101", "dtd", "cars"]
# Name -> classes, and images of each (all, if fewer).
SUBSETS = {"pets": (5, 20), "caltech101": (10, 30)}
SIZES = {
    "toy": {
        "data": ["dtd"],
        "subsets": {"pets": [3, 10]},
        "copies": [10],
        "cosines": [0.98],
        "n_seeds": 1,
        "methods": ["VLClustering()"],
    },
    "full": {
        "data": ALL,
        "subsets": SUBSETS,
        "copies": [5, 10, 20, 40],
        "cosines": [1.0, 0.99, 0.98],
        "n_seeds": 5,
        "methods": None,
    },
}


def run(data, subsets, copies, cosines, n_seeds, methods):
    nouns = shared_data.vocabulary()
    tables = {
        "rows as they are": [search(name, *shared_data.images(name)) for name in data]
    }
    for name, (n_classes, size) in subsets.items():
        X, y = subset(name, n_classes, size)
        title = f"{name}: {len(X)} images of {n_classes} classes"
        tables[f"{title}, search"] = [
            search(f"{c} copies, cosine {cosine:g}", *copy_rows(X, y, c, cosine))
            for c in copies
            for cosine in cosines
        ]
        tables[f"{title}, ACC"] = rows = []
        for method in methods or METHODS:
            alone = accuracy(method, X, y, n_seeds, nouns)
            row = {"what": method, "alone": alone}
            for c in copies:
                for cosine in cosines:
                    row[f"{c} of {cosine:g}"] = accuracy(
                        method, *copy_rows(X, y, c, cosine), n_seeds, nouns
                    )
            change = np.array(list(row.values())[2:]) - alone
            row |= {"least_change": round(float(change.min()), 1)}
            row |= {"mean_change": round(float(change.mean()), 1), "bar": ">= -3"}
            rows.append(row)
    return tables


def subset(name, n_classes, size):
    """Return the first images of the first classes of a set, at unit length."""
    X, y = shared_data.images(name)
    kept = np.concatenate([np.flatnonzero(y == c)[:size] for c in range(n_classes)])
    return X[kept] / np.linalg.norm(X[kept], axis=1, keepdims=True), y[kept]


def copy_rows(X, y, n_copies, cosine, seed=0):
    """Return each row `n_copies` times: as it is, and others of a cosine with it."""
    rng = np.random.default_rng(seed)
    copies = np.repeat(X, n_copies, axis=0)
    noise = rng.standard_normal(copies.shape, dtype=np.float32)
    noise -= np.einsum("ij,ij->i", noise, copies)[:, None] * copies
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    near = cosine * copies + np.sqrt(1 - cosine**2) * noise
    near[::n_copies] = X
    return near.astype(np.float32), np.repeat(y, n_copies)


def search(what, X, y):
    """Seconds of the search, beside that of near rows, and what it finds."""
    rows = UnitRows(X)
    start = time.perf_counter()
    copies = group_copies(rows)
    took = time.perf_counter() - start
    start = time.perf_counter()
    kneighbors(rows, 20)
    neighbors = time.perf_counter() - start
    return {
        "what": what,
        "rows": len(X),
        "groups": copies.n_groups,
        "largest": int(copies.weights.max()),
        "grouped_%": round(100 * float((copies.weights[copies.group] > 1).mean()), 2),
        "seconds": took,
        "kneighbors_s": neighbors,
        "ratio": took / neighbors,
    }


def accuracy(method, X, y, n_seeds, nouns):
    """Mean ACC in percent."""
    k, scores = len(np.unique(y)), []
    for seed in range(n_seeds):
        model = METHODS[method](k, nouns)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            labels = model.set_params(random_state=seed).fit(X).labels_
        scores.append(clustering_accuracy(y, labels))
    return round(100 * float(np.mean(scores)), 1)
