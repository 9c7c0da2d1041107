"""Cosine nearest neighbors of unit rows, in blocks."""

from __future__ import annotations

import sys
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils import check_random_state, gen_batches

from .._backend._device import to_device
from .._backend._products import linear
from .._typing import Device, Int, RandomState
from ..data.protocol import as_rows
from ..data.rows import UnitRows, row_blocks
from ..metrics._clusters import cluster_members

# A tile of similarities: measured best of 256..4096 x 4,096..65,536 on one CPU core.
QUERY_ROWS, KEY_ROWS = 1024, 16_384
# Rows that a device other than the CPU holds whole, not tile by tile.
HELD_BYTES = 4 * 2**30
# Rows of a cell, and of its candidates, are padded to multiples of these: products of
# many different shapes take memory, see `_backend._products`.
QUERY_UNIT, KEY_UNIT = 256, 2048
# Rows per cell that k-means is trained on; faiss asks for 39.
CELL_SAMPLE = 40


def kneighbors(
    rows: UnitRows | np.ndarray,
    k: Int,
    *,
    exclude_self: bool = True,
    exact_limit: Int = 200_000,
    n_probe: Int = 16,
    random_state: RandomState = None,
    device: Device = "cpu",
) -> tuple[np.ndarray, np.ndarray]:
    """Find the `k` nearest rows of every row by cosine similarity.

    Up to `exact_limit` rows the search is exhaustive. Above, an inverted-file index is
    used: spherical k-means (faiss) partitions the rows into about ``sqrt(n_rows)``
    cells, and the rows of a cell are compared with the rows of the `n_probe` nearest
    cells. The similarities returned are exact in both cases.

    Tiles of similarities are computed and reduced by torch: 1.15 to 1.35 times as fast
    as ``faiss.IndexFlatIP`` on one CPU core (15,000 and 3,669 rows of width 512).

    Parameters
    ----------
    rows : UnitRows or ndarray of shape (n_rows, n_features)
        Rows of unit length, read in blocks.
    k : int
        Number of neighbors, at most ``n_rows - 1`` (``n_rows`` with
        ``exclude_self=False``).
    exclude_self : bool, default=True
        Whether a row is not its own neighbor. Duplicates of it still are.
    exact_limit : int, default=200_000
        Largest number of rows that are compared exhaustively.
    n_probe : int, default=16
        Number of cells visited above `exact_limit`: more is slower and misses fewer
        neighbors.
    random_state : int, RandomState instance or None, default=None
        Draws the rows and the start of k-means above `exact_limit`.
    device : torch.device or str, default="cpu"
        Where rows are compared. The cells are found on the CPU.

    Returns
    -------
    indices : ndarray of shape (n_rows, k), int32 (int64 from 2**31 rows on)
        Nearest first.
    similarities : ndarray of shape (n_rows, k), float32
        Cosine similarities, in descending order.

    Raises
    ------
    ValueError
        If `k` is not between 1 and the number of rows available as neighbors.
    """
    n_rows = rows.shape[0]
    _check_k(k, n_rows - bool(exclude_self), "other rows" if exclude_self else "rows")
    dtype = np.int32 if n_rows <= np.iinfo(np.int32).max else np.int64
    indices = np.empty((n_rows, k), dtype=dtype)
    similarities = np.empty((n_rows, k), dtype=np.float32)
    if n_rows <= exact_limit:
        tiles = _Tiles(rows, device)
        found = _search_all(tiles, tiles, k + bool(exclude_self))
    else:
        k_found = k + bool(exclude_self)
        found = _search_cells(rows, k_found, n_probe, random_state, device)
    for queries, neighbors, cosines in found:
        if exclude_self:
            neighbors, cosines = _drop_self(queries, neighbors, cosines)
        indices[queries], similarities[queries] = neighbors, cosines
    return indices, similarities


def nearest(
    queries: UnitRows | np.ndarray,
    keys: UnitRows | np.ndarray,
    k: Int,
    device: Device = "cpu",
) -> tuple[np.ndarray, np.ndarray]:
    """Find the `k` keys nearest to each query by cosine similarity.

    Parameters
    ----------
    queries : UnitRows or ndarray of shape (n_queries, n_features)
        Rows of unit length, read in blocks.
    keys : UnitRows or ndarray of shape (n_keys, n_features)
        Rows of unit length, read in blocks.
    k : int
        Number of keys, at most ``n_keys``.
    device : torch.device or str, default="cpu"
        Where they are compared.

    Returns
    -------
    indices : ndarray of shape (n_queries, k), int32
        Nearest first.
    similarities : ndarray of shape (n_queries, k), float32
        Cosine similarities, in descending order.

    Raises
    ------
    ValueError
        If the widths of queries and keys differ or `k` is not in ``1..n_keys``.
    """
    if queries.shape[1] != keys.shape[1]:
        raise ValueError(
            f"queries have {queries.shape[1]} columns but keys have {keys.shape[1]}."
        )
    _check_k(k, keys.shape[0], "keys")
    indices = np.empty((queries.shape[0], k), dtype=np.int32)
    similarities = np.empty((queries.shape[0], k), dtype=np.float32)
    tiles = _Tiles(queries, device), _Tiles(keys, device)
    for block, neighbors, cosines in _search_all(*tiles, k):
        indices[block], similarities[block] = neighbors, cosines
    return indices, similarities


def _check_k(k, available, of_what):
    if not 1 <= k <= available:
        raise ValueError(
            f"k={k} neighbors were asked for, but there are {available} {of_what}; "
            f"k must lie between 1 and {available}."
        )


