import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_vlclust import CodingLengthKSelector, RateReductionClustering
from sklearn_vlclust.metrics import clustering_accuracy, coding_length


@pytest.fixture(scope="module")
def blobs():
    return make_blobs(360, 24, centers=6, center_box=(-4, 4), random_state=0)


def make_selector(**params):
    return CodingLengthKSelector(**{"random_state": 0, **params})


def planes():
    """Return 100 rows of each of five planes."""
    rng = np.random.default_rng(0)
    X = np.zeros((500, 10))
    for i in range(5):
        X[i::5, 2 * i : 2 * i + 2] = rng.normal(size=(100, 2))
    return X + 0.02 * rng.normal(size=X.shape)


@pytest.mark.smoke
def test_fitted_attributes(blobs):
    X, y = blobs
    selector = make_selector().fit(X)
    assert selector.n_clusters_ == 6
    assert clustering_accuracy(y, selector.labels_) > 0.99
    assert selector.k_candidates_[0] == (6, 1.0)
    best = selector.scores_["reproducibility"].argmax()
    assert selector.k_values_[best] == 6
    assert not hasattr(selector, "coding_lengths_")
    np.testing.assert_array_equal(selector.cut_.labels(6), selector.labels_)


def test_noise_is_one_cluster():
    noise = np.random.default_rng(0).normal(size=(200, 20))
    with pytest.warns(UserWarning, match="No groups were found in 200"):
        selector = make_selector().fit(noise)
    assert selector.n_clusters_ == 1 and not selector.labels_.any()


@pytest.mark.parametrize("k_range", [(2, 8), (2, 200), [3, 6, 50], (6, 6)])
def test_the_answer_does_not_follow_the_range(blobs, k_range):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make_selector(k_range=k_range).fit(blobs[0]).n_clusters_ == 6


def test_coding_length_criterion():
    X = planes()
    selector = make_selector(criterion="coding_length", n_components=None).fit(X)
    best = selector.coding_lengths_.argmin()
    assert selector.n_clusters_ == selector.k_values_[best] == 5
    assert selector.k_values_.tolist() == list(range(1, 51))  # without a range
    lengths = [length for _, length in selector.k_candidates_]
    assert selector.k_candidates_[0][0] == 5 and lengths == sorted(lengths)
    assert selector.scores_["coding_length"] is selector.coding_lengths_
    expected = coding_length(selector.features_, selector.cut_.labels(9))
    assert selector.coding_lengths_[8] == pytest.approx(expected)
    selector.set_params(criterion="reproducibility").fit(X)
    assert not hasattr(selector, "coding_lengths_")


def test_digits_with_the_defaults():
    X, _ = load_digits(return_X_y=True)
    selector = CodingLengthKSelector(random_state=0).fit(X)
    assert 8 <= selector.n_clusters_ <= 14
    assert all(k > 1.3 * 10 or k < 10 for k, _ in selector.k_candidates_[1:])


def test_unseen_rows_get_the_cluster_of_their_like(blobs):
    X, y = blobs
    selector = make_selector().fit(X[::2])
    np.testing.assert_array_equal(selector.predict(X[::2]), selector.labels_)
    assert clustering_accuracy(y[1::2], selector.predict(X[1::2])) > 0.98
    assert selector.score(X[1::2]) > 0.3


@pytest.mark.parametrize("n_components", [None, 3, 1000])
def test_n_components(blobs, n_components):
    selector = make_selector(n_components=n_components).fit(blobs[0])
    width = {None: 24, 3: 3, 1000: 24}[n_components]
    assert selector.features_.shape == (360, width)
    np.testing.assert_allclose(np.linalg.norm(selector.features_, axis=1), 1, rtol=1e-4)


def test_repeatable_and_picklable(blobs):
    X = blobs[0]
    first, second = make_selector().fit(X), make_selector().fit(X)
    np.testing.assert_array_equal(first.labels_, second.labels_)
    for name, curve in first.scores_.items():
        np.testing.assert_array_equal(curve, second.scores_[name])
    loaded = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(loaded.predict(X), first.labels_)


def test_pipeline_and_grid_search(blobs):
    X, y = blobs
    pipeline = make_pipeline(PCA(8), make_selector())
    assert clustering_accuracy(y, pipeline.fit_predict(X)) > 0.99
    everything = [(np.arange(len(X)), np.arange(len(X)))]
    search = GridSearchCV(make_selector(), {"gamma": [0.1, 0.3]}, cv=everything)
    assert search.fit(X).best_estimator_.n_clusters_ == 6


@pytest.mark.parametrize(
    "estimator", [KMeans(n_init=3, random_state=0), AgglomerativeClustering()]
)
def test_any_estimator_with_n_clusters(blobs, estimator):
    X, y = blobs
    selector = make_selector(estimator=estimator).fit(X)
    assert selector.n_clusters_ == 6 == selector.estimator_.n_clusters
    assert clustering_accuracy(y, selector.labels_) > 0.99
    assert (np.diff(np.bincount(selector.labels_)) <= 0).all()
    np.testing.assert_array_equal(selector.predict(X), selector.labels_)
    assert not hasattr(estimator, "labels_")


