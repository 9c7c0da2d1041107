import numpy as np
import pytest
from PIL import Image

from tests._open_clip import save_random_clip


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    """A folder with a small random CLIP model."""
    return save_random_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Forty different pictures on disk, as paths."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    paths = []
    for i in range(40):
        coarse = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        path = folder / f"{i:02d}.png"
        Image.fromarray(coarse).resize((50, 40)).save(path)
        paths.append(str(path))
    return paths
