"""The Python of the README and of the documentation runs, in order, page by page.

A page is run in an empty folder with the pictures `photos/`, the CLIP model `my_clip/`
and the timm model `my_dino/`, and without a network. Snippets marked "needs CLIP's
weights" are run where the weights are; elsewhere they must end in the error that says
what to do instead.
"""

import re
import socket
import textwrap
import warnings
from pathlib import Path

import matplotlib
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from sklearn_vlclust import CLIPEmbedder
from tests._open_clip import save_random_clip
from tests._timm import save_random_timm

matplotlib.use("Agg")

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.rst"))]
GENERATED = {"_build", "_templates", "auto_examples", "generated"}
MARK = "needs CLIP's weights"
MARKDOWN = re.compile(
    rf"(?P<mark><!-- {MARK} -->\n)?^```python\n(?P<code>.*?)^```", re.M | re.S
)
RESTRUCTURED = re.compile(
    rf"(?P<mark>^\.\. {MARK}\n)?"
    r"^(?P<indent> *)\.\. code-block:: python\n"
    r"(?P<code>(?:\n|(?P=indent) {3}.*\n?)+)",
    re.M,
)


def snippets(page):
    """Yield ``(line, code, whether it needs CLIP's weights)``."""
    text = page.read_text(encoding="utf-8")
    pattern = MARKDOWN if page.suffix == ".md" else RESTRUCTURED
    for match in pattern.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        yield line, textwrap.dedent(match["code"]), bool(match["mark"])


def with_snippets(needs_clip):
    """Return the pages, and of each the snippets that (do not) need CLIP."""
    found = {}
    for page in PAGES:
        if not GENERATED & set(page.parts):
            rows = [(n, code) for n, code, clip in snippets(page) if clip == needs_clip]
            if rows:
                found[str(page.relative_to(ROOT))] = rows
    return found


def execute(page, rows, namespace):
    for line, code in rows:
        # Blank lines in front: a traceback names the line of the page.
        exec(compile("\n" * (line - 1) + code, page, "exec"), namespace)


@pytest.fixture(scope="session")
def materials(tmp_path_factory):
    """A folder with `photos` (crops of two photographs), `my_clip` and `my_dino`."""
    folder = tmp_path_factory.mktemp("materials")
    (folder / "photos").mkdir()
    for name in ("china.jpg", "flower.jpg"):
        photograph = Image.fromarray(load_sample_image(name))
        for i in range(12):
            left, top = 60 * (i % 4), 60 * (i // 4)
            crop = photograph.crop((left, top, left + 280, top + 280))
            crop.save(folder / "photos" / f"{i:02d}-{name}")
    save_random_clip(folder / "my_clip")
    save_random_timm(folder / "my_dino")
    return folder


@pytest.fixture
def workplace(materials, tmp_path, monkeypatch):
    for path in materials.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)

    here = {None, "", "localhost", "127.0.0.1", "::1", socket.gethostname()}

    def refuse(*args, **kwargs):
        raise OSError("no network in this test")

    def look_up(host, *args, **kwargs):  # a Dask cluster asks for its own address
        return (getaddrinfo if host in here else refuse)(host, *args, **kwargs)

    getaddrinfo = socket.getaddrinfo
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)


PLAIN, NEED_CLIP = with_snippets(False), with_snippets(True)


@pytest.mark.parametrize("page", PLAIN)
def test_snippets(page, workplace, no_clip_weights):
    # embedder="auto" is the offline encoder: CLIP would embed 82,115 nouns.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        execute(page, PLAIN[page], {"__name__": "snippet"})


@pytest.mark.parametrize("page", NEED_CLIP)
def test_clip_snippets(page, workplace):
    try:
        CLIPEmbedder().encode_texts(["a dog"])
    except OSError:
        with pytest.raises(OSError, match=r"cannot be downloaded.*embedder='offline'"):
            execute(page, NEED_CLIP[page], {})
    else:
        if not torch.cuda.is_available():
            pytest.skip("CLIP's weights are here, but no GPU to embed 82,115 nouns")
        execute(page, NEED_CLIP[page], {})


def test_no_snippet_is_overlooked():
    def count(page):
        text = page.read_text(encoding="utf-8")
        return len(re.findall(r"^```py|^ *\.\. code-block:: py", text, re.M))

    pages = [page for page in PAGES if not GENERATED & set(page.parts)]
    assert {p: len(list(snippets(p))) for p in pages} == {p: count(p) for p in pages}
    assert sum(map(count, pages)) > 20 and len(NEED_CLIP) == 1
