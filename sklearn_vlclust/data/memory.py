"""Saying that something does not fit in memory before it is tried."""

import os
from pathlib import Path

# Less than this is always there.
NEGLIGIBLE = 64 * 2**20


def check_memory(n_bytes, what, way_out):
    """Refuse what does not fit, instead of being killed by the system half-way.

    The message says `what` takes `n_bytes` at its peak, with the parameter and the
    sizes as the start of a sentence, and the `way_out` as a sentence.

    Raises
    ------
    MemoryError
        If that is more than the system can give; where that cannot be known, never.
    """
    if n_bytes <= NEGLIGIBLE:
        return
    free = available_bytes()
    if free is not None and n_bytes > free:
        raise MemoryError(
            f"{what} takes about {n_bytes / 2**30:,.1f} GiB of memory, of which "
            f"{free / 2**30:,.1f} GiB are free. {way_out}"
        )


def available_bytes():
    """Return the memory that can still be taken, None if the system does not tell.

    On Linux, pages of files count as free, and the limit of a container holds;
    elsewhere it is all memory there is.
    """
    free = _of_the_system()
    of_the_container = _of_the_container(Path("/sys/fs/cgroup"))
    known = [n for n in (free, of_the_container) if n is not None]
    return min(known, default=None)


def _of_the_system():
    info = Path("/proc/meminfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _of_the_container(folder):
    """Return the memory left under a control-group (version 2) limit."""
    try:
        limit = (folder / "memory.max").read_text().strip()
        if limit == "max":
            return None
        used = int((folder / "memory.current").read_text())
        lines = (folder / "memory.stat").read_text().splitlines()
        statistics = dict(line.split() for line in lines)
        return max(int(limit) - used + int(statistics["file"]), 0)
    except (OSError, ValueError, KeyError):
        return None
