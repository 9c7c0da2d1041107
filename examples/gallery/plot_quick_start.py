"""
Quick start
===========

Images without labels, and nobody knows how many kinds there are: handwritten digits of
8 x 8 pixels. At this size the pixels themselves will do as embeddings. Of photographs,
take those of an encoder, as in :doc:`plot_own_folder`.
"""

from sklearn.datasets import load_digits

from sklearn_vlclust import RateReductionClustering
from sklearn_vlclust.plotting import ContactSheetDisplay, EmbeddingMapDisplay

digits = load_digits()
X, images = digits.data, (digits.images * 255 / 16).astype("uint8")[..., None]
print(X.shape, images.shape)

# %%
# It is used as any clusterer of scikit-learn. Without `n_clusters`, the number is
# estimated. There are ten kinds of digits, of which some are written in two ways.

model = RateReductionClustering(max_iter=10, random_state=0).fit(X)
model

# %%
# A row a cluster, its most typical images first.

_ = ContactSheetDisplay.from_estimator(model, images, embeddings=X)

# %%
# Another number of clusters takes a moment: nothing is learned again.

model.set_n_clusters(10)
_ = EmbeddingMapDisplay.from_estimator(
    model, X, images=images, n_samples=600, random_state=0
)

# %%
# New images are put into these clusters, with probabilities.

print(model.predict(X[:8]))
print(model.predict_proba(X[:8]).max(axis=1).round(2))

# %%
# Labels were not used. Where there are any, they say how it went.

from sklearn_vlclust.metrics import clustering_accuracy

print(f"accuracy: {clustering_accuracy(digits.target, model.labels_):.3f}")
