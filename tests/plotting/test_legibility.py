"""Figures are read on light pages and on dark ones."""

from io import BytesIO

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import colors
from PIL import Image
from sklearn.cluster import KMeans

from sklearn_vlclust import CodingLengthKSelector, ContrastiveMaskedClustering
from sklearn_vlclust.datasets import fetch_wordnet
from sklearn_vlclust.plotting import (
    ClusterConfusionDisplay,
    ClusterGalleryDisplay,
    CodingLengthDisplay,
    ContactSheetDisplay,
    GeneratedImagesDisplay,
    SemanticTreeDisplay,
    SimilarityDisplay,
    SpectrumDisplay,
    TrainingCurveDisplay,
)

mpl.use("Agg")

READABLE = 4.5  # contrast of text, by the Web Content Accessibility Guidelines


@pytest.fixture(scope="module")
def displays():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 10)
    X = np.eye(3, 8)[labels] + 0.1 * rng.normal(size=(30, 8))
    images = rng.integers(0, 255, (30, 8, 8, 3), dtype=np.uint8)
    kmeans = KMeans(3, n_init=1, random_state=0).fit(X)
    masked = ContrastiveMaskedClustering(
        3, pretrain_epochs=1, train_epochs=2, boost_epochs=1, random_state=0
    ).fit(X)
    selector = CodingLengthKSelector(k_range=(2, 6), random_state=0).fit(X)
    sheet = ContactSheetDisplay.from_estimator(kmeans, images, embeddings=X)
    found = [
        ClusterConfusionDisplay.from_estimator(kmeans, X, labels),
        ClusterGalleryDisplay.from_estimator(kmeans, images, embeddings=X),
        CodingLengthDisplay.from_estimator(selector),
        sheet,
        GeneratedImagesDisplay(sheet.pictures, sheet.sizes, sheet.names),
        SimilarityDisplay.from_features(X, labels),
        SpectrumDisplay.from_features(X, labels),
        TrainingCurveDisplay.from_estimator(masked),
    ]
    try:
        fetch_wordnet()
    except OSError:
        return found
    synsets = ["dog.n.01", "oak.n.02", "car.n.01"]
    return [*found, SemanticTreeDisplay.from_synsets(synsets, min_depth=3)]


def luminance(color):
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3]
    ]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


def contrast(color, alpha, ground):
    ground = np.array(colors.to_rgba(ground)[:3])
    color = np.array(colors.to_rgba(color, alpha))
    color = color[3] * color[:3] + (1 - color[3]) * ground
    dark, bright = sorted([luminance(color), luminance(ground)])
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_contrast(displays, style):
    import matplotlib.pyplot as plt

    for display in displays:
        with plt.style.context(style):
            figure = display.plot().figure_
            figure.canvas.draw()
            ground = figure.get_facecolor()
            in_pictures = set(np.ravel(getattr(display, "text_", [])))
            texts = [
                text
                for text in figure.findobj(mpl.text.Text)
                if text.get_text() and text.get_visible() and text not in in_pictures
            ]
            assert texts
            for text in texts:
                found = contrast(text.get_color(), text.get_alpha(), ground)
                assert found >= READABLE, (type(display).__name__, text.get_text())
            for line in figure.axes[0].lines:
                assert contrast(line.get_color(), line.get_alpha(), ground) > 1.5
            plt.close(figure)


def test_the_background_is_not_left_to_the_page(displays):
    import matplotlib.pyplot as plt

    for display in displays:
        file = BytesIO()
        display.plot().figure_.savefig(file, format="png", dpi=30)
        plt.close("all")
        alpha = np.asarray(Image.open(file).convert("RGBA"))[:, :, 3]
        assert (alpha == 255).all(), type(display).__name__
