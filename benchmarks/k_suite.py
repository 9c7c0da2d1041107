"""The number of clusters without labels: how often it is close to that of the classes.

The data sets are split in two. Rules and constants of the estimate were chosen on the
DESIGN part alone: pets and caltech101 (CLIP rows of both splits, and rows of the
offline encoder of Caltech's photographs), digits, subspaces that are orthogonal, even
blobs, and Gaussian noise. The CHECK part was only looked at: dtd and cars, rows of the
offline encoder of pacs_photo and of CIFAR-10 pictures, random subspaces, uneven blobs,
and noise on a sphere.

Of each image set there are: all classes, draws of 3 to 30 classes, 5 to 20 images per
class, class sizes that fall from 100 to 10 %, and exact copies. Classes are used for
the figures alone. Structureless data has no right number; it should get a warning.

Bars, design part: 60 % of the answers within 25 % of the number of classes and 88 %
within a factor of 2; 75 % and 95 % with the three candidates shown; the check part at
most 5 less. No answer of 2 on a full set. 4 s for 4,000 rows with one thread.

The environment variable VLCLUST_BENCHMARK_CACHE names a folder that keeps the rows of
the offline encoder from one run to the next.
"""

import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from sklearn_vlclust.cluster.spectral.n_clusters import estimate_n_clusters
from sklearn_vlclust.data.rows import UnitRows

from . import shared_data
from .machine import Lacking, Stopwatch

SIZES = {
    "toy": {"sets": ["digits", "blobs", "noise"], "n_seeds": 1},
    "full": {"sets": None, "n_seeds": 1},
}
# Name -> part.
PARTS = {
    "pets": "design",
    "pets-val": "design",
    "caltech101": "design",
    "caltech101-val": "design",
    "caltech-photos": "design",
    "digits": "design",
    "orthogonal": "design",
    "blobs": "design",
    "noise": "design",
    "dtd": "check",
    "dtd-val": "check",
    "cars": "check",
    "pacs-photos": "check",
    "cifar10-photos": "check",
    "subspaces": "check",
    "uneven-blobs": "check",
    "sphere": "check",
}
PHOTOS = {"caltech-photos": "caltech101", "pacs-photos": "pacs_photo"}
CIFAR_PICTURES = 200  # per class
# Candidates that a reader is shown, the answer among them.
SHOWN = 3
# Numbers of classes that are drawn, of images per class, and the least share of them.
DRAWN, FEW, LEAST_SHARE = (3, 5, 8, 12, 20, 30), (5, 10, 20), 0.1
# Sets whose classes are drawn twice.
LARGE = {"pets", "caltech101", "dtd"}


def run(sets, n_seeds):
    """Estimate the number of clusters of all cases of some sets; None are all sets."""
    rows = []
    for name in sets or PARTS:
        try:
            cases = list(make_cases(name))
        except (FileNotFoundError, Lacking) as error:
            print(f"    {name} is left out, as {error}", flush=True)
            continue
        for kind, X, n_classes in cases:
            for seed in range(n_seeds):
                rows.append(_estimate(name, kind, X, n_classes, seed))
    return {"parts": _summary(rows), "kinds": _by_kind(rows), "cases": rows}


def make_cases(name):
    """Yield ``(kind, rows, number of classes)`` of a set; 0 classes is no structure."""
    if name in SYNTHETIC:
        yield from SYNTHETIC[name](np.random.default_rng(0))
        return
    X, y = load_rows(name)
    rng = np.random.default_rng(0)
    n_classes = len(np.unique(y))
    yield "full", X, n_classes
    if name == "digits":
        drawn, few = (3, 5), (10, 20)
    elif name.endswith("-val"):
        drawn, few = (), ()
    else:
        drawn, few = [k for k in DRAWN if k < n_classes], FEW
    for k in drawn:
        for _ in range(2 if name in LARGE else 1):
            kept = np.isin(y, rng.choice(n_classes, k, replace=False))
            yield f"{k} classes", X[kept], k
    if name == "cars":  # has eight images per class
        return
    for m in few:
        kept = _draw(y, np.full(n_classes, m), rng)
        yield f"{m} per class", X[kept], n_classes
    if name.endswith("-val"):
        copies = rng.integers(1, 6, size=len(X))
        yield "copies", np.repeat(X, copies, axis=0), n_classes
    else:
        shares = rng.permutation(np.geomspace(1, LEAST_SHARE, n_classes))
        sizes = (np.bincount(y) * shares).round().astype(int).clip(3)
        yield "uneven", X[_draw(y, sizes, rng)], n_classes


def _draw(y, sizes, rng):
    """Return `sizes[c]` rows of each class `c`, fewer where it has fewer."""
    order = rng.permutation(len(y))
    parts = [order[y[order] == c][:m] for c, m in enumerate(sizes)]
    return np.sort(np.concatenate(parts))


def load_rows(name):
    """Return rows and classes 0, 1, ... of a set that is not made at random."""
    if name == "digits":
        return load_digits(return_X_y=True)
    if name in shared_data.IMAGES:
        return shared_data.images(name)
    with tempfile.TemporaryDirectory() as temporary:
        cache = Path(os.environ.get("VLCLUST_BENCHMARK_CACHE") or temporary)
        if name in PHOTOS:
            folder = shared_data.folder(PHOTOS[name])
        else:
            folder = shared_data.cifar10_folder(cache / name, CIFAR_PICTURES)
        return _embed(folder, cache)


