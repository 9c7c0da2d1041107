"""Clusters of images, as given or as a fitted clusterer finds them."""

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, column_or_1d

from .._backend._text import counted
from ..data.images import check_images


def check_labels(labels, of=""):
    """Return labels as a 1-D integer array; `of` says whose they are in errors."""
    labels = column_or_1d(labels)
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels{of} are of dtype {labels.dtype}, expected integers.")
    return labels.astype(np.int64)


def check_names(names, largest):
    """Raise ValueError if `names` are given, but not for clusters up to `largest`."""
    if names is not None and largest >= len(names):
        raise ValueError(
            f"names has {counted(len(names), 'entry')}, but clusters go up to "
            f"{largest}."
        )


def one_each(name, values, images, labels):
    """Return `values` as a float array, after a check that there is one per image."""
    values = np.asarray(values, dtype=float)
    if not len(images) == len(labels) == len(values):
        raise ValueError(
            f"{counted(len(images), 'image')}, {counted(len(labels), 'label')} and "
            f"{counted(len(values), 'value')} of "
            f"{name}: expected as many of each."
        )
    return values


def read_inputs(estimator, images, embeddings=None):
    """Return what `predict` takes for images: pixels or embeddings, as for its fit.

    If `embeddings` is None, the estimator's embedder computes them.
    """
    check_is_fitted(estimator)
    images = check_images(images)
    from_pixels = getattr(estimator, "image_shape_", None) is not None
    if embeddings is None:
        if from_pixels:
            return images
        if getattr(estimator, "embedder_", None) is None:
            raise ValueError(
                f"This {type(estimator).__name__} was fitted on embeddings: pass those "
                "of the images as embeddings=."
            )
        embeddings = np.asarray(estimator.embedder_.transform(images))
    if len(embeddings) != len(images):
        raise ValueError(
            f"{counted(len(images), 'image')} but "
            f"{counted(len(embeddings), 'embedding')}: expected as many of each."
        )
    return images if from_pixels else embeddings


def read_rows(estimator, images, embeddings=None):
    """Return rows to compare images by, and what `predict` takes for the images.

    Rows are the embeddings or, if there are none and the estimator learned from pixels,
    its features. Both are the same object if the embeddings are computed here.
    """
    inputs = read_inputs(estimator, images, embeddings)
    if embeddings is not None:
        return check_array(embeddings, dtype=(np.float32, np.float64)), inputs
    from_pixels = getattr(estimator, "image_shape_", None) is not None
    return np.asarray(estimator.transform(inputs)) if from_pixels else inputs, inputs


def read_labels(estimator, inputs):
    """Return the cluster of each input, (n,) int64; negative is noise.

    An estimator without `predict` is read by its `labels_`.
    """
    name = type(estimator).__name__
    if hasattr(estimator, "predict"):
        labels = estimator.predict(inputs)
    elif hasattr(estimator, "labels_"):
        labels = estimator.labels_
        n = inputs.shape[0] if hasattr(inputs, "shape") else len(inputs)  # sparse
        if len(labels) != n:
            raise ValueError(
                f"This {name} cannot predict, and its labels_ are of the "
                f"{len(labels)} samples of its fit: got {n} others."
            )
    else:
        raise TypeError(
            f"estimator={name} has neither predict nor labels_: give a fitted "
            "clusterer."
        )
    return check_labels(labels, of=f" of this {name}")


def read_typicality(estimator, inputs):
    """Return the cluster of each input, and its cosine with the center (float32)."""
    labels = read_labels(estimator, inputs)
    # An estimator that learns features has its centers among them.
    learned = getattr(estimator, "_learns_features", False)
    rows = estimator.transform(inputs) if learned else inputs
    rows = np.asarray(rows, dtype=np.float32)
    centers = np.asarray(estimator.cluster_centers_, dtype=np.float32)[labels]
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(centers, axis=1)
    return labels, (rows * centers).sum(axis=1) / lengths


def read_certainty(estimator, inputs):
    """Return the probability of the likeliest cluster of each input, if known."""
    if not hasattr(estimator, "predict_proba"):
        return None
    return np.asarray(estimator.predict_proba(inputs)).max(axis=1)


def read_names(estimator, captioner=None):
    """Return the names of clusters and their scores: ``{label: [(noun, score)]}``.

    They are those of `captioner` if it is given, else the estimator's, if it has any.
    The best one comes first, and an unknown score is NaN.
    """
    if captioner is not None:
        check_is_fitted(captioner)
        labels = [int(c) for c in captioner.clusters_]
        nouns, scores = captioner.candidates_, captioner.candidate_scores_
    else:
        nouns = getattr(estimator, "cluster_names_", [])
        labels = list(range(len(nouns)))
        scores = getattr(estimator, "name_scores_", None)
        if scores is None:
            scores = [np.full(len(own), np.nan) for own in nouns]
    return {
        label: [(str(n), float(s)) for n, s in zip(own, of)]
        for label, own, of in zip(labels, nouns, scores)
    }
