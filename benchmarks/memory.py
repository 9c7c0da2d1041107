"""Peak memory of fits on a memory-mapped X.

Bars: MCAClustering under the size of X and 1.5 GiB for 1,000,000 x 512, one epoch, as
later ones need no more; RateReductionClustering, which chooses the number of clusters
too, under 8 GiB for 100,000 x 512. Pages of the file that are in memory count, as they
do for the system.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from .machine import in_fresh_process, peak_bytes
from .rows import clustered, write_clustered

N_CLUSTERS = 10
SIZES = {
    "toy": {"n": 1000, "width": 16, "n_nouns": 20},
    "quick": {"n": 60_000, "width": 512, "n_nouns": 450},
    "full": {"n": 1_000_000, "width": 512, "n_nouns": 450},
}


def run(n, width, n_nouns):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "X.npy")
        write_clustered(path, n, width, N_CLUSTERS, noise=3.0)
        row = in_fresh_process(fit, path, n_nouns)
    return {"MCAClustering.fit, one epoch": [row]}


def fit(path, n_nouns):
    from sklearn_vlclust import MCAClustering, Vocabulary

    X = np.load(path, mmap_mode="r")
    nouns, _ = clustered(n_nouns, X.shape[1], N_CLUSTERS, seed=1)
    vocabulary = Vocabulary([f"noun {i}" for i in range(n_nouns)], nouns)
    imported = peak_bytes()
    start = time.perf_counter()
    mca = MCAClustering(
        N_CLUSTERS,
        semantic_space=vocabulary,
        semantic_weight=1.0,
        max_iter=1,
        warm_up=0,
        batch_size=1024,
        random_state=0,
    ).fit(X)
    seconds = time.perf_counter() - start
    peak = peak_bytes()
    return {
        "rows": len(X),
        "nouns": len(mca.noun_labels_),
        "fit_s": seconds,
        "X_gib": X.nbytes / 2**30,
        "imports_gib": imported / 2**30,
        "peak_gib": peak / 2**30,
        "beyond_X_gib": (peak - X.nbytes) / 2**30,
        "bar": "< 1.5 GiB beyond X",
    }


def run_rate_reduction(n, width, n_nouns):
    """Fit, choose the number of clusters, cut anew, and predict ten times as many."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "X.npy")
        write_clustered(path, n // 10, width, N_CLUSTERS, noise=3.0)
        more = Path(folder, "more.npy")
        write_clustered(more, n, width, N_CLUSTERS, noise=3.0, seed=1)
        row = in_fresh_process(fit_rate_reduction, path, more)
    return {"RateReductionClustering, number of clusters unknown": [row]}


def fit_rate_reduction(path, more):
    from sklearn_vlclust import RateReductionClustering

    X, more = np.load(path, mmap_mode="r"), np.load(more, mmap_mode="r")
    times = [time.perf_counter()]
    model = RateReductionClustering(random_state=0).fit(X)
    times.append(time.perf_counter())
    n_clusters, fitted = model.n_clusters_, peak_bytes()
    model.set_n_clusters(20)
    times.append(time.perf_counter())
    predicted = model.predict(more)
    times.append(time.perf_counter())
    fit_s, cut_s, predict_s = np.diff(times).tolist()
    return {
        "rows": len(X),
        "n_clusters": n_clusters,
        "fit_s": fit_s,
        "fit_peak_gib": fitted / 2**30,
        "set_n_clusters_s": cut_s,
        "rows_predicted": len(predicted),
        "predict_s": predict_s,
        "peak_gib": peak_bytes() / 2**30,
        "bar": "< 8 GiB",
    }
