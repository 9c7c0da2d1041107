"""Numbers of clusters that label-free scores choose for k-means, over 3 folds.

`ARI`: adjusted Rand index on the held-out folds at the number chosen; `best_ARI` at the
best number of the grid. Labels are used for these two alone.
"""

import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.model_selection import KFold

from sklearn_vlclust.model_selection import (
    coding_rate_reduction_score,
    neighbor_consistency_score,
)

from . import shared_data

SIZES = {
    "toy": {"data": ["digits"], "factors": [0.5, 1]},
    "full": {
        "data": ["digits", "pets", "caltech101", "dtd"],
        # Numbers of clusters, as multiples of the number of classes.
        "factors": [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 1, 1.2, 1.5, 2, 3],
    },
}
SCORES = {
    "neighbor_consistency_score": neighbor_consistency_score,
    "coding_rate_reduction_score": coding_rate_reduction_score,
    "silhouette_score of scikit-learn": lambda kmeans, X: silhouette_score(
        X, kmeans.predict(X), metric="cosine"
    ),
}


def run(data, factors):
    """Score each number of clusters on each fold."""
    tables = {}
    for name in data:
        X, y = _digits() if name == "digits" else shared_data.images(name)
        n_classes = len(np.unique(y))
        ks = sorted({max(2, round(factor * n_classes)) for factor in factors})
        scores = np.array([_scores(X, y, k) for k in ks])  # (k, score), ARI last
        agreement = scores[:, -1]
        tables[f"{name}: {len(X):,} samples, {n_classes} classes"] = [
            {
                "what": what,
                "chosen": ks[row.argmax()],
                "ARI": float(agreement[row.argmax()]),
                "best_ARI": float(agreement.max()),
                "n_clusters_each": ks,
                "score_each": row.round(4).tolist(),
            }
            for what, row in zip(SCORES, scores.T)
        ]
    return tables


def _scores(X, y, k):
    rows = []
    for train, test in KFold(3, shuffle=True, random_state=0).split(X):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            kmeans = KMeans(k, n_init=2, random_state=0).fit(X[train])
        row = [score(kmeans, X[test]) for score in SCORES.values()]
        rows.append([*row, adjusted_rand_score(y[test], kmeans.predict(X[test]))])
    return np.mean(rows, axis=0)


def _digits():
    X, y = load_digits(return_X_y=True)
    return X - X.mean(axis=0), y
