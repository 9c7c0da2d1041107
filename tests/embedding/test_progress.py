"""Progress of an encoder."""

import numpy as np

from sklearn_vlclust import CLIPEmbedder
from tests._open_clip import save_random_clip


def test_progress_is_shown_if_asked_for(tmp_path, capsys):
    images = np.random.default_rng(0).integers(0, 255, (12, 8, 8, 3), dtype=np.uint8)
    embedder = CLIPEmbedder(str(save_random_clip(tmp_path)), batch_size=8)
    embedder.transform(images)
    assert capsys.readouterr().err == ""
    embedder.set_params(verbose=1).transform(images)
    assert "CLIPEmbedder: 100%" in capsys.readouterr().err
