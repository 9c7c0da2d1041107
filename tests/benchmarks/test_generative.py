"""The loops of the benchmark compute the loss of the library."""

import pytest
import torch

from benchmarks import generative_quality, generative_round
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


def test_a_round_is_measured_either_way():
    (rows,) = generative_round.run(**generative_round.SIZES["toy"]).values()
    once, every_batch = rows
    assert once["seconds"] > once["of them training"] > 0
    assert every_batch["cached_times_as_fast"] > 1


def test_quality_on_the_digits():
    pytest.importorskip("diffusers", reason="needs the extra 'generative'")
    size = generative_quality.SIZES["toy"]
    ((title, rows),) = generative_quality.run_imbalance(**size).items()
    gcc = rows[-1]
    assert gcc["what"] == "GenerativeCalibrationClustering()"
    assert all(0 < gcc[name][0] <= 100 for name in ("stage_I_ACC", "generated_right"))
    assert "3 classes" in title and "20 percent" in title
    (rows,) = generative_quality.run_digits(**size, only=["without L_d"]).values()
    whole, without = rows[-2:]
    assert whole["bar"] and without["what"] == "without L_d"
    # Stage I is not fitted again.
    assert "stage_I_ACC" in whole and "stage_I_ACC" not in without
