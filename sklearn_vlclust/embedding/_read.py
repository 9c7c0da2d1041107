"""From whatever a user calls X to a matrix of embeddings."""

import numpy as np
import torch
from sklearn.utils.validation import validate_data

from ._images import is_images


def read_embeddings(estimator, X, *, reset, embed, ensure_min_samples=1):
    """Return `X` as a validated matrix of embeddings.

    Parameters
    ----------
    estimator : estimator
        Whose input `X` is; gets `n_features_in_` if `reset`.
    X : array-like of shape (n_samples, n_features), or images
        Embeddings (array, memmap, or tensor on any device), or images.
    reset : bool
        True at fit, False later.
    embed : callable
        ``embed(images)`` returns their embeddings; called for images only.
    ensure_min_samples : int, default=1
        Smallest number of rows.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features), float32 or float64
        Not copied if it is one already.
    zero_rows : bool
        Whether rows of zeros are values like others, as among counts or pixels
        (integers). Encoders return floats, where such a row is a mistake.
    """
    zero_rows = False
    if is_images(X):
        X = embed(X)
    elif isinstance(X, torch.Tensor):
        X = X.detach().cpu()
        X = (X if X.dtype in (torch.float32, torch.float64) else X.float()).numpy()
    else:
        dtype = getattr(X, "dtype", None)
        zero_rows = isinstance(dtype, np.dtype) and dtype.kind in "iub"
    X = validate_data(
        estimator,
        X,
        dtype=(np.float32, np.float64),
        reset=reset,
        ensure_min_samples=ensure_min_samples,
    )
    return X, zero_rows
