"""Ctrl-C: what was computed stays, and the same command goes on."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager

import pytest

from tests.cli.conftest import COLORS, save_picture, vlclust

N = 400


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A folder of 400 pictures: enough to be interrupted."""
    folder = tmp_path_factory.mktemp("many") / "photos"
    folder.mkdir()
    for i in range(N):
        save_picture(folder / f"{i:03d}.png", list(COLORS.values())[i % 3], i)
    return folder


def count_rows(cache):
    import sqlite3

    files = list(cache.glob("*.sqlite"))
    if not files:
        return 0
    with closing(sqlite3.connect(files[0])) as db:
        try:
            return db.execute("SELECT COUNT(*) FROM rows").fetchone()[0]
        except sqlite3.OperationalError:  # the table is being made
            return 0


@contextmanager
def ctrl_c_when(condition, number=signal.SIGINT):
    """Send a signal to this process, once, as soon as `condition()` holds."""
    assert threading.current_thread() is threading.main_thread()
    over = threading.Event()

    def watch():
        while not over.is_set():
            if condition():
                os.kill(os.getpid(), number)
                return
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def test_a_process_that_is_interrupted(many, tiny_clip, tmp_path):
    out, cache = tmp_path / "out", tmp_path / "cache"
    arguments = ["cluster", many, "--k", 3, "--out", out, "--encoder", tiny_clip]
    arguments += ["--cache", cache, "--words", "none", "--batch-size", 2, "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "sklearn_vlclust.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and count_rows(cache) == 0:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert json.loads(stdout)["exit_code"] == 130
    assert stderr.splitlines()[-1] == (
        "vlclust: interrupted. What was computed is kept: run the same command to go "
        "on."
    )
    assert "Traceback" not in stderr
    kept = count_rows(cache)
    assert 0 < kept < N and not (out / "report.html").exists()
    run = vlclust(*arguments)
    assert run.code == 0 and "Resuming the run" in run.err
    assert run.json["n_images"] == count_rows(cache) == N


def test_a_training_that_is_interrupted_goes_on(many, tiny_clip, tmp_path):
    cache = tmp_path / "cache"
    arguments = ["cluster", many, "--k", 3, "--encoder", tiny_clip, "--words", "none"]
    arguments += ["--cache", cache, "--method", "contrastive-masked", "--out"]
    whole = vlclust(*arguments, tmp_path / "whole", "--json")
    out = tmp_path / "out"

    def training():
        return list((out / "cache").glob("fit-*.safetensors"))

    with ctrl_c_when(training):
        run = vlclust(*arguments, out)
    assert run.code == 130 and "run the same command to go on" in run.err
    assert len(training()) == 1 and not (out / "report.html").exists()
    again = vlclust(*arguments, out, "--json")
    assert again.code == 0 and "Resuming" in again.err
    assert again.json["images"] == whole.json["images"]
    assert not training()  # the run is complete


def test_termination(many, tiny_clip, tmp_path):
    out, cache = tmp_path / "out", tmp_path / "cache"
    arguments = ["cluster", many, "--encoder", tiny_clip, "--batch-size", 2]
    arguments += ["--cache", cache]
    with ctrl_c_when(lambda: count_rows(cache) > 0, signal.SIGTERM):
        run = vlclust(*arguments, "--out", out, "--words", "none", "--json")
    assert run.code == run.json["exit_code"] == 143
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
