"""``n_clusters="auto"`` of every clusterer."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_vlclust import (
    ContrastiveMaskedClustering,
    GenerativeCalibrationClustering,
    MCAClustering,
    RateReductionClustering,
)
from sklearn_vlclust.cluster.image_base import SmallPixels

SHORT = {"n_clusters": "auto", "random_state": 0}
CLUSTERERS = [
    MCAClustering(semantic_space=None, max_iter=2, **SHORT),
    RateReductionClustering(max_iter=2, **SHORT),
    ContrastiveMaskedClustering(
        pretrain_epochs=1, train_epochs=1, boost_epochs=1, batch_size=64, **SHORT
    ),
    GenerativeCalibrationClustering(
        contrast_epochs=1, head_epochs=1, generator_epochs=1, n_rounds=0, **SHORT
    ),
]


@pytest.fixture(scope="module")
def groups():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(6, 24))
    rows = np.repeat(centers, 40, axis=0) + 0.3 * rng.normal(size=(240, 24))
    return rows.astype(np.float32)


@pytest.mark.parametrize("clusterer", CLUSTERERS, ids=lambda c: type(c).__name__)
def test_every_clusterer_counts(groups, clusterer):
    model = clone(clusterer).fit(groups)
    assert model.n_clusters_ == 6 and model.n_clusters == "auto"
    assert model.k_candidates_[0] == (6, 1.0)
    for curve in model.k_scores_.values():
        assert curve.shape == model.k_values_.shape
    given = clone(clusterer).set_params(n_clusters=6).fit(groups)
    np.testing.assert_array_equal(given.labels_, model.labels_)
    assert not hasattr(given, "k_candidates_")


def test_an_interrupted_fit_counts_the_same(groups, tmp_path):
    path = tmp_path / "state"

    class Stop:
        def on_epoch_end(self, estimator, epoch, losses):
            raise RuntimeError("stop")

    model = RateReductionClustering(max_iter=3, checkpoint=path)  # no fixed seed
    with pytest.raises(RuntimeError, match="stop"):
        clone(model).set_params(callbacks=[Stop()]).fit(groups)
    resumed = clone(model).fit(groups)
    assert resumed.n_clusters_ == 6 and resumed.n_iter_ == 3


def test_the_estimate_is_saved(groups, tmp_path):
    model = RateReductionClustering(max_iter=1, random_state=0).fit(groups)
    model.save(tmp_path / "model")
    loaded = RateReductionClustering.load(tmp_path / "model")
    assert [tuple(pair) for pair in loaded.k_candidates_] == model.k_candidates_
    np.testing.assert_array_equal(loaded.k_values_, model.k_values_)


@pytest.mark.filterwarnings("ignore:.*clusters have samples")
def test_images_are_counted_by_small_pixels():
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 200, size=(4, 4, 4, 3)).repeat(8, 1).repeat(8, 2)
    images = kinds.repeat(25, axis=0) + rng.integers(0, 56, size=(100, 32, 32, 3))
    model = ContrastiveMaskedClustering(
        pretrain_epochs=1, train_epochs=1, boost_epochs=1, batch_size=50, **SHORT
    ).fit(images.astype(np.uint8))
    assert model.k_candidates_[0][0] == 4
    pixels = SmallPixels(images.transpose(0, 3, 1, 2).astype(np.uint8))
    assert pixels.shape == (100, 3 * 16 * 16)
    rows = pixels[np.arange(10)]
    assert rows.shape == (10, 768)
    np.testing.assert_allclose(rows.reshape(10, 3, -1).mean(axis=(0, 2)), 0, atol=1e-4)


def test_what_is_no_number():
    for wrong in ("all", 0, 2.5):
        with pytest.raises(ValueError, match="n_clusters"):
            RateReductionClustering(wrong).fit(np.eye(8))


def test_noise_is_one_cluster_and_is_said_where_fit_is_called():
    noise = np.random.default_rng(0).normal(size=(120, 16))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = RateReductionClustering(max_iter=1, random_state=0).fit(noise)
    assert model.n_clusters_ == 1
    (warning,) = [w for w in caught if "No groups were found" in str(w.message)]
    assert warning.filename == __file__
