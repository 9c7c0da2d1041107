"""
Parameters and number of clusters without labels
================================================

A grid search over `gamma` and `n_clusters` of RateReductionClustering. No labels are
given: held-out samples are scored by how much the cluster of a sample tells about that
of its neighbors, and by the coding rate that the clusters save::

    python examples/search_parameters.py
"""

import numpy as np
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV, ShuffleSplit

from sklearn_vlclust import RateReductionClustering
from sklearn_vlclust.model_selection import (
    coding_rate_reduction_score,
    neighbor_consistency_score,
)

GRID = {"gamma": [0.1, 0.4], "n_clusters": [3, 6, 12]}


def make_embeddings(n_groups=6, n_samples=80, width=32, rank=4, seed=0):
    """Return stand-ins for embeddings, groups in subspaces, and their groups."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(n_groups, 1, width))
    axes = rng.normal(size=(n_groups, rank, width))
    X = centers + 0.5 * rng.normal(size=(n_groups, n_samples, rank)) @ axes
    X += 0.3 * rng.normal(size=X.shape)
    return X.reshape(-1, width), np.repeat(np.arange(n_groups), n_samples)


def main(grid=GRID):
    """Run the search; return it."""
    X, groups = make_embeddings()
    search = GridSearchCV(
        RateReductionClustering(random_state=0),
        grid,
        scoring={
            "neighbors": neighbor_consistency_score,
            "rate": coding_rate_reduction_score,
        },
        refit="neighbors",
        # One split is enough to see the idea; use several for a decision.
        cv=ShuffleSplit(1, test_size=0.4, random_state=0),
    ).fit(X)

    results = search.cv_results_
    print(f"{'gamma':>5}  {'n_clusters':>10}  {'neighbors':>9}  {'rate':>5}")
    for params, neighbors, rate in zip(
        results["params"],
        results["mean_test_neighbors"],
        results["mean_test_rate"],
    ):
        print(
            f"{params['gamma']:5}  {params['n_clusters']:10}  {neighbors:9.3f}  "
            f"{rate:5.3f}"
        )
    print(f"Best by neighbors: {search.best_params_}")

    # Only to see how the choice did: the search knows nothing of the groups.
    agreement = adjusted_rand_score(groups, search.predict(X))
    print(f"Agreement with the {groups.max() + 1} groups (ARI): {agreement:.2f}")
    return search


if __name__ == "__main__":
    main()
