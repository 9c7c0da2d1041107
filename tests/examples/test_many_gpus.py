"""The example for many GPUs as a user runs it, on two workers without one."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_vlclust.embedding import open_shards
from tests._open_clip import save_random_clip
from tests._workers import forked_workers

distributed = pytest.importorskip("distributed")
FILE = Path(__file__).parents[2] / "examples" / "many_gpus.py"


def load_example():
    spec = importlib.util.spec_from_file_location("many_gpus", FILE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    return example


@pytest.fixture
def quick_workers():
    with forked_workers():
        yield


@pytest.mark.usefixtures("quick_workers")
def test_pictures_to_shards_to_labels(tmp_path, capsys):
    clip = save_random_clip(tmp_path / "clip")
    output = tmp_path / "shards"
    arguments = ["--clip", clip, "--output", str(output), "--block", "20"]
    labels, model = load_example().main(arguments)
    assert "48 pictures in 3 shards, 64 columns" in capsys.readouterr().out
    rows = open_shards(output)
    assert [len(np.load(file)) for file in rows.files] == [20, 20, 8]
    np.testing.assert_array_equal(labels, model.labels_)
    np.testing.assert_array_equal(labels, model.predict(rows[:]))


def test_a_worker_sees_its_own_gpu_alone(monkeypatch):
    example, made = load_example(), []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(example, "SpecCluster", lambda *args: made.extend(args))
    example.start_workers(2)
    workers, scheduler = made
    seen = [w["options"]["env"]["CUDA_VISIBLE_DEVICES"] for w in workers.values()]
    assert seen == ["0", "1", "2"]
    assert {w["cls"] for w in workers.values()} == {distributed.Nanny}
    assert scheduler["cls"] is distributed.Scheduler


@pytest.mark.usefixtures("quick_workers")
def test_environment_reaches_the_workers():
    """What the example relies on: a worker has its variables before it computes."""
    workers = {
        i: {
            "cls": distributed.Nanny,
            "options": {"nthreads": 1, "env": {"CUDA_VISIBLE_DEVICES": str(i)}},
        }
        for i in range(2)
    }
    scheduler = {"cls": distributed.Scheduler, "options": {"dashboard": False}}
    with (
        distributed.SpecCluster(workers, scheduler) as cluster,
        distributed.Client(cluster) as client,
    ):
        found = client.run(lambda: __import__("os").environ["CUDA_VISIBLE_DEVICES"])
    assert sorted(found.values()) == ["0", "1"]
