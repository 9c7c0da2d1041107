"""Peak memory of fit and predict on embeddings that stay on disk.

Bar: MCAClustering, one epoch and predict, under 3 GiB beyond the file cache for
1,000,000 x 512, as a float32 memmap and as a folder of float16 shards. Rows are those
of Oxford-IIIT Pets by CLIP, tiled and jittered; nouns are those of LVIS and ImageNet.
"""

import tempfile
from pathlib import Path

import numpy as np

from . import shared_data
from .machine import GIB, PeakMemory, Stopwatch, in_fresh_process, peak_bytes
from .rows import tile, write_tiled

DATA, N_CLUSTERS = "pets", 37
SIZES = {
    "toy": {"n": 600, "shard_rows": 250},
    "quick": {"n": 60_000, "shard_rows": 25_000},
    "full": {"n": 1_000_000, "shard_rows": 100_000},
}


def run(n, shard_rows):
    seeds, rows = shared_data.images(DATA)[0], []
    for write in (write_file, write_shards):
        with tempfile.TemporaryDirectory() as folder:
            path = write(Path(folder), seeds, n, shard_rows)
            row, labels = in_fresh_process(fit_and_predict, str(path))
        rows.append({"X": write.__doc__.partition(".")[0], **row})
        assert len(labels) == n
    return {"MCAClustering, one epoch and predict": rows}


def write_file(folder, seeds, n, shard_rows):
    """A float32 memmap."""
    write_tiled(folder / "X.npy", seeds, n)
    return folder / "X.npy"


def write_shards(folder, seeds, n, shard_rows):
    """Shards of float16."""
    rng = np.random.default_rng(0)
    for i, start in enumerate(range(0, n, shard_rows)):
        X = tile(seeds, min(shard_rows, n - start), rng)[0]
        np.save(folder / f"img_emb_{i}.npy", X.astype(np.float16))
    return folder


def fit_and_predict(path):
    """Return figures and labels; what is imported before counts for nothing."""
    from sklearn_vlclust import MCAClustering

    vocabulary = shared_data.vocabulary()
    X = np.load(path, mmap_mode="r") if path.endswith(".npy") else path
    mca = MCAClustering(
        N_CLUSTERS, semantic_space=vocabulary, max_iter=1, batch_size=1024, warm_up=0
    ).set_params(random_state=0)
    with PeakMemory() as fit_memory, Stopwatch() as fit_time:
        mca.fit(X)
    with PeakMemory() as predict_memory, Stopwatch() as predict_time:
        labels = mca.predict(X)
    figures = {
        "rows": len(labels),
        "fit_s": fit_time.seconds,
        "fit_core_s": fit_time.core_seconds,
        "fit_gib": fit_memory.bytes / GIB,
        "predict_s": predict_time.seconds,
        "predict_core_s": predict_time.core_seconds,
        "predict_gib": predict_memory.bytes / GIB,
        "process_with_pages_gib": peak_bytes() / GIB,
        "as_fitted": float((labels == mca.labels_).mean()),
        "bar": "< 3 GiB",
    }
    return figures, labels
