"""What the figures were measured with: the machine, its memory, and its clock."""

import multiprocessing
import os
import platform
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

PACKAGES = ["sklearn-vlclust", "scikit-learn", "torch", "skorch", "faiss-cpu", "numpy"]

GIB = 2**30


class Lacking(Exception):
    """What a benchmark needs is not on this machine; the message says how to get it."""


def require(package, extra):
    """Raise `Lacking` if a package of one of the extras is not installed."""
    if find_spec(package) is None:
        raise Lacking(
            f"{package} is not installed; "
            f'pip install ".[{extra}]" in the clone brings it'
        )


def describe():
    """Return versions and hardware, as JSON values that name no host or user."""
    import psutil
    import torch

    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    machine = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / GIB),
        "system": platform.system(),
    }
    if torch.cuda.is_available():
        machine["gpu"] = torch.cuda.get_device_name()
    return {"versions": versions, "machine": machine}


def in_fresh_process(function, *args):
    """Call a function of a module in a new interpreter, whose memory is its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args).result()


def peak_bytes():
    """Return the largest resident memory this process has had."""
    status = Path("/proc/self/status")
    if status.exists():
        # ru_maxrss would start from the memory of the parent process.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def forget_peak():
    """Let `peak_bytes` count from now, where the system can; return what it is now."""
    with suppress(OSError):  # elsewhere than on Linux, the peak so far stays
        Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


class PeakMemory:
    """Largest anonymous memory meanwhile, looked at ten times per second.

    Pages of files are left out, which the system may drop. On leaving, `bytes` is what
    was taken beyond the memory at the start; NaN where the system does not tell.
    """

    def __enter__(self):
        self._start = self._largest = _anonymous_bytes()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self):
        while not self._done.wait(0.1):
            self._largest = max(self._largest, _anonymous_bytes())

    def __exit__(self, *error):
        self._done.set()
        self._thread.join()
        self.bytes = max(self._largest, _anonymous_bytes()) - self._start


class Stopwatch:
    """Seconds that passed, and those that the cores spent on this process.

    The second hold on a busy machine as well, and are what is paid for: with one
    thread on a quiet machine they are the first, with more threads their sum.
    """

    def __enter__(self):
        self._start = _clocks()
        return self

    def __exit__(self, *error):
        self.seconds, self.core_seconds = (_clocks() - self._start).tolist()


class EpochClock:
    """Callback of a fit: seconds of each epoch, with what is prepared before it."""

    def __init__(self):
        self._last, self.seconds, self.core_seconds = _clocks(), [], []

    def on_epoch_end(self, estimator, epoch, losses):
        now = _clocks()
        seconds, core_seconds = (now - self._last).tolist()
        self.seconds.append(seconds)
        self.core_seconds.append(core_seconds)
        self._last = now


def take_turns(functions, repeats, warm_up=1):
    """Median seconds of each function, called in turns after calls that warm up.

    In turns, so that the ratios hold on a busy machine as well.
    """
    seconds = {name: [] for name in functions}
    for _ in range(warm_up + repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(t[warm_up:])) for name, t in seconds.items()}


def _clocks():
    return np.array([time.perf_counter(), time.process_time()])


def _anonymous_bytes():
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    lines = [x for x in status.read_text().splitlines() if x.startswith("RssAnon")]
    return int(lines[0].split()[1]) * 1024


def _processor():
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
