"""PICI on embeddings: groups of principal axes in place of patches."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.model_selection import GridSearchCV

from sklearn_vlclust import ContrastiveMaskedClustering
from sklearn_vlclust.cluster.axes import half_whitening
from sklearn_vlclust.cluster.row_network import EmbeddingNetwork
from sklearn_vlclust.data.rows import UnitRows
from sklearn_vlclust.metrics import clustering_accuracy
from tests.conftest import new_generator


def make(**params):
    return ContrastiveMaskedClustering(**{"n_clusters": 5, "random_state": 0, **params})


@pytest.fixture(scope="module")
def network(small):
    mean, axes = half_whitening(UnitRows(small[0]), 16)
    network = EmbeddingNetwork(16, len(axes), 6, 5, 20)
    network.start(new_generator(0), torch.from_numpy(mean), torch.from_numpy(axes))
    return network


def test_fitted_attributes(small):
    X, y, _ = small
    model = make().fit(X)
    assert clustering_accuracy(y, model.labels_) > 0.95
    assert model.n_iter_ == 40 and model.image_shape_ is None
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    assert model.transform(X).shape == (150, len(model.get_feature_names_out()))
    terms = [set(row) - {"epoch", "phase", "loss"} for row in model.history_]
    assert terms[0] == {"reconstruction"} and "interaction" in terms[-1]


def test_reconstruct_fills_masked_groups(small):
    X = small[0]
    stages = {"pretrain_epochs": 200, "train_epochs": 0, "boost_epochs": 0}
    model = make(**stages, lr=2e-3).fit(X)
    filled, seen = model.reconstruct(X, return_masked=True)
    assert filled.shape == seen.shape == X.shape
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    assert np.square(filled - unit).mean() < 0.9 * np.square(seen - unit).mean()


def test_starts_as_the_embeddings_are(small, network):
    """Features keep the angles of half-whitened axes, and tokens can be undone."""
    u = torch.from_numpy(UnitRows(small[0])[:])
    tokens = network.tokens(u)
    assert tokens.shape == (150, 6, 3)
    x = (u - network.mean) @ network.axes.T
    np.testing.assert_allclose(tokens.flatten(1), x, atol=1e-5)
    np.testing.assert_allclose(network.samples(tokens), u, atol=1e-4)
    with torch.no_grad():
        features = network.features(u)
    expected = torch.nn.functional.normalize(x, dim=1)
    np.testing.assert_allclose(features @ features.T, expected @ expected.T, atol=1e-4)


def test_groups_share_large_and_small_axes(small, network):
    x = network.tokens(torch.from_numpy(UnitRows(small[0])[:]))
    spread = x.std(dim=0)  # (6, 3): largest axes first within a group
    assert (spread[:, 0] >= spread[:, 1]).all() and (spread[:, 1] >= spread[:, 2]).all()


def test_masked_groups_are_not_seen(network):
    x = torch.randn(4, 6, 3)
    visible, masked = torch.tensor([[0, 2, 5]] * 4), torch.tensor([[1, 3, 4]] * 4)
    other = x.clone()
    other[:, [1, 3, 4]] += 1
    with torch.no_grad():
        np.testing.assert_array_equal(
            network.encode(x, visible), network.encode(other, visible)
        )
        encoded = network.encode(x, visible)
        assert network.decode(encoded, visible, masked).shape == (4, 3, 3)
        assert not torch.equal(network.encode(x), network.encode(other))


def test_clusters_start_at_the_nearest_center(network):
    centers = torch.nn.functional.normalize(torch.randn(5, 18), dim=1)
    network.start_clusters(centers)
    x = torch.randn(40, 6, 3)
    with torch.no_grad():
        logits = network(x)[1]
    rows = torch.nn.functional.normalize(x.flatten(1), dim=1)
    np.testing.assert_array_equal(
        logits.argmax(dim=1), torch.cdist(rows, centers).argmin(dim=1)
    )


@pytest.mark.parametrize(
    ("n", "width", "k"), [(60, 8, 3), (50, 2, 2), (20, 3, 8), (300, 4, 4), (30, 1, 2)]
)
def test_any_size(n, width, k):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(k, width))[np.arange(n) % k] + 0.05 * rng.normal(
        size=(n, width)
    )
    model = make(n_clusters=k, pretrain_epochs=1, train_epochs=2, boost_epochs=1)
    assert np.isfinite(model.fit(X).transform(X)).all()
    np.testing.assert_array_equal(model.predict(X), model.labels_)


@pytest.mark.parametrize("off", ["reconstruction", "cluster_contrast", "interaction"])
def test_modules_switch_off(small, off):
    model = make(**{off: False}, train_epochs=3, boost_epochs=2).fit(small[0])
    assert clustering_accuracy(small[1], model.labels_) > 0.9
    assert off not in {name for row in model.history_ for name in row}


def test_without_cluster_head_clusters_are_those_of_kmeans(small, tmp_path):
    X, y, _ = small
    model = make(cluster_contrast=False, interaction=False, train_epochs=3).fit(X)
    assert clustering_accuracy(y, model.labels_) > 0.9
    model.save(tmp_path / "model")
    loaded = ContrastiveMaskedClustering.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(X), model.labels_)


def test_kinds_of_embeddings(small, tmp_path):
    X = small[0]
    np.save(tmp_path / "X.npy", X)
    labels = make().fit(X).labels_
    for data in (np.load(tmp_path / "X.npy", mmap_mode="r"), torch.from_numpy(X)):
        np.testing.assert_array_equal(make().fit(data).labels_, labels)
    double = make().fit(X.astype(np.float64))
    assert double.transform(X.astype(np.float64)).dtype == np.float64


def test_fit_that_broke_off_goes_on(small, tmp_path):
    class Stop:
        def on_epoch_end(self, estimator, epoch, losses):
            return epoch == 27  # within the boosting

    X, path = small[0], tmp_path / "checkpoint"
    whole = make().fit(X)
    make(checkpoint=path, callbacks=[Stop()]).fit(X)
    resumed = make(checkpoint=path).fit(X)
    np.testing.assert_array_equal(resumed.transform(X), whole.transform(X))


def test_images_and_embeddings_do_not_mix(small):
    model = make(train_epochs=1, boost_epochs=0, interaction=False).fit(small[0])
    with pytest.raises(ValueError, match=r"X is images .*; the fit had embeddings of"):
        model.predict(np.zeros((3, 4, 4, 1), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"weights='vit.*' are for images"):
        make(weights="vit_small_patch16_224").fit(small[0])


def test_grid_search_without_labels(small):
    everything = [(np.arange(150), np.arange(150))]
    search = GridSearchCV(make(), {"n_clusters": [2, 5]}, cv=everything)
    assert search.fit(small[0]).best_params_ == {"n_clusters": 5}


def test_breeds_of_pets(clip_data):
    """Above k-means by far: what the embeddings alone hold."""
    data = clip_data("images_oxford_pets.npz")
    X, y = data["emb_val"].astype(np.float32), data["label_val"]
    kmeans = KMeans(37, n_init=3, random_state=0).fit_predict(X)
    accuracy = clustering_accuracy(y, make(n_clusters=37).fit(X).labels_)
    assert accuracy > clustering_accuracy(y, kmeans) + 0.04
