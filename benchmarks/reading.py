"""Seconds that reading JPEG photographs takes, against a bare loop over Pillow.

The bare loop opens, drafts, converts and resizes: no limits, no metadata, no checks.
`drafted` is for thumbnails and displays; encoders read the `whole` picture, for which
the bare loop does not draft. `turned` compares with a loop that turns the picture by
its metadata (`ImageOps.exif_transpose`), as ours does. Both take turns, picture files
are in the system's cache, and core seconds count. Bar: a ratio of 1.05.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from sklearn_vlclust.data.images import ImageSource

from . import shared_data

SIZES = {
    "toy": {"n_pictures": 4, "n_large": 1, "repeats": 1},
    "full": {"n_pictures": 300, "n_large": 2, "repeats": 12},
}
SIDE, DRAFTED_SIDE = 224, 96
ORIENTATION = 0x0112


def run(n_pictures, n_large, repeats):
    with tempfile.TemporaryDirectory() as folder:
        pictures = _pictures(Path(folder), n_pictures, n_large)
        rows = [
            {"pictures": name, "n": len(paths), **_measure(paths, whole, repeats)}
            for name, paths in pictures.items()
            for whole in (True, False)
        ]
    return {"reading of JPEG files": rows}


def _pictures(folder, n, n_large):
    """Return files of four sizes: of CIFAR-10, two sets of photographs, a camera."""
    cifar10 = shared_data.cifar10_folder(folder / "cifar10", -(-n // 10))
    found = {
        "CIFAR-10, 32 px": sorted(cifar10.glob("*/*.jpg"))[:n],
        "pacs, 227 px": sorted(shared_data.folder("pacs_photo").glob("*/*.jpg"))[:n],
        "Caltech, 300 px": sorted(shared_data.folder("caltech101").glob("*/*.jpg"))[:n],
    }
    upright = Image.Exif()
    upright[ORIENTATION] = 1
    found["camera, 12 megapixels"] = []
    for path in found["pacs, 227 px"][:n_large]:
        photo = Image.open(path).convert("RGB").resize((4000, 3000))
        large = folder / f"{path.stem}.jpg"
        photo.save(large, quality=90, exif=upright)
        found["camera, 12 megapixels"].append(large)
    return {name: [str(path) for path in paths] for name, paths in found.items()}


def _measure(paths, whole, repeats):
    side = SIDE if whole else DRAFTED_SIDE

    def ours():
        for i, path in enumerate(paths):
            resized(ImageSource(path, i).decode(None if whole else side))

    def bare(turn=lambda image: image):
        for path in paths:
            with Image.open(path) as image:
                if not whole:
                    image.draft(None, (2 * side, 2 * side))
                resized(turn(image).convert("RGB"))

    def resized(image):
        return image.resize((side, side), Image.Resampling.BICUBIC)

    loops = {
        "ours": ours,
        "bare": bare,
        "turned": lambda: bare(ImageOps.exif_transpose),
    }
    seconds = {name: [] for name in loops}
    for _ in range(1 + repeats):
        for name, loop in loops.items():
            start = time.process_time()
            loop()
            seconds[name].append(time.process_time() - start)
    # The least of each: whatever else the machine does only adds to it.
    best = {name: float(np.min(values[1:])) for name, values in seconds.items()}
    return {
        "read": "whole" if whole else "drafted",
        "ours_ms": 1e3 * best["ours"] / len(paths),
        "bare_ms": 1e3 * best["bare"] / len(paths),
        "ratio": best["ours"] / best["bare"],
        "ratio_turned": best["ours"] / best["turned"],
    }
