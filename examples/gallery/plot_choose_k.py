"""
How many clusters?
==================

:class:`~sklearn_vlclust.CodingLengthKSelector` scores every number of clusters by
what halves of the images tell about each other: :doc:`../guide/n_clusters`.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from sklearn_vlclust import CodingLengthKSelector
from sklearn_vlclust.plotting import ClusterConfusionDisplay, CodingLengthDisplay

X, y = load_digits(return_X_y=True)
selector = CodingLengthKSelector(random_state=0).fit(X)
print(selector.n_clusters_, selector.k_candidates_)

# %%
# The estimate is a guess. By `"reproducibility"` a number is good if random halves of
# the images agree on its clusters, relative to how much the clusters tell;
# `"agreement"` is that agreement alone. Runner-ups are worth a look.

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for ax, criterion in zip(axes, ("reproducibility", "agreement")):
    CodingLengthDisplay.from_estimator(selector, criterion=criterion, ax=ax)

# %%
# Labels for a smaller number are there at once. With ten clusters and the true classes,
# which the selector did not see:

_ = ClusterConfusionDisplay.from_predictions(y, selector.cut_.labels(10))

# %%
# And with the number that was estimated: digits written in two ways are two clusters.

_ = ClusterConfusionDisplay.from_predictions(y, selector.labels_)
