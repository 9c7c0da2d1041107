import matplotlib as mpl
import numpy as np
import pytest

from sklearn_vlclust import CodingLengthKSelector, RateReductionClustering
from sklearn_vlclust.plotting import CodingLengthDisplay

mpl.use("Agg")


@pytest.fixture(scope="module")
def groups():
    rng = np.random.default_rng(0)
    return np.repeat(np.eye(4, 8), 30, axis=0) + 0.1 * rng.normal(size=(120, 8))


@pytest.mark.parametrize(
    ("estimator", "criterion"),
    [
        (CodingLengthKSelector(random_state=0), "reproducibility"),
        (
            CodingLengthKSelector(criterion="coding_length", random_state=0),
            "coding_length",
        ),
        (RateReductionClustering(max_iter=2, random_state=0), "reproducibility"),
    ],
    ids=["selector", "coding length", "clusterer"],
)
def test_the_curve_and_the_choice(groups, estimator, criterion):
    estimator.fit(groups)
    display = CodingLengthDisplay.from_estimator(estimator)
    np.testing.assert_array_equal(display.line_.get_xdata(), estimator.k_values_)
    curves = getattr(estimator, "scores_", getattr(estimator, "k_scores_", None))
    np.testing.assert_array_equal(display.line_.get_ydata(), curves[criterion])
    assert display.chosen_.get_xdata()[0] == estimator.n_clusters_
    assert criterion.replace("_", " ") in display.ax_.get_ylabel()


def test_own_axes_and_the_other_curve(groups):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    selector = CodingLengthKSelector(random_state=0).fit(groups)
    other = CodingLengthDisplay.from_estimator(selector, criterion="agreement", ax=ax)
    assert other.ax_ is ax
    np.testing.assert_array_equal(other.scores, selector.scores_["agreement"])


def test_runner_ups_are_marked(groups):
    selector = CodingLengthKSelector(criterion="coding_length").fit(groups)
    display = CodingLengthDisplay.from_estimator(selector)
    assert display.also == [k for k, _ in selector.k_candidates_[1:]]
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts[:2] == [f"chosen: {display.n_clusters}", f"also: {display.also[0]}"]


def test_what_has_no_curve(groups):
    given = RateReductionClustering(4, max_iter=2, random_state=0).fit(groups)
    with pytest.raises(ValueError, match="estimated no number of clusters"):
        CodingLengthDisplay.from_estimator(given)
    selector = CodingLengthKSelector(random_state=0).fit(groups)
    with pytest.raises(ValueError, match="criterion='gap' is none of"):
        CodingLengthDisplay.from_estimator(selector, criterion="gap")
