"""Predict on a Dask cluster of two worker processes against one of them.

Bar: 1.6 times as fast, with the same labels. A worker has one thread, and maps its
blocks from disk itself, as ``da.from_npy_stack`` does, 100 MB each, near what Dask cuts
by itself. One and two workers take turns.
"""

import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from .machine import take_turns
from .rows import clustered, write_clustered

REPEATS = 3
SIZES = {
    "toy": {"n": 2_000, "width": 16, "n_clusters": 3, "n_blocks": 4},
    "full": {"n": 2_000_000, "width": 512, "n_clusters": 100, "n_blocks": 40},
}


def run(n, width, n_clusters, n_blocks):
    import dask.array as da
    from dask import delayed
    from distributed import Client, LocalCluster

    size = -(-n // n_blocks)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        blocks = []
        for i in range(n_blocks):
            file = Path(folder, f"{i}.npy")
            write_clustered(file, size, width, n_clusters, seed=i)
            block = delayed(np.load)(str(file), mmap_mode="r")
            blocks.append(da.from_delayed(block, (size, width), dtype=np.float32))
        X = da.concatenate(blocks)
        rows = [compare(model, X, client) for model in models(width, n_clusters)]
    return {"predict": rows}


def models(width, n_clusters):
    """Yield fitted models; how good they are does not matter here."""
    from sklearn_vlclust import MCAClustering, RateReductionClustering

    few = clustered(20 * n_clusters, width, n_clusters)[0]
    yield MCAClustering(
        n_clusters, semantic_space=None, max_iter=1, random_state=0
    ).fit(few)
    yield RateReductionClustering(n_clusters, max_iter=1, random_state=0).fit(few)


def compare(model, X, client):
    """Return times of one worker and of both, and whether the labels are the same.

    Beside seconds there are those of the busiest worker's core, which hold on a machine
    whose cores are shared.
    """
    workers = sorted(client.scheduler_info()["workers"])
    labels, core_seconds = {}, {1: [], 2: []}

    def predict(n):
        before = client.run(time.process_time)
        lazy = model.predict(X)
        labels[n] = client.compute(lazy, workers=workers[:n]).result()
        after = client.run(time.process_time)
        core_seconds[n].append(max(after[w] - before[w] for w in workers))

    turns = {n: partial(predict, n) for n in (1, 2)}
    seconds = take_turns(turns, REPEATS)
    cores = {n: float(np.median(s[1:])) for n, s in core_seconds.items()}
    return {
        "estimator": type(model).__name__,
        "rows": len(X),
        "blocks": X.numblocks[0],
        "one_worker_s": seconds[1],
        "two_workers_s": seconds[2],
        "speed_up": seconds[1] / seconds[2],
        "one_worker_core_s": cores[1],
        "busier_of_two_core_s": cores[2],
        "core_speed_up": cores[1] / cores[2],
        "same_labels": bool(np.array_equal(labels[1], labels[2])),
        "bar": ">= 1.6",
    }
