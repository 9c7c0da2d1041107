"""Embeddings of any number: made-up clusters of unit rows, or real rows tiled."""

import numpy as np

BLOCK = 20_000
# Standard deviation of what is added to each number of a tiled row.
JITTER = 0.03


def clustered(n, width, n_clusters, seed=0, noise=1.0):
    """Return `n` float32 unit rows around `n_clusters` directions, and their clusters.

    `noise` is the length of what is added to a direction of length one.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_clusters, size=n)
    return _draw(labels, _directions(n_clusters, width), noise, rng), labels


def write_clustered(path, n, width, n_clusters, seed=0, noise=1.0):
    """Write the rows to a .npy file, a block at a time."""
    rng = np.random.default_rng(seed)
    X = np.lib.format.open_memmap(path, "w+", np.float32, (n, width))
    directions = _directions(n_clusters, width)
    for start in range(0, n, BLOCK):
        labels = rng.integers(n_clusters, size=min(BLOCK, n - start))
        X[start : start + len(labels)] = _draw(labels, directions, noise, rng)
    X.flush()


def tile(seeds, n, rng):
    """Return `n` float32 unit rows near rows of `seeds`, and which these are."""
    index = rng.integers(len(seeds), size=n)
    X = seeds[index].astype(np.float32)
    for block in np.array_split(X, 1 + n // BLOCK):
        block += JITTER * rng.standard_normal(block.shape, dtype=np.float32)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return X, index


def write_tiled(path, seeds, n, seed=0):
    """Write the rows of `tile` to a .npy file, a block at a time."""
    rng = np.random.default_rng(seed)
    shape = n, seeds.shape[1]
    X = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    for start in range(0, n, BLOCK):
        X[start : start + BLOCK] = tile(seeds, min(BLOCK, n - start), rng)[0]
    X.flush()


def nouns(m, width, n_clusters):
    """Return `m` unit rows that describe the clusters of `clustered`."""
    return clustered(m, width, n_clusters, seed=1, noise=0.7)[0]


def _directions(n_clusters, width):
    directions = np.random.default_rng(42).standard_normal((n_clusters, width))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _draw(labels, directions, noise, rng):
    width = directions.shape[1]
    x = rng.standard_normal((len(labels), width), dtype=np.float32)
    x *= noise / np.sqrt(width)
    x += directions.astype(np.float32)[labels]
    return x / np.linalg.norm(x, axis=1, keepdims=True)
