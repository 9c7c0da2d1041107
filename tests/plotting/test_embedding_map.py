import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image
from sklearn.cluster import DBSCAN, KMeans
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from sklearn_vlclust import MCAClustering, Vocabulary
from sklearn_vlclust.plotting import EmbeddingMapDisplay

mpl.use("Agg")

NORMAL = np.eye(3)
# Machado, Oliveira, Fernandes (2009): what the color-blind see of linear RGB.
PROTANOPIA = [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]
DEUTERANOPIA = [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
TRITANOPIA = [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]


@pytest.fixture(scope="module")
def groups():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 40)
    return np.eye(4, 16)[labels] + 0.15 * rng.normal(size=(160, 16)), labels


def lay_out(X, **params):
    """Return the places that a map gives to the rows."""
    import matplotlib.pyplot as plt

    params = {"random_state": 0, **params}
    labels = np.zeros(len(X), dtype=int)
    display = EmbeddingMapDisplay.from_embeddings(X, labels, **params)
    plt.close(display.figure_)
    return display.coordinates


def share_of_own(coordinates, labels):
    """Share of the five nearest on the map that are of the same group."""
    near = NearestNeighbors(n_neighbors=5).fit(coordinates).kneighbors()[1]
    return (labels[near] == labels[:, None]).mean()


def test_groups_are_islands(groups):
    X, labels = groups
    coordinates = lay_out(X)
    assert coordinates.shape == (160, 2)
    assert share_of_own(coordinates, labels) > 0.98
    np.testing.assert_allclose(coordinates.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(coordinates.std(axis=0).max(), 1, atol=1e-5)
    # Only the direction of a row counts.
    scaled = X * np.linspace(1, 9, 160)[:, None]
    assert share_of_own(lay_out(scaled), labels) > 0.98
    np.testing.assert_array_equal(lay_out(X), coordinates)


def test_rows_beyond_the_sample_are_placed_in_their_island(groups):
    X, labels = groups
    coordinates = lay_out(X, n_samples=60)
    assert share_of_own(coordinates, labels) > 0.98
    assert len(np.unique(coordinates, axis=0)) == 160  # none hides another


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7])
def test_few_rows(n):
    rows = np.random.default_rng(0).normal(size=(n, 6))
    coordinates = lay_out(rows)
    assert coordinates.shape == (n, 2) and np.isfinite(coordinates).all()
    assert len(np.unique(coordinates.round(3), axis=0)) == n


@pytest.mark.parametrize("d", [1, 2])
def test_narrow_and_equal_rows(d):
    rows = np.ones((30, d))
    assert not lay_out(rows).any()
    rows[:10] = -1
    assert np.isfinite(lay_out(rows)).all()


def trust(X, **params):
    """Return how far near rows on the map are near in `X`, at most 1."""
    return trustworthiness(X, lay_out(X, **params), n_neighbors=10, metric="cosine")


def test_digits_keep_their_neighbors():
    X = load_digits().data[:300]
    assert trust(X) > 0.96 and trust(X, n_samples=150) > 0.94


def test_real_embeddings_keep_their_neighbors(clip_data):
    X = clip_data("images_oxford_pets.npz")["emb_test"][:1200].astype(np.float32)
    assert trust(X) > 0.95 and trust(X, n_samples=600) > 0.93


def test_one_scatter_a_cluster_and_its_number(groups):
    X, labels = groups
    labels = np.where(np.arange(160) % 20 == 0, -1, labels)
    display = EmbeddingMapDisplay.from_embeddings(X, labels, random_state=0)
    assert [len(s.get_offsets()) for s in display.scatters_] == [8, 38, 38, 38, 38]
    assert display.scatters_[0].get_label() == "noise"
    gray = display.scatters_[0].get_facecolor()[0]
    assert gray[0] == gray[1] == gray[2]
    assert [text.get_text() for text in display.texts_] == ["0", "1", "2", "3"]
    middle = np.median(display.coordinates[labels == 2], axis=0)
    np.testing.assert_allclose(display.texts_[2].get_position(), middle)
    assert display.legend_ is None and display.images_ == []


def test_own_axes_names_and_thumbnails(groups):
    import matplotlib.pyplot as plt

    X, labels = groups
    pixels = np.zeros((160, 8, 12, 3), dtype=np.uint8)
    pixels[..., 0] = labels[:, None, None] * 60
    figure, ax = plt.subplots()
    display = EmbeddingMapDisplay.from_embeddings(
        X, labels, names={0: "cat", 2: "dog"}, images=pixels, random_state=0, ax=ax
    )
    assert sorted(labels[list(display.thumbnails)]) == [0, 1, 2, 3]
    for i, picture in display.thumbnails.items():
        assert picture.getpixel((0, 0)) == (labels[i] * 60, 0, 0)
    assert display.ax_ is ax and display.figure_ is figure
    assert len(display.images_) == 4
    texts = [text.get_text() for text in display.legend_.get_texts()]
    assert texts == ["0 cat", "1", "2 dog", "3"]
    plt.close("all")


