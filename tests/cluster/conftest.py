import numpy as np
import pytest

from sklearn_vlclust import MCAClustering, Vocabulary

NOUNS = ["cat", "dog", "car", "ship", "tree"]


@pytest.fixture(scope="session")
def small():
    """150 images of five kinds in 16 dimensions, their kinds, and five nouns."""
    rng = np.random.default_rng(0)
    directions = np.eye(5, 16)
    y = np.repeat(np.arange(5), 30)
    X = directions[y] + 0.15 * rng.normal(size=(150, 16))
    # The modality gap: all nouns are shifted alike.
    nouns = Vocabulary(NOUNS, embeddings=directions + 0.5 * np.eye(16)[15])
    return X.astype(np.float32), y, nouns


@pytest.fixture(scope="session")
def images(clip_data):
    """Return a function that loads real CLIP embeddings by data set and split."""

    def load(name, split):
        data = clip_data(f"images_{name}.npz")
        return data[f"emb_{split}"].astype(np.float32), data[f"label_{split}"]

    return load


@pytest.fixture
def make_mca(small):
    """Return a function that makes a quick estimator for `small`."""

    def make(**params):
        defaults = {"semantic_space": small[2], "max_iter": 6, "random_state": 0}
        return MCAClustering(**{"n_clusters": 5, **defaults, **params})

    return make
