"""Images that are there more than once, and how that is known."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import ndtr, ndtri

from .._backend._text import counted
from .._typing import Images, Int
from ..data.images import UnreadableImageError, check_images, is_images, iter_decoded
from ..data.read import read_unit_rows
from ..data.rows import UnitRows, row_blocks
from ._registration import (
    CANDIDATES,
    SIDE,
    TRIAL_SIDE,
    Thumbnails,
    thumbnail,
    trial_copies,
)
from .copies import GREATEST_RADIUS, LEAST_WIDTH, group_copies
from .knn import kneighbors, nearest

# Pictures of which trial copies are made, and the share of these that may be missed.
TRIALS, MISSED = 100, 0.02
# Largest expected share of chance among the images that are found to have a copy.
FALSE_SHARE = 0.05
# Neighbors of a row that are tried. What is usual is seen between these quantiles of
# the distance of the nearest one: copies are below.
NEIGHBORS, BULK = 5, (0.4, 0.9)
# Fewest rows whose distances show what is usual.
FEWEST = 50


@dataclass(frozen=True)
class Duplicates:
    """Images that are there more than once.

    Parameters
    ----------
    pairs : ndarray of shape (n_pairs, 2), int64
        Two images each, the earlier one first; sorted. Exact copies are paired with the
        first of them only, and of others those that are most alike.
    reasons : ndarray of shape (n_pairs,), str
        "exact", "perceptual" or "embedding": the first that holds.
    similarities : ndarray of shape (n_pairs,), float32
        1 for exact copies, else the correlation of pixels or the cosine of embeddings.
    groups : list of ndarray of int64
        Images that pairs join, ascending; groups ordered by their first image.
    thresholds : dict of str to float
        Least similarity of each reason that was estimated. Infinite, if nothing is near
        enough to be a copy.
    kept : ndarray of int64
        Images that could be read.
    errors : list of (str, str)
        Path (or place, "X[3]") and reason of each that could not be read.
    """

    pairs: np.ndarray
    reasons: np.ndarray
    similarities: np.ndarray
    groups: list[np.ndarray]
    thresholds: dict[str, float] = field(default_factory=dict)
    kept: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    errors: list[tuple[str, str]] = field(default_factory=list)


def find_duplicates(
    X: ArrayLike | Images,
    *,
    embeddings: ArrayLike | UnitRows | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    n_jobs: Int | None = None,
) -> Duplicates:
    """Find images that are there more than once, and say how each pair is known.

    - exact: the files have the same bytes, decoded images the same pixels, embeddings
      the same numbers.
    - perceptual: pictures correlate when they are laid over each other, as those saved
      again, resized, cropped by some percent, mirrored or made brighter do. The
      threshold is estimated by copies that are made of up to 100 of the pictures
      themselves: 98 % of them are above it.
    - embedding: the cosine is unusually high. What is usual is estimated by the
      distances of all rows to their nearest ones, so it follows encoder and data: of
      the rows with a copy, about 5 % are expected to be there by chance. Pictures must
      also look alike.

    Parameters
    ----------
    X : images or array-like of shape (n_samples, n_features)
        A list or 1-D array of paths, PIL images or uint8 arrays, or one uint8 array of
        shape (n, height, width, channels); or embeddings alone, for which there are no
        perceptual copies.
    embeddings : array-like of shape (n_samples, n_features), default=None
        Embeddings of images, one row each. If None, images are compared by bytes and
        pixels, for which no encoder is needed.
    on_error : {"raise", "skip"}, default="raise"
        For an image that cannot be read: raise an error, or leave it out and report it
        in `errors`.
    n_jobs : int, default=None
        Threads that decode images. If None, one per processor, at most 8; -1 means all
        processors.

    Returns
    -------
    duplicates : Duplicates
        Pairs, reasons and groups.

    Raises
    ------
    UnreadableImageError
        If an image cannot be read and `on_error="raise"`.
    ValueError
        If no image can be read, or `embeddings` has another number of rows than there
        are images, or is given for embeddings.

    See Also
    --------
    group_copies : Groups copies of rows, as clusterers do.

    Notes
    -----
    Copies are looked for among the 10 pictures with the nearest thumbnails and the 5
    nearest embeddings. Pictures are registered by Gauss-Newton steps (Lucas and Kanade,
    1981) in scale and shift, from coarse to fine. Of unrelated images, the logarithm of
    the distance to the nearest one is taken to be normal; its parameters come from the
    quantiles 0.4 and 0.9, and the threshold from Benjamini and Hochberg (1995), as with
    an empirical null (Efron, 2004). Copies are at most a fifth of the mean squared
    distance apart. Rows of fewer than 16 columns, and fewer than 50
    rows, have exact copies only. Memory grows with the number of images, about 4 kB
    each.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_vlclust.neighbors import find_duplicates
    >>> rng = np.random.default_rng(0)
    >>> images = rng.integers(0, 255, (20, 24, 24, 3), dtype=np.uint8)
    >>> images[7] = images[3, :, ::-1]  # mirrored
    >>> found = find_duplicates(images)
    >>> found.pairs.tolist(), found.reasons.tolist()
    ([[3, 7]], ['perceptual'])
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error is {on_error!r}; expected 'raise' or 'skip'.")
    found = _Pairs()
    if not is_images(X):
        if embeddings is not None:
            raise ValueError(
                "embeddings belong to images, but X is embeddings itself: pass one."
            )
        rows = read_unit_rows(X)
        n = len(rows)
        distinct = found.add_exact(group_copies(rows, exact=True).group, np.arange(n))
        found.add_embedding(rows, distinct)
        return found.collect(n, np.arange(n), [])
    images = check_images(X)
    n = len(images)
    rows = None if embeddings is None else read_unit_rows(embeddings)
    if rows is not None and len(rows) != n:
        raise ValueError(
            f"embeddings has {counted(len(rows), 'row')} for {counted(n, 'image')}."
        )
    digests, pixels, kept, errors = _read(images, on_error, n_jobs)
    distinct = found.add_exact(digests, kept)
    thumbnails = Thumbnails(pixels[distinct])
    least = found.add_perceptual(images, thumbnails, distinct, n_jobs)
    if rows is not None:
        found.add_embedding(rows, distinct, thumbnails, least)
    return found.collect(n, kept, errors)


