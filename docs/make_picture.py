"""Make docs/_static/contact_sheet.png, the picture of the first page.

Crops of seven photographs that may be shown anywhere are mixed, clustered and named by
the offline encoder and all nouns of WordNet. It needs `pip install scikit-image`, for
the photographs in its wheel alone.
"""

from importlib.util import find_spec
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

matplotlib.use("Agg")

from sklearn_vlclust import MCAClustering, OfflineEmbedder
from sklearn_vlclust.plotting import ContactSheetDisplay

PACKAGES = {
    "skimage/data": [
        "astronaut.png",  # NASA, public domain
        "camera.png",  # Lav Varshney, CC0
        "chelsea.png",  # Stefan van der Walt, CC0
        "coffee.png",  # Rachel Michetti, CC0
        "rocket.jpg",  # SpaceX, public domain
    ],
    "sklearn/datasets/images": [
        "china.jpg",  # danielbuechele, CC BY 2.0
        "flower.jpg",  # vultilion, CC BY 2.0
    ],
}
CROPS = 16
OUTPUT = Path(__file__).parent / "_static" / "contact_sheet.png"


def photographs():
    """Yield the photographs, as PIL images."""
    for folder, names in PACKAGES.items():
        package, _, below = folder.partition("/")
        root = Path(find_spec(package).submodule_search_locations[0], below)
        for name in names:
            yield Image.open(root / name).convert("RGB")


def crops(photograph, rng, n=CROPS, shares=(0.5, 0.9)):
    """Yield `n` square crops, whose sides are shares of the shorter side."""
    width, height = photograph.size
    for _ in range(n):
        side = int(min(width, height) * rng.uniform(*shares))
        left = rng.integers(0, width - side + 1)
        top = rng.integers(0, height - side + 1)
        crop = photograph.crop((left, top, left + side, top + side))
        yield crop.resize((224, 224), Image.Resampling.LANCZOS)


def main():
    rng = np.random.default_rng(0)
    images = [crop for photograph in photographs() for crop in crops(photograph, rng)]
    embedder = OfflineEmbedder()
    X = embedder.transform(images)
    mca = MCAClustering(7, embedder=embedder, random_state=0).fit(X)
    for cluster, names in enumerate(mca.cluster_names_):
        kinds = np.bincount(np.arange(len(X))[mca.labels_ == cluster] // CROPS)
        print(cluster, kinds, *names, sep="  ")
    display = ContactSheetDisplay.from_estimator(mca, images, embeddings=X, n_columns=6)
    OUTPUT.parent.mkdir(exist_ok=True)
    figure = display.figure_
    figure.savefig(OUTPUT, dpi=64)
    with Image.open(OUTPUT) as sheet:  # 256 colors take a third of the space
        sheet.convert("RGB").quantize(256, kmeans=2).save(OUTPUT, optimize=True)


if __name__ == "__main__":
    main()
