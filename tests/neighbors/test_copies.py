"""Copies of rows, exact and near."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits, make_blobs

from sklearn_vlclust.data.rows import UnitRows
from sklearn_vlclust.neighbors import distinct_rows, group_copies


def unit(X):
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)


def copy_rows(X, n_copies, cosine, seed=0):
    """Rows as they are, each before copies that have a cosine with it."""
    rng = np.random.default_rng(seed)
    copies = np.repeat(unit(X), n_copies, axis=0)
    noise = rng.normal(size=copies.shape)
    noise -= (noise * copies).sum(axis=1, keepdims=True) * copies
    near = cosine * copies + np.sqrt(1 - cosine**2) * unit(noise)
    near[::n_copies] = copies[::n_copies]
    return unit(near)


@pytest.fixture(scope="module")
def pets(clip_data):
    """Five classes of 20 images of pets."""
    data = clip_data("images_oxford_pets.npz")
    y = data["label_test"]
    kept = np.concatenate([np.flatnonzero(y == c)[:20] for c in range(5)])
    return data["emb_test"][kept].astype(np.float32)


@given(
    rows=st.lists(st.integers(0, 5), min_size=1, max_size=60),
    seed=st.integers(0, 5),
)
@settings(max_examples=30, deadline=None)
def test_exact_copies_are_one_group(rows, seed):
    X = unit(np.random.default_rng(seed).normal(size=(6, 8)))[rows]
    copies = group_copies(X)
    _, first, expected = np.unique(rows, return_index=True, return_inverse=True)
    numbers = np.argsort(np.argsort(first))[expected]  # by first occurrence
    np.testing.assert_array_equal(copies.group, numbers)
    np.testing.assert_array_equal(copies.representatives, np.sort(first))
    np.testing.assert_array_equal(copies.weights, np.bincount(numbers))
    assert copies.n_groups == len(first)


def test_signs_of_zero_do_not_count():
    X = np.array([[0.0, 1.0], [-0.0, 1.0]], dtype=np.float32)
    assert group_copies(X).n_groups == 1


@pytest.mark.parametrize("n_copies", [2, 5, 10, 40])
@pytest.mark.parametrize("cosine", [0.99, 0.98])
def test_near_copies_of_photographs(pets, n_copies, cosine):
    rows = copy_rows(pets, n_copies, cosine)
    copies = group_copies(rows)
    picture = np.repeat(np.arange(100), n_copies)
    assert 95 <= copies.n_groups <= 125
    # Hardly any picture is in a group of another.
    own = picture[copies.representatives][copies.group] == picture
    assert own.mean() > 0.97
    again = group_copies(rows)
    np.testing.assert_array_equal(copies.group, again.group)
    np.testing.assert_array_equal(
        copies.group[copies.representatives], np.arange(copies.n_groups)
    )


def test_representatives_are_nearest_to_the_mean(pets):
    rows = copy_rows(pets, 10, 0.99)
    copies = group_copies(rows)
    for group in range(0, copies.n_groups, 9):
        members = np.flatnonzero(copies.group == group)
        cosines = rows[members] @ rows[members].mean(axis=0)
        kept = rows[copies.representatives[group]] @ rows[members].mean(axis=0)
        assert kept == pytest.approx(cosines.max(), abs=1e-5)


@pytest.mark.parametrize("name", ["oxford_pets", "caltech101", "dtd"])
def test_different_photographs_stay_apart(clip_data, name):
    data = clip_data(f"images_{name}.npz")
    for split in ("test", "val"):
        copies = group_copies(unit(data[f"emb_{split}"].astype(np.float32)))
        assert copies.n_groups > 0.99 * len(copies.group)


@pytest.mark.parametrize("std", [1, 2])
@pytest.mark.parametrize("n_centers", [3, 6, 20])
def test_tight_clusters_are_no_copies(n_centers, std):
    X, _ = make_blobs(600, 24, centers=n_centers, cluster_std=std, random_state=0)
    assert group_copies(unit(X)).n_groups == 600


def test_digits_noise_and_few_dimensions_have_no_copies():
    digits = load_digits().data
    rng = np.random.default_rng(0)
    for X in (digits, rng.normal(size=(500, 64)), rng.normal(size=(500, 3))):
        assert group_copies(unit(X)).n_groups == len(X)


def test_groups_are_no_wider_than_pictures_differ():
    """A chain of rows, each near the next, is not one group."""
    rng = np.random.default_rng(0)
    steps = np.cumsum(rng.normal(size=(400, 64)), axis=0) * 0.02
    rows = unit(steps + rng.normal(size=64))
    copies = group_copies(rows)
    first = np.unique(copies.group, return_index=True)[1][copies.group]
    spread = 1 - np.square(rows.mean(axis=0)).sum()
    distance = 1 - np.einsum("ij,ij->i", rows, rows[first])
    assert (distance <= 0.2 * spread + 1e-5).all()


def test_copies_that_are_few_are_left(pets):
    rows = UnitRows(np.concatenate([pets, pets[:2]]))
    assert distinct_rows(rows)[1] is None
    burst = UnitRows(np.concatenate([pets, np.repeat(pets[:1], 20, axis=0)]))
    distinct, copies = distinct_rows(burst)
    assert len(distinct) == copies.n_groups == 100 and copies.weights[0] == 21


def test_as_many_rows_as_are_needed(pets):
    rows = UnitRows(copy_rows(pets[:10], 30, 1))
    distinct, copies = distinct_rows(rows, at_least=10)
    assert len(distinct) == 10
    np.testing.assert_array_equal(distinct[:], rows[copies.representatives])
    assert distinct_rows(rows, at_least=11) == (rows, None)


@pytest.mark.parametrize("dense_bytes", [0, 2**28])
def test_rows_of_rows(pets, dense_bytes):
    index = np.array([5, 3, 99, 3])
    rows = UnitRows(3 * pets, dense_bytes=dense_bytes)
    some = rows.some(index)
    assert some.shape == (4, 512) and len(some) == 4
    assert some.in_memory == (dense_bytes > 0)
    np.testing.assert_array_equal(some[1:3], rows[index[1:3]])
    np.testing.assert_array_equal(some[some.norms > 0], rows[index])
    np.testing.assert_array_equal(some.tensor(np.array([2, 0])), rows[[99, 5]])
    np.testing.assert_array_equal(
        np.concatenate([x for _, x in some.blocks(3)]), some[:]
    )


def test_many_rows_are_compared_within_cells(monkeypatch, pets):
    from sklearn_vlclust.neighbors import copies as copies_module

    monkeypatch.setattr(copies_module, "EXACT_ROWS", 500)
    monkeypatch.setattr(copies_module, "CELL_ROWS", 250)
    copies = group_copies(copy_rows(pets, 10, 0.99))
    assert 95 <= copies.n_groups <= 130
