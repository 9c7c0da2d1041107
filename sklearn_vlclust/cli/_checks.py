"""What ``vlclust doctor`` checks; nothing is downloaded."""

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import (
    PackageNotFoundError,
    distribution,
    version,
)
from pathlib import Path

from .._backend._text import counted
from .._version import __version__

PACKAGE = "sklearn-vlclust"
# Extras that change what a run can do, and what each is for.
EXTRAS = {
    "offline": "the encoder that needs no download",
    "heif": "pictures in HEIC and JPEG XL format",
    "generative": "--method generative",
    "gpu": "near images on a GPU",
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
    extras = {name: _check_extra(name) for name in EXTRAS}
    offline, clip = extras.pop("offline"), _check_clip()
    return [
        Check("Python", True, f"{platform.python_version()} ({sys.executable})"),
        Check("sklearn_vlclust", True, __version__),
        *_check_packages(),
        _check_device(),
        offline,
        clip,
        _check_any_encoder(offline, clip),
        _check_wordnet(),
        *extras.values(),
        _check_data_folder(),
        _check_disk(),
        _check_memory(),
    ]


def _requirements(extra=""):
    """Return the requirements of this package, or those that an extra adds."""
    from packaging.requirements import Requirement

    def applies(requirement, extra):
        return requirement.marker is None or requirement.marker.evaluate(
            {"extra": extra}
        )

    found = [Requirement(line) for line in distribution(PACKAGE).requires or ()]
    return [r for r in found if applies(r, extra) and not (extra and applies(r, ""))]


def _installed(requirement):
    """Return whether a requirement is met, and what is installed."""
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return False, "not installed"
    return requirement.specifier.contains(found, prereleases=True), found


def _check_packages():
    try:
        requirements = _requirements()
    except PackageNotFoundError:
        advice = f"install it: pip install {PACKAGE}"
        yield Check("packages", False, "not an installed package", advice, needed=True)
        return
    for requirement in requirements:
        ok, found = _installed(requirement)
        advice = f"pip install '{requirement}'"
        yield Check(requirement.name, ok, found, advice, needed=True)


def _check_extra(name):
    try:
        requirements = _requirements(name)
    except PackageNotFoundError:
        requirements = []
    states = [(r.name, *_installed(r)) for r in requirements]
    ok = bool(states) and all(ok for _, ok, _ in states)
    found = ", ".join(f"{name} {found}" for name, _, found in states) or "unknown"
    advice = f'for {EXTRAS[name]}: pip install "{PACKAGE}[{name}]"'
    return Check(f"extra {name}", ok, found, advice)


def _check_plugins():
    """Check that the plugins of Pillow are installed, and that they load."""
    from ..data.formats import PLUGINS, load_plugin

    check = _check_extra("heif")
    found = {name: load_plugin(name) for name in PLUGINS if name in check.found}
    broken = [f"{name} is {problem}" for name, problem in found.items() if problem]
    if check.ok and broken:
        check.ok, check.found = False, "; ".join(broken)
        check.advice = f'install it again: pip install "{PACKAGE}[heif]"'
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


def _check_any_encoder(offline, clip):
    found = [check.name.split()[-1] for check in (offline, clip) if check.ok]
    shown = found[0] if found else "none"
    return Check("an encoder", bool(found), shown, offline.advice, needed=True)


def _check_wordnet():
    from ..datasets import fetch_wordnet

    try:
        return Check("WordNet", True, str(fetch_wordnet(download=False)), needed=True)
    except (LookupError, OSError):
        advice = "python -m sklearn_vlclust.datasets wordnet"
        return Check("WordNet", False, "not found", advice, needed=True)


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
