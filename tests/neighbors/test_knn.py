"""Nearest neighbors against a full sort in NumPy."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_vlclust.data.rows import UnitRows
from sklearn_vlclust.neighbors import kneighbors, nearest
from sklearn_vlclust.neighbors import knn as knn_module


def unit_rows(n, d, seed=0):
    X = np.random.RandomState(seed).standard_normal((n, d)).astype(np.float32)
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def clip_images():
    root = Path(os.environ.get("VLCLUST_TEST_DATA", "../shared/data"))
    path = root / "clip_vitb32" / "images_oxford_pets.npz"
    if not path.exists():
        pytest.skip(f"no shared test data: {path} is missing")
    return np.load(path)["emb_test"].astype(np.float32)


@given(
    n=st.integers(2, 60),
    d=st.integers(1, 8),
    k=st.integers(1, 59),
    exclude_self=st.booleans(),
    seed=st.integers(0, 100),
)
@settings(deadline=None, max_examples=60)
def test_equals_a_full_sort(n, d, k, exclude_self, seed):
    X = unit_rows(n, d, seed)
    k = min(k, n - exclude_self)
    indices, similarities = kneighbors(X, k, exclude_self=exclude_self)
    cosines = X @ X.T
    np.testing.assert_allclose(
        similarities, np.take_along_axis(cosines, indices.astype(int), 1), atol=1e-6
    )
    if exclude_self:
        np.fill_diagonal(cosines, -np.inf)
        assert not (indices == np.arange(n)[:, None]).any()
    np.testing.assert_allclose(similarities, -np.sort(-cosines)[:, :k], atol=1e-6)
    assert all(len(set(row)) == k for row in indices)


def test_tiles_do_not_change_the_result(monkeypatch):
    X = unit_rows(300, 6)
    expected = kneighbors(X, 7)
    monkeypatch.setattr(knn_module, "QUERY_ROWS", 41)
    monkeypatch.setattr(knn_module, "KEY_ROWS", 5)  # fewer than k + 1
    indices, similarities = kneighbors(X, 7)
    np.testing.assert_array_equal(indices, expected[0])
    np.testing.assert_allclose(similarities, expected[1], atol=1e-6)


def test_rows_that_a_device_holds_are_those_that_it_is_given():
    X = unit_rows(300, 6)
    read, held = knn_module._Tiles(UnitRows(X), "cpu"), knn_module._Tiles(X, "cpu")
    assert held._held is None  # the CPU has them already
    held._held = held.hold()
    some = np.array([7, 0, 299])
    for index in (slice(3, 90), some):
        np.testing.assert_allclose(held[index], X[index], atol=1e-6)
        np.testing.assert_allclose(read[index], X[index], atol=1e-6)
    for (_, *one), (_, *other) in zip(
        knn_module._search_all(read, read, 5), knn_module._search_all(held, held, 5)
    ):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_allclose(one[1], other[1], atol=1e-6)


@pytest.mark.parametrize("exact_limit", [1000, 1])
def test_duplicates_never_bring_back_the_row_itself(exact_limit):
    X = np.repeat(unit_rows(3, 4), 40, axis=0)
    indices, similarities = kneighbors(X, 5, exact_limit=exact_limit, random_state=0)
    assert not (indices == np.arange(120)[:, None]).any()
    assert all(len(set(row)) == 5 for row in indices)
    np.testing.assert_array_equal(
        indices // 40, np.arange(120)[:, None] // 40 + 0 * indices
    )
    np.testing.assert_allclose(similarities, 1, atol=1e-6)


def test_cells_are_compared_in_few_shapes(monkeypatch):
    """Each shape takes memory."""
    shapes = set()

    def recorded(queries, keys):
        shapes.add((len(queries), len(keys)))
        return torch.nn.functional.linear(queries, keys)

    monkeypatch.setattr(knn_module, "linear", recorded)
    kneighbors(unit_rows(3000, 6), 5, exact_limit=10, random_state=0)
    cells = {(m, n) for m, n in shapes if n > 100}  # the others find the cells
    assert cells and cells <= {(256, 2048), (256, 4096)}


@pytest.mark.parametrize("exact_limit", [10**6, 100])
def test_real_embeddings_keep_their_neighbors(exact_limit):
    X = clip_images()
    rows = UnitRows(X)
    indices, _ = kneighbors(rows, 20, exact_limit=exact_limit, random_state=0)
    cosines = rows[:] @ rows[:].T
    np.fill_diagonal(cosines, -np.inf)
    expected = np.argsort(-cosines, axis=1)[:, :20]
    found = [len(set(a) & set(b)) / 20 for a, b in zip(indices, expected, strict=True)]
    assert np.mean(found) >= (0.999 if exact_limit > 1000 else 0.95)


def test_same_seed_same_cells():
    X = unit_rows(2000, 16)
    first, second, other = (
        kneighbors(X, 5, exact_limit=10, n_probe=2, random_state=seed)[0]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_enough_neighbors_from_cells_that_are_small():
    X = unit_rows(50, 3)
    indices, _ = kneighbors(X, 49, exact_limit=10, n_probe=1, random_state=0)
    np.testing.assert_array_equal(
        np.sort(np.c_[indices, np.arange(50)]), np.tile(np.arange(50), (50, 1))
    )


def test_reads_a_read_only_memmap_without_a_warning(tmp_path, recwarn):
    X = unit_rows(100, 5)
    X.tofile(tmp_path / "rows")
    rows = np.memmap(tmp_path / "rows", dtype=np.float32, mode="r", shape=(100, 5))
    np.testing.assert_array_equal(kneighbors(rows, 3)[0], kneighbors(X, 3)[0])
    assert not recwarn


def test_nearest_keys():
    queries, keys = unit_rows(30, 4), unit_rows(20, 4, seed=1)
    indices, similarities = nearest(queries, keys, 3)
    expected = np.argsort(-(queries @ keys.T), axis=1)[:, :3]
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(
        similarities, np.take_along_axis(queries @ keys.T, expected, 1), atol=1e-6
    )


@pytest.mark.parametrize("k", [0, 10])
def test_k_out_of_range(k):
    with pytest.raises(ValueError, match=rf"k={k}.*9 other rows.*between 1 and 9"):
        kneighbors(unit_rows(10, 3), k)


def test_nearest_refuses_other_widths():
    with pytest.raises(ValueError, match="3 columns but keys have 4"):
        nearest(unit_rows(5, 3), unit_rows(5, 4), 1)


def test_never_a_matrix_of_all_pairs():
    """In a process of its own, as peak memory is the process's."""
    code = """
import resource, numpy as np
from sklearn_vlclust.neighbors import kneighbors
X = np.random.RandomState(0).standard_normal((20_000, 8)).astype(np.float32)
X /= np.linalg.norm(X, axis=1, keepdims=True)
kneighbors(X[:3000], 5), kneighbors(X[:3000], 5, exact_limit=10)  # warm up
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
kneighbors(X, 5)
kneighbors(X, 5, exact_limit=10, random_state=0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    pytest.importorskip("resource")
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    all_pairs = 20_000**2 * 4
    assert int(result.stdout) * 1024 < all_pairs / 10


def test_the_users_faiss_threads_stay_as_they_are():
    faiss = pytest.importorskip("faiss")
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        kneighbors(unit_rows(200, 4), 3, exact_limit=10, random_state=0)
        assert faiss.omp_get_max_threads() == 1
    finally:
        faiss.omp_set_num_threads(before)