class Counted(KMeans):
    fitted: list = []

    def fit(self, X):
        self.fitted.append(self.n_clusters)
        return super().fit(X)


@pytest.mark.parametrize("criterion", ["reproducibility", "coding_length"])
def test_clones_that_are_fitted(blobs, criterion):
    """One with the number, and one with each only if their codes are compared."""
    Counted.fitted.clear()
    kmeans = Counted(random_state=0, n_init=1)
    selector = make_selector(estimator=kmeans, criterion=criterion, k_range=(4, 8)).fit(
        blobs[0]
    )
    if criterion == "reproducibility":
        assert Counted.fitted == [6]
    else:
        assert Counted.fitted == [4, 5, 6, 7, 8]
        best = selector.k_values_[selector.coding_lengths_.argmin()]
        assert selector.estimator_.n_clusters == best


def test_rate_reduction_is_fitted_once_and_cut_again(blobs):
    X, y = blobs
    learned = RateReductionClustering(6, max_iter=2, random_state=0).fit(X)
    network = learned.network_
    selector = make_selector(estimator=learned).fit(X)
    assert learned.network_ is network and learned.n_clusters_ == 6
    assert selector.n_clusters_ == 6
    assert clustering_accuracy(y, selector.labels_) > 0.99
    np.testing.assert_array_equal(selector.predict(X), selector.labels_)
    np.testing.assert_allclose(selector.features_, learned.transform(X), atol=1e-5)


def test_a_fitted_estimator_survives_clone(blobs):
    X = blobs[0]
    learned = RateReductionClustering(6, max_iter=1, random_state=0).fit(X)
    pipeline = make_pipeline(PCA(8), clone(learned)).fit(X)
    for estimator in (learned, FrozenEstimator(learned), pipeline):
        selector = make_selector(estimator=estimator)
        again = clone(clone(selector)).fit(X)
        expected = estimator.transform(X)
        np.testing.assert_allclose(again.features_, expected, atol=1e-5)
        np.testing.assert_array_equal(again.labels_, selector.fit(X).labels_)
    again.set_params(estimator__ratereductionclustering__lr=0.5)
    assert pipeline[-1].lr != 0.5  # of a copy


KMEANS = KMeans(n_init=2, random_state=0)
EVERYTHING = [(np.arange(360), np.arange(360))]
REDUCTION = RateReductionClustering(6, max_iter=1, random_state=0)


@pytest.mark.parametrize("criterion", ["reproducibility", "coding_length"])
@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(PCA(8), KMEANS),
        GridSearchCV(KMEANS, {"init": ["random", "k-means++"]}, cv=EVERYTHING),
        GridSearchCV(
            make_pipeline(PCA(), KMEANS),
            {"pca__n_components": [4, 8]},
            cv=EVERYTHING,
        ),
        make_pipeline(PCA(8), AgglomerativeClustering()),
        make_pipeline(PCA(8), REDUCTION),
        GridSearchCV(REDUCTION, {"max_iter": [1, 2]}, cv=EVERYTHING),
    ],
    ids=["pipeline", "search", "both", "no predict", "learned", "search of learned"],
)
def test_estimators_inside_others(blobs, estimator, criterion):
    X, y = blobs
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Too few rows for coding lengths to tell the number.
        k_range = (2, 9) if criterion == "reproducibility" else {6}
        selector = make_selector(
            estimator=estimator, criterion=criterion, k_range=k_range
        ).fit(X)
    assert selector.n_clusters_ == 6
    assert clustering_accuracy(y, selector.labels_) > 0.8  # of one epoch on few axes
    assert (np.diff(np.bincount(selector.labels_)) <= 0).all()
    if hasattr(selector.estimator_, "predict"):
        np.testing.assert_array_equal(selector.predict(X), selector.labels_)
    assert not hasattr(estimator, "best_estimator_")  # the user's is left alone
    assert clone(selector).fit(X).n_clusters_ == 6


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (FrozenEstimator(KMEANS), TypeError, r"FrozenEstimator\(KMeans\) is frozen"),
        (
            FrozenEstimator(make_pipeline(PCA(8), KMEANS)),
            TypeError,
            "Give Pipeline of PCA, KMeans itself",
        ),
        (
            GridSearchCV(KMEANS, {"n_clusters": [2, 3]}, cv=EVERYTHING),
            ValueError,
            "searches 'n_clusters' itself: take it out of param_grid",
        ),
        (
            GridSearchCV(KMEANS, {"init": ["random"]}, refit=False, cv=EVERYTHING),
            TypeError,
            "refit=False, which leaves no clusters",
        ),
        (make_pipeline(KMEANS, PCA(2)), TypeError, "Pipeline of KMeans, PCA has no"),
        (KMeans, TypeError, r"is the class KMeans: give an instance, KMeans\(\)"),
    ],
)
def test_estimators_that_cannot_be_fitted_with_a_number(
    blobs, estimator, error, message
):
    with pytest.raises(error, match=message):
        make_selector(estimator=estimator).fit(blobs[0])


