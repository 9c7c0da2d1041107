"""What ``vlclust doctor`` checks; nothing is downloaded."""

import importlib.metadata
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from .._backend._packages import install_command, installed, requirements
from .._backend._text import counted
from .._version import __version__

# Extras that change what a run can do, and what each is for.
EXTRAS = {
    "heif": "pictures in HEIC and JPEG XL format",
    "generative": "--method generative",
    "parquet": "vlclust export --to parquet",
    "distributed": "Dask",
}
LEAST_DISK, LEAST_MEMORY = 2 * 10**9, 2 * 10**9  # bytes


@dataclass
class Check:
    """What was checked, what was found, and what to do about it if it is not ok."""

    name: str
    ok: bool
    found: str
    advice: str = ""
    needed: bool = False

    def __post_init__(self):
        if self.ok:
            self.advice = ""


def run_checks():
    """Return all checks, in the order they are shown."""
    return [
        Check("Python", True, f"{platform.python_version()} ({sys.executable})"),
        Check("sklearn_vlclust", True, __version__),
        *_check_packages(),
        _check_device(),
        _check_clip(),
        _check_wordnet(),
        _check_plugins(),
        *(_check_extra(name) for name in EXTRAS if name != "heif"),
        _check_data_folder(),
        _check_disk(),
        _check_memory(),
    ]


def _check_packages():
    try:
        wanted = requirements()
    except PackageNotFoundError:
        found, advice = "not an installed package", install_command()
        yield Check("packages", False, found, advice, needed=True)
        return
    for requirement in wanted:
        if requirement.name == "faiss-cpu":
            yield _check_faiss(requirement)
            continue
        ok, found = installed(requirement)
        advice = f'pip install "{requirement}"'
        yield Check(requirement.name, ok, found, advice, needed=True)


def _check_faiss(requirement):
    """Check for one build of faiss: all of them install into the same folder."""
    there = sorted(set(importlib.metadata.packages_distributions().get("faiss", ())))
    if len(there) < 2 and not (there and requirement.name not in there):
        ok, found = installed(requirement)
        advice = f'pip install "{requirement}"'
    elif len(there) == 1:
        ok, found, advice = True, f"{there[0]} in its place", ""
    else:
        ok, found = False, f"{', '.join(there)} overwrite each other"
        advice = f'pip uninstall {" ".join(there)}, then pip install "{requirement}"'
    return Check(requirement.name, ok, found, advice, needed=True)


def _check_extra(name):
    try:
        wanted = requirements(name)
    except PackageNotFoundError:
        wanted = []
    states = [(r.name, *installed(r)) for r in wanted]
    ok = bool(states) and all(ok for _, ok, _ in states)
    found = ", ".join(f"{name} {found}" for name, _, found in states) or "unknown"
    advice = f"for {EXTRAS[name]}: {install_command(name)}"
    return Check(f"extra {name}", ok, found, advice)


def _check_plugins():
    """Check that the plugins of Pillow are installed, and that they load."""
    from ..data.formats import PLUGINS, load_plugin

    check = _check_extra("heif")
    found = {name: load_plugin(name) for name in PLUGINS if name in check.found}
    broken = [f"{name} is {problem}" for name, problem in found.items() if problem]
    if check.ok and broken:
        check.ok, check.found = False, "; ".join(broken)
        check.advice = f"install it again: {install_command('heif')}"
    return check


def _check_device():
    import torch

    from ..training import resolve_device

    device = resolve_device("auto")
    found = str(device)
    if device.type == "cuda":
        found = f"cuda, {torch.cuda.get_device_name()}"
    return Check(
        "device", True, f"{found}, {counted(os.cpu_count() or 1, 'processor')}"
    )


def _check_clip():
    from ..embedding._resolve import CLIP, find_clip_weights

    clip = "/".join(CLIP)
    advice = f"open_clip downloads them at the first --encoder {clip}"
    try:
        found = find_clip_weights()
    except ImportError as error:
        return Check(f"encoder {clip}", False, str(error))
    return Check(f"encoder {clip}", bool(found), found or "no weights here", advice)


def _check_wordnet():
    from ..datasets import fetch_wordnet

    try:
        return Check("WordNet", True, str(fetch_wordnet(download=False)))
    except (LookupError, OSError):
        advice = (
            "the first run downloads it: python -m sklearn_vlclust.datasets wordnet"
        )
        return Check("WordNet", False, "not here yet", advice)


def _check_data_folder():
    from ..datasets import get_data_home

    try:
        home = get_data_home()
    except OSError as error:
        return Check("data folder", False, str(error), needed=True)
    advice = "set SKLEARN_VLCLUST_DATA to a folder that can be written"
    ok = os.access(home, os.W_OK)
    return Check("data folder", ok, str(home), advice, needed=True)


def _check_disk():
    free = shutil.disk_usage(Path.cwd()).free
    advice = "free some: nouns and embeddings take 1 GB and more"
    return Check("disk", free >= LEAST_DISK, f"{free / 1e9:.1f} GB free here", advice)


def _check_memory():
    from ..data.memory import available_bytes

    free = available_bytes()
    if free is None:
        return Check("memory", True, "this system does not say how much is free")
    advice = "close other programs: a run needs 2 GB and more"
    return Check("memory", free >= LEAST_MEMORY, f"{free / 1e9:.1f} GB free", advice)
