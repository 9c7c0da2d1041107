import numpy as np
import pytest
from PIL import Image
from sklearn.cluster import KMeans

from sklearn_vlclust.plotting import ContactSheetDisplay

pytest.importorskip("matplotlib").use("Agg")

COLORS = np.array([[220, 30, 30], [30, 160, 30], [30, 30, 200]], dtype=np.uint8)


@pytest.fixture
def images():
    """Five red, four green and one blue picture, no two of one shade."""
    labels = np.array([0] * 5 + [1] * 4 + [2])
    pixels = np.broadcast_to(COLORS[labels][:, None, None], (10, 20, 30, 3)).copy()
    pixels += np.arange(10, dtype=np.uint8)[:, None, None, None]
    return pixels, labels


def test_a_row_a_cluster_most_typical_first(images):
    pixels, labels = images
    typicality = np.arange(10) / 10
    display = ContactSheetDisplay.from_predictions(
        pixels, labels, typicality=typicality, n_columns=3
    )
    assert [len(row) for row in display.pictures] == [3, 3, 1]
    assert display.sizes == [5, 4, 1]
    first = np.asarray(display.pictures[0][0])
    np.testing.assert_array_equal(first, np.broadcast_to(COLORS[0] + 4, first.shape))


def test_names_and_sizes_are_written(images):
    pixels, labels = images
    names = [["rose", "tulip"], ["leaf"], []]
    display = ContactSheetDisplay.from_predictions(pixels, labels, names=names)
    texts = [text.get_text() for text in display.texts_]
    assert texts[0] == "rose" and "tulip" in texts[1] and "5 pictures" in texts[1]
    assert texts[4] == "cluster 2" and "1 picture" in texts[5]
    sheet = display.image_.get_array()
    np.testing.assert_array_equal(sheet[5, 5], [*COLORS[0], 255])
    assert sheet[-1, -1, 3] == 0  # where there is no picture the background is seen


@pytest.mark.parametrize("k", [8, 15, 30, 100])
def test_many_clusters_fit_a_page(k):
    pixels = np.zeros((k, 9, 9, 3), np.uint8)
    pixels[:, :, :, 0] = np.arange(k)[:, None, None]
    picture = [[Image.fromarray(p).resize((160, 160))] * 8 for p in pixels]
    display = ContactSheetDisplay(picture, [8] * k, [[f"name {c}"] for c in range(k)])
    width, height = display.plot().figure_.get_size_inches()
    assert max(width, height) <= 16.6 and 0.4 < height / width <= 1.6
    sheet = display.image_.get_array()
    for c in range(k):  # beside its name, the first picture of the cluster
        x, y = display.texts_[2 * c].xy
        assert display.texts_[2 * c].get_text() == f"name {c}"
        assert sheet[int(y), int(x + 2 * 168 + 20), 0] == c


def test_own_axes_are_used(images):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    display = ContactSheetDisplay.from_predictions(*images, ax=ax)
    assert display.ax_ is ax and display.figure_ is figure
    plt.close("all")


def test_the_sheet_can_be_saved(images, tmp_path):
    figure = ContactSheetDisplay.from_predictions(*images).figure_
    figure.savefig(tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == tuple((figure.get_size_inches() * figure.dpi).astype(int))


def test_an_estimator_on_embeddings(images):
    pixels, labels = images
    X = np.eye(3, 4)[labels] + np.linspace(0, 0.2, 10)[:, None]
    kmeans = KMeans(3, n_init=3, random_state=0).fit(X)
    display = ContactSheetDisplay.from_estimator(kmeans, pixels, embeddings=X)
    assert sorted(display.sizes) == [1, 4, 5]
    with pytest.raises(ValueError, match="pass those of the images as embeddings="):
        ContactSheetDisplay.from_estimator(kmeans, pixels)
    with pytest.raises(ValueError, match="10 images but 9 embeddings"):
        ContactSheetDisplay.from_estimator(kmeans, pixels, embeddings=X[:9])


@pytest.mark.filterwarnings("error")
def test_embeddings_keep_the_names_of_their_columns(images):
    pandas = pytest.importorskip("pandas")
    pixels, labels = images
    X = pandas.DataFrame(np.eye(3, 4)[labels], columns=list("abcd"))
    kmeans = KMeans(3, n_init=3, random_state=0).fit(X)
    display = ContactSheetDisplay.from_estimator(kmeans, pixels, embeddings=X)
    assert sorted(display.sizes) == [1, 4, 5]


def test_lengths_must_agree(images):
    pixels, labels = images
    with pytest.raises(ValueError, match="10 images, 9 labels"):
        ContactSheetDisplay.from_predictions(pixels, labels[:9])
    with pytest.raises(ValueError, match="names has 2 entries"):
        ContactSheetDisplay.from_predictions(pixels, labels, names=[[], []])


def test_noise_has_no_cluster_s_name(images):
    pixels, labels = images
    shown = np.where(labels == 1, -1, labels)
    names = [["rose"], ["leaf"], ["sky"]]
    display = ContactSheetDisplay.from_predictions(pixels, shown, names=names)
    assert [row[0] for row in display.names] == ["noise", "rose", "sky"]
    assert display.sizes == [4, 5, 1]
    nameless = ContactSheetDisplay.from_predictions(pixels, shown)
    assert [row[0] for row in nameless.names] == ["noise", "cluster 0", "cluster 2"]
