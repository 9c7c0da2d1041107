"""
Grid search without labels
==========================

`GridSearchCV` compares parameters and numbers of clusters without labels: held-out
samples are scored by how much the cluster of a sample tells about that of its
neighbors, and by the coding rate that the clusters save.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV, ShuffleSplit

from sklearn_vlclust import RateReductionClustering
from sklearn_vlclust.model_selection import (
    coding_rate_reduction_score,
    neighbor_consistency_score,
)

# %%
# Stand-ins for embeddings: six groups, each in a subspace of four directions.

rng = np.random.default_rng(0)
centers = rng.normal(size=(6, 1, 32))
axes = rng.normal(size=(6, 4, 32))
X = centers + 0.6 * rng.normal(size=(6, 80, 4)) @ axes
X = (X + 0.3 * rng.normal(size=X.shape)).reshape(-1, 32)
groups = np.repeat(np.arange(6), 80)

# %%
# Both scores take any clusterer with `predict`. `gamma` says how sharp the membership
# of the rate reduction is.

search = GridSearchCV(
    RateReductionClustering(max_iter=5, random_state=0),
    {"gamma": [0.1, 0.4], "n_clusters": [2, 3, 4, 6, 9, 12]},
    scoring={
        "neighbors": neighbor_consistency_score,
        "rate": coding_rate_reduction_score,
    },
    refit="neighbors",
    cv=ShuffleSplit(2, test_size=0.4, random_state=0),
).fit(X)
print(search.best_params_)

# %%
# The curves say more than the best value: a score that hardly falls towards finer
# clusters means that these are about as good, and curves that lie on each other that
# the parameter between them can be left as it is.

figure, panels = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
results = search.cv_results_
gammas = np.array([params["gamma"] for params in results["params"]])
numbers = np.array([params["n_clusters"] for params in results["params"]])
for ax, score in zip(panels, ("neighbors", "rate")):
    for gamma in np.unique(gammas):
        own = gammas == gamma
        values = results[f"mean_test_{score}"][own]
        ax.plot(numbers[own], values, "o-", label=f"gamma={gamma}")
    ax.set(xlabel="number of clusters", ylabel=f"score: {score}")
    ax.legend()

# %%
# Only to see how the choice did, as the search knows nothing of the groups:

print(f"ARI with the groups: {adjusted_rand_score(groups, search.predict(X)):.2f}")
