import matplotlib as mpl
import numpy as np
import pytest
from sklearn.cluster import KMeans

from sklearn_vlclust import MCAClustering, Vocabulary
from sklearn_vlclust.plotting import ClusterGalleryDisplay

mpl.use("Agg")

SHADES = np.arange(20, dtype=np.uint8) * 12
LABELS = np.array([0] * 12 + [1] * 7 + [2])


@pytest.fixture(scope="module")
def images():
    """Twenty gray pictures, no two of one shade."""
    return np.broadcast_to(SHADES[:, None, None, None], (20, 10, 14, 3)).copy()


def shades(pictures):
    return [int(np.asarray(picture)[5, 5, 0]) for picture in pictures]


def test_typical_beside_uncertain(images):
    certainty = np.linspace(1, 0.5, 20)
    display = ClusterGalleryDisplay.from_predictions(
        images,
        LABELS,
        typicality=-np.arange(20),
        certainty=certainty,
        n_pictures=3,
        clusters=[1, 0],
    )
    assert display.sizes == [7, 12]
    assert shades(display.typical[0]) == list(SHADES[[12, 13, 14]])
    assert shades(display.uncertain[0]) == list(SHADES[[18, 17, 16]])
    np.testing.assert_allclose(display.certainties[0], certainty[[18, 17, 16]])
    assert shades(display.uncertain[1]) == list(SHADES[[11, 10, 9]])


def test_a_small_cluster_is_shown_once(images):
    display = ClusterGalleryDisplay.from_predictions(
        images, LABELS, typicality=np.zeros(20), n_pictures=12
    )
    assert [len(half) for half in display.typical] == [6, 4, 1]
    assert [len(half) for half in display.uncertain] == [6, 3, 0]
    for number, (left, right) in enumerate(zip(display.typical, display.uncertain)):
        assert sorted(shades([*left, *right])) == list(SHADES[number == LABELS])
    assert np.isnan(np.concatenate(display.certainties)).all()
    assert len(display.images_) == 3  # one with an empty half


def test_drawn(images):
    names = [["a $x$ b", "second"], ["leaf"], []]
    display = ClusterGalleryDisplay.from_predictions(
        images,
        LABELS,
        typicality=np.zeros(20),
        certainty=np.full(20, 0.75),
        names=names,
        n_columns=3,
    )
    assert display.figure_ is display.ax_.figure and len(display.images_) == 3
    texts = [text.get_text() for text in display.texts_]
    assert texts[:4] == [
        "a $x$ b",
        "second",
        "12 pictures, most typical",
        "least certain (75 %)",
    ]
    assert texts[-4:] == ["cluster 2", "", "1 picture, most typical", "least certain"]
    display.figure_.canvas.draw()  # dollars are no formula
    shown = display.images_[0].get_array()
    assert shown[5, 5].tolist() == [0, 0, 0, 255]  # the first picture is black
    assert shown[-1, -1, 3] == 0  # between pictures the background is seen


def test_how_many_are_left_out_is_said(images):
    labels = np.arange(20) % 9
    display = ClusterGalleryDisplay.from_predictions(
        images, labels, typicality=np.zeros(20)
    )
    assert len(display.images_) == 6 and display.n_others == 3
    assert display.texts_[-1].get_text() == "The 6 largest of 9 clusters"
    chosen = ClusterGalleryDisplay.from_predictions(
        images, labels, typicality=np.zeros(20), clusters=[3]
    )
    assert chosen.n_others == 0 and len(chosen.texts_) == 4


def test_own_axes(images):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    display = ClusterGalleryDisplay.from_predictions(
        images, LABELS, typicality=np.zeros(20), ax=ax
    )
    assert display.ax_ is ax and display.figure_ is figure
    plt.close("all")


def test_of_estimators(images):
    X = np.eye(3, 8)[LABELS] + np.linspace(0, 0.3, 20)[:, None]
    kmeans = KMeans(3, n_init=3, random_state=0).fit(X)
    display = ClusterGalleryDisplay.from_estimator(kmeans, images, embeddings=X)
    assert display.sizes == [12, 7, 1]
    assert np.isnan(np.concatenate(display.certainties)).all()
    nouns = Vocabulary(["cat", "dog", "car"], embeddings=np.eye(3, 8))
    mca = MCAClustering(2, semantic_space=nouns, max_iter=2, random_state=0).fit(X)
    display = ClusterGalleryDisplay.from_estimator(mca, images, embeddings=X)
    proba = mca.predict_proba(X).max(axis=1)
    for cluster, certainties in enumerate(display.certainties):
        assert set(certainties) <= set(proba[mca.labels_ == cluster])
        assert list(certainties) == sorted(certainties)
    assert [list(n) for n in display.names] == [list(n) for n in mca.cluster_names_]
    with pytest.raises(ValueError, match="pass those of the images as embeddings="):
        ClusterGalleryDisplay.from_estimator(kmeans, images)


def test_six_largest_without_noise(images):
    labels = np.r_[[-1] * 5, [0] * 3, [1] * 3, [2] * 3, [3] * 2, [4] * 2, 5, 6]
    display = ClusterGalleryDisplay.from_predictions(
        images, labels, typicality=np.zeros(20)
    )
    assert display.sizes == [3, 3, 3, 2, 2, 1]
    noise = ClusterGalleryDisplay.from_predictions(
        images, labels, typicality=np.zeros(20), clusters=[-1]
    )
    assert noise.names == [("noise",)] and noise.sizes == [5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"typicality": np.zeros(19)}, "19 values of typicality"),
        ({"certainty": np.zeros(3)}, "3 values of certainty"),
        ({"clusters": [0, 7]}, r"clusters=\[0, 7\] has \[7\], to which no image"),
        ({"clusters": []}, "clusters is empty"),
        ({"names": [["a"]]}, "names has 1 entry, but clusters go up to 2"),
        ({"n_pictures": 0}, "n_pictures=0 is no integer above 0"),
    ],
)
def test_bad_input(images, change, message):
    given = {"typicality": np.zeros(20), **change}
    with pytest.raises(ValueError, match=message):
        ClusterGalleryDisplay.from_predictions(images, LABELS, **given)
