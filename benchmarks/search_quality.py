"""Search by unseen images, in the embeddings and in learned features (CPP, Figure 2).

Percent of the nearest images that show the class of the query, means over seeds.
Queries are the validation images, the images searched those of the test split. Labels
are used for these figures alone.
"""

import numpy as np

from sklearn_vlclust import ImageSearch, RateReductionClustering

from . import shared_data

NEAREST = 5, 10, 64  # the paper shows 64
SIZES = {
    "toy": {"data": ["pets"], "n_seeds": 1, "n_classes": 6},
    "full": {"data": ["pets", "caltech101", "dtd"], "n_seeds": 5},
}


def run(data, n_seeds, n_classes=None):
    """Search the same images by embeddings and by features."""
    tables = {}
    for name in data:
        X, y = shared_data.images(name)
        queries, asked = shared_data.images(f"{name}-val")
        if n_classes is not None:
            X, y = X[y < n_classes], y[y < n_classes]
            queries, asked = queries[asked < n_classes], asked[asked < n_classes]
        k = len(np.unique(y))
        searches = {
            "CLIP embeddings": [ImageSearch().fit(X)],
            "features of RateReductionClustering()": [
                ImageSearch(
                    transformer=RateReductionClustering(k, random_state=seed).fit(X)
                ).fit(X)
                for seed in range(n_seeds)
            ],
        }
        title = f"{name}: {len(queries):,} queries, {len(X):,} images, {k} classes"
        tables[title] = [
            {"what": what, **_precision(fitted, queries, y, asked)}
            for what, fitted in searches.items()
        ]
    return tables


def _precision(searches, queries, y, asked):
    shares = {f"{n} nearest": [] for n in NEAREST}
    for search in searches:
        found = search.kneighbors(queries, max(NEAREST), return_distance=False)
        for n, of_n in zip(NEAREST, shares.values()):
            of_n.append(100 * np.mean(y[found[:, :n]] == asked[:, None]))
    means = {name: round(float(np.mean(of_n)), 1) for name, of_n in shares.items()}
    each = {f"{name}_each": np.round(of_n, 1).tolist() for name, of_n in shares.items()}
    return means | each
