"""Benchmarks against peers, of scaling and of the GPU run at toy size."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import clip_speed, gpu, machine, peers, scaling, shared_data
from benchmarks.__main__ import main
from benchmarks.machine import Lacking
from benchmarks.neighbors import real_embeddings
from benchmarks.rows import tile, write_tiled

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shared():
    if not shared_data.FOLDER.is_dir():
        pytest.skip(f"no shared data: {shared_data.FOLDER} is missing")


def run_toy_peers(*methods):
    size = peers.SIZES["toy"] | {"methods": methods, "own_process": False}
    ((title, rows),) = peers.run(**size).items()
    assert "3 classes" in title
    return {row["what"]: row for row in rows}


def test_every_peer_of_scikit_learn_and_faiss_is_measured(shared):
    names = [name for name, method in peers.METHODS.items() if not method.short]
    assert len(names) == 6
    rows = run_toy_peers(*names)
    assert all(30 < row["ACC"] <= 100 for row in rows.values())
    kmeans, hdbscan = rows["KMeans(n_init=10)"], rows["HDBSCAN"]
    assert kmeans["ratio"] == 1 and kmeans["n_clusters"] == [3]
    assert (kmeans["given"], hdbscan["given"]) == ("k", "")
    assert 0 <= hdbscan["noise"][0] < 1 and "noise" not in kmeans


def test_every_clusterer_of_the_library_is_measured(shared):
    pytest.importorskip("diffusers", reason="needs the extra 'generative'")
    names = [n for n, m in peers.METHODS.items() if m.short and not m.clustpy]
    assert len(names) == 5
    rows = run_toy_peers(*names)
    assert all(row["seconds"] > 0 < row["core_s"] for row in rows.values())
    assert all(row["ACC"] > 50 for row in rows.values())


def test_deep_peers_get_what_they_need(shared):
    pytest.importorskip("clustpy", reason="needs the extra 'bench'")
    names = [name for name, method in peers.METHODS.items() if method.clustpy]
    assert names == ["DEC", "IDEC", "DCN", "DipDECK"]
    rows = run_toy_peers(*names)
    assert rows["DEC"]["n_clusters"] == [3] and rows["DipDECK"]["given"] == ""


def test_memory_of_a_method_is_measured_in_its_own_process(shared):
    arguments = "faiss k-means", "dtd", 3, 2, False
    row = machine.in_fresh_process(peers.measure, *arguments)
    assert row["seeds"] == len(row["ACC_each"]) == 2
    assert 0 <= row["peak_mib"] < 100


def test_mca_and_dec_see_each_sample_as_often(shared):
    pytest.importorskip("clustpy", reason="needs the extra 'bench'")
    (rows,) = peers.run_dec(**peers.RUN_DEC_SIZES["toy"]).values()
    assert [row["visits_a_sample"] for row in rows] == [3, 3, 3]
    dec, mca, _ = rows
    assert mca["ratio"] == mca["seconds"] / dec["seconds"]
    assert mca["ACC"] > 50 and "ratio <= 1.3" in mca["bar"]


def test_a_missing_package_is_said(monkeypatch, capsys):
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    assert main(["peers", "--size", "toy", "--set", "n_seeds=1"]) == 1
    assert 'pip install ".[bench]"' in capsys.readouterr().out


def test_unknown_methods_are_named():
    with pytest.raises(ValueError, match="no OPTICS among KMeans"):
        peers.run(data=["dtd"], n_seeds=1, methods=["OPTICS"])


def test_predict_of_every_estimator_is_measured(shared, tmp_path):
    pytest.importorskip("diffusers", reason="needs the extra 'generative'")
    assert main(["predict", "--size", "toy", "--output", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "predict-toy.json").read_text())
    (rows,) = report["tables"].values()
    assert len(rows) == 5 and rows[0]["ratio"] == 1
    assert [row["bar"] for row in rows] == ["", ">= 0.7", ">= 0.1", "", ""]


def test_scaling_of_fit_and_predict(shared, tmp_path):
    pytest.importorskip("diffusers", reason="needs the extra 'generative'")
    seeds = real_embeddings(np.random.default_rng(0))
    fits, predicts = [], []
    for n in (600, 1200):
        write_tiled(tmp_path / "X.npy", seeds, n)
        fits.append(scaling.fit(tmp_path / "X.npy", 3))
        predicts.append(scaling.predict(tmp_path / "X.npy", 3, 300))
    scaling._compare(fits, ["epoch_us_a_row"])
    assert fits[0]["epoch_times_the_least"] == 1 < fits[0]["epoch_us_a_row"]
    assert fits[1]["fit_us_a_row"] > 30 * fits[1]["epoch_us_a_row"]
    assert len(predicts[0]) == 4
    rows = predicts[0] + predicts[1]
    scaling._compare(rows, ["us_a_row"])
    assert all(0 < row["times_the_least"] < 100 for row in rows)
    found = scaling.search(tmp_path / "X.npy", exact_limit=500)
    assert [row["n_probe"] for row in found] == [16, 16]
    assert all(row["recall_at_20"] > 0.9 for row in found)
    assert scaling.search(tmp_path / "X.npy") == []  # exact, so few are


@pytest.fixture
def quick_compile(monkeypatch):
    """Let `torch.compile` trace networks, but not translate them: that is minutes."""
    compile_module = torch.nn.Module.compile
    monkeypatch.setattr(
        torch.nn.Module,
        "compile",
        lambda module: compile_module(module, backend="eager"),
    )


@pytest.mark.parametrize("part", ["embedding", "mca", "steps"])
def test_the_script_of_the_gpu_runs_on_any_device(part, quick_compile):
    size = gpu.SIZES["toy"] | {"parts": [part], "peak_tflops": 1.0}
    size["embedding"] = size["embedding"] | {"compiled": True}
    *tables, (last, went) = gpu.run(**size).items()
    assert "parts" in last and [row["went"] for row in went] == ["well"]
    kind = gpu.resolve_device("auto").type
    assert all(title.endswith(kind) for title, _ in tables)
    title, rows = tables[-1]
    if part == "embedding":
        whole, read, forward, compiled = rows
        assert forward["share_of_peak"] == forward["tflops"] > whole["tflops"] > 0
        assert "tflops" not in read and read["images_a_second"] > 0
        assert compiled["tflops"] > 0
    elif part == "mca":
        assert len(tables) == 2 and "600 x 32, 6 clusters" in title
        seconds = {row["part"]: row["seconds"] for row in rows}
        assert seconds["all"] > seconds["training"] > seconds["an epoch"] > 0
        assert set(gpu.PARTS_OF_FIT) < set(seconds)
    else:
        assert [row["d"] for row in rows] == [8, 16]
        assert all(row["steps_a_second"] > 0 for row in rows)


def test_images_a_second_of_every_stage(quick_compile):
    pytest.importorskip("diffusers", reason="needs the extra 'generative'")
    size = gpu.SIZES["toy"]
    size = size | {"pixels": size["pixels"] | {"compiled": True}}
    rows, went = gpu.run(**size, parts=["pixels"]).values()
    assert went[0]["went"] == "well"
    stages = ["contrast", "head", "generator", "calibration", "refinement"]
    stages = ["pretrain", "train", "boost", *stages]
    assert [row["stage"] for row in rows] == 3 * stages
    assert all(row["images_a_second"] > 0 for row in rows)


def test_figures_of_a_gpu_are_kept_whatever_comes_after(tmp_path, monkeypatch, capsys):
    def embeds(tell, **_):
        tell("JPEGs", {"images_a_second": 3.0})

    def fails(tell, **_):
        tell("fit", {"seconds": 1.0})
        raise MemoryError("out of memory")

    def killed(tell, **_):
        raise KeyboardInterrupt

    for name, part in (("embedding", embeds), ("mca", fails), ("steps", killed)):
        monkeypatch.setattr(gpu, f"run_{name}", part)
    path = tmp_path / "new" / "gpu.json"
    size = gpu.SIZES["toy"] | {"partial": str(path)}
    with pytest.raises(KeyboardInterrupt):
        gpu.run(**size, parts=["embedding", "mca", "steps"])
    report = json.loads(path.read_text())
    embedded, went, fit = report["tables"].values()
    assert embedded == [{"images_a_second": 3.0}] and fit == [{"seconds": 1.0}]
    assert [row["went"] for row in went] == ["well", "MemoryError: out of memory"]
    assert report["machine"]["cores"] >= 1
    assert 'JPEGs: {"images_a_second": 3.0}' in capsys.readouterr().out
    gpu.run(**size, parts=["embedding"])
    assert not path.exists()  # all is in what is returned


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_the_full_size_is_refused(capsys):
    with pytest.raises(Lacking, match="no CUDA device"):
        gpu.run(**gpu.SIZES["full"])
    assert main(["gpu", "--set", "parts=[]"]) == 1
    assert "--size toy" in capsys.readouterr().out


def test_operations_are_those_of_the_model():
    import open_clip

    with torch.random.fork_rng(devices=[]), FlopCounterMode(display=False) as counter:
        network = open_clip.CLIP(**clip_speed.TINY_CLIP).visual.eval()
        with (
            torch.no_grad(),
            torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
        ):
            network(torch.zeros(1, 3, 32, 32))
    assert clip_speed.count_flops(clip_speed.TINY_CLIP) == counter.get_total_flops()


def test_tiled_rows_lie_near_those_they_are_of():
    seeds = np.eye(4, 64, dtype=np.float32)
    X, index = tile(seeds, 50, np.random.default_rng(0))
    assert (X @ seeds.T).argmax(axis=1).tolist() == index.tolist()
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, rtol=1e-5)
    assert len(np.unique(X, axis=0)) == 50


CLOCKS_AND_PEAKS = """
import numpy as np
from benchmarks.machine import Path, PeakMemory, Stopwatch, forget_peak, peak_bytes
with Stopwatch() as watch:
    sum(range(10**6))
assert 0 < watch.core_seconds < 10 and watch.seconds > 0
before = forget_peak()
np.ones(10**7)  # 76 MiB, gone at once
assert peak_bytes() - before > 50 * 2**20
if Path("/proc/self/clear_refs").exists():
    assert forget_peak() - before < 20 * 2**20
with PeakMemory() as peak:
    held = np.ones(10**7)
assert peak.bytes > 50 * 2**20 and held.any()
"""


def test_clocks_and_peaks():
    # In a process of its own: what earlier tests held may go back at any time.
    subprocess.run([sys.executable, "-c", CLOCKS_AND_PEAKS], cwd=ROOT, check=True)
