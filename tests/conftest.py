import os

# Read when scipy is imported; without it scikit-learn skips a check.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_vlclust import Vocabulary


def new_generator(seed):
    """Return a generator of its own for torch's random numbers."""
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="session")
def clip_data():
    """Return a function that loads a file of the shared CLIP embeddings."""
    folder = Path(os.environ.get("VLCLUST_TEST_DATA", "../shared/data"), "clip_vitb32")

    def load(name):
        if not (folder / name).exists():
            pytest.skip(f"no shared test data: {folder / name} is missing")
        return np.load(folder / name)

    return load


@pytest.fixture
def no_clip_weights(monkeypatch):
    """A machine that lacks CLIP's weights, and knows no address to get them from."""
    import open_clip

    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda *of: {})


@pytest.fixture(scope="session")
def lvis_imagenet(clip_data):
    """Nouns of LVIS and ImageNet with the vectors of CLIP ViT-B/32."""
    lvis = clip_data("text_lvis1203.npz")
    imagenet = clip_data("text_imagenet1000.npz")
    with pytest.warns(UserWarning, match=r"stop_sign\.n\.01"):  # LVIS made it up
        return Vocabulary(
            [str(name) for name in [*lvis["name"], *imagenet["name"]]],
            np.concatenate([lvis["emb"], imagenet["emb"]]),
            [str(synset) for synset in [*lvis["synset"], *imagenet["wnid"]]],
        )
