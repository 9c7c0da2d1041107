"""What a GPU gives: images embedded, fits and steps per second.

`full` is for a GPU and is left out without one; the other sizes take the device there
is. Nothing is fetched: weights are random, images and embeddings made up. What is timed
ends with one synchronization, not one per batch. The share of the peak is the
arithmetic that the model's shape asks for, over `peak_tflops`, by default an H200's
dense bf16 peak.

A row is printed as soon as it is measured, and kept in the file `partial` until all are
there: parts that take minutes come last, and a part that fails leaves the others be.

    python -m benchmarks gpu
    python -m benchmarks gpu --output DIR --set 'partial="DIR/gpu-partial.json"'
    python -m benchmarks gpu --output DIR --set 'parts=["steps", "mca"]'
"""

import json
import os
import time
import traceback
import warnings
from functools import partial as bind
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from sklearn_vlclust import (
    ContrastiveMaskedClustering,
    GenerativeCalibrationClustering,
    MCAClustering,
    Vocabulary,
)
from sklearn_vlclust._backend._device import new_generator
from sklearn_vlclust.cluster.batches import NeighborBatches
from sklearn_vlclust.cluster.rate_reduction.network import RateReductionNetwork
from sklearn_vlclust.cluster.rate_reduction.objective import RateReductionObjective
from sklearn_vlclust.data.rows import UnitRows
from sklearn_vlclust.training import RandomBatches, resolve_device, train

from .clip_speed import TINY_CLIP, run_embedding
from .fit import PARTS as PARTS_OF_FIT
from .machine import GIB, EpochClock, Lacking, describe, require
from .rows import clustered, nouns

SIZES = {
    "toy": {
        "device": "auto",
        "embedding": {
            "model": TINY_CLIP,
            "n_images": 12,
            "n_files": 4,
            "side": 48,
            "batch_size": 4,
            "n_batches": 2,
        },
        "mca": {
            "sizes": [[300, 3], [600, 6]],
            "width": 32,
            "n_nouns": 40,
            "max_iter": 2,
        },
        "steps": {
            "m": 64,
            "widths": [8, 16],
            "columns": [16],
            "n_steps": 2,
            "n_epochs": 2,
        },
        "pixels": {"n": 24, "side": 32, "n_epochs": 2, "widths": [8, 8]},
    },
    "quick": {
        "device": "auto",
        "embedding": {
            "model": "ViT-B-32",
            "n_images": 64,
            "n_files": 64,
            "side": 320,
            "batch_size": 32,
            "n_batches": 2,
        },
        "mca": {
            "sizes": [[20_000, 100]],
            "width": 512,
            "n_nouns": 1000,
            "max_iter": "auto",
        },
        "steps": {
            "m": 1024,
            "widths": [128],
            "columns": [16],
            "n_steps": 2,
            "n_epochs": 3,
        },
        "pixels": {"n": 64, "side": 32, "n_epochs": 2},
    },
    "full": {
        "device": "cuda",
        "peak_tflops": 989.0,
        "partial": "benchmarks/results/gpu-partial.json",
        "embedding": {
            "model": "ViT-B-32",
            "n_images": 16_384,
            "n_files": 1024,
            "side": 320,
            "batch_size": 512,
            "n_batches": 100,
            "compiled": True,
        },
        "mca": {
            "sizes": [[100_000, 100], [1_281_167, 1000]],
            "width": 512,
            "n_nouns": 10_000,
            "max_iter": "auto",
        },
        "steps": {
            "m": 1024,
            "widths": [128, 1024],
            "columns": [16, 128],
            "n_steps": 20,
            "n_epochs": 5,
        },
        "pixels": {"n": 8192, "side": 32, "n_epochs": 4, "compiled": True},
    },
}
# The quick ones first. The last may take minutes on the CPU, before and after training.
PARTS = "steps", "embedding", "pixels", "mca"


def run(
    device, embedding, mca, steps, pixels, peak_tflops=None, parts=PARTS, partial=None
):
    """Measure the `parts` that are asked for, in the order they are asked for."""
    if "cuda" in device and not torch.cuda.is_available():
        raise Lacking(
            "there is no CUDA device here; --size quick and --size toy run the same on "
            "what there is"
        )
    if "pixels" in parts:
        require("diffusers", "generative")
    device = resolve_device(device)
    measures = {
        "embedding": bind(
            run_embedding, device=device, peak_tflops=peak_tflops, **embedding
        ),
        "mca": bind(run_mca, device=device, **mca),
        "steps": bind(run_steps, device=device, **steps),
        "pixels": bind(run_pixels, device=device, **pixels),
    }
    told = Told(partial)
    for part in parts:
        told.part(part, measures[part], device)
    if partial:
        Path(partial).unlink(missing_ok=True)
    return told.tables


class Told:
    """Rows as they are measured: printed, and in a file for as long as some lack.

    Parameters
    ----------
    path : str or None
        The file, JSON.
    """

    def __init__(self, path):
        self.path, self.tables = path and Path(path), {}
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)

    def __call__(self, title, row):
        """Add a row to the table of that title."""
        self.tables.setdefault(title, []).append(row)
        print(f"  {title}: {json.dumps(row, default=float)}", flush=True)
        if self.path:
            new = self.path.with_suffix(".new")
            report = {**describe(), "tables": self.tables}
            new.write_text(json.dumps(report, indent=2, default=float) + "\n")
            os.replace(new, self.path)

    def part(self, name, measure, device):
        """Run ``measure(told)``; say how it went, what it took, and never fail."""
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        row, start = {"part": name, "went": "well"}, time.perf_counter()
        try:
            measure(self)
        except Exception as error:  # the others are worth having
            traceback.print_exc()
            row["went"] = f"{type(error).__name__}: {error}".partition("\n")[0]
        row["seconds"] = time.perf_counter() - start
        if device.type == "cuda":
            row["gpu_gib"] = torch.cuda.max_memory_allocated(device) / GIB
        self("parts, with all they prepare", row)


