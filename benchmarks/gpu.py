"""What a GPU gives: images embedded, fits and steps a second.

`full` is for a GPU and is left out without one; the other sizes take the device there
is. Nothing is fetched: weights are random, images and embeddings made up. What is timed
ends with one synchronisation, not one a batch. The share of the peak is the arithmetic
that the model's shape asks for, over `peak_tflops`, which is that of dense bf16 of an
H200 unless it is set.
"""

import json
import tempfile
import warnings
from collections import deque
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.exceptions import ConvergenceWarning

from sklearn_vlclust import (
    CLIPEmbedder,
    ContrastiveMaskedClustering,
    GenerativeCalibrationClustering,
    MCAClustering,
    Vocabulary,
)
from sklearn_vlclust.cluster._batches import NeighborBatches
from sklearn_vlclust.cluster.rate_reduction._network import RateReductionNetwork
from sklearn_vlclust.cluster.rate_reduction._objective import RateReductionObjective
from sklearn_vlclust.embedding._images import iter_decoded
from sklearn_vlclust.embedding._rows import UnitRows
from sklearn_vlclust.training import RandomBatches, resolve_device, train
from sklearn_vlclust.training._device import new_generator

from .fit import breakdown
from .machine import EpochClock, Lacking, Stopwatch, require
from .rows import clustered, nouns

TINY_CLIP = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 64,
        "heads": 2,
        "layers": 1,
    },
}
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
        "mca": {"n": 600, "width": 32, "n_clusters": 6, "n_nouns": 40, "max_iter": 2},
        "steps": {"m": 64, "widths": [8, 16], "n_steps": 2, "n_epochs": 2},
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
            "n": 20_000,
            "width": 512,
            "n_clusters": 100,
            "n_nouns": 1000,
            "max_iter": 30,
        },
        "steps": {"m": 1024, "widths": [128], "n_steps": 2, "n_epochs": 3},
        "pixels": {"n": 64, "side": 32, "n_epochs": 2},
    },
    "full": {
        "device": "cuda",
        "peak_tflops": 989.0,
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
            "n": 1_281_167,
            "width": 512,
            "n_clusters": 1000,
            "n_nouns": 10_000,
            "max_iter": 30,
        },
        "steps": {"m": 1024, "widths": [128, 1024], "n_steps": 20, "n_epochs": 5},
        "pixels": {"n": 8192, "side": 32, "n_epochs": 4},
    },
}
PARTS = "embedding", "mca", "steps", "pixels"


def run(device, embedding, mca, steps, pixels, peak_tflops=None, parts=PARTS):
    """Measure the `parts` that are asked for."""
    if "cuda" in device and not torch.cuda.is_available():
        raise Lacking(
            "there is no CUDA device here; --size quick and --size toy run the same on "
            "what there is"
        )
    device = resolve_device(device)
    measures = {
        "embedding": partial(run_embedding, device, peak_tflops, **embedding),
        "mca": partial(run_mca, device, **mca),
        "steps": partial(run_steps, device, **steps),
        "pixels": partial(run_pixels, device, **pixels),
    }
    tables = {}
    for part in parts:
        tables |= measures[part]()
    return tables