def _drop_self(queries, neighbors, cosines):
    """Remove each query from its neighbors, or the last one where it is not there.

    The search asked for one more than needed. A row with many duplicates may be ranked
    behind them and not be among its own neighbors.
    """
    drop = neighbors == queries[:, None]  # (n, k + 1)
    drop[:, -1] |= ~drop.any(axis=1)
    shape = len(queries), neighbors.shape[1] - 1
    return neighbors[~drop].reshape(shape), cosines[~drop].reshape(shape)


def _search_all(queries, keys, k):
    """Compare every query with every key; yields row numbers, keys, similarities."""
    for block in gen_batches(queries.shape[0], QUERY_ROWS):
        neighbors, cosines = _top_k(queries[block], keys, None, k)
        yield np.arange(block.start, block.stop), neighbors, cosines


@torch.no_grad()
def _top_k(queries, keys, candidates, k):
    """Find the `k` best of ``keys[candidates]`` (of all, if None), a tile at a time."""
    n_candidates = keys.shape[0] if candidates is None else len(candidates)
    best = queries.new_empty(len(queries), 0)
    index = torch.empty_like(best, dtype=torch.int64)
    for part in gen_batches(n_candidates, KEY_ROWS):
        if candidates is None:
            cosines = linear(queries, keys[part])  # (QUERY_ROWS, KEY_ROWS)
        else:
            tile = keys[_fill(candidates[part], KEY_UNIT)]
            cosines = linear(queries, tile)[:, : part.stop - part.start]
        top, place = cosines.topk(min(k, cosines.shape[1]), sorted=False)
        best = torch.cat([best, top], dim=1)
        index = torch.cat([index, place + part.start], dim=1)
        best, place = best.topk(min(k, best.shape[1]))
        index = index.gather(1, place)
    found = index.cpu().numpy()
    best = best.cpu().numpy()
    return (found if candidates is None else candidates[found]), best


def _fill(index, unit):
    """Repeat the last entry of `index` until its length is a multiple of `unit`."""
    return np.pad(index, (0, -len(index) % unit), mode="edge")


class _Tiles:
    """Rows as float32 tensors on a device, held there if it is another and they fit.

    Parameters
    ----------
    rows : UnitRows or ndarray of shape (n_rows, n_features)
        Rows of unit length.
    device : torch.device or str
        Where they are wanted.
    """

    def __init__(self, rows, device):
        self.shape = rows.shape
        self._rows, self._device = as_rows(rows, np.float32), torch.device(device)
        self._held = None
        if self._device.type != "cpu" and 4 * np.prod(rows.shape) <= HELD_BYTES:
            self._held = self.hold()

    def __getitem__(self, index):
        """Return the rows of a slice or an index array."""
        if self._held is None:
            return self._read(index)
        if not isinstance(index, slice):
            index = to_device(torch.from_numpy(index), self._device)
        return self._held[index]

    def hold(self):
        """Return all rows."""
        return torch.cat([self._read(block) for block in row_blocks(self.shape[0])])

    def _read(self, index):
        return self._rows.tensor(index, self._device)


def _search_cells(rows, k, n_probe, random_state, device):
    """Search an inverted-file index cell by cell.

    All rows of a cell share their candidates, so they are compared by one matrix
    product, and only the rows of the current cells are read: memory beside the result
    holds a few tiles.
    """
    n_rows = rows.shape[0]
    centers = _cell_centers(rows, int(np.sqrt(n_rows)), random_state)
    n_cells = len(centers)
    cell = np.empty(n_rows, dtype=np.int32)
    votes = np.zeros((n_cells, n_cells), dtype=np.int32)
    tiles = _Tiles(rows, device)
    probed = _search_all(tiles, _Tiles(centers, device), min(n_probe, n_cells))
    for queries, probes, _ in probed:
        cell[queries] = probes[:, 0]
        np.add.at(votes, (probes[:, :1], probes), 1)
    sizes = np.bincount(cell, minlength=n_cells)
    members = cluster_members(cell, n_cells)
    for c in np.flatnonzero(sizes):
        # The cells that the rows of this one would visit most often come first.
        order = np.lexsort((-(centers @ centers[c]), -votes[c]))
        enough = 1 + np.searchsorted(np.cumsum(sizes[order]), k)
        candidates = np.sort(
            np.concatenate([members[o] for o in order[: max(enough, n_probe)]])
        )
        for block in gen_batches(len(members[c]), QUERY_ROWS):
            queries = members[c][block]
            filled = tiles[_fill(queries, QUERY_UNIT)]
            found, cosines = _top_k(filled, tiles, candidates, k)
            yield queries, found[: len(queries)], cosines[: len(queries)]


def _cell_centers(rows, n_cells, random_state):
    rng = check_random_state(random_state)
    sample = np.sort(rng.permutation(rows.shape[0])[: CELL_SAMPLE * n_cells])
    # In blocks: rows made on demand take several times their size while they are made.
    x = np.empty((len(sample), rows.shape[1]), dtype=np.float32)
    for block in gen_batches(len(sample), QUERY_ROWS):
        x[block] = rows[sample[block]]
    with _faiss() as faiss:
        kmeans = faiss.Kmeans(
            rows.shape[1],
            n_cells,
            niter=10,
            spherical=True,
            min_points_per_centroid=1,
            seed=int(rng.randint(2**31 - 1)),
        )
        kmeans.train(x)
        return kmeans.centroids


@contextmanager
def _faiss():
    """Import faiss and keep the user's number of faiss threads.

    torch and faiss both bring an OpenMP runtime. torch's is loaded first, above; on
    macOS the second one to start threads crashes, so there faiss runs in one thread.
    """
    import faiss

    n_threads = faiss.omp_get_max_threads()
    if sys.platform == "darwin":
        faiss.omp_set_num_threads(1)
    try:
        yield faiss
    finally:
        faiss.omp_set_num_threads(n_threads)
