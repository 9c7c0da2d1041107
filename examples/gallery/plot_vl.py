"""
The default clusterer
=====================

Images without labels, and nobody knows how many kinds there are: a thousand
handwritten digits. At 8 x 8 pixels, the pixels themselves will do as embeddings, and no
words belong to them. Of photographs, take embeddings of an encoder and get names as
well, as in :doc:`plot_own_folder`.
"""

from sklearn.datasets import load_digits

from sklearn_vlclust import VLClustering
from sklearn_vlclust.plotting import ContactSheetDisplay, EmbeddingMapDisplay

digits = load_digits()
X, classes = digits.data[:1000], digits.target[:1000]
images = (digits.images[:1000] * 255 / 16).astype("uint8")[..., None]

# %%
# It is used as any clusterer of scikit-learn, and estimates the number of clusters.

model = VLClustering(semantic_space=None, random_state=0).fit(X)
model

# %%
# There are ten digits, but some are written in two ways. Other numbers fit as well.

print(model.n_clusters_, model.k_candidates_)

# %%
# One row per cluster, its most typical images first.

_ = ContactSheetDisplay.from_estimator(model, images, embeddings=X)

# %%
# Another number of clusters takes a moment: nothing is trained again.

model.set_n_clusters(10)
_ = EmbeddingMapDisplay.from_estimator(
    model, X, images=images, n_samples=600, random_state=0
)

# %%
# New images are put into these clusters, with probabilities.

print(model.predict(digits.data[1000:1008]))
print(model.predict_proba(digits.data[1000:1008]).max(axis=1).round(2))

# %%
# Labels were not used. Where there are any, they say how it went.

from sklearn_vlclust.metrics import clustering_accuracy

print(f"accuracy: {clustering_accuracy(classes, model.labels_):.3f}")
