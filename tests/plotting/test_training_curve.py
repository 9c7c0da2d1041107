import matplotlib as mpl
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans

from sklearn_vlclust import (
    ContrastiveMaskedClustering,
    MCAClustering,
    RateReductionClustering,
)
from sklearn_vlclust.plotting import TrainingCurveDisplay

mpl.use("Agg")


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return np.repeat(np.eye(3, 8), 20, axis=0) + 0.1 * rng.normal(size=(60, 8))


@pytest.fixture(scope="module")
def masked(X):
    return ContrastiveMaskedClustering(
        3, pretrain_epochs=2, train_epochs=3, boost_epochs=4, random_state=0
    ).fit(X)


def points(line):
    """Epochs and values of a line, without gaps."""
    x, y = line.get_data()
    return x[~np.isnan(y)], y[~np.isnan(y)]


def test_terms_are_those_of_the_history(masked):
    display = TrainingCurveDisplay.from_estimator(masked)
    assert set(display.lines_) == {
        term
        for row in masked.history_
        for term in row
        if term not in ("epoch", "phase")
    }
    for term, line in display.lines_.items():
        rows = [row for row in masked.history_ if term in row]
        epochs, values = points(line)
        np.testing.assert_array_equal(epochs, [row["epoch"] for row in rows])
        np.testing.assert_array_equal(values, [row[term] for row in rows])
    labels = [ax.get_title(loc="left") for ax in display.figure_.axes]
    assert labels[0] == "total" and "cluster contrast" in labels
    assert display.figure_.get_suptitle() == "ContrastiveMaskedClustering"
    # Each term has a scale of its own.
    assert all(
        display.axes_[term] is line.axes for term, line in display.lines_.items()
    )
    assert len(set(display.axes_.values())) == len(display.lines_)


def test_phases_are_apart(masked):
    display = TrainingCurveDisplay.from_estimator(masked)
    phases = [("pretrain", 1, 2), ("train", 3, 5), ("boost", 6, 9)]
    assert display.phases == phases
    assert [text.get_text() for text in display.phase_texts_] == [
        name for name, _, _ in phases
    ]
    n = len(display.axes_)
    ends = [line.get_xdata()[0] for line in display.phase_lines_]
    assert ends == [2.5] * n + [5.5] * n
    gaps = np.isnan(display.lines_["loss"].get_xdata())
    assert np.flatnonzero(gaps).tolist() == [2, 6]


def test_without_phases(X):
    mca = MCAClustering(3, semantic_space=None, max_iter=3, random_state=0).fit(X)
    display = TrainingCurveDisplay.from_estimator(mca, terms=["loss"])
    assert display.phases == [] == display.phase_lines_ and list(display.lines_) == [
        "loss"
    ]
    assert len(points(display.lines_["loss"])[0]) == 3


def test_scales(X):
    warm = RateReductionClustering(3, max_iter=3, warm_up=1, random_state=0).fit(X)
    display = TrainingCurveDisplay.from_estimator(warm)
    with pytest.raises(ValueError, match=r"those of 'loss': give yscale='symlog'"):
        display.plot(yscale="log")
    assert display.plot(yscale="symlog").ax_.get_yscale() == "symlog"
    positive = TrainingCurveDisplay.from_estimator(
        warm, terms=["coding_rate"], yscale="log"
    )
    assert positive.ax_.get_yscale() == "log"
    with pytest.raises(ValueError, match="yscale='cubic' is none of"):
        display.plot(yscale="cubic")


def test_own_axes(masked):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    display = TrainingCurveDisplay.from_estimator(masked, ax=ax)
    assert display.ax_ is ax and display.figure_ is figure
    assert len(ax.lines) == len(display.lines_) + 2  # and where phases end
    assert len(ax.get_legend().get_texts()) == len(display.lines_)
    plt.close("all")


def test_bad_input(masked, X):
    with pytest.raises(ValueError, match=r"terms=\['gap'\]: expected some of \['loss'"):
        TrainingCurveDisplay.from_estimator(masked, terms=["gap"])
    with pytest.raises(ValueError, match="This KMeans has no history_"):
        TrainingCurveDisplay.from_estimator(KMeans(2, n_init=1).fit(X))
    with pytest.raises(ValueError, match="not fitted"):
        TrainingCurveDisplay.from_estimator(clone(masked))
    with pytest.raises(ValueError, match="history is empty"):
        TrainingCurveDisplay.from_history([])
