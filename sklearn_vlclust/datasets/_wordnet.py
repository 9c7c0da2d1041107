"""WordNet 3.0 (Miller, Communications of the ACM, 1995) in files that nltk reads."""

from __future__ import annotations

import io
import shutil
import urllib.request
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from .._backend._files import is_sealed, once_per_state
from .._typing import StrPath
from ._data_home import get_data_home, install
from ._debian import unpack_packages

DEBIAN_FOLDER = Path("/usr/share/wordnet")
DEBIAN_PACKAGES = ("wordnet-base", "wordnet-sense-index")

_POS_NUMBERS = {"noun": 1, "verb": 2, "adj": 3, "adv": 4}
_FILES = (
    "cntlist.rev",
    "index.sense",
    *(f"{kind}.{pos}" for kind in ("index", "data") for pos in _POS_NUMBERS),
    *(f"{pos}.exc" for pos in _POS_NUMBERS),
)

# The lexicographer files of WordNet 3.0, lexnames(5WN). Debian leaves the table out.
_LEXNAMES = """
adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute
noun.body noun.cognition noun.communication noun.event noun.feeling noun.food
noun.group noun.location noun.motive noun.object noun.person noun.phenomenon
noun.plant noun.possession noun.process noun.quantity noun.relation noun.shape
noun.state noun.substance noun.time verb.body verb.change verb.cognition
verb.communication verb.competition verb.consumption verb.contact verb.creation
verb.emotion verb.motion verb.perception verb.possession verb.social verb.stative
verb.weather adj.ppl
"""


def fetch_wordnet(
    data_home: StrPath | None = None, *, download: bool = True, debian: bool = False
) -> Path:
    """Make WordNet 3.0 readable by nltk.

    It comes from the first of these that has it: nltk's own folders, the data folder,
    nltk's download, or the files of Debian's packages in `/usr/share/wordnet`. If the
    copy in the data folder is damaged, it is replaced, with a warning. The data folder
    is added to nltk's search path for the rest of the process.

    Parameters
    ----------
    data_home : path, default=None
        Where the files go; see :func:`get_data_home`.
    download : bool, default=True
        Whether nltk's download is tried.
    debian : bool, default=False
        Whether, as a last resort, Debian's packages are downloaded with `apt-get`
        and unpacked into the data folder, which needs no root.

    Returns
    -------
    folder : Path
        The folder of the corpus.

    Raises
    ------
    LookupError
        If WordNet cannot be obtained; the message has the commands to install it.

    Examples
    --------
    >>> from sklearn_vlclust.datasets import fetch_wordnet
    >>> folder = fetch_wordnet()  # doctest: +SKIP
    """
    import nltk

    for root in map(Path, nltk.data.path):
        if _is_intact(root / "corpora" / "wordnet"):
            return root / "corpora" / "wordnet"
    nltk_data = get_data_home(data_home) / "nltk_data"
    target = nltk_data / "corpora" / "wordnet"
    if str(nltk_data) not in nltk.data.path:
        nltk.data.path.append(str(nltk_data))
    if _is_intact(target):
        return target
    if target.exists():
        warnings.warn(
            f"WordNet in {str(target)!r} is damaged: it is installed again.",
            stacklevel=2,
        )
    reasons = []
    for fill in _sources(download, debian):
        try:
            install(target, _whole(fill), _is_intact, ".wordnet-")
        except (OSError, LookupError, ValueError, zipfile.BadZipFile) as error:
            reasons.append(str(error))
        else:
            return target
    raise LookupError(
        "WordNet 3.0 is not on this machine. Install it by `python -m "
        "sklearn_vlclust.datasets wordnet`, or by `sudo apt-get install "
        f"{' '.join(DEBIAN_PACKAGES)}`. "
        f"Tried: {'; '.join(reasons) or 'the folders of nltk'}."
    )


def _sources(download: bool, debian: bool) -> Iterator[Callable[[Path], None]]:
    """Yield functions that fill a folder with the files of WordNet."""
    import nltk

    for root in nltk.data.path:
        archive = Path(root, "corpora", "wordnet.zip")
        if archive.is_file():
            yield partial(_unzip, archive)
    if download:
        yield _download
    yield partial(_copy_debian, DEBIAN_FOLDER)
    if debian:
        yield _download_debian


def _whole(fill: Callable[[Path], None]) -> Callable[[Path], None]:
    """Return `fill` with a check of what it has put into the folder."""

    def fill_and_check(folder: Path) -> None:
        fill(folder)
        if not _is_whole(folder):
            raise LookupError("what was found is not the whole of WordNet 3.0")

    return fill_and_check


@once_per_state
def _is_intact(folder: Path) -> bool:
    """Whether our copy is as it was installed; old ones have no checksums."""
    return _is_whole(folder) and is_sealed(folder) is not False


def _is_whole(folder: Path) -> bool:
    """Whether nltk can read WordNet 3.0 there; it refuses links that lead outside."""
    files = [folder / name for name in (*_FILES, "lexnames")]
    if not all(file.is_file() and file.stat().st_size for file in files):
        return False
    root = folder.resolve()
    if not all(file.resolve().is_relative_to(root) for file in files):
        return False
    if not all(_ends_where_it_says(folder / f"data.{pos}") for pos in _POS_NUMBERS):
        return False
    with open(folder / "data.noun", "rb") as file:
        return b"WordNet 3.0" in file.read(2000)


def _ends_where_it_says(file: Path) -> bool:
    """Whether the last line is whole, and where its number says: wndb(5WN)."""
    content = file.read_bytes()
    start = content[:-1].rfind(b"\n") + 1
    return content.endswith(b"\n") and content[start:].startswith(b"%08d " % start)


def _unzip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as files:
        for name in (*_FILES, "lexnames"):
            (folder / name).write_bytes(files.read(f"wordnet/{name}"))


def _download(folder: Path) -> None:
    from nltk.downloader import Downloader

    downloader, messages = Downloader(), io.StringIO()
    try:
        # Fail fast: nltk waits two minutes for a host that does not answer.
        urllib.request.urlopen(downloader.url, timeout=10).close()
        downloader.download(
            "wordnet", str(folder.parent), quiet=True, print_error_to=messages
        )
        _unzip(folder.parent / "corpora" / "wordnet.zip", folder)
    except (OSError, KeyError, ValueError) as error:
        reason = " ".join(messages.getvalue().split()) or error
        raise LookupError(f"nltk's download failed ({reason})") from error


def _copy_debian(source: Path, folder: Path) -> None:
    missing = [name for name in _FILES if not (source / name).is_file()]
    if missing:
        raise LookupError(f"{source} has no {missing[0]}")
    for name in _FILES:
        shutil.copyfile(source / name, folder / name)
    lines = [
        f"{number:02d}\t{name}\t{_POS_NUMBERS[name.partition('.')[0]]}\n"
        for number, name in enumerate(_LEXNAMES.split())
    ]
    (folder / "lexnames").write_text("".join(lines))


def _download_debian(folder: Path) -> None:
    scratch = folder.parent
    unpack_packages(scratch, *DEBIAN_PACKAGES)
    _copy_debian(scratch / DEBIAN_FOLDER.relative_to("/"), folder)
