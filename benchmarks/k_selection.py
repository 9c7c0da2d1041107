"""Number of clusters: time beside a spectral clustering per number, and the estimates.

Bars: all numbers from 2 to 50 for 10,000 rows 20 times as fast as SpectralClustering
run for each, on the same affinity, with labels that agree; estimates exact for 9 of 10
sets of subspaces, 8-12 for digits, 6-9 for pacs_photo. Labels are used for comparison
alone. The suite `k_suite` measures estimates on many more cases.

SpectralClustering assigns by `cluster_qr`, which draws nothing. On the same
eigenvectors it does so in the column `same_assignment`; `NMI` is of our labels as they
are, `NMI_k-means` of them and those of SpectralClustering by k-means, `NMI_of_both` of
its labels by either. On images even these differ; on as many rows of subspaces, as many
as clusters, they do not. Loops, which SpectralClustering leaves out, are left out of
the affinity.

`run` takes times of the processor, which other work on the machine changes little. Run
it with one thread (OMP_NUM_THREADS=1): times of several threads add up.
"""

import time
import warnings

import numpy as np
from sklearn.cluster import SpectralClustering
from sklearn.cluster._spectral import cluster_qr
from sklearn.metrics import normalized_mutual_info_score

from sklearn_vlclust import CodingLengthKSelector
from sklearn_vlclust.cluster.axes import half_whitening
from sklearn_vlclust.cluster.spectral.cut import (
    SpectralCut,
    doubly_stochastic,
    knn_affinity,
)
from sklearn_vlclust.cluster.spectral.n_clusters import estimate_n_clusters
from sklearn_vlclust.data.rows import UnitRows
from sklearn_vlclust.metrics import coding_length

from . import shared_data
from .k_suite import load_rows

SETS = ["digits", "pacs-photos", "pets", "caltech101", "dtd"]
SIZES = {
    "toy": {
        "n": 300,
        "greatest": 6,
        "compared": [3, 6],
        "subspaces": [3],
        "n_seeds": 1,
        "data": ["digits"],
        "groups": [3],
        "n_sets": 2,
    },
    "full": {
        "n": 10_000,
        "greatest": 50,
        "compared": [2, 10, 25, 50],
        "subspaces": [10, 25, 50],
        "n_seeds": 3,
        "data": SETS,
        "groups": [3, 10, 30, 100],
        "n_sets": 10,
    },
}
GROUP_ROWS = {3: 100, 10: 100, 30: 80, 100: 40}


def run(n, greatest, compared, subspaces, **estimated):
    """Time all numbers of clusters at once, and one after the other."""
    X = np.concatenate([shared_data.images(name)[0] for name in shared_data.IMAGES])
    affinity = _membership(X[:n])
    start = time.process_time()
    cut = SpectralCut(affinity, greatest, np.random.RandomState(0))
    decomposed = time.process_time() - start
    k_values = np.arange(2, greatest + 1)
    labels = {k: cut.labels(k) for k in k_values}
    ours = time.process_time() - start
    rows, seconds = [], []
    for k in compared:
        start = time.process_time()
        theirs = _spectral_clustering(affinity, k, assign_labels="cluster_qr")
        seconds.append(time.process_time() - start)
        row = {"k": k, "SpectralClustering_cpu_s": seconds[-1]}
        same = cluster_qr(cut.eigenvectors[:, :k])
        row["same_assignment"] = normalized_mutual_info_score(same, theirs)
        row["NMI"] = normalized_mutual_info_score(labels[k], theirs)
        kmeans = [
            _spectral_clustering(affinity, k, random_state=seed) for seed in (0, 1)
        ]
        row["NMI_k-means"] = normalized_mutual_info_score(labels[k], kmeans[0])
        row["NMI_of_both"] = normalized_mutual_info_score(theirs, kmeans[0])
        row["NMI_of_two_k-means"] = normalized_mutual_info_score(*kmeans)
        rows.append(row)
    all_theirs = float(np.trapezoid(np.interp(k_values, compared, seconds)))
    features = _features(X[:n])
    start = time.process_time()
    for row in labels.values():
        coding_length(features, row, 0.1)
    lengths = time.process_time() - start
    start = time.process_time()
    estimate_n_clusters(UnitRows(X[:n]), np.random.RandomState(0))
    estimate = time.process_time() - start
    times = [
        {"what": "SpectralClustering, each k", "cpu_seconds": all_theirs, "ratio": 1.0},
        _time("one decomposition", decomposed, all_theirs),
        _time("it and all cuts", ours, all_theirs),
        _time("coding lengths of all cuts", lengths, all_theirs),
        _time("estimate by reproducibility", estimate, all_theirs),
    ]
    return {
        f"{len(X[:n]):,} rows, k = 2..{greatest}": times,
        "agreement": rows,
        "agreement on subspaces": [_agree(k, n // k) for k in subspaces],
    }


def _agree(k, size):
    affinity = _membership(_subspaces(k, size, seed=0))
    ours = SpectralCut(affinity, k, np.random.RandomState(0)).labels(k)
    row = {"k": k, "rows": len(ours)}
    for name, params in [
        ("NMI", {"assign_labels": "cluster_qr"}),
        ("NMI_k-means", {"random_state": 0}),
    ]:
        theirs = _spectral_clustering(affinity, k, **params)
        row[name] = normalized_mutual_info_score(ours, theirs)
    return row


def run_estimates(n_seeds, data, groups, n_sets, **timed):
    """Estimate the numbers of clusters of real data and of sets of subspaces."""
    rows = []
    for name in data:
        X, y = load_rows(name)
        n_classes = len(np.unique(y))
        rows.append(_estimate(name, [X] * n_seeds, n_classes))
    for n_groups in groups:
        size = GROUP_ROWS[n_groups]
        sets = [_subspaces(n_groups, size, seed) for seed in range(n_sets)]
        rows.append(_estimate("subspaces", sets, n_groups))
    return {"estimates": rows}


def _estimate(name, sets, n_classes):
    row: dict = {"data": name, "classes": n_classes}
    for criterion in ("reproducibility", "coding_length"):
        row[criterion], seconds = [], []
        for seed, X in enumerate(sets):
            k_range = None
            if criterion == "coding_length":  # some range is needed
                k_range = (2, max(50, n_classes + n_classes // 2))
            selector = CodingLengthKSelector(
                k_range=k_range, criterion=criterion, random_state=seed
            )
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                selector.fit(X)
            seconds.append(time.perf_counter() - start)
            row[criterion].append(selector.k_candidates_[0][0])
        row[f"{criterion}_s"] = float(np.median(seconds))
    print("   ", row, flush=True)
    return row


def _subspaces(n_groups, size, seed, width=64, rank=4, noise=0.05):
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(n_groups):
        basis = np.linalg.qr(rng.normal(size=(width, rank)))[0]
        rows = rng.normal(size=(size, rank)) @ basis.T
        parts.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    X = np.concatenate(parts)
    return X + noise * rng.normal(size=X.shape) / np.sqrt(width)


def _features(X):
    rows = UnitRows(X)
    mean, axes = half_whitening(rows, 64)
    features = (rows[:] - mean) @ axes[:64].T
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def _membership(X):
    rng = np.random.RandomState(0)
    return doubly_stochastic(knn_affinity(_features(X), 10, 0.1, rng, loops=0.0))


def _spectral_clustering(affinity, k, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clusterer = SpectralClustering(k, affinity="precomputed", **params)
        return clusterer.fit_predict(affinity)


def _time(what, seconds, all_theirs):
    return {"what": what, "cpu_seconds": seconds, "ratio": all_theirs / seconds}
