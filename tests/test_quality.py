"""How well methods work, on real data that comes with scikit-learn.

Other tests of quality read shared embeddings, and are skipped where these are missing.
"""

import numpy as np
import pytest
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, load_sample_image

from sklearn_vlclust import (
    ClusterCaptioner,
    ImageSearch,
    MCAClustering,
    OfflineEmbedder,
    RateReductionClustering,
    VLClustering,
    Vocabulary,
)
from sklearn_vlclust.metrics import clustering_accuracy

NOUNS = ["palace", "temple", "flower", "dog", "airliner", "guitar", "car", "pizza"]


@pytest.fixture(scope="module")
def digits():
    """Half of the digits, what they show, and the accuracy of k-means: 0.80."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:900].astype(np.float32), y[:900]
    kmeans = KMeans(10, n_init=10, random_state=0).fit(X)
    return X, y, clustering_accuracy(y, kmeans.labels_)


# The gains are 0.062, 0.034 and 0.074 with seeds 0 and 1.
@pytest.mark.parametrize(
    ("method", "gain"),
    [
        (VLClustering(10, random_state=0), 0.04),
        (MCAClustering(10, semantic_space=None, random_state=0), 0.02),
        (RateReductionClustering(10, random_state=0), 0.05),
    ],
    ids=lambda value: type(value).__name__,
)
def test_digits_are_clustered_better_than_by_k_means(method, gain, digits):
    X, y, of_kmeans = digits
    assert clustering_accuracy(y, method.fit(X).labels_) > of_kmeans + gain


@pytest.fixture(scope="module")
def photographs():
    """Rows of crops of two photographs, their numbers, and nouns with vectors."""
    embedder = OfflineEmbedder(device="cpu")
    crops = []
    for name in ("china.jpg", "flower.jpg"):
        photograph = Image.fromarray(load_sample_image(name))
        for i in range(12):
            left, top = 100 * (i % 4), 60 * (i // 4)
            crops.append(photograph.crop((left, top, left + 300, top + 300)))
    nouns = Vocabulary(NOUNS, embedder.encode_texts(NOUNS))
    return embedder.transform(crops), np.repeat([0, 1], 12), nouns


def test_photographs_are_clustered_and_named(photographs):
    X, y, nouns = photographs
    model = VLClustering(2, semantic_space=nouns, random_state=0).fit(X)
    assert clustering_accuracy(y, model.labels_) == 1
    names = {own[0] for own in model.cluster_names_}
    assert names == {"palace", "flower"}
    captions = ClusterCaptioner(nouns).fit(X, y).captions_
    assert captions.tolist() == ["palace", "flower"]


def test_photographs_are_found_by_words(photographs):
    X, y, nouns = photographs
    search = ImageSearch(n_neighbors=12).fit(X)
    for noun, number in {"palace": 0, "flower": 1}.items():
        query = nouns.embeddings[nouns.nouns == noun]
        (found,) = search.kneighbors(query, return_distance=False)
        assert (y[found] == number).all()
