import matplotlib as mpl
import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_vlclust.cluster.rate_reduction import RateReductionClustering
from sklearn_vlclust.plotting import SimilarityDisplay, SpectrumDisplay

mpl.use("Agg")


@pytest.fixture(scope="module")
def planes():
    """120 rows in three planes at right angles, shuffled, and their planes."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(np.arange(3), 40))
    X = np.zeros((120, 6))
    for row, plane in zip(X, y):
        row[2 * plane : 2 * plane + 2] = rng.normal(size=2) + 2
    return X, y


def test_similarities_are_sorted_into_blocks(planes):
    X, y = planes
    display = SimilarityDisplay.from_features(X, y)
    blocks = np.kron(np.eye(3), np.ones((40, 40))) == 1
    assert (display.similarities[~blocks] == 0).all()
    assert (display.similarities[blocks] > 0).all()
    np.testing.assert_allclose(np.diag(display.similarities), 1)
    np.testing.assert_array_equal(display.image_.get_array(), display.similarities)
    assert display.ax_.get_xlabel() == "120 samples in 3 clusters"


def test_a_sample_of_many_rows(planes):
    X, y = planes
    first, second = (
        SimilarityDisplay.from_features(X, y, n_samples=30, random_state=1)
        for _ in range(2)
    )
    assert first.similarities.shape == (30, 30) and first.sizes.sum() == 30
    np.testing.assert_array_equal(first.similarities, second.similarities)


def test_spectra_against_numpy(planes):
    X, y = planes
    spectra = SpectrumDisplay.from_features(X, y).spectra
    assert next(iter(spectra)) == "all samples" and len(spectra) == 4
    for plane in range(3):
        values = np.sqrt(np.linalg.eigvalsh(X[y == plane].T @ X[y == plane])[::-1])
        np.testing.assert_allclose(
            spectra[f"cluster {plane}"][:2], values[:2] / values[0]
        )
        np.testing.assert_allclose(spectra[f"cluster {plane}"][2:], 0, atol=1e-12)
    assert len(SpectrumDisplay.from_features(X).lines_) == 1


def test_of_an_estimator(planes):
    X, _ = planes
    model = RateReductionClustering(3, max_iter=2, random_state=0).fit(X)
    for display in (SimilarityDisplay, SpectrumDisplay):
        drawn = display.from_estimator(model, X)
        assert drawn.figure_ is drawn.ax_.figure
        other = display.from_estimator(make_pipeline(model), X, ax=drawn.ax_)
        assert other.ax_ is drawn.ax_
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        SimilarityDisplay.from_features(X, [0, 1])