def run_embedding(
    device,
    peak_tflops,
    model,
    n_images,
    n_files,
    side,
    batch_size,
    n_batches,
    compiled=False,
):
    """Images a second, from files to rows, and of each half of the way alone.

    `compiled` adds the forward pass of the compiled encoder.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = write_random_clip(folder, model)
        files = write_jpegs(folder, n_files, side)
        paths = [files[i % n_files] for i in range(n_images)]
        embedder = CLIPEmbedder(folder, batch_size=batch_size, device=device)
        embedder.transform(paths[:batch_size])  # loads weights, starts kernels
        with Stopwatch() as whole:
            embedder.transform(paths)
        with Stopwatch() as read:
            deque(iter_decoded(paths, embedder._preparer(None)), maxlen=0)
        image_size = config["vision_cfg"]["image_size"]
        images = torch.rand(batch_size, 3, image_size, image_size, device=device)
        encode = partial(embedder._encode_image_batch, images)
        forward = _time(encode, n_batches, device)
        measured = [
            ("files to rows", n_images, whole),
            ("reading and resizing alone", n_images, read),
            ("forward pass alone", n_batches * batch_size, forward),
        ]
        if compiled:
            embedder.set_params(compile=True)
            forward = _time(encode, n_batches, device)
            measured.append(("the same, compiled", n_batches * batch_size, forward))
        precision = embedder._device_and_precision()[1]
    flops = count_flops(config)
    rows = []
    for what, n, watch in measured:
        rate = n / watch.seconds
        row = {"what": what, "images_a_second": rate}
        row["core_ms_an_image"] = 1000 * watch.core_seconds / n
        if watch is not read:
            row["tflops"] = rate * flops / 1e12
            if peak_tflops:
                row["share_of_peak"] = row["tflops"] / peak_tflops
        rows.append(row)
    name = model if isinstance(model, str) else "a tiny model"
    title = f"{name}, {precision}, JPEGs of {side} px, batches of {batch_size}"
    return {f"{title}, {device.type}": rows}


def run_mca(device, n, width, n_clusters, n_nouns, max_iter):
    """Seconds of each part of a fit."""
    X, _ = clustered(n, width, n_clusters, noise=2.0)
    words = nouns(n_nouns, width, n_clusters)
    vocabulary = Vocabulary([f"noun {i}" for i in range(n_nouns)], words)
    mca = MCAClustering(
        n_clusters,
        semantic_space=vocabulary,
        max_iter=max_iter,
        device=device,
        random_state=0,
    )
    title = f"MCAClustering.fit, {n:,} x {width}, {n_clusters:,} clusters"
    return {f"{title}, {max_iter} epochs, {device.type}": breakdown(mca, X)}


def run_steps(device, m, widths, n_steps, n_epochs):
    """Training steps of rate reduction a second, second views and all."""
    rows = []
    for d in widths:
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
                n_columns=16,
                membership_penalty=0.0,
                warm_up=0,
                generator=generator,
            ),
            RandomBatches(source, m, generator),
            optimizer=torch.optim.Adam,
            lr=1e-3,
            max_epochs=1 + n_epochs,
            device=device,
            after_epoch=[partial(clock.on_epoch_end, epoch=None, losses=None)],
        )
        seconds = float(np.median(clock.seconds[1:]))
        rows.append({"m": m, "d": d, "steps_a_second": n_steps / seconds})
    return {f"rate reduction, a step, {device.type}": rows}


def run_pixels(device, n, side, n_epochs, widths=(32, None)):
    """Images a second of the clusterers that learn from pixels, stage by stage.

    `widths` are those of the networks of GenerativeCalibrationClustering.
    """
    require("diffusers", "generative")
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(n, side, side, 3), dtype=np.uint8)
    masked = {
        "pretrain_epochs": n_epochs,
        "train_epochs": n_epochs,
        "boost_epochs": n_epochs,
    }
    generative = {
        "contrast_epochs": n_epochs,
        "head_epochs": n_epochs,
        "generator_epochs": n_epochs,
        "n_rounds": 1,
        "calibration_epochs": n_epochs,
        "refinement_epochs": n_epochs,
        "n_generated": min(n, 1024),
        "width": widths[0],
        "generator_width": widths[1],
    }
    clusterers = {
        "ContrastiveMaskedClustering": ContrastiveMaskedClustering(10, **masked),
        "ContrastiveMaskedClustering, bf16": ContrastiveMaskedClustering(
            10, amp=True, **masked
        ),
        "GenerativeCalibrationClustering": GenerativeCalibrationClustering(
            10, **generative
        ),
    }
    rows = []
    for what, clusterer in clusterers.items():
        clock = EpochClock()
        clusterer.set_params(device=device, callbacks=[clock], random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            clusterer.fit(images)
        seconds = {}
        for row, took in zip(clusterer.history_, clock.seconds):
            seconds.setdefault(row["phase"], []).append(took)
        for phase, took in seconds.items():
            # The first epoch of a stage prepares it, and starts kernels.
            rate = n / float(np.median(took[1:]))
            rows.append({"what": what, "stage": phase, "images_a_second": rate})
    return {f"{n:,} images of {side} px, {device.type}": rows}


def write_random_clip(folder, model):
    """Write a CLIP with random weights as open_clip has them; return its sizes."""
    import open_clip
    from safetensors.torch import save_file

    config = open_clip.get_model_config(model) if isinstance(model, str) else model
    folder = Path(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = open_clip.CLIP(**config)
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    text = json.dumps({"model_cfg": config, "preprocess_cfg": {}})
    (folder / "open_clip_config.json").write_text(text)
    return config


def write_jpegs(folder, n_files, side):
    """Write images with large and small structure, as photographs have; their paths."""
    rng = np.random.default_rng(0)
    paths = []
    for i in range(n_files):
        coarse = Image.fromarray(rng.integers(256, size=(8, 8, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))
        noise = rng.integers(-12, 13, size=smooth.shape)
        pixels = (smooth.astype(int) + noise).clip(0, 255).astype(np.uint8)
        paths.append(str(Path(folder, f"{i:05d}.jpg")))
        Image.fromarray(pixels).save(paths[-1], quality=90)
    return paths


def count_flops(config):
    """Floating-point operations of a vision transformer's forward pass of an image.

    Matrix products alone, two a multiplication and addition.
    """
    vision = config["vision_cfg"]
    width, patch = vision["width"], vision["patch_size"]
    n_patches = (vision["image_size"] // patch) ** 2
    n = n_patches + 1  # the class token
    embed = 2 * n_patches * 3 * patch**2 * width
    # Queries, keys, values and output: 4 width^2; the perceptron, 4 wide: 8 width^2.
    block = 2 * n * 12 * width**2 + 4 * n**2 * width
    return embed + vision["layers"] * block + 2 * width * config["embed_dim"]


def _time(function, repeats, device):
    """Time all calls together, after one that warms up."""
    function()
    _wait(device)
    with Stopwatch() as watch:
        for _ in range(repeats):
            function()
        _wait(device)
    return watch


def _wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)
