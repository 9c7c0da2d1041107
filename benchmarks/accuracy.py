"""Accuracy of the default MCAClustering beside what one would do without it.

ACC, NMI and ARI in percent, means over seeds; labels are used for these figures alone.
Vocabulary: LVIS and ImageNet nouns with their synsets. Bars of ACC: pets 72,
caltech101 72, dtd 46, cars 42.
"""

import time

import numpy as np
from scipy.special import softmax
from sklearn.cluster import AgglomerativeClustering, KMeans, SpectralClustering
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from sklearn_vlclust import MCAClustering
from sklearn_vlclust.metrics import clustering_accuracy

from . import shared_data

ALL = ["pets", "caltech101", "dtd", "cars"]
SIZES = {
    "toy": {"data": ["dtd"], "n_seeds": 1, "n_classes": 5},
    "full": {"data": ALL, "n_seeds": 5},
}
BARS = {"pets": 72, "caltech101": 72, "dtd": 46, "cars": 42}
VOCABULARIES = [
    "lvis",
    "objects365",
    "openimages500",
    "imagenet+lvis without animals",
]
ABLATION = {
    "MCAClustering()": {},
    "lambda_ia=0": {"lambda_ia": 0},
    "lambda_pa=0": {"lambda_pa": 0},
    "lambda_sa=0": {"lambda_sa": 0},
    "lambda_a=0 (start by words)": {"lambda_a": 0},
    "semantic_space=None": {"semantic_space": None},
}


def run(data, n_seeds, n_classes=None):
    """Measure the default estimator and the baselines: the issue's bars."""
    nouns = shared_data.vocabulary()
    tables = {}
    for name in data:
        X, y = _some_classes(*shared_data.images(name), n_classes)
        methods = {
            "k-means": _kmeans,
            "Ward": _ward,
            "spectral, kNN": _spectral,
            "k-means, [image; text]": lambda X, k, seed: _kmeans_text(
                X, k, seed, nouns
            ),
            "MCAClustering()": lambda X, k, seed: _mca(X, k, seed, nouns),
        }
        rows = [_row(what, fit, X, y, n_seeds) for what, fit in methods.items()]
        rows[-1]["bar"] = f">= {BARS[name]}"
        tables[_title(name, X, y)] = rows
    return tables


def run_robustness(data, n_seeds, n_classes=None):
    """Measure on other splits, uneven classes and other vocabularies."""
    nouns = shared_data.vocabulary()
    cases = {}
    for name in data:
        X, y = _some_classes(*shared_data.images(name), n_classes)
        cases[name, "odd classes halved"] = *_halve_odd_classes(X, y), nouns
        for other in VOCABULARIES:
            cases[name, other] = X, y, _vocabulary(other)
        if f"{name}-val" in shared_data.IMAGES:
            split = _some_classes(*shared_data.images(f"{name}-val"), n_classes)
            cases[name, "validation split"] = *split, nouns
    tables = {}
    for (name, case), (X, y, vocabulary) in cases.items():
        tables[f"{_title(name, X, y)}, {case}"] = [
            _row("k-means", _kmeans, X, y, n_seeds),
            _row(
                "MCAClustering()",
                lambda X, k, seed, words=vocabulary: _mca(X, k, seed, words),
                X,
                y,
                n_seeds,
            ),
        ]
    return tables


def run_ablation(data, n_seeds, n_classes=None):
    """Measure with each loss off in turn, as Table 3 of the paper."""
    nouns = shared_data.vocabulary()
    tables = {}
    for name in data:
        X, y = _some_classes(*shared_data.images(name), n_classes)
        tables[_title(name, X, y)] = [
            _row(
                what,
                lambda X, k, seed, params=params: _mca(X, k, seed, nouns, **params),
                X,
                y,
                n_seeds,
            )
            for what, params in ABLATION.items()
        ]
    return tables


def _row(what, fit, X, y, n_seeds):
    """Fit once per seed; `fit` returns labels, and facts for further columns."""
    k, scores, facts, seconds = len(np.unique(y)), [], [], []
    for seed in range(1 if fit is _ward else n_seeds):  # Ward draws nothing
        start = time.perf_counter()
        labels, fact = fit(X, k, seed)
        seconds.append(time.perf_counter() - start)
        facts.append(fact)
        scores.append(
            [
                clustering_accuracy(y, labels),
                normalized_mutual_info_score(y, labels),
                adjusted_rand_score(y, labels),
            ]
        )
    scores = 100 * np.array(scores)
    row = {"what": what}
    columns = zip(["ACC", "NMI", "ARI"], scores.mean(axis=0), scores.std(axis=0))
    for name, mean, std in columns:
        row |= {name: round(mean, 1), f"{name}_std": round(std, 1)}
    row |= {
        "seconds": float(np.median(seconds)),
        "ACC_each": scores[:, 0].round(1).tolist(),
    }
    return row | {key: [fact[key] for fact in facts] for key in facts[0]}


def _kmeans(X, k, seed):
    return KMeans(k, n_init=3, random_state=seed).fit_predict(X), {}


def _ward(X, k, seed):
    return AgglomerativeClustering(k).fit_predict(X), {}


def _spectral(X, k, seed):
    spectral = SpectralClustering(k, affinity="nearest_neighbors", random_state=seed)
    return spectral.fit_predict(X), {}


def _kmeans_text(X, k, seed, nouns):
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    text = softmax(X @ nouns.embeddings.T / 0.005, axis=1) @ nouns.embeddings
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    return _kmeans(np.hstack([X, text]), k, seed)


def _mca(X, k, seed, nouns, **params):
    params = {"semantic_space": nouns, **params}
    mca = MCAClustering(k, random_state=seed, **params).fit(X)
    facts = {"semantic_weight": mca.semantic_weight_, "n_clusters": mca.n_clusters_}
    return mca.labels_, facts


def _vocabulary(name):
    name, _, without = name.partition(" without ")
    nouns = shared_data.vocabulary(name)
    return shared_data.without_animals(nouns) if without else nouns


def _some_classes(X, y, n_classes):
    kept = slice(None) if n_classes is None else y < n_classes
    return X[kept], y[kept]


def _halve_odd_classes(X, y):
    """Leave out every second image of classes 1, 3, 5, ..."""
    kept = np.ones(len(y), dtype=bool)
    for c in range(1, y.max() + 1, 2):
        kept[np.flatnonzero(y == c)[1::2]] = False
    return X[kept], y[kept]


def _title(name, X, y):
    return f"{name}: {len(X):,} images, {len(np.unique(y))} classes"