def _embed(folder, cache):
    """Return rows of the offline encoder, and classes 0, 1, ... by folder."""
    from sklearn_vlclust import OfflineEmbedder
    from sklearn_vlclust.datasets import list_images

    paths = list_images(folder)
    _, y = np.unique([Path(path).parent.name for path in paths], return_inverse=True)
    return OfflineEmbedder(cache=cache / "rows").fit_transform(paths), y


def _orthogonal(rng):
    for k, size, rank in [(5, 100, 4), (10, 60, 3), (20, 40, 4), (40, 40, 2)]:
        X = np.zeros((k, size, k, rank))
        for group in range(k):
            X[group, :, group] = rng.normal(size=(size, rank))
        X = X.reshape(k * size, k * rank)
        yield f"{k} of rank {rank}", X + 0.05 * rng.normal(size=X.shape), k


def _subspaces(rng):
    width, rank = 64, 4
    for k, size in [(3, 100), (10, 100), (30, 80)]:
        bases = np.linalg.qr(rng.normal(size=(k, width, rank)))[0]
        X = rng.normal(size=(k, size, rank)) @ bases.transpose(0, 2, 1)
        X = X.reshape(k * size, width)
        yield f"{k} of rank {rank}", X + 0.1 * rng.normal(size=X.shape) / 8, k


def _blobs(rng):
    for k, size, width in [
        (2, 150, 20),
        (4, 100, 20),
        (10, 40, 50),
        (30, 20, 100),
        (80, 30, 100),
    ]:
        y = np.repeat(np.arange(k), size)
        yield f"{k} blobs", _around(y, width, 0.7, rng), k


def _uneven_blobs(rng):
    for k, size, width in [(6, 100, 30), (20, 100, 60), (50, 60, 120)]:
        sizes = (size * np.geomspace(1, LEAST_SHARE, k)).round().astype(int)
        yield f"{k} blobs", _around(np.repeat(np.arange(k), sizes), width, 0.8, rng), k
    y = rng.integers(1000, size=20_000)
    yield "1000 blobs", _around(y, 128, 0.7, rng), 1000


def _around(y, width, spread, rng):
    """Return Gaussian rows around centers that are Gaussian themselves."""
    centers = rng.normal(size=(y.max() + 1, width))
    return centers[y] + spread * rng.normal(size=(len(y), width))


def _noise(rng):
    for n, width in [(300, 8), (1000, 64), (2000, 512)]:
        yield f"{n} rows", rng.normal(size=(n, width)), 0


def _sphere(rng):
    for n, width in [(500, 3), (800, 32), (3000, 200)]:
        X = rng.normal(size=(n, width)) * np.geomspace(1, 0.2, width)
        yield f"{n} rows", X, 0


SYNTHETIC = {
    "orthogonal": _orthogonal,
    "subspaces": _subspaces,
    "blobs": _blobs,
    "uneven-blobs": _uneven_blobs,
    "noise": _noise,
    "sphere": _sphere,
}


def _estimate(name, kind, X, n_classes, seed):
    rows = UnitRows(np.ascontiguousarray(X, dtype=np.float32), zero_rows=True)
    with warnings.catch_warnings(record=True) as caught, Stopwatch() as watch:
        warnings.simplefilter("always")
        estimate = estimate_n_clusters(rows, np.random.RandomState(seed))
    row = {
        "part": PARTS[name],
        "data": name,
        "kind": kind,
        "rows": len(rows),
        "classes": n_classes,
        "k": estimate.n_clusters,
        "also": [k for k, _ in estimate.candidates[1:]],
        "warned": any("No groups" in str(item.message) for item in caught),
        "seconds": watch.core_seconds,
    }
    print("   ", row, flush=True)
    return row


def _summary(rows):
    """Return one row per part of the suite."""
    return [
        {"part": part, **_share([row for row in rows if row["part"] == part])}
        for part in ("design", "check")
        if any(row["part"] == part for row in rows)
    ]


def _by_kind(rows):
    """Return one row per part and kind of case, and per part and data set."""
    groups: dict = {}
    for row in rows:
        kind = row["kind"].split()[-1] if row["kind"][0].isdigit() else row["kind"]
        for group in (f"kind {kind}", f"data {row['data']}"):
            groups.setdefault((row["part"], group), []).append(row)
    return [
        {"part": part, "cases": group, **_share(members)}
        for (part, group), members in sorted(groups.items())
    ]


def _share(rows):
    """Return percentages of answers that are close to the number of classes."""
    known = [row for row in rows if row["classes"]]
    noise = [row for row in rows if not row["classes"]]
    figures: dict = {"n": len(known)}
    if known:
        shown = [[row["k"], *row["also"]][:SHOWN] for row in known]
        for what, is_close in (("25 %", _within_quarter), ("factor 2", _within_two)):
            first = [is_close(row["k"], row["classes"]) for row in known]
            any_shown = [
                any(is_close(k, row["classes"]) for k in numbers)
                for row, numbers in zip(known, shown)
            ]
            figures[what] = 100 * float(np.mean(first))
            figures[f"{what}, {SHOWN} shown"] = 100 * float(np.mean(any_shown))
        full = [row["k"] for row in known if row["kind"] == "full"]
        figures["2 on full sets"] = sum(k == 2 for k in full)
        figures["warned wrongly"] = sum(row["warned"] for row in known)
    if noise:
        warned = sum(row["warned"] for row in noise)
        figures["noise warned"] = f"{warned} of {len(noise)}"
    figures["most seconds"] = max(row["seconds"] for row in rows)
    return figures


def _within_quarter(k, n_classes):
    return 0.75 * n_classes <= k <= 1.25 * n_classes


def _within_two(k, n_classes):
    return n_classes / 2 <= k <= 2 * n_classes