def _read(images, on_error, n_jobs):
    """Return digests of images that can be read, thumbnails of all, and the others."""
    pixels = np.zeros((len(images), SIDE, SIDE, 3), dtype=np.uint8)
    digests, kept, errors = [], [], []

    def prepare(source):
        return source.digest(), thumbnail(source.decode(SIDE))

    with closing(iter_decoded(images, prepare, n_jobs=n_jobs)) as decoded:
        for i, item in enumerate(decoded):
            if isinstance(item, UnreadableImageError):
                if on_error == "raise":
                    raise item
                errors.append((item.name, item.reason))
                continue
            digest, pixels[i] = item
            digests.append(digest)
            kept.append(i)
    if not kept:
        name, reason = errors[0]
        raise ValueError(
            f"None of {counted(len(images), 'image')} can be read; the first is "
            f"{name!r}: {reason}."
        )
    return (
        np.array(digests, dtype="S20"),
        pixels,
        np.array(kept, dtype=np.int64),
        errors,
    )


class _Pairs:
    """Pairs as they are found, each with the first reason that holds."""

    def __init__(self):
        self._found = {}
        self._thresholds = {}

    def add_exact(self, keys, places):
        """Pair equal keys with the first of them; return the places of the first."""
        _, first, number = np.unique(keys, return_index=True, return_inverse=True)
        for i, j in enumerate(first[number]):
            if i != j:
                self._add(places[j], places[i], "exact", 1.0)
        return places[np.sort(first)]

    def add_perceptual(self, images, thumbnails, places, n_jobs):
        """Pair pictures whose pixels correlate; return what alike pictures have."""
        least, nearly = _try_copies(images, thumbnails, places, n_jobs)
        self._thresholds["perceptual"] = least
        first, second = _candidates(thumbnails, nearly)
        scores = thumbnails.correlate(first, second, least)
        for i in np.flatnonzero(scores >= least):
            self._add(places[first[i]], places[second[i]], "perceptual", scores[i])
        return nearly

    def add_embedding(self, rows, places, thumbnails=None, nearly=None):
        """Pair rows of unusual cosine; pictures must look alike as well."""
        least = float("inf")
        self._thresholds["embedding"] = least
        if len(places) < FEWEST or rows.shape[1] < LEAST_WIDTH:
            return
        rows = rows if len(places) == len(rows) else rows.some(places)
        near, cosines = kneighbors(rows, NEIGHBORS, random_state=0)
        least = max(_unusual(cosines[:, 0]), _greatest_reach(rows))
        self._thresholds["embedding"] = least
        first, column = np.nonzero(cosines >= least)
        pairs = np.stack([first, near[first, column]], axis=1)
        pairs.sort(axis=1)
        _, once = np.unique(pairs, axis=0, return_index=True)
        first, second = pairs[once].T
        cosines = cosines[cosines >= least][once]
        if thumbnails is not None and len(first):
            alike = thumbnails.correlate(first, second, nearly) >= nearly
            first, second, cosines = first[alike], second[alike], cosines[alike]
        for i, j, cosine in zip(first, second, cosines):
            self._add(places[i], places[j], "embedding", min(1.0, cosine))

    def _add(self, i, j, reason, similarity):
        pair = (int(i), int(j)) if i < j else (int(j), int(i))
        self._found.setdefault(pair, (reason, float(similarity)))

    def collect(self, n, kept, errors):
        """Return the :class:`Duplicates` among `n` images."""
        ordered = sorted(self._found)
        pairs = np.array(ordered, dtype=np.int64).reshape(-1, 2)
        graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (n, n))
        group = connected_components(graph, directed=False)[1]
        order = np.argsort(group, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
        return Duplicates(
            pairs,
            np.array([self._found[pair][0] for pair in ordered], dtype="U10"),
            np.array([self._found[pair][1] for pair in ordered], dtype=np.float32),
            sorted((g for g in groups if len(g) > 1), key=lambda g: g[0]),
            self._thresholds,
            kept,
            errors,
        )


def _try_copies(images, thumbnails, places, n_jobs):
    """Return the least correlation of copies with their pictures, registered and not.

    Of the copies that are made of some of the pictures, a few may be below.
    """
    tried = np.unique(np.linspace(0, len(places) - 1, TRIALS).astype(int))
    tried = tried[thumbnails.rows[tried].any(axis=1)]  # others show nothing
    if not len(tried):
        return float("inf"), float("inf")
    chosen = [images[places[i]] for i in tried]

    def prepare(source):
        return trial_copies(source.decode(TRIAL_SIDE))

    with closing(iter_decoded(chosen, prepare, n_jobs=n_jobs, prefetch=8)) as decoded:
        copies = list(decoded)
    made = Thumbnails(np.concatenate(copies))
    own = np.repeat(tried, len(copies[0]))
    number = np.arange(len(own))
    scores = thumbnails.correlate(own, number, 0, made)
    rows, other = thumbnails.rows[own], thumbnails.mirrored[own]
    plain = np.einsum("ij,ij->i", rows, made.rows)
    plain = np.maximum(plain, np.einsum("ij,ij->i", other, made.rows))
    return float(np.quantile(scores, MISSED)), float(np.quantile(plain, MISSED))


def _candidates(thumbnails, least):
    """Return pairs of near thumbnails, mirrored or not, as two index arrays."""
    n = len(thumbnails.rows)
    if n < 2 or not np.isfinite(least):
        return np.empty((2, 0), dtype=np.int64)
    k = min(CANDIDATES, n - 1)
    found = []
    for near, cosines in (
        kneighbors(thumbnails.rows, k, random_state=0),
        nearest(thumbnails.mirrored, thumbnails.rows, k),
    ):
        i, column = np.nonzero(cosines >= least)
        found.append(np.stack([i, near[i, column]]))
    pairs = np.sort(np.concatenate(found, axis=1), axis=0)
    return np.unique(pairs[:, pairs[0] < pairs[1]], axis=1).astype(np.int64)


def _greatest_reach(rows):
    """Return the least cosine of copies, whatever is usual.

    Among rows without any structure, chance neighbors have no long tail, and nearest
    ones are hardly nearer than others.
    """
    total = sum(
        rows[block].sum(axis=0, dtype=np.float64) for block in row_blocks(len(rows))
    )
    mean_cosine = np.square(total / len(rows)).sum()
    return float(1 - GREATEST_RADIUS * (1 - mean_cosine))


def _unusual(cosines):
    """Return the cosine from which a nearest neighbor is nearer than chance has it.

    `cosines` are of each row with its nearest one. Infinite, if none is unusual.
    """
    logs = np.sort(np.log(np.maximum(2 - 2 * cosines.astype(np.float64), 1e-12)) / 2)
    low, high = np.quantile(logs, BULK)
    ends = ndtri(BULK)
    spread = max((high - low) / (ends[1] - ends[0]), 1e-6)
    chance = ndtr((logs - low) / spread + ends[0])
    share = np.arange(1, len(logs) + 1) / len(logs)
    unusual = np.flatnonzero(chance <= FALSE_SHARE * share)
    return float(1 - np.exp(2 * logs[unusual[-1]]) / 2) if len(unusual) else np.inf
