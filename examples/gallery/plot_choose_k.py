"""
How many clusters?
==================

:class:`~sklearn_vlclust.CodingLengthKSelector` cuts the graph of near images once and
scores every number of clusters: :doc:`../guide/n_clusters`.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from sklearn_vlclust import CodingLengthKSelector
from sklearn_vlclust.plotting import ClusterConfusionDisplay, CodingLengthDisplay

X, y = load_digits(return_X_y=True)
selector = CodingLengthKSelector(k_range=(2, 30), random_state=0).fit(X)
print(selector.n_clusters_)

# %%
# The estimate is a guess, the curve says how good a one. By `"persistence"` a number is
# good if its clusters hold together while others are cut; by `"coding_length"` if few
# bits tell where each image lies. A second peak, or dip, is worth a look.

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for ax, criterion in zip(axes, ("persistence", "coding_length")):
    CodingLengthDisplay.from_estimator(selector, criterion=criterion, ax=ax)

# %%
# Labels for any other number are there at once. With ten clusters and the true classes,
# which the selector did not see:

_ = ClusterConfusionDisplay.from_predictions(y, selector.cut_.labels(10))

# %%
# And with the number that was estimated: digits written in two ways are two clusters.

_ = ClusterConfusionDisplay.from_predictions(y, selector.labels_)
