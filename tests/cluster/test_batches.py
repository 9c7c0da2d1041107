"""Batches of rows with their near rows, in memory and not."""

import numpy as np
import pytest
import torch

from sklearn_vlclust.cluster.batches import NeighborBatches
from sklearn_vlclust.cluster.mca.objective import AlignedBatches
from sklearn_vlclust.data.rows import UnitRows


@pytest.fixture
def near():
    return np.random.default_rng(1).integers(30, size=(30, 4))


@pytest.fixture(params=["held", "read"])
def rows(request):
    X = np.random.default_rng(0).normal(size=(30, 5))
    rows = UnitRows(X, dense_bytes=2**20 if request.param == "held" else 0)
    assert rows.in_memory == (request.param == "held")
    return rows


def test_neighbors_of_a_batch_are_random_ones_of_the_near_rows(rows, near):
    source = NeighborBatches(rows, near, torch.Generator().manual_seed(0), "cpu")
    index = torch.tensor([7, 0, 21])
    drawn = [set(), set(), set()]
    for _ in range(100):
        u, u_near = source.batch(index)
        assert (u.numpy() == rows[index.numpy()]).all()
        for seen, x in zip(drawn, u_near.numpy()):
            seen.add(int((rows[:] @ x).argmax()))
    assert drawn == [set(near[i]) for i in index.tolist()]


def test_a_row_without_near_rows_comes_alone(rows):
    near = np.empty((30, 0), dtype=np.int32)
    (u,) = NeighborBatches(rows, near, torch.Generator(), "cpu").batch(torch.arange(4))
    assert (u.numpy() == rows[:4]).all()


def test_blocks_are_all_rows(rows, near):
    source = AlignedBatches(rows, near, near, torch.Generator(), "cpu")
    assert len(source) == 30
    assert (torch.cat(list(source.blocks())).numpy() == rows[:]).all()
