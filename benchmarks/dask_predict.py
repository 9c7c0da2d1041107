"""Predict on a Dask cluster of two worker processes against one of them.

Bar: 1.6 times as fast, with the same labels. A worker has one thread, and maps its
blocks from disk itself, of 100 MB each, near what Dask cuts by itself. A cluster of one
worker and one of two take turns.
"""

import tempfile
import time
from contextlib import contextmanager
from functools import partial

import numpy as np

from .machine import take_turns
from .rows import clustered

REPEATS = 5
SIZES = {
    "toy": {"n": 2_000, "width": 16, "n_clusters": 3, "n_blocks": 4},
    "full": {"n": 2_000_000, "width": 512, "n_clusters": 100, "n_blocks": 40},
}


def run(n, width, n_clusters, n_blocks):
    import dask.array as da

    with (
        tempfile.TemporaryDirectory() as folder,
        cluster_of(1) as one,
        cluster_of(2) as two,
    ):
        write(folder, n, width, n_clusters, n_blocks)
        X = da.from_npy_stack(folder)
        rows = [
            compare(model, X, {1: one, 2: two}) for model in models(width, n_clusters)
        ]
    return {"predict": rows}


@contextmanager
def cluster_of(n_workers):
    """Yield the client of worker processes of one thread each."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=n_workers, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def write(folder, n, width, n_clusters, n_blocks):
    """Write clustered rows as a folder of blocks."""
    import dask.array as da
    from dask import config, delayed

    size = -(-n // n_blocks)
    parts = (delayed(clustered)(size, width, n_clusters, i)[0] for i in range(n_blocks))
    arrays = [da.from_delayed(part, (size, width), np.float32) for part in parts]
    with config.set(scheduler="synchronous"):  # a block at a time
        da.to_npy_stack(folder, da.concatenate(arrays))


def models(width, n_clusters):
    """Yield fitted models; how good they are does not matter here."""
    from sklearn_vlclust import MCAClustering, RateReductionClustering

    few = clustered(20 * n_clusters, width, n_clusters)[0]
    yield MCAClustering(
        n_clusters, semantic_space=None, max_iter=1, random_state=0
    ).fit(few)
    yield RateReductionClustering(n_clusters, max_iter=1, random_state=0).fit(few)


def compare(model, X, clients):
    """Return times of one worker and of both, and whether the labels are the same.

    Beside seconds there are those of the busiest worker's core, which hold on a machine
    whose cores are shared.
    """
    labels, core_seconds = {}, {n: [] for n in clients}

    def predict(n):
        client = clients[n]
        before = client.run(time.process_time)
        labels[n] = client.compute(model.predict(X)).result()
        after = client.run(time.process_time)
        core_seconds[n].append(max(after[w] - before[w] for w in before))

    seconds = take_turns({n: partial(predict, n) for n in clients}, REPEATS)
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
