from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from sklearn_vlclust.plotting import ClusterReport, CodingLengthDisplay

# What files and nouns may be called. Lone surrogates are bytes that are no UTF-8.
HOSTILE = [
    "<script>pwned = true</script>.png",
    "</script><script>pwned = true</script>",
    "<!--<script>",
    "<img src=x onerror=pwned=true>.png",
    "\"><svg onload=pwned=true>'`",
    "two\nlines\r\nand\ttabs.png",
    "\udcff\udce9 not UTF-8 \ud800.png",
    "\u2028\u2029\x00\x01\x7f\x85",
    "‮gnp.exe ‏עברית العربية‬",
    "&lt;b&gt; &amp;amp; {{ 7 * 7 }} {% raw %}",
    "-rf --help.png",
    "w" * 255,
    " spaces  at both ends ",
    "Zalgo͖̞ 🧑‍🚀 e\u0301",
]


def plain_picture(color):
    """Return a small WebP file of one color."""
    file = BytesIO()
    Image.new("RGB", (24, 24), color).save(file, "WEBP")
    return file.getvalue()


def draw_report(names, labels, seed=0, **more):
    """Return a report of plain pictures, each of another color."""
    rng = np.random.default_rng(seed)
    labels = np.asarray(labels)
    n, clusters = len(labels), np.unique(labels)
    k = int((clusters >= 0).sum())
    colors = [
        (40 + 9 * i % 200, 30 + 23 * i % 220, 60 + 41 * i % 190) for i in range(n)
    ]
    places = np.c_[np.cos(2 * labels), np.sin(2 * labels)] + 0.2 * rng.random((n, 2))
    similarities = np.eye(k) * 0.5 + 0.5
    return ClusterReport(
        [plain_picture(color) for color in colors],
        names,
        labels,
        places,
        rng.uniform(0.5, 1, n),
        rng.uniform(0, 1, n),
        {int(c): int((labels == c).sum()) for c in clusters},
        similarities,
        **more,
    )


@pytest.fixture(scope="session")
def report():
    """Ninety images in five clusters and noise, with all sections."""
    labels = np.arange(90) % 6 - 1
    nouns = [[("tabby", 0.7), ("lynx", 0.3)]] * 45 + [
        [("car", 0.9), ("lynx", 0.1)]
    ] * 45
    return draw_report(
        [f"folder/image-{i:02d}.png" for i in range(90)],
        labels,
        cluster_names={
            c: [(f"noun {c}", 0.5), ("shared", 0.2), ("tiny", 1e-5)] for c in range(5)
        },
        nouns=nouns,
        duplicates=[([0, 6], 0, ["exact"]), ([1, 2, 7], 5, ["perceptual"])],
        outliers=[(3, 7.5), (10, 4.0)],
        curves=[CodingLengthDisplay([2, 3, 4, 5], [1.0, 3.0, np.nan, 2.0], 3)],
        method="KMeans",
        params={"n_clusters": "5"},
        name_score="votes per image",
        title="Ninety images",
    )
