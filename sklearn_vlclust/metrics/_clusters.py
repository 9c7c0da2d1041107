"""Rows of clusters, and their means."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ..data.rows import row_blocks


def cluster_members(labels: np.ndarray, k: int = 0) -> list[np.ndarray]:
    """Return the rows of each of at least `k` clusters: a list of index arrays.

    Labels count from 0. Rows ascend; a cluster without rows has an empty array.
    """
    sizes = np.bincount(labels, minlength=k)
    return np.split(np.argsort(labels, kind="stable"), np.cumsum(sizes)[:-1])


def cluster_means(rows: Any, labels: np.ndarray, k: int) -> np.ndarray:
    """Return the mean row of each of `k` clusters, (k, d) float32; zeros if empty."""
    sums = np.zeros((k, rows.shape[1]))
    for block in row_blocks(rows.shape[0]):
        own = labels[block]
        members = np.ones(len(own)), (own, np.arange(len(own)))
        sums += csr_array(members, shape=(k, len(own))) @ rows[block]
    counts = np.bincount(labels, minlength=k).clip(1)
    return (sums / counts[:, None]).astype(np.float32)
