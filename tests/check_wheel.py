"""What a user meets who installs the wheel: `make test-wheel` runs this.

It runs in the environment of the wheel, in a home folder of its own, where nothing was
downloaded or computed before.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from importlib.metadata import packages_distributions
from pathlib import Path

# Pictures per kind of the shared photographs.
N_PICTURES = 43


def main(dist):
    """Check the sdist in the folder `dist`, then the wheel that is installed."""
    check_sdist(next(Path(dist).glob("*.tar.gz")))
    builds = set(packages_distributions()["faiss"])
    assert builds == {"faiss-cpu"}, f"faiss is installed by {builds}"
    with tempfile.TemporaryDirectory() as place:
        home, work = Path(place, "home"), Path(place, "work")
        home.mkdir()
        work.mkdir()
        kept = {"PATH", "LANG", "OMP_NUM_THREADS"}
        kept |= {name for name in os.environ if name.lower().endswith("_proxy")}
        environment = {name: os.environ[name] for name in kept & os.environ.keys()}
        environment["HOME"] = str(home)
        folder, kinds = pictures(work, home)
        run = Vlclust(work, environment)
        check_cluster(run, folder, kinds, work)
        doctor = json.loads(run("doctor", "--json"))
        assert doctor["ok"], [c for c in doctor["checks"] if c["needed"]]
    print("1 passed, 0 failed")


def check_sdist(archive):
    """Check that the sdist holds what a packager needs."""
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    for name in (
        "tests/conftest.py",
        "tests/cli/test_cluster.py",
        "docs/conf.py",
        "docs/index.rst",
        "examples/demo.py",
        "examples/gallery/plot_own_folder.py",
        "Makefile",
        "sklearn_vlclust/plotting/report/page/map.js",
    ):
        assert name in names, f"{archive.name} lacks {name}"
    built = [name for name in names if "auto_examples/" in name or "_build/" in name]
    assert not built, f"{archive.name} holds what is built: {built[:3]}"


def pictures(work, home):
    """Return a folder of pictures and the number of their kinds."""
    data = Path(os.environ.get("VLCLUST_TEST_DATA", ""), "images", "pacs_photo")
    target = work / "photos"
    if data.is_dir():
        for kind in sorted(data.iterdir()):
            (target / kind.name).mkdir(parents=True)
            for path in sorted(kind.iterdir())[:N_PICTURES]:
                shutil.copy(path, target / kind.name)
    else:
        from sklearn_vlclust.datasets import fetch_sample_images

        samples = fetch_sample_images(home / "samples")
        shutil.copytree(Path(samples[0]).parents[1], target)
    return target, sum(path.is_dir() for path in target.iterdir())


class Vlclust:
    """Runs commands as a shell does, and returns what they print."""

    def __init__(self, work, environment):
        self.program = Path(sys.executable).with_name("vlclust")
        self.options = {"cwd": work, "env": environment, "text": True}

    def __call__(self, *arguments):
        started = time.perf_counter()
        run = subprocess.run(
            [self.program, *map(str, arguments)],
            stdout=subprocess.PIPE,
            check=False,
            **self.options,
        )
        print(f"vlclust {arguments[0]}: {time.perf_counter() - started:.0f} s")
        assert run.returncode == 0, f"exit code {run.returncode}: {run.stdout}"
        return run.stdout


def check_cluster(run, folder, kinds, work):
    """Cluster the folder with no option but its name; then once more."""
    shown = run("cluster", folder.name)
    print(shown)
    out = work / "photos-clusters"
    page = (out / "report.html").read_text("utf-8")
    assert page.lower().startswith("<!doctype html"), page[:20]
    lines = (out / "clusters.csv").read_text("utf-8").splitlines()
    n_pictures = sum(len(files) for _, _, files in os.walk(folder))
    assert len(lines) > 0.9 * n_pictures, f"{len(lines)} of {n_pictures} pictures"
    result = json.loads(run("cluster", folder.name, "--json"))
    assert kinds / 2 <= result["n_clusters"] <= 2 * kinds, result["n_clusters"]
    assert all(cluster["names"] for cluster in result["clusters"])


if __name__ == "__main__":
    main(*sys.argv[1:])
