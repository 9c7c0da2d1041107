"""The demo as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("VLCLUST_TEST_DATA", ROOT.parent / "shared" / "data"))
pytest.importorskip("efficientnet_lite_pytorch")


def demo(*arguments):
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / "demo.py"), *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_folder_to_names_and_report(tmp_path):
    photos = DATA / "images" / "pacs_photo"
    if not photos.is_dir():
        pytest.skip(f"no shared data: {photos} is missing")
    for kind in ("dog", "elephant", "guitar"):
        (tmp_path / "in" / kind).mkdir(parents=True)
        for path in sorted((photos / kind).iterdir())[:16]:
            (tmp_path / "in" / kind / path.name).symlink_to(path)
    (tmp_path / "in" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    run = demo(tmp_path / "in", "-k", 3, "--output", tmp_path / "out")
    assert run.returncode == 0, run.stderr
    assert "Left out" in run.stdout and "broken.jpg" in run.stdout
    rows = [line.split() for line in run.stdout.splitlines() if "," in line]
    names = " ".join(word for row in rows for word in row)
    assert all(kind in names for kind in ("dog", "elephant", "guitar"))
    report = tmp_path / "out" / "report.html"
    assert run.stdout.endswith(f"Report: {report}\n")
    assert "guitar" in report.read_text()


def test_a_wrong_folder_is_one_line():
    run = demo("/no/such/folder")
    assert run.returncode == 2
    assert "Traceback" not in run.stderr and "/no/such/folder" in run.stderr
