"""Files of Debian packages, without root."""

import shutil
import subprocess
from pathlib import Path

TIMEOUT = 600  # seconds per command; the sample pictures are 161 MB


def unpack_packages(scratch: Path, *packages: str) -> None:
    """Download Debian packages and unpack them below the folder `scratch`.

    Raises
    ------
    LookupError
        If this system has no `apt-get` and `dpkg`, or a command fails.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise LookupError("this system has no apt-get and dpkg")
    try:
        _run(scratch, "apt-get", "download", *packages)
    except LookupError:
        # The lists of packages were never fetched on this machine: fetch our own.
        (scratch / "lists").mkdir()
        options = ("-o", f"Dir::State::Lists={scratch}/lists", "-o", "Dir::Cache=.")
        _run(scratch, "apt-get", *options, "update")
        _run(scratch, "apt-get", *options, "download", *packages)
    for package in scratch.glob("*.deb"):
        _run(scratch, "dpkg", "-x", str(package), str(scratch))


def _run(folder: Path, *command: str) -> None:
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, timeout=TIMEOUT
        )
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.decode(errors="replace").split())
        raise LookupError(f"{' '.join(command)} failed ({reason})") from error
    except subprocess.TimeoutExpired as error:
        raise LookupError(f"{' '.join(command)} took too long") from error
