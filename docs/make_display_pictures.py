"""Make the pictures of docs/guide/displays.rst, for light pages and for dark ones.

Crops of the two photographs that come with scikit-learn, and its digits.
"""

from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image

matplotlib.use("Agg")

from sklearn_vlclust import ContrastiveMaskedClustering, MCAClustering, OfflineEmbedder
from sklearn_vlclust.plotting import (
    ClusterConfusionDisplay,
    ClusterGalleryDisplay,
    SemanticTreeDisplay,
    TrainingCurveDisplay,
)

CROPS = 40
OUTPUT = Path(__file__).parent / "_static"
# The grounds of the theme of the documentation.
STYLES = {
    "light": ["default"],  # displays are first drawn in it
    "dark": [
        "dark_background",
        dict.fromkeys(
            ("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "#14181e"
        ),
    ],
}


def crops(name, rng):
    """Yield square crops of a third to two thirds of the shorter side."""
    photograph = Image.fromarray(load_sample_image(name))
    width, height = photograph.size
    for _ in range(CROPS):
        side = int(min(width, height) * rng.uniform(0.33, 0.67))
        left = rng.integers(0, width - side + 1)
        top = rng.integers(0, height - side + 1)
        yield photograph.crop((left, top, left + side, top + side))


def displays():
    """Yield names, displays drawn in the default style, and how they are drawn."""
    rng = np.random.default_rng(0)
    images = [crop for name in ("china.jpg", "flower.jpg") for crop in crops(name, rng)]
    embedder = OfflineEmbedder()
    X = embedder.transform(images)
    mca = MCAClustering(3, embedder=embedder, random_state=0).fit(X)
    gallery = ClusterGalleryDisplay.from_estimator(
        mca, images, embeddings=X, n_pictures=8
    )
    yield "gallery", gallery, {}
    rows = {"max_rows": 30}
    yield "tree", SemanticTreeDisplay.from_estimator(mca, **rows), rows

    digits = load_digits(n_class=6)
    masked = ContrastiveMaskedClustering(6, random_state=0).fit(digits.data)
    yield "training", TrainingCurveDisplay.from_estimator(masked), {}
    confusion = ClusterConfusionDisplay.from_predictions(digits.target, masked.labels_)
    yield "confusion", confusion, {}


def main():
    for name, display, how in displays():
        for page, style in STYLES.items():
            with plt.style.context(style):
                path = OUTPUT / f"display_{name}_{page}.png"
                drawn = display if page == "light" else display.plot(**how)
                drawn.figure_.savefig(path, dpi=80)
                plt.close("all")
            with Image.open(path) as picture:  # 256 colors take a third of the space
                picture.convert("RGB").quantize(256, kmeans=2).save(path, optimize=True)


if __name__ == "__main__":
    main()
