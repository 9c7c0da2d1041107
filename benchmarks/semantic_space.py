"""Peak memory of SemanticSpace on a memory-mapped X and a vocabulary of WordNet's size.

Bar: under 2 GiB beyond X for 1,000,000 images and 82,115 nouns.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from .machine import in_fresh_process, peak_bytes
from .rows import write_clustered

SIZES = {
    "toy": {"n": 500, "width": 16, "n_nouns": 300, "n_clusters": 5},
    "quick": {"n": 50_000, "width": 512, "n_nouns": 82_115, "n_clusters": 100},
    "full": {"n": 1_000_000, "width": 512, "n_nouns": 82_115, "n_clusters": 100},
}


def run(n, width, n_nouns, n_clusters):
    with tempfile.TemporaryDirectory() as folder:
        write_clustered(Path(folder, "X.npy"), n, width, n_clusters)
        write_clustered(Path(folder, "nouns.npy"), n_nouns, width, n_clusters, seed=1)
        row = in_fresh_process(fit, folder, n_clusters)
    return {"SemanticSpace.fit and kneighbors": [row]}


def fit(folder, n_clusters):
    from sklearn_vlclust import SemanticSpace, Vocabulary

    X = np.load(Path(folder, "X.npy"), mmap_mode="r")
    nouns = np.load(Path(folder, "nouns.npy"), mmap_mode="r")
    start = time.perf_counter()
    vocabulary = Vocabulary([f"noun {i}" for i in range(len(nouns))], nouns)
    space = SemanticSpace(vocabulary, n_clusters=n_clusters, random_state=0).fit(X)
    fitted = time.perf_counter()
    space.kneighbors(X, min(5, len(space.nouns_)))
    peak = peak_bytes()
    return {
        "rows": len(X),
        "nouns": len(nouns),
        "kept": len(space.nouns_),
        "fit_s": fitted - start,
        "kneighbors_s": time.perf_counter() - fitted,
        "peak_gib": peak / 2**30,
        "beyond_X_gib": (peak - X.nbytes) / 2**30,
        "bar": "< 2 GiB beyond X",
    }