@pytest.mark.parametrize("criterion", ["reproducibility", "coding_length"])
def test_one_cluster_is_considered(criterion):
    """Of rows around one direction; and a range may hold nothing else."""
    rows = 3 + np.random.default_rng(0).normal(size=(200, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for k_range in (None, (1, 9), [1, 9], range(1, 10)):
            selector = make_selector(criterion=criterion, k_range=k_range).fit(rows)
            assert selector.n_clusters_ == 1 == selector.k_candidates_[0][0]
        assert (
            make_selector(criterion=criterion, k_range=[1]).fit(rows).n_clusters_ == 1
        )
    assert not selector.labels_.any() and not selector.predict(rows).any()


def test_one_cluster_is_not_taken_for_two(blobs):
    """Where there are six and they are ruled out, one tells nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert make_selector(k_range=[1, 8, 90]).fit(blobs[0]).n_clusters_ == 8


@pytest.mark.parametrize(
    ("k_range", "message"),
    [
        ([], "is empty"),
        ((9, 3), "is empty"),
        ([9, 3], "is empty"),
        (range(5, 5), "is empty"),
        ((2, 361), "between 1 and n_samples=360"),
        ([2, 500], "between 1 and n_samples=360"),
        ((0, 5), "between 1 and n_samples=360"),
        ([2.5, 3], "should hold integers only"),
        ((2.0, 5.0), "should hold integers only"),
        (["two"], "should hold integers only"),
    ],
)
def test_bad_k_range(blobs, k_range, message):
    with pytest.raises(ValueError, match=message):
        make_selector(k_range=k_range).fit(blobs[0])


@pytest.mark.parametrize("kind", [tuple, list, np.array])
def test_two_numbers_are_the_ends_of_a_range(blobs, kind):
    X, shortest = blobs[0], make_selector(criterion="coding_length")
    shortest.set_params(k_range=kind([3, 7])).fit(X)
    assert shortest.k_values_.tolist() == [3, 4, 5, 6, 7]
    for given in (kind([3, 5, 7]), range(3, 8, 2), {3, 5, 7}):
        shortest.set_params(k_range=given).fit(X)
        assert shortest.k_values_.tolist() == [3, 5, 7]
    for given in ({3, 7}, range(3, 8, 4)):
        assert shortest.set_params(k_range=given).fit(X).k_values_.tolist() == [3, 7]


def test_kinds_of_k_range(blobs):
    for given in ([2, 6, 9], range(2, 11, 4), np.array([9, 2, 6, 6])):
        assert make_selector(k_range=given).fit(blobs[0]).n_clusters_ == 6
        shortest = make_selector(k_range=given, criterion="coding_length")
        assert set(shortest.fit(blobs[0]).k_values_) <= {2, 6, 9, 10}
    few = make_selector(criterion="coding_length").fit(blobs[0][:20])
    assert few.k_values_[-1] == 20  # where the default's range ends


def test_estimator_without_n_clusters(blobs):
    with pytest.raises(TypeError, match="has no parameter n_clusters"):
        make_selector(estimator=PCA()).fit(blobs[0])


def test_end_of_the_range_is_said(blobs):
    with pytest.warns(UserWarning, match="k_range ends at 4, but 6 clusters"):
        assert make_selector(k_range=[2, 4]).fit(blobs[0]).n_clusters_ == 4
    shortest = make_selector(
        k_range=[2, 4], criterion="coding_length", n_components=None
    )
    with pytest.warns(UserWarning, match="is the greatest of k_range"):
        shortest.fit(planes())


@pytest.mark.parametrize(
    "X", [np.ones((40, 5)), np.repeat(np.eye(4, 6), 15, axis=0)], ids=["same", "four"]
)
def test_duplicates_and_constant_rows(X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        selector = make_selector().fit(X)
    assert sorted(set(selector.labels_)) == list(range(selector.n_clusters_))
    assert len(np.unique(X, axis=0)) == 1 or selector.n_clusters_ == 4


def test_bad_input(blobs):
    with pytest.raises(NotFittedError):
        make_selector().predict(blobs[0])
    selector = make_selector().fit(blobs[0])
    with pytest.raises(ValueError, match=r"X has 3 features.*expecting 24"):
        selector.predict(np.ones((2, 3)))
    bad = blobs[0].copy()
    bad[7] = 0
    with pytest.raises(ValueError, match="Row 7 of X is all zeros"):
        make_selector().fit(bad)
    with pytest.raises(ValueError, match="put an embedder before it"):
        make_selector().fit(["a.jpg", "b.jpg"])
