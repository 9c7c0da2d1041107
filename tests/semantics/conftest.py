import os
from pathlib import Path

import numpy as np
import pytest

from sklearn_vlclust import Vocabulary


@pytest.fixture(scope="session")
def clip_data():
    """Return a function that loads a file of the shared CLIP embeddings."""
    folder = Path(os.environ.get("VLCLUST_TEST_DATA", "../shared/data"), "clip_vitb32")

    def load(name):
        if not (folder / name).exists():
            pytest.skip(f"no shared test data: {folder / name} is missing")
        return np.load(folder / name)

    return load


@pytest.fixture(scope="session")
def lvis_imagenet(clip_data):
    """Nouns of LVIS and ImageNet with the vectors of CLIP ViT-B/32."""
    lvis = clip_data("text_lvis1203.npz")
    imagenet = clip_data("text_imagenet1000.npz")
    # LVIS made this synset up.
    known = [None if s == "stop_sign.n.01" else str(s) for s in lvis["synset"]]
    return Vocabulary(
        [*map(str, lvis["name"]), *map(str, imagenet["name"])],
        np.concatenate([lvis["emb"], imagenet["emb"]]),
        [*known, *map(str, imagenet["wnid"])],
    )
