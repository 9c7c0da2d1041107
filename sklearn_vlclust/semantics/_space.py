"""The nouns that describe a set of images: semantic space construction of MCA."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Self

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._backend._settings import own_settings
from .._compat import (
    HasMethods,
    Interval,
    StrOptions,
    _check_feature_names_in,
    _fit_context,
)
from .._docs import documented
from .._typing import Array, Data, Float, Int, Nouns, RandomState, Strings, WordEncoder
from ..data.distributed import by_blocks, without_fit
from ..data.memory import check_memory
from ..data.read import read_embeddings
from ..data.rows import UnitRows, divide_rows, measured_blocks, unit
from ..datasets.nouns import noun_hierarchy
from ..embedding._resolve import embed_images, make_embedder
from ..neighbors import nearest
from ._encoding import noun_classes, noun_vectors, read_vocabulary
from ._vocabulary import Vocabulary

# k-means for the image centers uses at most this many rows (not in the paper): means of
# thousands of rows hardly change when more are added.
KMEANS_ROWS = 20_000
KMEANS_ROWS_PER_CENTER = 100
BLOCK_BYTES = 32 * 2**20


@documented()
class SemanticSpace(TransformerMixin, BaseEstimator):
    """Select the nouns that describe a set of images.

    Three filters, in the order of [1]_, turn a vocabulary into a small semantic space:

    1. *Uniqueness*: a noun is kept if its cosine with the mean noun is below
       ``1 - gamma_u`` (undefined in [1]_; this is its predecessor [2]_).
    2. *Centers*: k-means finds `n_clusters` centers of the images, and the `gamma_r`
       nearest nouns of each center are kept.
    3. *Hierarchy*: of these, an image speaks for its nearest noun and for all nouns on
       the hypernym paths above it in WordNet. Nouns that no image speaks for are
       dropped, and those less than `gamma_h` levels below the root `entity`, which are
       too general to tell images apart. A noun without a synset has no place in the
       hierarchy: it is kept if it is the nearest noun of an image.

    Parameters: <vocabulary, embedder>
    n_clusters : int, default=8
        Number of image centers.
    gamma_r : int, default=20
        Nouns kept per center (all, where there are fewer).
    gamma_u : float, default=0.05
        Uniqueness: 0 drops nothing, larger values drop more nouns of no particular
        meaning.
    gamma_h : int, default=3
        Smallest depth of a noun; the root has depth 0, `person` 3 and `dog` 8.
    <prompt>
    random_state : int, RandomState instance or None, default=None
        Draws the start of k-means and, with 20,000 images and more, the rows it uses.

    Attributes
    ----------
    nouns_ : ndarray of shape (n_nouns,), object
        The nouns kept.
    embeddings_ : ndarray of shape (n_nouns, n_features), float32
        Their vectors, of unit length.
    synsets_ : ndarray of shape (n_nouns,), object
        Their WordNet names, None where unknown.
    depths_ : ndarray of shape (n_nouns,), int
        Length of the shortest hypernym path to `entity`, -1 where unknown.
    n_removed_ : dict
        Number of nouns removed by "uniqueness", "centers" and "hierarchy".
    <n_features_in_, feature_names_in_>

    See Also
    --------
    MCAClustering : Clusters images with the help of such a space.
    Vocabulary : Nouns with vectors and synsets.

    Notes
    -----
    Images are read in blocks, and only their centers are compared with all nouns;
    memory beside `X` holds the vocabulary's vectors and a few blocks.

    References
    ----------
    .. [1] L. Qiu, Q. Zhang, X. Chen, S. Cai, "Multi-level Cross-modal Alignment for
       Image Clustering", AAAI 2024, section "Semantic Space Construction".
    .. [2] S. Cai, L. Qiu, X. Chen, Q. Zhang, L. Chen, "Semantic-Enhanced Image
       Clustering", AAAI 2023.

    Examples
    --------
    >>> from sklearn_vlclust import SemanticSpace, Vocabulary
    >>> vocabulary = Vocabulary(
    ...     ["dog", "cat", "car"], embeddings=[[1, 0.1], [0.8, 0.6], [-0.2, 1]]
    ... )
    >>> images = [[1, 0], [0.9, 0.1], [0, 2], [0.1, 1.5]]
    >>> space = SemanticSpace(vocabulary, n_clusters=2, gamma_r=1, random_state=0)
    >>> space.fit(images).nouns_
    array(['dog', 'car'], dtype=object)
    >>> space.transform(images).round(2)
    array([[ 1.  , -0.2 ],
           [ 1.  , -0.09],
           [ 0.1 ,  0.98],
           [ 0.17,  0.97]], dtype=float32)
    """

    _parameter_constraints: dict = {
        "vocabulary": [StrOptions({"wordnet"}), Vocabulary, "array-like"],
        "embedder": [
            HasMethods(["encode_texts"]),
            HasMethods(["encode_nouns"]),
            StrOptions({"auto", "offline"}),
            None,
        ],
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "gamma_r": [Interval(Integral, 1, None, closed="left")],
        "gamma_u": [Interval(Real, 0, 1, closed="both")],
        "gamma_h": [Interval(Integral, 0, None, closed="left")],
        "prompt": [str],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        vocabulary: Nouns = "wordnet",
        embedder: WordEncoder | None = None,
        n_clusters: Int = 8,
        gamma_r: Int = 20,
        gamma_u: Float = 0.05,
        gamma_h: Int = 3,
        prompt: str = "a photo of a {}",
        random_state: RandomState = None,
    ) -> None:
        self.vocabulary = vocabulary
        self.embedder = embedder
        self.n_clusters = n_clusters
        self.gamma_r = gamma_r
        self.gamma_u = gamma_u
        self.gamma_h = gamma_h
        self.prompt = prompt
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    @own_settings
    def fit(self, X: Data, y: object = None) -> Self:
        """Select the nouns that describe `X`.

        Parameters: <X, y>

        Returns: <fitted>

        Raises
        ------
        ValueError
            If `X` has fewer rows than `n_clusters`, a row of zeros, NaN or infinity,
            or another width than the nouns' vectors; or if no noun is left.
        """
        X, zero_rows = self._read(X, reset=True)
        return self._fit_rows(UnitRows(X, zero_rows=zero_rows))

    @by_blocks
    def transform(self, X: Data) -> Array:
        """Cosine similarity of each image to each noun.

        Parameters: <X>

        Returns
        -------
        similarities : ndarray of shape (n_samples, n_nouns)
            Between -1 and 1; the columns are :meth:`get_feature_names_out`. A dask
            array for a dask `X`.

        Raises
        ------
        MemoryError
            If they do not fit in memory.
        """
        check_is_fitted(self)
        X, zero_rows = self._read(X, reset=False)
        nouns = self.embeddings_.astype(X.dtype, copy=False)
        check_memory(
            len(X) * len(nouns) * X.itemsize,
            f"The cosines of {len(X):,} images and {len(nouns):,} nouns",
            "Give X in parts or as a dask array, or use kneighbors or mixture.",
        )
        similarities = np.empty((len(X), len(nouns)), dtype=X.dtype)
        for block, rows in _unit_blocks(X, len(nouns), zero_rows):
            np.matmul(rows, nouns.T, out=similarities[block])
        return similarities

    def kneighbors(self, X: Data, k: Int = 5) -> tuple[np.ndarray, np.ndarray]:
        """Nearest nouns of each image.

        Parameters: <X>
        k : int, default=5
            Number of nouns.

        Returns
        -------
        similarities : ndarray of shape (n_samples, k), float32
            Cosine similarities, in descending order.
        indices : ndarray of shape (n_samples, k), int32
            Positions in `nouns_`, nearest first.

        Raises
        ------
        ValueError
            If there are fewer than `k` nouns.
        """
        check_is_fitted(self)
        X, zero_rows = self._read(X, reset=False)
        rows = UnitRows(X, zero_rows=zero_rows)
        indices, similarities = nearest(rows, self.embeddings_, k)
        return similarities, indices

    def mixture(self, X: Data, temperature: Float = 0.01) -> np.ndarray:
        """Describe each image by the mean of the nouns' vectors, weighted by cosine.

        Parameters: <X>
        temperature : float, default=0.01
            Weights are ``softmax(cosines / temperature)``: the lower, the more the
            nearest noun dominates.

        Returns
        -------
        mixtures : ndarray of shape (n_samples, n_features)
            Made in blocks, without a matrix of all images by all nouns.
        """
        check_is_fitted(self)
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, got {temperature!r}.")
        X, zero_rows = self._read(X, reset=False)
        nouns = self.embeddings_.astype(X.dtype, copy=False)
        mixtures = np.empty((len(X), nouns.shape[1]), dtype=X.dtype)
        for block, rows in _unit_blocks(X, len(nouns), zero_rows):
            mixtures[block] = softmax(rows @ nouns.T / temperature, axis=1) @ nouns
        return mixtures

    def get_feature_names_out(
        self, input_features: Strings | None = None
    ) -> np.ndarray:
        """Return the nouns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only checked against the columns seen in `fit`.

        Returns
        -------
        nouns : ndarray of shape (n_nouns,), object
            `nouns_`.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features, generate_names=False)
        return self.nouns_.copy()

    def _read(self, X, reset):
        """Return embeddings and whether rows of zeros are let through."""

        def embed(images):
            return embed_images(self._make_embedder(), images)

        return read_embeddings(self, X, reset=reset, embed=embed)

    def _to_workers(self):
        kept = {"nouns_", "embeddings_", "n_features_in_", "feature_names_in_"}
        return without_fit(self, kept, vocabulary=None)

    def _make_embedder(self):
        # Created on demand: an encoder with its network is neither kept nor pickled.
        return make_embedder(self.embedder)

    def _fit_rows(self, rows, centers=None):
        """Fit on :class:`UnitRows`, for an estimator that holds a space.

        With `centers` of the images given, k-means is not run again.
        """
        self.n_features_in_ = rows.shape[1]
        if rows.shape[0] < self.n_clusters:
            raise ValueError(
                f"n_samples={rows.shape[0]} should be >= n_clusters={self.n_clusters}."
            )
        rng = check_random_state(self.random_state)
        vocabulary = read_vocabulary(self.vocabulary, self.prompt)
        vectors = self._noun_vectors(vocabulary, rows.shape[1])
        unique = self._filter_uniqueness(vectors)
        if centers is None:
            centers = self._find_centers(rows, rng)
        near = self._filter_centers(centers, vectors, unique)
        depths, kept = self._filter_hierarchy(rows, vectors[near], vocabulary, near)
        self.n_removed_ = {
            "uniqueness": len(vocabulary) - len(unique),
            "centers": len(unique) - len(near),
            "hierarchy": len(near) - len(kept),
        }
        self._check_any_left(vocabulary, kept)
        self.nouns_ = vocabulary.nouns[near[kept]]
        self.synsets_ = vocabulary.synsets[near[kept]]
        self.embeddings_ = np.array(vectors[near[kept]])
        self.depths_ = depths[kept]
        return self

    def _noun_classes(self, vocabulary, n_features):
        return noun_classes(vocabulary, self._make_embedder, n_features)

    def _noun_vectors(self, vocabulary, n_features):
        return noun_vectors(vocabulary, self._make_embedder, self.prompt, n_features)

    def _filter_uniqueness(self, vectors):
        """Return the positions of nouns with ``cos(noun, mean noun) < 1 - gamma_u``."""
        mean = vectors.mean(axis=0, dtype=np.float64)
        cosines = vectors @ (mean / np.linalg.norm(mean)).astype(np.float32)
        unique = cosines < 1 - self.gamma_u if self.gamma_u else cosines < np.inf
        return np.flatnonzero(unique)

    def _find_centers(self, rows, rng):
        n_rows = max(KMEANS_ROWS, KMEANS_ROWS_PER_CENTER * self.n_clusters)
        sample = np.arange(rows.shape[0])
        if len(sample) > n_rows:
            sample = np.sort(rng.choice(len(sample), n_rows, replace=False))
        kmeans = KMeans(self.n_clusters, n_init=3, random_state=rng).fit(rows[sample])
        return kmeans.cluster_centers_

    def _filter_centers(self, centers, vectors, unique):
        """Return the positions of the `gamma_r` nearest nouns of all image centers."""
        if not len(unique):
            return unique
        k = min(self.gamma_r, len(unique))
        indices, _ = nearest(unit(centers), vectors[unique], k)
        return unique[np.unique(indices)]

    def _filter_hierarchy(self, rows, vectors, vocabulary, near):
        """Return the depths of the nouns `near`, and which of them are kept."""
        depths = np.full(len(near), -1)
        if not len(near):
            return depths, near
        spoken_for = np.unique(nearest(rows, vectors, 1)[0])
        kept = np.isin(np.arange(len(near)), spoken_for)
        known = [i for i, n in enumerate(near) if vocabulary.synsets[n]]
        if known:
            hierarchy = noun_hierarchy()
            position = {
                i: hierarchy.position(vocabulary.synsets[near[i]]) for i in known
            }
            depths[known] = hierarchy.depths[list(position.values())]
            above = set().union(
                *(hierarchy.ancestors(position[i]) for i in spoken_for if i in position)
            )
            kept[known] = [
                position[i] in above and depths[i] >= self.gamma_h for i in known
            ]
        return depths, np.flatnonzero(kept)

    def _check_any_left(self, vocabulary, kept):
        if not len(kept):
            removed = ", ".join(
                f"{name} ({parameter}) removed {self.n_removed_[name]:,}"
                for name, parameter in [
                    ("uniqueness", f"gamma_u={self.gamma_u}"),
                    ("centers", f"gamma_r={self.gamma_r}"),
                    ("hierarchy", f"gamma_h={self.gamma_h}"),
                ]
            )
            raise ValueError(
                f"No noun is left of {len(vocabulary):,}: {removed}. Lower gamma_u or "
                "gamma_h, raise gamma_r, or use a larger vocabulary."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def fit_space(space, rows, centers):
    """Fit a :class:`SemanticSpace` on :class:`UnitRows` whose centers are known."""
    space._validate_params()
    return space._fit_rows(rows, centers)


def _unit_blocks(X, n_columns, zero_rows):
    """Yield ``(slice, unit rows in the dtype of X)``, sized for `n_columns` results."""
    size = max(1, BLOCK_BYTES // (X.itemsize * (n_columns + X.shape[1])))
    for block, x, norms in measured_blocks(X, zero_rows, size):
        yield block, divide_rows(x, norms).cpu().numpy()
