"""Cosine nearest neighbors of unit rows, by faiss and in blocks."""

import sys
from contextlib import contextmanager

import numpy as np
from sklearn.utils import check_random_state, gen_batches


def kneighbors(
    rows,
    k,
    *,
    exclude_self=True,
    exact_limit=200_000,
    block_size=16_384,
    n_probe=16,
    random_state=None,
):
    """Find the `k` nearest rows of every row by cosine similarity.

    Up to `exact_limit` rows the search is exhaustive. Above, an inverted file is
    used: spherical k-means cuts the rows into about ``sqrt(n_rows)`` cells, and the
    rows of a cell are compared with those of the `n_probe` cells that lie nearest to
    them. The similarities returned are exact in both cases.

    Parameters
    ----------
    rows : UnitRows or ndarray of shape (n_rows, n_features)
        Rows of unit length. They are read in blocks, so a memory-mapped array is never
        loaded as a whole above `exact_limit`.
    k : int
        Number of neighbors, at most ``n_rows - 1`` (``n_rows`` with
        ``exclude_self=False``).
    exclude_self : bool, default=True
        Whether a row is no neighbor of its own. Duplicates of it still are.
    exact_limit : int, default=200_000
        Largest number of rows that are compared exhaustively.
    block_size : int, default=16_384
        Number of rows searched at a time.
    n_probe : int, default=16
        Number of cells visited above `exact_limit`: more is slower and misses fewer
        neighbors.
    random_state : int, RandomState instance or None, default=None
        Draws the rows and the start of k-means above `exact_limit`.

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
        found = _search_all(rows, k + bool(exclude_self), block_size)
    else:
        found = _search_cells(
            rows, k + bool(exclude_self), block_size, n_probe, random_state
        )
    for queries, neighbors, cosines in found:
        if exclude_self:
            neighbors, cosines = _drop_self(queries, neighbors, cosines)
        indices[queries], similarities[queries] = neighbors, cosines
    return indices, similarities


def nearest(queries, keys, k, *, block_size=16_384):
    """Find the `k` keys nearest to each query by cosine similarity.

    Parameters
    ----------
    queries : UnitRows or ndarray of shape (n_queries, n_features)
        Rows of unit length, read in blocks.
    keys : UnitRows or ndarray of shape (n_keys, n_features)
        Rows of unit length, held in memory as float32.
    k : int
        Number of keys, at most ``n_keys``.
    block_size : int, default=16_384
        Number of queries searched at a time.

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
    matrix = _matrix(keys)
    indices = np.empty((queries.shape[0], k), dtype=np.int32)
    similarities = np.empty((queries.shape[0], k), dtype=np.float32)
    for block in gen_batches(queries.shape[0], block_size):
        similarities[block], indices[block] = _knn(queries[block], matrix, k)
    return indices, similarities


def _check_k(k, available, of_what):
    if not 1 <= k <= available:
        raise ValueError(
            f"k={k} neighbors were asked for, but there are {available} {of_what}; "
            f"k must lie between 1 and {available}."
        )


@contextmanager
def _faiss():
    """Import faiss after torch and keep the user's number of faiss threads.

    Both bring an OpenMP runtime. On macOS the second one to start threads crashes the
    process, so there faiss runs in one thread.
    """
    import faiss
    import torch  # noqa: F401  (loads its OpenMP runtime first)

    n_threads = faiss.omp_get_max_threads()
    if sys.platform == "darwin":
        faiss.omp_set_num_threads(1)
    try:
        yield faiss
    finally:
        if sys.platform == "darwin":
            faiss.omp_set_num_threads(n_threads)


def _matrix(rows):
    """Return `rows` as one float32 array, without a copy where it is one."""
    if isinstance(rows, np.ndarray):
        return np.ascontiguousarray(rows, dtype=np.float32)
    matrix = np.empty(rows.shape, dtype=np.float32)
    for block, values in rows.blocks(16_384):
        matrix[block] = values
    return matrix


def _knn(queries, keys, k):
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    with _faiss() as faiss:
        return faiss.knn(queries, keys, k, metric=faiss.METRIC_INNER_PRODUCT)


def _drop_self(queries, neighbors, cosines):
    """Remove each query from its neighbors, or the last one where it is not there.

    The search asked for one more than needed. A row with many duplicates may be ranked
    behind them and not be among its own neighbors.
    """
    drop = neighbors == queries[:, None]  # (n, k + 1)
    drop[:, -1] |= ~drop.any(axis=1)
    shape = len(queries), neighbors.shape[1] - 1
    return neighbors[~drop].reshape(shape), cosines[~drop].reshape(shape)


def _search_all(rows, k, block_size):
    matrix = _matrix(rows)
    for block in gen_batches(len(matrix), block_size):
        cosines, neighbors = _knn(matrix[block], matrix, k)
        yield np.arange(block.start, block.stop), neighbors, cosines


def _search_cells(rows, k, block_size, n_probe, random_state):
    """Search an inverted file cell by cell.

    All rows of a cell share their candidates, so that they are compared by one matrix
    product, and rows are only read for the cells at work: beside the result, memory
    holds a few blocks.
    """
    rng = check_random_state(random_state)
    n_rows = rows.shape[0]
    n_cells = int(np.sqrt(n_rows))
    centers = _cell_centers(rows, n_cells, rng)
    cell = np.empty(n_rows, dtype=np.int32)
    votes = np.zeros((n_cells, n_cells), dtype=np.int32)
    for block in gen_batches(n_rows, block_size):
        _, probes = _knn(rows[block], centers, min(n_probe, n_cells))
        cell[block] = probes[:, 0]
        np.add.at(votes, (probes[:, :1], probes), 1)
    sizes = np.bincount(cell, minlength=n_cells)
    members = np.split(np.argsort(cell, kind="stable"), np.cumsum(sizes)[:-1])
    for c in np.flatnonzero(sizes):
        # The cells that the rows of this one would visit most often come first.
        order = np.lexsort((-(centers @ centers[c]), -votes[c]))
        enough = 1 + np.searchsorted(np.cumsum(sizes[order]), k)
        candidates = np.sort(
            np.concatenate([members[o] for o in order[: max(enough, n_probe)]])
        )
        yield from _search_candidates(rows, members[c], candidates, k, block_size)


def _cell_centers(rows, n_cells, rng):
    sample = np.sort(rng.permutation(rows.shape[0])[: 64 * n_cells])
    with _faiss() as faiss:
        kmeans = faiss.Kmeans(
            rows.shape[1],
            n_cells,
            niter=10,
            spherical=True,
            min_points_per_centroid=1,
            seed=int(rng.randint(2**31 - 1)),
        )
        kmeans.train(np.ascontiguousarray(rows[sample], dtype=np.float32))
        return kmeans.centroids


def _search_candidates(rows, queries, candidates, k, block_size):
    """Compare `queries` with `candidates` (row numbers), a block of each at a time."""
    for i in range(0, len(queries), block_size):
        block = queries[i : i + block_size]
        values = rows[block]
        with _faiss() as faiss:
            best = faiss.ResultHeap(len(block), k, keep_max=True)
            for j in range(0, len(candidates), 4 * block_size):
                part = candidates[j : j + 4 * block_size]
                keys = np.ascontiguousarray(rows[part], dtype=np.float32)
                cosines, local = _knn(values, keys, min(k, len(part)))
                best.add_result(cosines, part[local])
            best.finalize()
        yield block, best.I, best.D
