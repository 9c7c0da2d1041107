import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_vlclust.data.protocol import as_tensor
from sklearn_vlclust.data.rows import UnitRows


@given(
    n=st.integers(1, 40),
    d=st.integers(1, 5),
    seed=st.integers(0, 99),
    dense=st.booleans(),
)
def test_rows_are_unit_and_parallel(n, d, seed, dense):
    X = np.random.default_rng(seed).normal(size=(n, d)) + 3
    rows = UnitRows(X, dense_bytes=2**20 if dense else 0)
    assert rows.in_memory == dense
    assert rows.shape == (n, d) and len(rows) == n
    np.testing.assert_allclose(rows[:], X / np.linalg.norm(X, axis=1)[:, None], 1e-5)
    picked = np.array([0, n - 1, 0])
    np.testing.assert_array_equal(rows[picked], rows[:][picked])
    stacked = np.concatenate([block for _, block in rows.blocks(7)])
    np.testing.assert_array_equal(stacked, rows[:])


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_extreme_lengths_keep_their_direction(scale):
    X = np.array([[3.0, 4.0]], dtype=np.float32) * np.float32(scale)
    np.testing.assert_allclose(UnitRows(X)[:], [[0.6, 0.8]], rtol=1e-5)


@pytest.mark.parametrize("dense_bytes", [0, 2**20])
@pytest.mark.parametrize(("value", "what"), [(0, "all zeros"), (np.nan, "NaN")])
def test_row_without_direction_is_named(dense_bytes, value, what):
    X = np.ones((5, 3))
    X[2] = value
    with pytest.raises(ValueError, match=f"Row 2 of X .*{what}"):
        UnitRows(X, dense_bytes)


def test_input_is_not_written(tmp_path):
    X = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=X.shape)
    mapped[:] = X
    mapped.flags.writeable = False
    rows = UnitRows(mapped, dense_bytes=0)
    rows[[1, 2]], list(rows.blocks(4))
    np.testing.assert_array_equal(mapped, X)


def test_read_only_memory_is_shared_in_silence(recwarn):
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    address = x.ctypes.data
    x.flags.writeable = False
    tensor = as_tensor(x)
    assert tensor.data_ptr() == address and not recwarn.list
    expected = x.copy()
    del x  # the tensor keeps the memory
    gc.collect()
    np.testing.assert_array_equal(tensor.numpy(), expected)
    some = as_tensor(expected[:, ::2])  # not contiguous
    np.testing.assert_array_equal(some.numpy(), expected[:, ::2])
