"""
Unbalanced data
===============

Clusters of very different sizes: k-means halves the large ones and joins small ones.
:class:`~sklearn_vlclust.RateReductionClustering` cuts a graph of near images in three
ways and keeps large groups whole: :doc:`../guide/rate_reduction`, step 5.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans

from sklearn_vlclust import RateReductionClustering
from sklearn_vlclust.metrics import clustering_accuracy
from sklearn_vlclust.plotting import ClusterConfusionDisplay

# %%
# Eight groups of 600, 300, ... 20 rows. The groups are cones around a mean direction,
# as those of embeddings are, and large ones are wider.

sizes = [600, 300, 150, 80, 60, 40, 30, 20]
rng = np.random.default_rng(0)
centers = rng.normal(size=(len(sizes), 48))
rows = []
for center, size in zip(centers, sizes):
    axes = rng.normal(size=(5, 48))
    rows.append(center + 0.4 * rng.normal(size=(size, 5)) @ axes)
X = np.concatenate(rows) + 0.3 * rng.normal(size=(sum(sizes), 48))
X /= np.linalg.norm(X, axis=1, keepdims=True)
y = np.repeat(np.arange(len(sizes)), sizes)

# %%
# Both know the number of groups.

kmeans = KMeans(8, n_init=10, random_state=0).fit(X)
model = RateReductionClustering(8, max_iter=10, random_state=0).fit(X)
for name, labels in (("KMeans", kmeans.labels_), ("rate reduction", model.labels_)):
    print(
        f"{name}: accuracy {clustering_accuracy(y, labels):.2f}, "
        f"sizes {np.sort(np.bincount(labels))[::-1]}"
    )

# %%
# Rows are groups, columns clusters.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
for ax, estimator in zip(axes, (kmeans, model)):
    ClusterConfusionDisplay.from_predictions(
        y, estimator.labels_, ax=ax, colorbar=False
    )
    ax.set_title(type(estimator).__name__)

# %%
# Made-up groups are kinder than photographs: what it gives on embeddings of these, with
# half of the classes halved, is measured in :doc:`../choosing_a_method`.
