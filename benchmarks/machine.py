"""What the figures were measured with, and memory of a process of its own."""

import multiprocessing
import os
import platform
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ["sklearn-vlclust", "scikit-learn", "torch", "skorch", "faiss-cpu", "numpy"]


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
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": platform.system(),
    }
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


def _processor():
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
