"""Two hundred file names that break things, through all commands."""

import csv
import io
import json
import os
import stat
import subprocess
import sys

import pytest

from tests.cli.conftest import COLORS, assigned, save_picture, vlclust

# What stands at the start, in the middle and at the end of names.
PARTS = [
    b"line\nbreak",
    b"carriage\rreturn\r\n",
    b"tab\tand\x0bmore\x0c",
    b"\"double' and `back`",
    b"<script>alert(1)<script>",
    b"<img src=x onerror=alert(1)>",
    b"&lt;&amp;&#39;",
    b"latin-1 caf\xe9",
    b"\xff\xfe not utf-8 \x80",
    b"\xed\xa0\x80 surrogate in utf-8",
    "right‮gnp.\u202cleft".encode(),
    "שלום عالم".encode(),
    "zero\u200bwidth\ufeff".encode(),
    "composed é, decomposed e\u0301".encode(),
    "猫😀".encode(),
    b"--out=elsewhere",
    b"-rf",
    b"=1+1",
    b"=cmd|'C calc'!A0",
    b"+1@-1",
    b"comma, semicolon; colon:",
    b"$(touch executed) `touch executed` ; touch executed",
    b"%s %n {0} {path} \\n \\x41",
    b"[red]markup [link=x]y",
    b"b]closes what the folder opens",
    b":smile:",
    b"\x1b[2J\x1b]0;title\x07\x08\x7f",
    b"\xc2\x9b2J c1 control",
    b"  spaces  ",
    b"*?[a-z]~",
    b"..dots..",
    b"CON",
    b"a" * 255,
]


def hostile_names():
    """Return 200 names of at most 255 bytes, of files in one folder."""
    names = []
    for i in range(200):
        part = PARTS[i % len(PARTS)]
        number = b"%d" % (i // len(PARTS))
        # The 255 bytes are filled to the last; leading dots would hide a file.
        name = part + number + (b".png" if i % 3 else b"")
        name = name.lstrip(b".")
        names.append(name if len(name) <= 255 else part[: 255 - len(number)] + number)
    assert len(set(names)) == 200
    return names


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder, of a hostile name itself, with pictures of all names."""
    root = os.fsencode(tmp_path_factory.mktemp("hostile"))
    folder = os.path.join(root, b"=<script> \xff\n[b]dir[")
    try:
        os.mkdir(folder)
    except OSError:
        pytest.skip("this file system takes no names but UTF-8")
    colors = list(COLORS.values())
    for i, name in enumerate(hostile_names()):
        save_picture(os.path.join(folder, name), colors[i % 3], i)
    return os.fsdecode(folder)


@pytest.fixture(scope="module")
def paths(folder):
    return {os.path.join(folder, os.fsdecode(name)) for name in hostile_names()}


@pytest.fixture(scope="module")
def run(folder, options, tmp_path_factory):
    out = tmp_path_factory.mktemp("hostile_out") / "out"
    arguments = ["--k", 3, "--out", out, *options, "--link", "--json"]
    run = vlclust("cluster", folder, *arguments)
    assert run.code == 0, run.err
    run.folder = out
    return run


def read_rows(data):
    text = io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")
    return list(csv.DictReader(text))


def test_json(run, paths):
    assert run.json["n_images"] == 200 and run.json["errors"] == []
    assert {row["path"] for row in run.json["images"]} == paths
    assert run.stdout.isascii() and run.stdout.count(b"\n") == 1


def test_csv(run, paths):
    rows = read_rows((run.folder / "clusters.csv").read_bytes())
    assert {row["path"] for row in rows} == paths and len(rows) == 200
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]


def test_links(run, paths):
    links = list((run.folder / "images").glob("*/*"))
    assert {os.readlink(link) for link in links} == paths and len(links) == 200
    for link in links:
        assert stat.S_ISREG(os.stat(link).st_mode)
        assert link.parent.parent == run.folder / "images"


def test_copies_have_names_that_fit(folder, options, tmp_path):
    arguments = ["--k", 2, "--out", tmp_path / "out", *options, "--copy"]
    assert vlclust("cluster", folder, *arguments).code == 0
    copies = list((tmp_path / "out" / "images").glob("*/*"))
    assert len(copies) == 200
    assert len({copy.read_bytes() for copy in copies}) == 200


def test_predict_and_search(run, folder, paths, tmp_path):
    again = vlclust("predict", run.folder, folder, "--json")
    assert assigned(again.json["images"]) == run.json["images"]
    assert vlclust("predict", run.folder, folder, "--out", tmp_path / "t.csv").code == 0
    assert assigned(read_csv(tmp_path / "t.csv")) == read_csv(
        run.folder / "clusters.csv"
    )
    for path in sorted(paths)[::20]:
        found = vlclust("search", run.folder, path, "-n", 1, "--json").json["results"]
        assert found[0]["path"] == path
        shown = vlclust("search", run.folder, path, "-n", 200).out
        assert is_harmless(shown)


def read_csv(path):
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def is_harmless(text):
    return all(char.isprintable() or char == "\n" for char in text)


def test_what_is_printed(folder, options, run, tmp_path):
    out = tmp_path / "out"
    for name in ("broken\n\x1b[2J[red].png", "broken‮.png"):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n and no more")
    arguments = ["cluster", folder, "--k", 3, "--out", out, *options]
    shown = vlclust(*arguments)
    assert shown.code == 0 and shown.out.count("Left out: ") == 2
    assert is_harmless(shown.out) and is_harmless(shown.err)
    assert "broken\\n\\x1b[2J[red].png" in shown.out
    refused = vlclust("cluster", folder, "--k", 2, "--out", folder)
    assert refused.code == 2 and is_harmless(refused.err)
    assert refused.err.count("\n") == 1
    failed = vlclust("search", out, "no\x1b[2J\udcff\nfile", "--image")
    assert failed.code == 1 and is_harmless(failed.err)
    report = (out / "report.html").read_text()
    assert "<script>alert" not in report and "<img src=x" not in report
    assert "<b>bold" not in report


def test_in_a_process_of_its_own(folder, options, paths, tmp_path):
    """Bytes of arguments and of stdout as the system passes them."""
    os.symlink(folder, tmp_path / "-leading")
    command = [sys.executable, "-m", "sklearn_vlclust.cli", "cluster", "--json"]
    options = [
        *map(str, options),
        "--k",
        "3",
        "--out",
        os.fsencode(tmp_path) + b"/\xff",
    ]
    process = subprocess.run(
        [*command, *options, "--", "-leading"], cwd=tmp_path, capture_output=True
    )
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)  # one object and nothing else
    assert process.stdout.count(b"\n") == 1
    names = {os.path.basename(path) for path in paths}
    assert {os.path.basename(row["path"]) for row in result["images"]} >= names
    assert os.path.exists(os.fsencode(tmp_path) + b"/\xff/report.html")
    with open(os.fsencode(tmp_path) + b"/\xff/clusters.csv", "rb") as table:
        assert len(read_rows(table.read())) == len(result["images"])
    assert not list(tmp_path.rglob("executed"))
