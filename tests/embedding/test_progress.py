"""Progress of an encoder: a bar of its own, or reports to a caller that draws one."""

import numpy as np

from sklearn_vlclust import CLIPEmbedder
from sklearn_vlclust._backend._progress import report_progress
from tests._open_clip import save_random_clip


def test_progress_is_reported_instead_of_shown(tmp_path, capsys):
    images = np.random.default_rng(0).integers(0, 255, (12, 8, 8, 3), dtype=np.uint8)
    embedder = CLIPEmbedder(str(save_random_clip(tmp_path)), batch_size=8, verbose=1)
    reports = []
    with report_progress(lambda *report: reports.append(report)):
        embedder.transform(images)
    assert reports == [(i, 12) for i in range(1, 13)]
    assert capsys.readouterr().err == ""
    embedder.transform(images)
    assert "CLIPEmbedder: 100%" in capsys.readouterr().err and len(reports) == 12
