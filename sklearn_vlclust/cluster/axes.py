"""Principal axes that embeddings are projected on (not in the papers)."""

import numpy as np

# Axes with less than this share of the variance of the first are noise.
TINY_VARIANCE = 1e-6


def half_whitening(rows, n_components, centered=True):
    """Return the mean and half-whitened principal axes of rows.

    Each projection on an axis has the square root of the usual standard deviation:
    halfway between raw embeddings, where a few directions dominate, and white ones,
    where noise counts as much as signal.

    Parameters
    ----------
    rows : UnitRows of shape (n, d)
        Embeddings, read in blocks.
    n_components : int
        Projections on this many axes get a mean squared length of 1, so that a training
        step has the same scale on all data.
    centered : bool, default=True
        Whether axes pass through the mean instead of the origin.

    Returns
    -------
    mean : ndarray of shape (d,), float32
        Zeros, if not `centered`.
    axes : ndarray of shape (r, d), float32
        Largest variance first; `r` is the rank of the centered rows.
    """
    n, d = rows.shape
    total, products = np.zeros(d), np.zeros((d, d))
    for _, block in rows.blocks():
        block = block.astype(np.float64)
        total += block.sum(axis=0)
        products += block.T @ block
    mean = total / n if centered else np.zeros(d)
    variances, vectors = np.linalg.eigh(products / n - np.outer(mean, mean))
    variances, vectors = variances[::-1], vectors[:, ::-1]
    kept = variances > TINY_VARIANCE * max(variances[0], 1e-12)
    kept[0] = True  # rows that are all alike
    variances = variances[kept].clip(1e-12)
    scale = np.sqrt(np.sqrt(variances[:n_components]).sum())
    axes = vectors[:, kept].T / (variances**0.25)[:, None] / scale
    return mean.astype(np.float32), axes.astype(np.float32)
