"""What a fitted clusterer says of images: rows, clusters and how sure it is."""

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from ..data.images import check_images


def read_inputs(estimator, images, embeddings=None):
    """Return what `predict` takes for images.

    Parameters
    ----------
    estimator : clusterer
        Fitted.
    images : images
        As for the encoders.
    embeddings : array-like of shape (n_images, n_features), default=None
        Embeddings of `images`. None embeds them as the estimator did.

    Returns
    -------
    inputs : object
        The images, of an estimator that learned from pixels; else their embeddings.

    Raises
    ------
    ValueError
        If there is neither an embedder nor embeddings, or the lengths differ.
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
            f"There are {len(images)} images but {len(embeddings)} embeddings: "
            "expected as many of each."
        )
    return images if from_pixels else embeddings


def read_rows(estimator, images, embeddings=None):
    """Return what to compare images by, and what `predict` takes for them.

    Parameters
    ----------
    estimator : clusterer
        Fitted.
    images : images
        As for the encoders.
    embeddings : array-like of shape (n_images, n_features), default=None
        Embeddings of `images`. None embeds them as the estimator did; one that learned
        from pixels gives its features.

    Returns
    -------
    rows : ndarray of shape (n_images, n_features), float
        Embeddings.
    inputs : object
        What `predict` takes; the same object, if it is the embeddings made here.

    Raises
    ------
    ValueError
        As of :func:`read_inputs`.
    """
    inputs = read_inputs(estimator, images, embeddings)
    if embeddings is not None:
        return check_array(embeddings, dtype=(np.float32, np.float64)), inputs
    from_pixels = getattr(estimator, "image_shape_", None) is not None
    return np.asarray(estimator.transform(inputs)) if from_pixels else inputs, inputs


def read_labels(estimator, inputs):
    """Return the cluster of each input; negative is noise.

    Parameters
    ----------
    estimator : clusterer
        Fitted; one without `predict` is taken by its `labels_`.
    inputs : array-like or images
        What `predict` takes.

    Returns
    -------
    labels : ndarray of shape (n,), int64

    Raises
    ------
    TypeError
        If the estimator has neither `predict` nor `labels_`.
    ValueError
        If it has `labels_` alone, and not as many as there are inputs; or if labels are
        not integers.
    """
    name = type(estimator).__name__
    if hasattr(estimator, "predict"):
        labels = np.asarray(estimator.predict(inputs))
    elif hasattr(estimator, "labels_"):
        labels = np.asarray(estimator.labels_)
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
    if labels.dtype.kind not in "iu":
        raise ValueError(
            f"Labels of this {name} are of dtype {labels.dtype}, expected integers."
        )
    return labels.astype(np.int64)


def read_typicality(estimator, inputs):
    """Return the cluster of each input, and its cosine to the cluster's center.

    Parameters
    ----------
    estimator : clusterer
        Fitted, with `cluster_centers_`.
    inputs : array-like or images
        Of :func:`read_inputs`.

    Returns
    -------
    labels : ndarray of shape (n,), int64
        As of :func:`read_labels`.
    typicality : ndarray of shape (n,), float32
        Cosines.
    """
    labels = read_labels(estimator, inputs)
    # Centers lie where the estimator clusters: among features, if it learns any.
    learned = getattr(estimator, "_learns_features", False)
    rows = estimator.transform(inputs) if learned else inputs
    rows = np.asarray(rows, dtype=np.float32)
    centers = np.asarray(estimator.cluster_centers_, dtype=np.float32)[labels]
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(centers, axis=1)
    return labels, (rows * centers).sum(axis=1) / lengths


def read_certainty(estimator, inputs):
    """Return the probability of the likeliest cluster of each input.

    Parameters
    ----------
    estimator : clusterer
        Fitted.
    inputs : array-like or images
        Of :func:`read_inputs`.

    Returns
    -------
    certainty : ndarray of shape (n,), float, or None
        None if the estimator has no `predict_proba`.
    """
    if not hasattr(estimator, "predict_proba"):
        return None
    return np.asarray(estimator.predict_proba(inputs)).max(axis=1)


def read_names(estimator, captioner=None):
    """Return the names of clusters and their scores: ``{label: [(noun, score)]}``.

    Parameters
    ----------
    estimator : clusterer
        Fitted; its `cluster_names_` and `name_scores_` count if there are any.
    captioner : ClusterCaptioner, default=None
        Fitted on the clusters of `estimator`; goes before what the estimator knows.

    Returns
    -------
    names : dict of int to list of (str, float)
        Best first; empty if there are none. A score that is not known is NaN.
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
