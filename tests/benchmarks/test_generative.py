"""The loops of the benchmark compute the loss of the library."""

import pytest
import torch

from benchmarks.generative import FUNCTIONS, make_batch, run


@pytest.mark.parametrize("n_clusters", [3, 40])
def test_loops_compute_the_loss_of_the_library(n_clusters):
    results = []
    for function in FUNCTIONS.values():
        batch = make_batch(16, n_clusters, 6)
        loss = function(*batch, n_clusters)
        loss.backward()
        results.append((loss.detach(), batch[0].grad, batch[2].grad))
    for others in results[1:]:
        torch.testing.assert_close(others, results[0], atol=1e-5, rtol=1e-4)


def test_every_table_has_its_figures():
    tables = run(batch_sizes=[512], n_clusters=[4, 100], n_features=8, repeats=1)
    assert len(tables) == 2
    assert [row["bar"] for row in list(tables.values())[1]] == ["", ">= 5", ">= 5"]
    assert all(row["ms"] > 0 for rows in tables.values() for row in rows)
