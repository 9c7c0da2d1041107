"""What a score sees of a fitted clusterer: labels, and what they are compared on."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from ..data.images import is_images


def labels_of(estimator: Any, X: Any) -> np.ndarray:
    """Return the labels of `X`, by `predict`, or by the `fit_predict` of a clone."""
    if hasattr(estimator, "predict"):
        return np.asarray(estimator.predict(X))
    return np.asarray(clone(estimator).fit_predict(X))


def embeddings_of(estimator: Any, X: Any) -> Any:
    """Return the embeddings of images, by whatever embeds them in an estimator."""
    pipeline = isinstance(estimator, Pipeline)
    steps = [step for _, step in estimator.steps] if pipeline else []
    for step in steps[:-1]:
        if not is_images(X):
            return X
        X = step.transform(X)
    if not is_images(X):
        return X
    estimator = steps[-1] if steps else estimator
    if not hasattr(estimator, "embed"):
        raise ValueError(
            f"{type(estimator).__name__} does not embed images: pass embeddings as X, "
            "or a Pipeline that starts with an encoder."
        )
    return estimator.embed(X)
