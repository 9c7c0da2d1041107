import matplotlib as mpl
import numpy as np
import pytest
from sklearn.cluster import DBSCAN, HDBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix
from sklearn.neighbors import radius_neighbors_graph

from sklearn_vlclust import MCAClustering, Vocabulary
from sklearn_vlclust.metrics import clustering_accuracy
from sklearn_vlclust.plotting import ClusterConfusionDisplay

mpl.use("Agg")


@pytest.fixture(scope="module")
def groups():
    rng = np.random.default_rng(0)
    y = np.repeat(["ant", "bee", "cat"], 20)
    return np.repeat(np.eye(3, 8), 20, axis=0) + 0.1 * rng.normal(size=(60, 8)), y


def agreeing(display):
    return np.trace(display.confusion_matrix)


@pytest.mark.parametrize("n_clusters", [2, 5, 8])
def test_the_diagonal_is_the_accuracy(n_clusters):
    rng = np.random.default_rng(n_clusters)
    y, labels = rng.integers(0, 5, 200), rng.integers(0, n_clusters, 200)
    display = ClusterConfusionDisplay.from_predictions(y, labels)
    assert display.confusion_matrix.shape == (5, n_clusters)
    assert agreeing(display) / 200 == clustering_accuracy(y, labels)
    assert display.confusion_matrix.sum() == 200
    for row, name in zip(display.confusion_matrix, display.classes):
        assert row.sum() == (y == int(name)).sum()
    for column, name in zip(display.confusion_matrix.T, display.clusters):
        assert column.sum() == (labels == int(name)).sum()


def test_equal_numbers_are_what_scikit_learn_has():
    y, labels = [0, 0, 1, 1, 2, 2, 2], [2, 2, 0, 0, 1, 1, 0]
    display = ClusterConfusionDisplay.from_predictions(y, labels)
    matched = np.array([1, 2, 0])[labels]
    np.testing.assert_array_equal(
        display.confusion_matrix, confusion_matrix(y, matched)
    )
    assert display.clusters == ["2", "0", "1"]


@pytest.mark.parametrize("normalize", ["true", "pred", "all"])
def test_shares(normalize):
    y, labels = [0, 0, 1, 1, 1], [0, 0, 1, 1, 0]
    display = ClusterConfusionDisplay.from_predictions(y, labels, normalize=normalize)
    np.testing.assert_allclose(
        display.confusion_matrix, confusion_matrix(y, labels, normalize=normalize)
    )


def test_noise_is_matched_with_nothing():
    y = ["a"] * 5 + ["b"] * 2
    display = ClusterConfusionDisplay.from_predictions(y, [-1, -1, -1, 4, 4, -2, 9])
    assert display.clusters == ["4", "9", "noise"] and display.classes == ["a", "b"]
    np.testing.assert_array_equal(display.confusion_matrix, [[2, 0, 3], [0, 1, 1]])
    nothing = ClusterConfusionDisplay.from_predictions(["a", "b"], [-1, -1])
    np.testing.assert_array_equal(nothing.confusion_matrix, [[1], [1]])
    assert nothing.clusters == ["noise"]


@pytest.mark.smoke
@pytest.mark.parametrize("labels", [[0, 1, 2, 3, 3, -1], [0, 0, 0, 0, 0, 0]])
def test_drawn_by_scikit_learn(labels):
    y = ["x", "x", "y", "y", "z", "z"]
    display = ClusterConfusionDisplay.from_predictions(y, labels)
    assert isinstance(display.display_, ConfusionMatrixDisplay)
    assert display.ax_ is display.display_.ax_
    shape = display.confusion_matrix.shape
    assert display.text_.shape == shape
    # What was added to make it square is gone.
    assert len(display.ax_.texts) == np.prod(shape)
    assert display.ax_.get_xlim() == (-0.5, shape[1] - 0.5)
    assert display.ax_.get_ylim() == (shape[0] - 0.5, -0.5)
    ticks = [t.get_text() for t in display.ax_.get_xticklabels()]
    assert ticks == display.clusters
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == ["x", "y", "z"]
    values = [[int(t.get_text()) for t in row] for row in display.text_]
    np.testing.assert_array_equal(values, display.confusion_matrix)


def test_many_classes_can_be_read():
    y = np.arange(41)
    display = ClusterConfusionDisplay.from_predictions(y[:30], y[:30])
    seen = np.vectorize(lambda text: text.get_visible())(display.text_)
    np.testing.assert_array_equal(seen, np.eye(30, dtype=bool))
    assert display.text_[0, 0].get_fontsize() >= 7
    labels = display.ax_.get_xticklabels() + display.ax_.get_yticklabels()
    assert min(label.get_fontsize() for label in labels) >= 9
    assert display.figure_.get_size_inches().max() < 15
    assert ClusterConfusionDisplay.from_predictions(y, y).text_ is None
    mpl.pyplot.close("all")


def test_of_estimators(groups):
    import matplotlib.pyplot as plt

    X, y = groups
    kmeans = KMeans(3, n_init=3, random_state=0).fit(X)
    display = ClusterConfusionDisplay.from_estimator(kmeans, X, y, normalize="true")
    np.testing.assert_array_equal(display.confusion_matrix, np.eye(3))
    _, ax = plt.subplots()
    assert display.plot(ax=ax).figure_ is ax.figure
    display = ClusterConfusionDisplay.from_estimator(HDBSCAN(copy=True).fit(X), X, y)
    assert agreeing(display) >= 50
    nouns = Vocabulary(["$1 bill", "b" * 30, "car"], embeddings=np.eye(3, 8))
    mca = MCAClustering(3, semantic_space=nouns, max_iter=2, random_state=0).fit(X)
    display = ClusterConfusionDisplay.from_estimator(mca, X, y)
    display.figure_.canvas.draw()
    assert {"$1 bill", "b" * 17 + "…", "car"} == {
        name.partition(" ")[2] for name in display.clusters
    }
    display = ClusterConfusionDisplay.from_estimator(mca, X, y, names=["p", "q", ""])
    assert sorted(display.clusters) == ["0 p", "1 q", "2"]
    plt.close("all")


def test_an_estimator_that_cannot_predict(groups):
    X, y = groups
    hdbscan = HDBSCAN(copy=True).fit(X)
    with pytest.raises(ValueError, match="60 samples of its fit: got 10 others"):
        ClusterConfusionDisplay.from_estimator(hdbscan, X[:10], y[:10])
    distances = radius_neighbors_graph(X, 0.8, mode="distance", include_self=True)
    dbscan = DBSCAN(0.8, metric="precomputed").fit(distances)
    display = ClusterConfusionDisplay.from_estimator(dbscan, distances, y)
    assert display.confusion_matrix.sum() == 60
    with pytest.raises(TypeError, match="PCA has neither predict nor labels_"):
        ClusterConfusionDisplay.from_estimator(PCA().fit(X), X, y)


@pytest.mark.parametrize(
    ("y", "labels", "given", "message"),
    [
        ([0, 1], [0], {}, "inconsistent numbers of samples"),
        ([], [], {}, "y_true and labels are empty"),
        ([0, 1], [0.5, 1], {}, "labels are of dtype float64"),
        ([0, 1], [0, 1], {"normalize": "rows"}, "normalize='rows' is none of"),
        ([0, 1], [0, 1], {"names": ["a"]}, "names has 1 entry"),
    ],
)
def test_bad_input(y, labels, given, message):
    with pytest.raises(ValueError, match=message):
        ClusterConfusionDisplay.from_predictions(y, labels, **given)
