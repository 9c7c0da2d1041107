"""
CPP: clustering by rate reduction
=================================

:class:`~sklearn_vlclust.RateReductionClustering` learns features that fill their space,
and clusters of them that fill little of it. :doc:`../guide/rate_reduction` has the
equations, :doc:`../papers/cpp` what is reproduced. Where they are:

===========  ====================================================  =====================
equation     function                                              in `history_`
===========  ====================================================  =====================
1            :func:`sklearn_vlclust.metrics.coding_rate`           "coding_rate"
2            :func:`sklearn_vlclust.metrics.cluster_coding_rate`   "cluster_coding_rate"
3            `_membership.sinkhorn_membership`
MLC, 4       `_objective.RateReductionObjective`                   "loss"
Algorithm 1  :class:`sklearn_vlclust.CodingLengthKSelector`
===========  ====================================================  =====================
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

from sklearn_vlclust import RateReductionClustering
from sklearn_vlclust.metrics import cluster_coding_rate, coding_rate
from sklearn_vlclust.plotting import (
    SimilarityDisplay,
    SpectrumDisplay,
    TrainingCurveDisplay,
)

digits = load_digits(n_class=5)
X, y = digits.data, digits.target
model = RateReductionClustering(5, max_iter=15, random_state=0).fit(X)
model

# %%
# What is maximized: the rate of all features less that of the clusters.

_ = TrainingCurveDisplay.from_estimator(model)

# %%
# The same quantities of the features of all images: eqs. 1 and 2, with the membership
# (eq. 3) of each two images.

rows = np.random.default_rng(0).choice(len(X), 300, replace=False)
Z = torch.as_tensor(model.transform(X[rows]))
Pi = torch.as_tensor(model.membership(X[rows]), dtype=Z.dtype)
print("rows of the membership sum to", Pi.sum(dim=1).numpy().round(3)[:4])
print(f"R(Z) = {coding_rate(Z).item():.1f}")
print(f"R_c(Z, Pi) = {cluster_coding_rate(Z, Pi).item():.1f}")

# %%
# Figures 2 and 3 of the paper: cosines between images, sorted by cluster, and how many
# directions the features fill.

figure, axes = plt.subplots(2, 2, figsize=(10, 8), layout="constrained")
SimilarityDisplay.from_features(X, model.labels_, ax=axes[0, 0])
SimilarityDisplay.from_estimator(model, X, ax=axes[0, 1])
SpectrumDisplay.from_features(X, model.labels_, ax=axes[1, 0])
SpectrumDisplay.from_estimator(model, X, ax=axes[1, 1])
axes[0, 0].set_title("pixels")
_ = axes[0, 1].set_title("features")
