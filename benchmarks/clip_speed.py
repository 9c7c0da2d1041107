"""Images embedded a second by CLIP of any size: weights are random, JPEGs made up."""

import json
import tempfile
from collections import deque
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sklearn_vlclust import CLIPEmbedder
from sklearn_vlclust.data.images import iter_decoded

from .machine import Stopwatch

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


def run_embedding(
    tell,
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
    """Images per second, from files to rows, and of each half of the way alone.

    `compiled` adds the forward pass of the compiled encoder.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = write_random_clip(folder, model)
        files = write_jpegs(folder, n_files, side)
        paths = [files[i % n_files] for i in range(n_images)]
        embedder = CLIPEmbedder(folder, batch_size=batch_size, device=device)
        embedder.transform(paths[:batch_size])  # loads weights, starts kernels
        precision = embedder._device_and_precision()[1]
        name = model if isinstance(model, str) else "a tiny model"
        title = f"{name}, {precision}, JPEGs of {side} px, batches of {batch_size}"
        told = partial(
            _tell_rate,
            tell,
            f"{title}, {device.type}",
            count_flops(config),
            peak_tflops,
        )
        with Stopwatch() as watch:
            embedder.transform(paths)
        told("files to rows", n_images, watch)
        with Stopwatch() as watch:
            deque(iter_decoded(paths, embedder._preparer(None)), maxlen=0)
        told("reading and resizing alone", n_images, watch, computes=False)
        image_size = config["vision_cfg"]["image_size"]
        images = torch.rand(batch_size, 3, image_size, image_size, device=device)
        encode = partial(embedder._encode_image_batch, images)
        n_encoded = n_batches * batch_size
        told("forward pass alone", n_encoded, _time(encode, n_batches, device))
        if compiled:
            embedder.set_params(compile=True)
            told("the same, compiled", n_encoded, _time(encode, n_batches, device))


def _tell_rate(tell, title, flops, peak_tflops, what, n, watch, computes=True):
    rate = n / watch.seconds
    row = {"what": what, "images_a_second": rate}
    row["core_ms_an_image"] = 1000 * watch.core_seconds / n
    if computes:
        row["tflops"] = rate * flops / 1e12
        if peak_tflops:
            row["share_of_peak"] = row["tflops"] / peak_tflops
    tell(title, row)


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
