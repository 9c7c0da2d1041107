"""WordNet from each of its sources, and what is said where there is none."""

import os
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nltk
import pytest

from sklearn_vlclust.datasets import fetch_wordnet
from sklearn_vlclust.datasets.__main__ import main

DEBIAN_FOLDER = Path("usr", "share", "wordnet")


@pytest.fixture(scope="module")
def installed():
    """The WordNet that `make install` sets up."""
    return fetch_wordnet(debian=True)


@pytest.fixture
def bare(monkeypatch, installed, tmp_path):
    """A machine without WordNet, Debian's files and network."""
    if Path("/", DEBIAN_FOLDER).is_dir():
        pytest.skip("Debian's package is installed")
    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.setenv("NLTK_DOWNLOAD_URL", "http://127.0.0.1:9/index.xml")
    monkeypatch.setattr(nltk.downloader.Downloader, "DEFAULT_URL", "http://127.0.0.1:9")
    return tmp_path


@pytest.fixture
def packaged(bare, installed, serve_packages):
    """A machine whose `apt-get` has Debian's package, which lacks a file."""
    folder = bare / "package" / DEBIAN_FOLDER
    shutil.copytree(installed, folder)
    (folder / "lexnames").unlink()
    serve_packages(bare / "package")
    return bare


@pytest.mark.smoke
def test_nltk_reads_it(installed):
    assert len((installed / "lexnames").read_text().splitlines()) == 45
    wordnet = nltk.corpus.wordnet
    assert wordnet.get_version() == "3.0"
    dog = wordnet.synset("dog.n.01")
    assert dog.lexname() == "noun.animal"
    assert dog.min_depth() == 8
    assert wordnet.synset_from_pos_and_offset("n", 2084071) == dog
    assert {lemma.name() for lemma in dog.lemmas()} >= {"dog", "domestic_dog"}
    assert wordnet.synset("run.v.01").lexname() == "verb.motion"
    assert wordnet.synset("good.a.01").lexname() == "adj.all"


def test_from_a_package_of_debian(packaged, installed):
    bare = packaged
    target = fetch_wordnet(bare / "home", download=False, debian=True)
    assert target == bare / "home" / "nltk_data" / "corpora" / "wordnet"
    assert (target / "lexnames").read_bytes() == (installed / "lexnames").read_bytes()
    assert not any(path.is_symlink() for path in target.iterdir())
    # nltk finds it now, and nothing is done a second time.
    assert nltk.data.find("corpora/wordnet").path == str(target)
    before = (target / "data.noun").stat().st_mtime_ns
    assert fetch_wordnet(bare / "home", download=False) == target
    assert (target / "data.noun").stat().st_mtime_ns == before
    assert [path.name for path in target.parent.iterdir()] == ["wordnet"]


def test_nltk_zip_is_unpacked(bare, installed):
    archive = bare / "nltk_data" / "corpora" / "wordnet.zip"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as file:
        for path in installed.iterdir():
            file.write(path, f"wordnet/{path.name}")
    nltk.data.path.append(str(bare / "nltk_data"))
    target = fetch_wordnet(bare / "home", download=False)
    assert (target / "data.noun").read_bytes() == (installed / "data.noun").read_bytes()


def test_folder_with_links_out_of_it_is_not_used(bare, installed):
    # nltk refuses such files.
    linked = bare / "nltk_data" / "corpora" / "wordnet"
    linked.mkdir(parents=True)
    for path in installed.iterdir():
        (linked / path.name).symlink_to(path)
    nltk.data.path.append(str(bare / "nltk_data"))
    with pytest.raises(LookupError, match="not on this machine"):
        fetch_wordnet(bare / "home", download=False)


def test_damaged_copy_is_replaced(packaged):
    target = fetch_wordnet(packaged / "home", download=False, debian=True)
    (target / "index.noun").write_bytes(b"")
    again = fetch_wordnet(packaged / "home", download=False, debian=True)
    assert again == target
    assert (target / "index.noun").stat().st_size > 1_000_000


@pytest.mark.parametrize("name", ["data.noun", "index.sense", "lexnames"])
@pytest.mark.parametrize("how", ["cut", "flip", "zeros"])
def test_a_copy_with_other_bytes_is_replaced(packaged, name, how):
    home = packaged / "home"
    target = fetch_wordnet(home, download=False, debian=True)
    content = (target / name).read_bytes()
    half = len(content) // 2
    damaged = {
        "cut": content[: content.rindex(b"\n", 0, half) + 1],
        "flip": content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :],
        "zeros": content[:half] + bytes(50) + content[half + 50 :],
    }[how]
    (target / name).write_bytes(damaged)
    (target.parent / ".wordnet-killed").mkdir()
    with pytest.warns(UserWarning, match="WordNet in .* is damaged: it is installed"):
        assert fetch_wordnet(home, download=False, debian=True) == target
    assert (target / name).read_bytes() == content
    assert [path.name for path in target.parent.iterdir()] == ["wordnet"]


def test_installs_may_race(packaged):
    home = packaged / "home"
    with ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(fetch_wordnet, home, download=False, debian=True)
            for _ in range(4)
        ]
    (target,) = {job.result() for job in jobs}
    assert [path.name for path in target.parent.iterdir()] == ["wordnet"]


def test_no_wordnet(bare, capsys):
    with pytest.raises(LookupError) as info:
        fetch_wordnet(bare / "home")
    message = str(info.value)
    assert "python -m sklearn_vlclust.datasets wordnet" in message
    assert "apt-get install wordnet-base wordnet-sense-index" in message
    assert "Connection refused" in message
    assert not (bare / "home" / "nltk_data" / "corpora" / "wordnet").exists()
    assert capsys.readouterr() == ("", "")


def test_no_apt(bare, monkeypatch):
    monkeypatch.setenv("PATH", str(bare))
    with pytest.raises(LookupError, match="no apt-get and dpkg"):
        fetch_wordnet(bare / "home", download=False, debian=True)


def test_another_version_is_not_used(bare, installed):
    folder = shutil.copytree(installed, bare / "nltk_data" / "corpora" / "wordnet")
    text = (folder / "data.noun").read_bytes().replace(b"WordNet 3.0", b"WordNet 3.1")
    (folder / "data.noun").write_bytes(text)
    nltk.data.path.append(str(bare / "nltk_data"))
    with pytest.raises(LookupError):
        fetch_wordnet(bare / "home", download=False)


def test_command_line(installed, capsys, bare, monkeypatch):
    monkeypatch.setattr(nltk.data, "path", [str(installed.parents[1])])
    main(["wordnet"])
    assert capsys.readouterr().out.strip().endswith(os.fspath(installed))
    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.setenv("PATH", str(Path(bare)))
    with pytest.raises(SystemExit, match="1"):
        main(["wordnet", "--data-home", str(bare / "home")])
    assert "sklearn_vlclust.datasets wordnet" in capsys.readouterr().err
