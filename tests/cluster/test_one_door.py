"""Every clusterer takes a folder, a list, an array or embeddings."""

import warnings

import numpy as np
import pytest
from PIL import Image

from sklearn_vlclust import (
    ContrastiveMaskedClustering,
    MCAClustering,
    OfflineEmbedder,
    RateReductionClustering,
    VLClustering,
)

COLORS = ((200, 30, 30), (30, 190, 40), (40, 40, 210))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """24 pictures in three colors, a folder each."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("photos")
    for i, color in enumerate(COLORS):
        (folder / str(i)).mkdir()
        for j in range(8):
            noise = rng.integers(-30, 30, (32, 32, 3))
            pixels = np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / str(i) / f"{j}.png")
    return folder


@pytest.fixture(scope="module")
def embeddings():
    rng = np.random.default_rng(0)
    return np.repeat(np.eye(3, 16), 20, axis=0) + 0.1 * rng.normal(size=(60, 16))


@pytest.mark.parametrize("as_given", [str, lambda path: path])
def test_a_folder_is_the_list_of_its_images(folder, as_given):
    paths = sorted(map(str, folder.rglob("*.png")))
    model = RateReductionClustering(3, embedder="offline", random_state=0)
    listed = model.fit_predict(paths)
    np.testing.assert_array_equal(model.fit_predict(as_given(folder)), listed)
    assert list(model.image_paths_) == paths
    np.testing.assert_array_equal(model.predict(as_given(folder)), listed)


def test_what_is_not_read_has_no_path(folder, tmp_path):
    (tmp_path / "a.png").write_bytes((folder / "0" / "0.png").read_bytes()[:200])
    paths = [tmp_path / "a.png", *sorted(folder.rglob("*.png"))]
    embedder = OfflineEmbedder(on_error="skip")
    model = RateReductionClustering(3, embedder=embedder, random_state=0).fit(paths)
    assert list(model.image_paths_) == list(map(str, paths[1:]))
    assert len(model.labels_) == 24


def test_arrays_and_embeddings_have_no_paths(folder, embeddings):
    model = RateReductionClustering(3, embedder="offline", random_state=0).fit(folder)
    assert len(model.image_paths_) == 24
    assert not hasattr(model.fit(embeddings), "image_paths_")


def test_pixels_or_an_encoder(folder):
    settings = {"pretrain_epochs": 1, "train_epochs": 1, "boost_epochs": 1}
    pixels = ContrastiveMaskedClustering(3, random_state=0, **settings).fit(folder)
    assert pixels.image_shape_[0] == 3 and pixels.embedder_ is None
    embedded = pixels.set_params(embedder="offline").fit(folder)
    assert embedded.image_shape_ is None
    assert embedded.n_features_in_ == 1001
    np.testing.assert_array_equal(embedded.predict(folder), embedded.labels_)
    assert embedded.embed(sorted(folder.rglob("*.png"))).shape == (24, 1001)


def test_none_estimates(embeddings):
    model = RateReductionClustering(None, random_state=0).fit(embeddings)
    assert model.n_clusters_ == 3 and model.k_candidates_[0][0] == 3


@pytest.mark.parametrize("clusterer", [VLClustering, MCAClustering])
def test_bare_embeddings_need_no_hub(clusterer, embeddings, no_clip_weights):
    with pytest.warns(UserWarning, match="nothing tells which encoder") as warned:
        model = clusterer(n_clusters=3, random_state=0).fit(embeddings)
    assert len(warned) == 1
    assert model.semantic_weight_ == 0 and model.semantic_space_ is None
    assert np.bincount(model.labels_).tolist() == [20, 20, 20]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clusterer(n_clusters=3, semantic_space=None, random_state=0).fit(embeddings)
