"""Names for the clusters of any clusterer: Algorithm 2 of CPP."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.utils.validation import (
    assert_all_finite,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from .._backend._settings import own_settings
from .._compat import (
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
)
from .._docs import documented
from .._typing import Auto, Data, Device, Float, Int, Nouns, WordEncoder
from ..data.read import read_embeddings
from ..data.rows import UnitRows, unit
from ..embedding._resolve import embed_images, make_embedder
from ..metrics._clusters import cluster_means
from ..neighbors import nearest
from ..training import resolve_device
from ._encoding import noun_vectors, read_vocabulary
from ._kinds import generalize, join_synonyms
from ._points import Points
from ._shown import shown_names
from ._vocabulary import Vocabulary

# Scores of a block of images with all nouns take this much memory.
BLOCK_BYTES = 128 * 2**20
# `centering="auto"` with many clusters, and the number of them that halves it.
CENTERING, HALVED_AT = 0.7, 3


@documented()
class ClusterCaptioner(BaseEstimator):
    """Name clusters by the nouns that their images vote for.

    Each image votes for its `top` nearest nouns, with their scores as weights; the noun
    with the most votes of a cluster names it [1]_. The labels may come from any
    clusterer.

    Parameters: <vocabulary>
    top : int, default=5
        Number of nouns that each image votes for (all, if there are fewer).
    n_candidates : int, default=5
        Largest number of nouns that are kept of each cluster.
    <embedder>
    logit_scale : float or None, default=100.0
        The scores of an image are ``softmax(logit_scale * cosines)`` over all nouns, as
        in the authors' code. If None, they are the cosines themselves (eq. 8 of [1]_).
    centering : "auto" or float in [0, 1], default="auto"
        Share of what all images have in common that is taken from each before it is
        compared with the nouns, and of what all nouns have in common from each noun. 0
        is [1]_; for "auto" see Notes.
    generality : float in (0, 1] or None, default=0.2
        Votes that a more general noun needs to name a cluster, as a share of the most
        votes of any noun (see Notes); synonyms count as one noun. If None, as in [1]_:
        the noun with the most votes names the cluster, whatever others mean.
    <prompt, device>

    Attributes
    ----------
    captions_ : ndarray of shape (n_clusters,), object
        Noun of each cluster, in the order of `clusters_`. Clusters that show the same
        get the same.
    scores_ : ndarray of shape (n_clusters,)
        Mean vote per image for the caption; with a `logit_scale`, between 0 and 1.
        Votes for hyponyms of a chosen general noun count towards it.
    candidates_ : list of `n_clusters` arrays of str
        Nouns with the most votes of each cluster, best first; fewer than `n_candidates`
        where its images voted for fewer.
    candidate_scores_ : list of `n_clusters` arrays of float
        Mean vote per image for each.
    clusters_ : ndarray of shape (n_clusters,)
        Labels of the clusters, sorted. With labels 0, 1, ..., k - 1 the caption of
        cluster `c` is ``captions_[c]``.
    centering_ : float
        The share that was taken.
    <n_features_in_, feature_names_in_>

    See Also
    --------
    MCAClustering : Names its clusters itself.
    Vocabulary : Nouns with vectors and synsets.

    Notes
    -----
    The images of a contrastive encoder such as CLIP have much in common, and so have
    its nouns: what all photographs of pets share is larger than what distinguishes
    breeds, and it raises the same few nouns for every image. `centering` (not in [1]_)
    takes a share of the mean of the cluster means from each image, and the same share
    of the mean noun from each noun. It must not be all of it, because the mean also
    holds what the images show, and mostly that if there are few clusters. "auto" is
    therefore ``0.7 k / (k + 3)`` of `k` clusters. It is 0 where clusters are nearer to
    their nearest noun than to each other, in spaces without this gap, such as the space
    of `OfflineEmbedder`.

    Encoders are often closer to a hyponym than to the class itself: most airplanes are
    airliners, but "airplane" is what distinguishes them from a set's helicopters. With
    `generality` (not in [1]_) a cluster is therefore named by a noun that WordNet
    places above the one with most votes, if it has a fifth of its votes itself and no
    cluster with another noun falls under it: a set's dalmatians are not "dog" beside
    its beagles. Of several, the one with most votes is taken. Nouns need synsets.

    Vocabularies put together of several lists name a thing more than once, and its
    votes are divided: with `generality`, nouns of one synset are one noun, the one with
    most votes in all, and so are nouns that differ in case alone. A noun without a
    synset gets the synset of the nouns with its name, if they agree: "Mug" gets that of
    "mug" or "mug, cup", and "Crane" gets none beside "crane (bird)" and "crane
    (machine)".

    Clusters of `MCAClustering` on Oxford-IIIT Pets and Caltech-101 whose caption is a
    noun of the class of their majority (or a kind of it, as airliner of airplane):
    71 and 70 % (71 and 86 %) with cosines, 77 and 70 % (77 and 87 %) with the softmax,
    89 and 82 % (89 and 91 %) with centering and generality; ``python -m benchmarks
    captions``. Without generality Caltech-101 has 79 % (94 %): it also names electric
    guitars "guitar". The constants were chosen while looking at these two sets.

    Images are compared with the nouns in blocks; memory beside `X` holds the nouns'
    vectors twice, a block of scores, and `top` numbers per image.

    References
    ----------
    .. [1] Chu, Tong, Ding, Dai, Haeffele, Vidal, Ma, "Image clustering via the
       principle of rate reduction in the age of pretrained models", ICLR 2024,
       Algorithm 2.

    Examples
    --------
    >>> from sklearn_vlclust import ClusterCaptioner, Vocabulary
    >>> vocabulary = Vocabulary(
    ...     ["dog", "cat", "car"], embeddings=[[1, 0.1], [0.8, 0.6], [-0.2, 1]]
    ... )
    >>> images = [[1, 0], [0.9, 0.1], [0, 2], [0.1, 1.5], [-0.5, -1]]
    >>> labels = [0, 0, 1, 1, -1]  # -1 is noise
    >>> captioner = ClusterCaptioner(vocabulary).fit(images, labels)
    >>> captioner.captions_
    array(['dog', 'car'], dtype=object)
    >>> captioner.caption(labels)
    array(['dog', 'dog', 'car', 'car', None], dtype=object)
    """

    _parameter_constraints: dict = {
        "vocabulary": [StrOptions({"wordnet"}), Vocabulary, "array-like"],
        "top": [Interval(Integral, 1, None, closed="left")],
        "n_candidates": [Interval(Integral, 1, None, closed="left")],
        "embedder": [
            HasMethods(["encode_texts"]),
            HasMethods(["encode_nouns"]),
            StrOptions({"auto", "offline"}),
            None,
        ],
        "logit_scale": [Interval(Real, 0, None, closed="neither"), None],
        "centering": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
        "generality": [Interval(Real, 0, 1, closed="right"), None],
        "prompt": [str],
        "device": [str, torch.device],
    }

    def __init__(
        self,
        vocabulary: Nouns = "wordnet",
        top: Int = 5,
        *,
        n_candidates: Int = 5,
        embedder: WordEncoder | None = None,
        logit_scale: Float | None = 100.0,
        centering: Float | Auto = "auto",
        generality: Float | None = 0.2,
        prompt: str = "a photo of a {}",
        device: Device = "auto",
    ) -> None:
        self.vocabulary = vocabulary
        self.top = top
        self.n_candidates = n_candidates
        self.embedder = embedder
        self.logit_scale = logit_scale
        self.centering = centering
        self.generality = generality
        self.prompt = prompt
        self.device = device

    @_fit_context(prefer_skip_nested_validation=True)
    @own_settings
    def fit(self, X: Data, y: ArrayLike) -> Self:
        """Name the clusters `y` of the images `X`.

        Embeddings are of the encoder that made the nouns' vectors.

        Parameters: <X>
        y : array-like of shape (n_samples,)
            Cluster of each image: the `labels_` or the prediction of any clusterer.
            Images with a negative label (noise of DBSCAN and HDBSCAN) are left out.

        Returns: <fitted>

        Raises
        ------
        ValueError
            If `X` and `y` differ in length, all images are noise, a row of `X` is zero
            or not finite, or the nouns' vectors have another width than `X`.
        """
        X, zero_rows = read_embeddings(self, X, reset=True, embed=self._embed)
        self.clusters_, labels = _read_labels(y, X)
        rows = UnitRows(X, zero_rows=zero_rows)
        vocabulary = read_vocabulary(self.vocabulary, self.prompt)
        nouns = self._noun_vectors(vocabulary, rows.shape[1])
        return self._fit_rows(rows, labels, vocabulary, nouns)

    def _fit_rows(self, rows, labels, vocabulary, nouns):
        """Name clusters of unit rows by a vocabulary whose vectors are known.

        Labels are places in `clusters_`; larger ones are noise.
        """
        votes = self._count_votes(rows, labels, nouns)
        if self.generality is not None:
            votes, synsets = join_synonyms(votes, vocabulary)
        best = [_sorted(votes[[c]]) for c in range(votes.shape[0])]
        if self.generality is not None:
            best = generalize(best, synsets, self.generality)
        kept = slice(self.n_candidates)
        index = [index[kept] for index, _ in best]
        self.candidates_ = shown_names(
            [vocabulary.nouns[i] for i in index], [vocabulary.synsets[i] for i in index]
        )
        self.candidate_scores_ = [scores[kept] for _, scores in best]
        self.captions_ = np.array([nouns[0] for nouns in self.candidates_], object)
        self.scores_ = np.array([scores[0] for scores in self.candidate_scores_])
        return self

    def caption(self, labels: ArrayLike) -> np.ndarray:
        """Caption of each label.

        Parameters
        ----------
        labels : array-like of shape (n_samples,)
            Labels that :meth:`fit` has seen, and negative ones.

        Returns
        -------
        captions : ndarray of shape (n_samples,), object
            The caption of the label's cluster; None for a negative label.

        Raises
        ------
        ValueError
            If a label is not in `clusters_` and not negative.
        """
        check_is_fitted(self)
        labels = column_or_1d(labels)
        noise = _is_noise(labels)
        if len(unknown := np.setdiff1d(labels[~noise], self.clusters_)):
            raise ValueError(
                f"Labels without a caption: {unknown[:5].tolist()}; fit has seen "
                f"{len(self.clusters_)} clusters, from {self.clusters_[0]!r} to "
                f"{self.clusters_[-1]!r}."
            )
        captions = np.full(len(labels), None, dtype=object)
        place = np.searchsorted(self.clusters_, labels[~noise])
        captions[~noise] = self.captions_[place]
        return captions

    def _embed(self, images):
        return embed_images(self._make_embedder(), images)

    def _make_embedder(self):
        # Made when needed: an encoder with its network is not kept or pickled.
        return make_embedder(self.embedder)

    def _noun_vectors(self, vocabulary, n_features):
        return noun_vectors(vocabulary, self._make_embedder, self.prompt, n_features)

    def _count_votes(self, rows, labels, nouns):
        """Return the mean votes per image of each cluster for each noun: eqs. 8-10."""
        n_clusters, top = len(self.clusters_), min(self.top, len(nouns))
        image_mean, noun_mean = self._what_is_common(rows, labels, nouns)
        points = Points(nouns)
        device = resolve_device(self.device)
        vectors = unit(nouns[points.first] - noun_mean)
        vectors = torch.from_numpy(vectors).to(device)  # (m, d)
        sizes = torch.from_numpy(points.sizes.astype(np.float32)).to(device)
        voters = np.flatnonzero(labels < n_clusters)
        index = np.empty((len(voters), top), dtype=np.int32)
        scores = np.empty((len(voters), top), dtype=np.float32)
        size = max(1, BLOCK_BYTES // (4 * len(vectors)))
        for i in range(0, len(voters), size):
            block = slice(i, i + size)
            images = torch.from_numpy(unit(rows[voters[block]] - image_mean))
            best, place = _scores(
                images.to(device), vectors, sizes, self.logit_scale, top
            )
            index[block], scores[block] = points.nouns(
                place.cpu().numpy(), best.cpu().numpy(), top
            )
        cluster = np.repeat(labels[voters], top)
        votes = csr_array(
            (scores.ravel().astype(np.float64), (cluster, index.ravel())),
            shape=(n_clusters, len(nouns)),
        )
        return csr_array(votes / np.bincount(labels[voters])[:, None])

    def _what_is_common(self, rows, labels, nouns):
        """Return what is subtracted from each image, and from each noun."""
        k = len(self.clusters_)
        # Noise has number k. Every cluster counts the same, however large it is.
        means = cluster_means(rows, labels, k + 1)[:k]
        noun_mean = nouns.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.centering_ = self.centering
        if self.centering == "auto":
            self.centering_ = _auto_centering(means, nouns)
        return self.centering_ * means.mean(axis=0), self.centering_ * noun_mean

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def name_clusters(space, rows, labels, device):
    """Name clusters by the vocabulary of a :class:`SemanticSpace`.

    Parameters
    ----------
    space : SemanticSpace
        Its vocabulary, prompt and encoder are used; it need not be fitted.
    rows : ndarray or Rows of shape (n, d)
        Unit rows.
    labels : ndarray of shape (n,), int
        Clusters, each number from 0 on at least once.
    device : str or torch.device
        Where votes are counted.

    Returns
    -------
    names, scores : list of (n_candidates,) arrays
        Per cluster, the best first.
    """
    captioner = ClusterCaptioner(device=device)
    captioner.clusters_ = np.arange(labels.max() + 1)
    vocabulary = read_vocabulary(space.vocabulary, space.prompt)
    vectors = space._noun_vectors(vocabulary, rows.shape[1])
    captioner._fit_rows(rows, labels, vocabulary, vectors)
    return captioner.candidates_, captioner.candidate_scores_


def _read_labels(y, X):
    """Return the clusters of `y`, and the number of each sample's; noise comes last."""
    if y is None:
        raise ValueError(
            "ClusterCaptioner requires y to be passed, but the target y is None: it "
            "names clusters that are there, fit(X, labels)."
        )
    y = column_or_1d(y)
    assert_all_finite(y, input_name="y")
    check_consistent_length(X, y)
    noise = _is_noise(y)
    if noise.all():
        raise ValueError(
            f"All {len(y)} labels are negative, which is noise: no cluster to name."
        )
    clusters, numbers = np.unique(y[~noise], return_inverse=True)
    labels = np.full(len(y), len(clusters))
    labels[~noise] = numbers
    return clusters, labels


