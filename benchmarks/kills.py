"""Runs of `vlclust cluster` that are killed (SIGKILL), again and again, and go on.

A run is killed at a random share of the time that a whole one takes, started again, and
killed again; after some kills it may end. Then its table, rows and names of files are
compared with those of a run that was left alone. Bar: no row that was in the cache is
lost, and labels, probabilities and rows are equal.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from sklearn_vlclust.neighbors import ImageSearch

from . import shared_data
from .machine import require

METHODS = ["vl", "rate-reduction", "contrastive-masked"]
SIZES = {
    "toy": {"methods": ["vl"], "n_kills": 1, "kills_per_run": 1, "per_class": 3},
    "quick": {"methods": ["vl"], "n_kills": 5, "kills_per_run": 3, "per_class": 3},
    "full": {"methods": METHODS, "n_kills": 10, "kills_per_run": 5, "per_class": 12},
}
# Share of the time of a whole run in which kills fall: starting is not worth one.
EARLIEST, LATEST = 0.4, 1.0


def run(methods, n_kills, kills_per_run, per_class):
    require("efficientnet_lite_pytorch", "offline")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        photos = shared_data.cifar10_folder(folder / "photos", per_class)
        rows = [
            _campaign(folder, photos, method, n_kills, kills_per_run)
            for method in methods
        ]
    return {"runs that are killed": rows}


def _campaign(folder, photos, method, n_kills, kills_per_run):
    expected = folder / f"{method}-whole"
    start = time.perf_counter()
    assert _wait(_start(photos, method, expected)) == 0
    seconds = time.perf_counter() - start
    rng = random.Random(method)
    found = dict.fromkeys(("kills", "runs", "lost_rows", "other_rows"), 0)
    found |= {"other_labels": 0, "left_files": 0}
    moments = set()
    while found["kills"] < n_kills:
        out = folder / f"{method}-{found['runs']}"
        held = set()
        for _ in range(kills_per_run):
            process = _start(photos, method, out)
            try:
                process.wait(seconds * rng.uniform(EARLIEST, LATEST))
                break  # it was faster
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            found["kills"] += 1
            moments.add(_moment(out))
            keys = _keys(out / "cache")
            found["lost_rows"] += len(held - keys)
            held = keys
        assert _wait(_start(photos, method, out)) == 0
        found["runs"] += 1
        found["lost_rows"] += len(held - _keys(out / "cache"))
        labels_differ, rows_differ = _differences(out, expected)
        found["other_labels"] += labels_differ
        found["other_rows"] += rows_differ
        found["left_files"] += len(_kinds(out) - _kinds(expected))
    return {
        "method": method,
        "images": len(list(photos.glob("*/*"))),
        "whole_s": seconds,
        **found,
        "killed while": ", ".join(sorted(moments)),
        "bar": "0 lost, 0 other",
    }


def _start(photos, method, out):
    command = [sys.executable, "-m", "sklearn_vlclust.cli", "cluster", photos]
    command += ["--method", method, "--k", 10, "--words", "none", "--out", out]
    command += ["--batch-size", 4]
    return subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _wait(process):
    return process.wait()


def _moment(out):
    """Say what a run had done when it was killed, by the files that are there."""
    if (out / "clusters.csv").exists():
        return "writing"
    if (out / "model").exists():
        return "saving"
    if list((out / "cache").glob("fit-*")):
        return "training"
    return "embedding" if _keys(out / "cache") else "starting"


def _keys(cache):
    """Return the keys of the rows that a cache holds."""
    keys = set()
    for file in cache.glob("*.sqlite"):
        with closing(sqlite3.connect(file)) as db:
            try:
                keys.update(key for (key,) in db.execute("SELECT key FROM rows"))
            except sqlite3.OperationalError:  # the table is not there yet
                continue
    return keys


def _differences(out, expected):
    """Return how many lines of the table differ, and how many rows."""
    lines = [
        (folder / "clusters.csv").read_text().splitlines() for folder in (out, expected)
    ]
    rows = [
        ImageSearch.load(folder / "model" / "search").embeddings
        for folder in (out, expected)
    ]
    differ = sum(a != b for a, b in zip(*lines)) + abs(len(lines[0]) - len(lines[1]))
    if rows[0].shape != rows[1].shape:
        return differ, len(rows[1])
    return differ, int(np.any(rows[0] != rows[1], axis=1).sum())


def _kinds(folder):
    """Return the names of all files, without the checksums in them."""
    return {
        path.relative_to(folder).as_posix().rpartition("-")[0] or path.name
        for path in folder.rglob("*")
        if path.is_file()
    }
