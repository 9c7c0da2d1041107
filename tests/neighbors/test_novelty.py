"""How unusual new rows are."""

import numpy as np
import pytest

from sklearn_vlclust.neighbors import novelty_p_values


def rows(rng, n, d=16, center=0):
    x = rng.normal(size=(n, d)) * 0.3
    x[:, center] += 1
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_the_share_of_usual_rows_that_is_marked(share):
    rng = np.random.default_rng(0)
    p = novelty_p_values(rows(rng, 2000), rows(rng, 2000))
    assert abs(np.mean(p <= share) - share) < 0.03


def test_rows_of_another_kind_are_marked():
    rng = np.random.default_rng(0)
    reference = rows(rng, 300)
    foreign = novelty_p_values(rows(rng, 50, center=3), reference)
    assert (foreign < 0.05).mean() > 0.9
    np.testing.assert_array_equal(novelty_p_values(reference[:20], reference), 1)


def test_what_a_slow_loop_finds():
    rng = np.random.default_rng(1)
    reference, new = rows(rng, 30), rows(rng, 10)

    def closeness(row, others):
        return np.sort(others @ row)[-5:].mean()

    usual = [
        closeness(row, np.delete(reference, i, axis=0))
        for i, row in enumerate(reference)
    ]
    expected = [
        (1 + sum(u <= closeness(row, reference) for u in usual)) / 31 for row in new
    ]
    np.testing.assert_allclose(novelty_p_values(new, reference), expected)


def test_two_rows_are_enough():
    reference = np.eye(2, dtype=np.float32)
    assert novelty_p_values(reference, reference).tolist() == [1, 1]