def _is_noise(labels):
    return labels < 0 if labels.dtype.kind in "if" else np.zeros(len(labels), bool)


def _auto_centering(means, nouns):
    """Return the share of the common part to subtract; see the class's Notes."""
    k = len(means)
    if k == 1:
        return 0.0
    means = unit(means)
    to_others = (np.square(means.sum(axis=0)).sum() - k) / (k * (k - 1))
    to_noun = nearest(means, nouns, 1)[1].mean()
    return CENTERING * k / (k + HALVED_AT) if to_others > to_noun else 0.0


@torch.inference_mode()
def _scores(images, points, sizes, logit_scale, top):
    """Return the best scores of each image, and the points they are of: eqs. 8, 9.

    `sizes` nouns lie at each point.
    """
    cosines, top = images @ points.T, min(top, len(points))  # (b, m)
    if logit_scale is None:
        return cosines.topk(top, dim=1)
    logits = cosines.mul_(logit_scale)
    best, place = logits.topk(top, dim=1)
    total = logits.sub_(best[:, :1]).exp_() @ sizes
    return (best - best[:, :1]).exp() / total[:, None], place


def _sorted(votes):
    """Return the columns and values of a sparse row, the largest first."""
    order = np.argsort(-votes.data, kind="stable")
    return votes.indices[order], votes.data[order]
