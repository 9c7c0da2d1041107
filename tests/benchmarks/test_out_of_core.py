"""The benchmarks of what lies on disk and of Dask run at toy size."""

import numpy as np
import pytest

from benchmarks import dask_predict, out_of_core, shared_data
from benchmarks.__main__ import BENCHMARKS
from sklearn_vlclust.embedding import open_shards


def test_both_are_registered():
    for name in ("out_of_core", "dask_predict"):
        assert BENCHMARKS[name] == (name, "run")


def test_both_kinds_of_files_hold_the_same_rows(tmp_path):
    seeds = np.eye(8, dtype=np.float32)
    toy = out_of_core.SIZES["toy"]
    mapped = np.load(out_of_core.write_file(tmp_path, seeds, **toy), mmap_mode="r")
    shards = tmp_path / "img_emb"
    shards.mkdir()
    rows = open_shards(out_of_core.write_shards(shards, seeds, **toy))
    assert rows.shape == mapped.shape == (600, 8) and len(rows.files) == 3
    assert rows.stored_dtype == np.float16
    for x in (mapped, rows):
        np.testing.assert_allclose(np.linalg.norm(x[:], axis=1), 1, atol=1e-3)


def test_fit_and_predict_from_shards(tmp_path):
    if not shared_data.FOLDER.is_dir():
        pytest.skip(f"no shared data: {shared_data.FOLDER} is missing")
    seeds = shared_data.images(out_of_core.DATA)[0]
    out_of_core.write_shards(tmp_path, seeds, **out_of_core.SIZES["toy"])
    figures, labels = out_of_core.fit_and_predict(str(tmp_path))
    assert len(labels) == figures["rows"] == 600 and figures["as_fitted"] == 1
    assert 0 <= figures["fit_gib"] < 3


def test_workers_agree():
    """Threads in place of the processes, which take seconds to start."""
    da = pytest.importorskip("dask.array")
    distributed = pytest.importorskip("distributed")
    toy = dask_predict.SIZES["toy"]
    X = da.random.default_rng(0).normal(size=(toy["n"], toy["width"]), chunks=(500, -1))
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        for model in dask_predict.models(toy["width"], toy["n_clusters"]):
            clients = {1: client, 2: client}
            row = dask_predict.compare(model, X.astype(np.float32), clients)
            assert row["same_labels"] and row["blocks"] == 4
            assert row["speed_up"] > 0 and row["core_speed_up"] > 0


def test_blocks_on_disk_hold_the_rows(tmp_path):
    da = pytest.importorskip("dask.array")
    toy = dask_predict.SIZES["toy"]
    dask_predict.write(str(tmp_path), **toy)
    X = da.from_npy_stack(str(tmp_path))
    assert X.shape == (toy["n"], toy["width"]) and X.numblocks == (toy["n_blocks"], 1)
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, atol=1e-5)