def run_mca(tell, device, sizes, width, n_nouns, max_iter):
    """Seconds of each part of a fit, and of the epochs of its training."""
    for n, n_clusters in sizes:
        X, _ = clustered(n, width, n_clusters, noise=2.0)
        words = nouns(n_nouns, width, n_clusters)
        vocabulary = Vocabulary([f"noun {i}" for i in range(n_nouns)], words)
        clock = EpochClock()
        mca = MCAClustering(
            n_clusters,
            semantic_space=vocabulary,
            max_iter=max_iter,
            device=device,
            callbacks=[clock],
            random_state=0,
        )
        title = f"MCAClustering.fit, {n:,} x {width}, {n_clusters:,} clusters"
        title = f"{title}, {mca._count_epochs(n)} epochs, {device.type}"
        watch_parts(mca, bind(tell, title))
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mca.fit(X)
        tell(title, {"part": "all", "seconds": time.perf_counter() - start})
        epoch = float(np.median(clock.seconds[1:]))
        row = {"part": "an epoch", "seconds": epoch, "rows_a_second": n / epoch}
        tell(title, row)


def watch_parts(clusterer, tell):
    """Let the steps of a fit tell how long they took, as soon as they end."""

    def watched(part, function):
        def call(*args, **kwargs):
            start = time.perf_counter()
            result = function(*args, **kwargs)
            tell({"part": part, "seconds": time.perf_counter() - start})
            return result

        return call

    for part, names in PARTS_OF_FIT.items():
        for name in names:
            setattr(clusterer, name, watched(part, getattr(clusterer, name)))


def run_steps(tell, device, m, widths, columns, n_steps, n_epochs):
    """Training steps of rate reduction a second, second views and all, in float32."""
    for d in widths:
        for n_columns in columns:
            row = {"m": m, "d": d, "n_columns": n_columns}
            seconds = time_step(device, m, d, n_columns, n_steps, n_epochs)
            row["steps_a_second"] = 1 / seconds
            tell(f"rate reduction, a step, {device.type}", row)


def time_step(device, m, d, n_columns, n_steps, n_epochs):
    """Seconds of a step on `m` rows and their near rows, with `d` features."""
    X, _ = clustered(n_steps * m, max(512, d), 10, noise=2.0)
    generator = new_generator(0)
    near = np.random.default_rng(0).integers(len(X), size=(len(X), 10))
    source = NeighborBatches(UnitRows(X), near, generator, device)
    network = RateReductionNetwork(X.shape[1], d, n_axes=d)
    network.start_at_axes(torch.zeros(X.shape[1]), torch.eye(d, X.shape[1]))
    clock = EpochClock()
    train(
        network,
        RateReductionObjective(
            eps=0.1,
            gamma=0.2,
            n_columns=n_columns,
            membership_penalty=0.0,
            warm_up=0,
            generator=generator,
        ),
        RandomBatches(source, m, generator),
        optimizer=torch.optim.Adam,
        lr=1e-3,
        fused=device.type in ("cpu", "cuda"),  # as fit has it
        max_epochs=1 + n_epochs,
        device=device,
        after_epoch=[bind(clock.on_epoch_end, epoch=None, losses=None)],
    )
    return float(np.median(clock.seconds[1:])) / n_steps


def run_pixels(tell, device, n, side, n_epochs, widths=(32, None), compiled=False):
    """Images per second of the clusterers that learn from pixels, stage by stage.

    `widths` are those of the networks of GenerativeCalibrationClustering; `compiled`
    adds `torch.compile`, whose minutes are in the first epoch of a stage.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(n, side, side, 3), dtype=np.uint8)
    stages = ("pretrain", "train", "boost")
    masked = ContrastiveMaskedClustering(
        10, **{f"{stage}_epochs": n_epochs for stage in stages}
    )
    generative = GenerativeCalibrationClustering(
        10,
        contrast_epochs=n_epochs,
        head_epochs=n_epochs,
        generator_epochs=n_epochs,
        n_rounds=1,
        calibration_epochs=n_epochs,
        refinement_epochs=n_epochs,
        n_generated=min(n, 1024),
        width=widths[0],
        generator_width=widths[1],
    )
    ways = {"": {}, ", bf16": {"amp": True}}
    if compiled:
        ways[", bf16, compiled"] = {"amp": True, "compile": True}
    for way, params in ways.items():
        for clusterer in (masked, generative):
            clusterer.set_params(device=device, random_state=0, **params)
            what = type(clusterer).__name__ + way
            title = f"{n:,} images of {side} px, {device.type}"
            for stage, rate in images_a_second(clusterer, images).items():
                row = {"what": what, "stage": stage, "images_a_second": rate}
                tell(title, row)


def images_a_second(clusterer, images):
    """Images per second of each stage after a first epoch of warm-up."""
    clock = EpochClock()
    clusterer.set_params(callbacks=[clock])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusterer.fit(images)
    seconds = {}
    for row, took in zip(clusterer.history_, clock.seconds):
        seconds.setdefault(row["phase"], []).append(took)
    return {
        stage: len(images) / float(np.median(took[1:]))
        for stage, took in seconds.items()
    }
