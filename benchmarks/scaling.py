"""How time and memory grow with the number of rows, of a memory-mapped X.

Rows are real embeddings, tiled and jittered. `us_a_row` are microseconds that the cores
spent a row, and `times_the_least` is its ratio to that of the smallest number of rows:
at most 1.5 for an epoch of MCAClustering and for every predict. A fit as a whole has
parts that grow faster, the neighbor search above all. `beyond_X_gib` is the peak of the
memory without the pages of X; bar 3 for the fit. Neighbors are searched exactly up to a
number of rows, and above it by an inverted file, of which recall is at least .95.
"""

import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_vlclust import MCAClustering
from sklearn_vlclust.cluster.batches import EXACT_ROWS

from . import shared_data
from .fit import barely_trained
from .machine import (
    GIB,
    EpochClock,
    PeakMemory,
    Stopwatch,
    in_fresh_process,
    require,
)
from .neighbors import K, real_embeddings, search_cells
from .rows import write_tiled

SIZES = {
    "toy": {"sizes": [600, 1200], "n_clusters": 3, "n_fitted": 300},
    "quick": {"sizes": [10_000, 30_000], "n_clusters": 50, "n_fitted": 2000},
    "full": {
        "sizes": [10_000, 100_000, 1_000_000],
        "n_clusters": 50,
        "n_fitted": 2000,
    },
}
MAX_ITER = 3
# Documented sizes up to which neighbors are exact, and cells that are visited above:
# of MCAClustering's fit, and of `kneighbors` as it comes.
SEARCHES = {"MCAClustering": (EXACT_ROWS, 16), "kneighbors": (200_000, 16)}
# Seconds of a core for which predict is called again and again.
ENOUGH = 1.0


def run(sizes, n_clusters, n_fitted, exact_limit=None):
    """Measure each number of rows in processes of their own.

    `exact_limit` replaces the documented ones, to try the inverted file on few rows.
    """
    require("diffusers", "generative")
    fits, predicts, searches = [], [], []
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "X.npy")
            write_tiled(path, real_embeddings(np.random.default_rng(0)), n)
            fits.append(in_fresh_process(fit, path, n_clusters))
            predicts += in_fresh_process(predict, path, n_clusters, n_fitted)
            searches += in_fresh_process(search, path, exact_limit)
    _compare(fits, ["epoch_us_a_row", "fit_us_a_row"])
    _compare(predicts, ["us_a_row"])
    tables = {
        f"MCAClustering.fit, {n_clusters} clusters": fits,
        f"predict, {n_clusters} clusters": predicts,
    }
    if searches:
        tables[f"inverted file, {K} nearest"] = searches
    return tables


def fit(path, n_clusters):
    """Fit for a few epochs; what is not an epoch is done once, for any number."""
    X, words = np.load(path, mmap_mode="r"), shared_data.vocabulary()
    params = {"semantic_space": words, "semantic_weight": 1.0, "random_state": 0}
    _quietly(MCAClustering(3, max_iter=1, **params).fit, X[:300])  # imports
    clock = EpochClock()
    mca = MCAClustering(
        n_clusters, max_iter=MAX_ITER, warm_up=0, callbacks=[clock], **params
    )
    with PeakMemory() as peak, Stopwatch() as watch:
        _quietly(mca.fit, X)
    # The first epoch has all that comes before.
    epoch_s = float(np.median(clock.core_seconds[1:]))
    once_s = watch.core_seconds - MAX_ITER * epoch_s
    default_epochs = mca.set_params(max_iter="auto")._count_epochs(len(X))
    default_s = once_s + default_epochs * epoch_s
    return {
        "rows": len(X),
        "nouns": len(mca.noun_labels_),
        "epochs": MAX_ITER,
        "default_epochs": default_epochs,
        "fit_s": watch.seconds,
        "fit_core_s": watch.core_seconds,
        "epoch_us_a_row": 1e6 * epoch_s / len(X),
        "once_us_a_row": 1e6 * once_s / len(X),
        "fit_us_a_row": 1e6 * default_s / len(X),
        "beyond_X_gib": peak.bytes / GIB,
        "bar": "epoch <= 1.5 times, < 3 GiB",
    }


def predict(path, n_clusters, n_fitted):
    """Predict all rows, by each clusterer fitted to a few of them."""
    X = np.load(path, mmap_mode="r")
    words = shared_data.vocabulary()
    rows = []
    for what, model in barely_trained(X[:n_fitted], n_clusters, words).items():
        _quietly(model.predict, X[:n_fitted])
        seconds, core_seconds, n_predicted = 0.0, 0.0, 0
        with PeakMemory() as peak:
            while core_seconds < ENOUGH:
                with Stopwatch() as watch:
                    model.predict(X)
                seconds += watch.seconds
                core_seconds += watch.core_seconds
                n_predicted += len(X)
        rows.append(
            {
                "what": what,
                "rows": len(X),
                "rows_a_second": n_predicted / seconds,
                "us_a_row": 1e6 * core_seconds / n_predicted,
                "beyond_X_gib": peak.bytes / GIB,
                "bar": "<= 1.5 times",
            }
        )
    return rows


def search(path, exact_limit=None):
    """Search neighbors the ways that use an inverted file for so many rows."""
    X = np.load(path, mmap_mode="r")
    rows = []
    for what, (documented, n_probe) in SEARCHES.items():
        limit = documented if exact_limit is None else exact_limit
        if len(X) > limit:
            found = search_cells(
                X, np.random.default_rng(0), exact_limit=limit, n_probe=n_probe
            )
            row = {"what": what, "exact_up_to": limit, "n_probe": n_probe, **found}
            rows.append({**row, "bar": ">= 0.95"})
    return rows


def _compare(rows, columns):
    """Add the ratio of each column to that of the smallest number of rows."""
    first = {}
    for row in rows:
        least = first.setdefault(row.get("what"), row)
        for column in columns:
            name = column.removesuffix("us_a_row") + "times_the_least"
            row[name] = row[column] / least[column]


def _quietly(function, X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return function(X)
