"""
Embedding and clustering on many GPUs
=====================================

A Dask cluster with one worker a GPU embeds a folder of pictures into shards on disk,
RateReductionClustering is fitted on the shards, and the workers predict. Without GPUs
the workers share the cores::

    python examples/many_gpus.py                         # tiles of two photographs
    python examples/many_gpus.py FOLDER -k 100 --output embeddings --block 4096

On several machines, `--scheduler tcp://HOST:8786` uses a cluster that is running; all
of them must see the pictures and the output by the same path.
"""

import argparse
import tempfile
from pathlib import Path

import dask.array as da
import numpy as np
import torch
from distributed import Client, LocalCluster, Nanny, Scheduler, SpecCluster
from PIL import Image
from sklearn.datasets import load_sample_image

from sklearn_vlclust import CLIPEmbedder, OfflineEmbedder, RateReductionClustering
from sklearn_vlclust.datasets import list_images
from sklearn_vlclust.embedding import open_shards


def start_workers(n_cpu_workers):
    """Start one worker a GPU, each of which sees its own alone; without any, some."""
    n_gpus = torch.cuda.device_count()
    if not n_gpus:
        return LocalCluster(
            n_workers=n_cpu_workers, threads_per_worker=1, dashboard_address=None
        )
    workers = {
        f"gpu-{i}": {
            "cls": Nanny,
            "options": {"nthreads": 1, "env": {"CUDA_VISIBLE_DEVICES": str(i)}},
        }
        for i in range(n_gpus)
    }
    scheduler = {"cls": Scheduler, "options": {"dashboard": False}}
    return SpecCluster(workers, scheduler)


def embed(paths, embedder, output, block):
    """Embed pictures on the workers, a shard a block; return the embeddings lazily."""
    images = da.from_array(np.array([str(path) for path in paths], object), block)
    da.to_npy_stack(str(output), embedder.transform(images))
    return da.from_npy_stack(str(output))


def main(arguments=None):
    """Run the example; return the labels and the fitted estimator."""
    parser = argparse.ArgumentParser(description="Cluster pictures on many GPUs.")
    parser.add_argument("folder", nargs="?", help="your pictures; default: tiles")
    parser.add_argument("-k", "--n-clusters", type=int, default=2)
    parser.add_argument("--output", type=Path, help="where the shards go, and stay")
    parser.add_argument("--block", type=int, default=16, help="pictures a task")
    parser.add_argument("--workers", type=int, default=2, help="without a GPU")
    parser.add_argument("--scheduler", help="address of a cluster that is running")
    parser.add_argument("--clip", help="CLIP model; default: the offline encoder")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        paths = list_images(options.folder or write_tiles(Path(folder, "tiles")))
        output = options.output or Path(folder, "shards")
        if options.scheduler:
            with Client(options.scheduler):
                return run(paths, output, options)
        with start_workers(options.workers) as cluster, Client(cluster):
            return run(paths, output, options)


def run(paths, output, options):
    """Embed, fit, predict."""
    embedder = CLIPEmbedder(options.clip) if options.clip else OfflineEmbedder()
    X = embed(paths, embedder, output, options.block)
    rows = open_shards(output)
    print(f"{len(rows):,} pictures in {X.numblocks[0]} shards, {rows.shape[1]} columns")

    # The fit runs here, on the shards; rows are read when they are needed.
    model = RateReductionClustering(options.n_clusters, random_state=0).fit(rows)
    labels = model.predict(X).compute()  # on the workers
    for cluster, size in enumerate(np.bincount(labels)):
        print(f"cluster {cluster}: {size:,} pictures")
    return labels, model


def write_tiles(folder):
    """Cut two photographs into 48 tiles; return where they are."""
    folder.mkdir()
    for name in ("china.jpg", "flower.jpg"):
        photograph = load_sample_image(name)
        for i in range(24):
            top, left = 100 * (i // 6), 100 * (i % 6)
            tile = photograph[top : top + 100, left : left + 100]
            Image.fromarray(tile).save(folder / f"{name[:-4]}-{i:02}.png")
    return folder


if __name__ == "__main__":
    main()
