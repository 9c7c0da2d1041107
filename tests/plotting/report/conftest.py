import numpy as np
import pytest

from sklearn_vlclust import SemanticSpace, Vocabulary
from sklearn_vlclust.data.rows import UnitRows
from sklearn_vlclust.plotting import ClusterReport, CodingLengthDisplay
from sklearn_vlclust.plotting.report.thumbnails import make_thumbnails
from sklearn_vlclust.plotting.report.words import make_search

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


def draw_report(names, labels, seed=0, **more):
    """Return a report of plain pictures, each of another color."""
    rng = np.random.default_rng(seed)
    labels = np.asarray(labels)
    n, clusters = len(labels), np.unique(labels)
    k = int((clusters >= 0).sum())
    i = np.arange(n)
    colors = np.c_[40 + 9 * i % 200, 30 + 23 * i % 220, 60 + 41 * i % 190]
    pixels = np.repeat(colors.astype(np.uint8), 24 * 24, axis=0).reshape(n, 24, 24, 3)
    places = np.c_[np.cos(2 * labels), np.sin(2 * labels)] + 0.2 * rng.random((n, 2))
    return ClusterReport(
        make_thumbnails(pixels)[0],
        names,
        labels,
        places,
        rng.uniform(0.5, 1, n),
        rng.uniform(0, 1, n),
        {int(c): int((labels == c).sum()) for c in clusters},
        np.eye(k) * 0.5 + 0.5,
        **more,
    )


def draw_search(labels, words=("dog", "cat", "car", "tree", "sky")):
    """Return vectors in which the images of cluster `c` are like word `c`."""
    rng = np.random.default_rng(0)
    axes = np.eye(8)[: len(words)]
    space = SemanticSpace(Vocabulary(words, axes), n_clusters=1, gamma_u=0)
    rows = np.eye(8)[np.maximum(labels, 0) % 8] + 0.05 * rng.random((len(labels), 8))
    rows[np.asarray(labels) < 0] = 1
    return make_search(UnitRows(rows), np.arange(len(rows)), space.fit(rows))


@pytest.fixture(scope="session")
def report():
    """Ninety images in five clusters and noise, with all sections."""
    labels = np.arange(90) % 6 - 1
    rivals = np.where(labels < 0, -1, (labels + 1) % 5), np.full(90, 0.25)
    return draw_report(
        [f"folder/image-{i:02d}.png" for i in range(90)],
        labels,
        cluster_names={
            c: [(f"noun {c}", 0.5), ("shared", 0.2), ("tiny", 1e-5)] for c in range(5)
        },
        name_confidences={0: 0.9, 4: 0.3},
        rivals=rivals,
        search=draw_search(labels),
        flaws={"blurred": [5], "tiny": [8, 9]},
        duplicates=[([0, 6], 0, ["exact"]), ([1, 2, 7], 5, ["perceptual"])],
        outliers=[(3, 7.5), (10, 4.0)],
        curves=[CodingLengthDisplay([2, 3, 4, 5], [1.0, 3.0, np.nan, 2.0], 3)],
        method="KMeans",
        params={"n_clusters": "5"},
        name_score="votes per image",
        title="Ninety images",
    )