def test_names_hide_no_other():
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 30
    places = rng.normal(size=(30, 2))[labels] + 0.02 * rng.normal(size=(600, 2))
    names = [f"name of some length {c}" for c in range(30)]
    display = EmbeddingMapDisplay(places, labels, names).plot()
    display.figure_.draw_without_rendering()
    named = [t for t in display.texts_ if not t.get_text().isdigit()]
    assert 10 < len(named) <= 30 and named[0].get_text().startswith("0 name of")
    boxes = [text.get_window_extent() for text in named]
    assert all(box.count_overlaps(boxes) == 1 for box in boxes)  # itself
    assert display.legend_ is None


def test_thumbnails_have_one_size(groups):
    X, labels = groups
    pictures = [Image.new("RGB", (20 + 9 * (c % 3), 24)) for c in labels]
    display = EmbeddingMapDisplay.from_embeddings(
        X, labels, images=pictures, random_state=0
    )
    display.figure_.draw_without_rendering()
    renderer = display.figure_.canvas.get_renderer()
    sizes = [box.offsetbox.get_window_extent(renderer).size for box in display.images_]
    np.testing.assert_allclose(sizes, sizes[0][0], atol=1.5)


def test_thumbnails_of_photographs_are_kept_small(groups, tmp_path):
    import matplotlib.pyplot as plt

    X, labels = groups
    Image.new("RGB", (3000, 2000), (200, 30, 10)).save(tmp_path / "a.jpg")
    display = EmbeddingMapDisplay.from_embeddings(
        X, labels, images=[tmp_path / "a.jpg"] * len(labels), random_state=0
    )
    for picture in display.thumbnails.values():
        assert picture.size == (512, 341)
        np.testing.assert_allclose(picture.getpixel((200, 200)), (200, 30, 10), atol=3)
    plt.close("all")


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_numbers_can_be_read_on_any_page(groups, style):
    import matplotlib.pyplot as plt

    with plt.style.context(style):
        display = EmbeddingMapDisplay(np.zeros((2, 2)), np.array([0, 1])).plot()
        text, page = display.texts_[0].get_color(), display.ax_.get_facecolor()
        assert contrast(text, page) > 7
    plt.close("all")


def test_estimators(groups):
    X, _ = groups
    nouns = Vocabulary(["cat", "dog", "car", "tree"], embeddings=np.eye(4, 16))
    mca = MCAClustering(4, semantic_space=nouns, max_iter=2, random_state=0).fit(X)
    display = EmbeddingMapDisplay.from_estimator(mca, X, random_state=0)
    np.testing.assert_array_equal(display.labels, mca.labels_)
    assert {c: str(own[0]) for c, own in enumerate(mca.cluster_names_)} == display.names
    dbscan = DBSCAN(eps=0.45, metric="cosine").fit(X)
    display = EmbeddingMapDisplay.from_estimator(dbscan, X, random_state=0)
    np.testing.assert_array_equal(display.labels, dbscan.labels_)


def test_what_does_not_fit(groups):
    X, labels = groups
    with pytest.raises(ValueError, match="dtype float64, expected integers"):
        EmbeddingMapDisplay.from_embeddings(X, labels / 2)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        EmbeddingMapDisplay.from_embeddings(X, labels[:9])
    with pytest.raises(ValueError, match="n_samples=1 should be an integer above 1"):
        lay_out(X, n_samples=1)
    with pytest.raises(ValueError, match="labels_ are of the 160 samples of its fit"):
        EmbeddingMapDisplay.from_estimator(DBSCAN().fit(X), X[:9])
    kmeans = KMeans(2, n_init=1).fit(X)
    with pytest.raises(ValueError, match="pass those of the images as embeddings="):
        EmbeddingMapDisplay.from_estimator(kmeans, np.zeros((3, 4, 4, 3), np.uint8))


def linear(color):
    values = np.array(mpl.colors.to_rgb(color))
    return np.where(
        values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
    )


def contrast(one, other):
    """Contrast of WCAG 2."""
    weights = [0.2126, 0.7152, 0.0722]
    low, high = sorted(0.05 + linear(color) @ weights for color in (one, other))
    return high / low


def lab(linear_rgb):
    to_xyz = [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
    x, y, z = np.cbrt(to_xyz @ linear_rgb.clip(0.001, 1) / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.fixture(scope="module")
def drawn():
    """Color and marker of noise and of 168 clusters."""
    import matplotlib.pyplot as plt

    labels = np.arange(-1, 168)
    display = EmbeddingMapDisplay(np.zeros((169, 2)), labels).plot()
    plt.close(display.figure_)
    return [
        (mpl.colors.to_hex(s.get_facecolor()[0]), s.get_paths()[0].vertices.tobytes())
        for s in display.scatters_
    ]


@pytest.mark.parametrize("page", ["#ffffff", "#14171c"])
def test_colors_stand_out(page, drawn):
    assert min(contrast(color, page) for color, _ in drawn) >= 3


@pytest.mark.parametrize(
    "vision", [NORMAL, PROTANOPIA, DEUTERANOPIA, TRITANOPIA], ids="npdt"
)
def test_colors_can_be_told_apart(vision, drawn):
    colors = list(dict.fromkeys(color for color, _ in drawn[1:]))
    assert len(colors) == 24
    number = 24 if vision is NORMAL else 8
    seen = [lab(np.array(vision) @ linear(color)) for color in colors[:number]]
    gaps = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]]
    assert min(gaps) > 15  # 2.3 is just noticeable


def test_many_clusters_have_pairs_of_their_own(drawn):
    assert len(set(drawn)) == len(drawn) == 169
