"""Names for the clusters of any clusterer: by detection, or Algorithm 2 of CPP."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Literal, Self

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
from .._backend._text import counted
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
from ..metrics._clusters import cluster_means, cluster_members
from ..neighbors import nearest
from ..training import resolve_device
from ._encoding import noun_classes, noun_vectors, read_vocabulary
from ._kinds import generalize, join_synonyms
from ._points import Points
from ._shown import shown_names
from ._vocabulary import Vocabulary
from .detection import (
    DOUBT,
    NEARLY,
    Detectors,
    cluster_shares,
    noun_evidence,
)

# Scores of a block of images with all nouns take this much memory.
BLOCK_BYTES = 128 * 2**20
# `centering="auto"` with many clusters, and the number of them that halves it.
CENTERING, HALVED_AT = 0.7, 3


@documented()
class ClusterCaptioner(BaseEstimator):
    """Name clusters by the nouns that tell them from each other.

    The labels may come from any clusterer.

    Parameters: <vocabulary>
    top : int, default=5
        Method "votes": number of nouns that each image votes for (all, if there are
        fewer).
    method : {"detection", "votes"}, default="detection"
        "detection" is not from a paper, see Notes; "votes" is Algorithm 2 of [1]_, if
        `centering` is 0 and `generality` None.
    n_candidates : int, default=5
        Largest number of nouns that are kept of each cluster.
    <embedder>
    logit_scale : float or None, default=100.0
        The scores of an image are ``softmax(logit_scale * cosines)`` over all nouns, as
        in the authors' code. If None, they are the cosines themselves (eq. 8 of [1]_),
        for method "votes" alone.
    centering : "auto" or float in [0, 1], default="auto"
        Share of what all images have in common that is taken from each before it is
        compared with the nouns, and of what all nouns have in common from each noun. 0
        is [1]_; for "auto" see Notes.
    generality : float in (0, 1] or None, default=0.2
        Method "votes": votes that a more general noun needs to name a cluster, as a
        share of the most votes of any noun (see Notes); synonyms count as one noun. If
        None, as in [1]_: the noun with the most votes names the cluster.
    <prompt, device>

    Attributes
    ----------
    captions_ : ndarray of shape (n_clusters,), object
        Name of each cluster, in the order of `clusters_`. With method "detection" they
        differ; clusters that show the same have a second noun after a comma: "guitar,
        electric guitar".
    scores_ : ndarray of shape (n_clusters,)
        Share of the cluster's images that show what the name says, or for method
        "votes" the mean vote per image. With a `logit_scale`, between 0 and 1.
    confidences_ : ndarray of shape (n_clusters,)
        How far each name can be believed, between 0 and 1; see Notes. For method
        "votes", `scores_`.
    candidates_ : list of `n_clusters` arrays of str
        Best nouns of each cluster, the caption first; fewer than `n_candidates` where
        its images voted for fewer.
    candidate_scores_ : list of `n_clusters` arrays of float
        As `scores_`, for each.
    clusters_ : ndarray of shape (n_clusters,)
        Labels of the clusters, sorted. With labels 0, 1, ..., k - 1 the caption of
        cluster `c` is ``captions_[c]``.
    centering_ : float
        The share that was taken.
    <n_features_in_, feature_names_in_>

    See Also
    --------
    VLClustering : Names its clusters itself, by method "detection".
    Vocabulary : Nouns with vectors and synsets.

    Notes
    -----
    **Detection.** The recall of a noun is the share of a cluster's images that show it
    or what WordNet places below it; its precision is the cluster's part of these
    shares, every cluster counting the same. The F-measure of both finds the level: a
    set's only bird is "bird", one of six is not. It is multiplied by how usual the
    noun is as a name: by the eighth root of how common the word is (its place in the
    vocabulary of CLIP's tokenizer) in this sense (in WordNet's tagged texts), so that
    "crab" comes before "crustacean"; by a half for superordinate nouns, such as
    "reptile" or "vehicle"; nouns such as "instrumentality" come last. All names are
    then chosen together, each for one cluster.

    The shares are those of most likelihood, if an image shows a noun with a likelihood
    of ``exp(logit_scale * cosine)`` [2]_. The mean of the images' votes, by contrast,
    spreads over all that the encoder confuses. An encoder with a method `noun_classes`,
    such as `OfflineEmbedder`, says itself which things it tells apart, and which of
    them a noun stands for; for others the things are the nouns.

    The confidence in a name is its F-measure, times ``n / (n + 2)`` for a cluster of
    `n` images. Of names with .8 and more, 91 to 100 % were what a person had written
    down before, on four sets of photographs and CLIP embeddings (small pictures of
    CIFAR-10 have no name that is so sure); ``python -m benchmarks names``.

    **Centering.** The images of a contrastive encoder such as CLIP have much in common,
    and so have its nouns: what all photographs of pets share is larger than what
    distinguishes breeds, and it raises the same few nouns for every image. `centering`
    (not in [1]_) takes a share of the mean of the cluster means from each image, and
    the same share of the mean noun from each noun. It must not be all of it, because
    the mean also holds what the images show, and mostly that if there are few clusters.
    "auto" is therefore ``0.7 k / (k + 3)`` of `k` clusters. It is 0 where clusters are
    nearer to their nearest noun than to each other, in spaces without this gap. With
    `noun_classes`, "auto" is ``1 - 1 / k``, for images alone.

    **Votes.** Each image votes for its `top` nearest nouns, with their scores as
    weights; the noun with the most votes of a cluster names it. Encoders are often
    closer to a hyponym than to the class itself: most airplanes are airliners, but
    "airplane" is what distinguishes them from a set's helicopters. With `generality`
    (not in [1]_) a cluster is therefore named by a noun that WordNet places above the
    one with most votes, if it has a fifth of its votes itself and no cluster with
    another noun falls under it. Of several, the one with most votes is taken.

    **Synonyms.** Vocabularies put together of several lists name a thing more than
    once, and its votes are divided: nouns of one synset are one noun, and so are nouns
    that differ in case alone. A noun without a synset gets the synset of the nouns with
    its name, if they agree: "Mug" gets that of "mug" or "mug, cup", and "Crane" gets
    none beside "crane (bird)" and "crane (machine)".

    Images are compared with the nouns in blocks; memory beside `X` holds the nouns'
    vectors twice and a block of scores. At most 100 images per cluster take part in a
    detection.

    References
    ----------
    .. [1] Chu, Tong, Ding, Dai, Haeffele, Vidal, Ma, "Image clustering via the
       principle of rate reduction in the age of pretrained models", ICLR 2024,
       Algorithm 2.
    .. [2] Saerens, Latinne, Decaestecker, "Adjusting the outputs of a classifier to new
       a priori probabilities", Neural Computation 14, 2002: the expectation
       maximization that finds the shares.

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
        "method": [StrOptions({"detection", "votes"})],
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
        method: Literal["detection", "votes"] = "detection",
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
        self.method = method
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
        return self._fit_rows(rows, labels, vocabulary, self)

    def _fit_rows(self, rows, labels, vocabulary, words):
        """Name clusters of unit rows.

        Labels are places in `clusters_`; larger ones are noise. `words` has the vectors
        of the nouns: the captioner itself, or the space that it names clusters for.
        """
        if self.method == "detection":
            if self.logit_scale is None:
                raise ValueError(
                    "logit_scale is None, but method='detection' needs a number; only "
                    "method='votes' takes None."
                )
            return self._detect(rows, labels, vocabulary, words)
        nouns = words._noun_vectors(vocabulary, rows.shape[1])
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
        self.confidences_ = self.scores_.clip(max=1)
        return self

    def _detect(self, rows, labels, vocabulary, words):
        """Name each cluster by the noun that detects it best, all of them together."""
        k = len(self.clusters_)
        members = cluster_members(labels, k)[:k]
        # Noise has number k. Every cluster counts the same, however large it is.
        means = cluster_means(rows, labels, k + 1)[:k]

        def shares_of(things):
            common = self.centering_ * means.mean(axis=0)
            scale, device = self.logit_scale, resolve_device(self.device)
            return cluster_shares(rows, members, things, common, scale, device)

        weights, synsets = None, list(vocabulary.synsets)
        classes = words._noun_classes(vocabulary, rows.shape[1])
        if classes is not None:
            things, parts = classes
            # The mean of k clusters is a k-th of each cluster itself.
            auto = self.centering == "auto"
            self.centering_ = 1 - 1 / k if auto else float(self.centering)
            weights = parts.max(axis=1).toarray()
            parts.data = np.ones_like(parts.data)
            shares = csr_array(shares_of(things)) @ parts.T
        else:
            nouns = words._noun_vectors(vocabulary, rows.shape[1])
            things, of_nouns = noun_evidence(nouns)
            noun_mean = self._set_centering(means, nouns)
            shares = shares_of(unit(things - self.centering_ * noun_mean))
            shares, synsets = join_synonyms(of_nouns(shares), vocabulary)
        sizes = np.array([len(own) for own in members])
        return self._read_detectors(
            Detectors(shares, vocabulary, synsets, weights), sizes
        )

    def _read_detectors(self, detectors, sizes):
        """Set the names of clusters of `sizes` images, and what is said of them."""
        first = detectors.choose()
        places = np.arange(len(first))
        self.scores_ = detectors.recall[places, first]
        sure = sizes / (sizes + DOUBT)
        self.confidences_ = detectors.f_measure[places, first] * sure
        index = []
        for own, scores, place in zip(detectors.recall, detectors.scores, first):
            order = np.argsort(-scores, kind="stable")
            near = scores[order] >= NEARLY * scores.max()
            order = np.r_[place, order[near & (order != place) & (own[order] > 0)]]
            index.append(order[: self.n_candidates])
        seen = sorted(set(np.concatenate(index)))
        names = dict(zip(seen, detectors.shown_names(seen)))
        self.candidates_ = [np.array([names[i] for i in own], object) for own in index]
        self.candidate_scores_ = [
            own[order] for own, order in zip(detectors.recall, index)
        ]
        for names_of, which in zip(self.candidates_, detectors.qualifiers(first)):
            if which is not None:
                qualifier = names.get(which) or detectors.shown_names([which])[0]
                names_of[0] = f"{names_of[0]}, {qualifier}"
        self.captions_ = np.array([own[0] for own in self.candidates_], object)
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
                f"{counted(len(self.clusters_), 'cluster')}, from "
                f"{self.clusters_[0]!r} to {self.clusters_[-1]!r}."
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

    def _noun_classes(self, vocabulary, n_features):
        return noun_classes(vocabulary, self._make_embedder, n_features)

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
        n_images = np.bincount(labels[voters])[:, None]
        size = max(1, BLOCK_BYTES // (4 * len(vectors)))
        index = np.empty((len(voters), top), dtype=np.int32)
        scores = np.empty((len(voters), top), dtype=np.float32)
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
        return csr_array(votes / n_images)

    def _what_is_common(self, rows, labels, nouns):
        """Return what is subtracted from each image, and from each noun."""
        k = len(self.clusters_)
        means = cluster_means(rows, labels, k + 1)[:k]
        noun_mean = self._set_centering(means, nouns)
        return self.centering_ * means.mean(axis=0), self.centering_ * noun_mean

    def _set_centering(self, means, nouns):
        """Set `centering_`, and return the mean noun."""
        share: Any = self.centering
        if share == "auto":
            share = _auto_centering(means, nouns)
        self.centering_ = share
        return nouns.mean(axis=0, dtype=np.float64).astype(np.float32)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def name_clusters(space, rows, labels, *, device, n_candidates):
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
        Where images and nouns are compared.
    n_candidates : int
        Largest number of names per cluster.

    Returns
    -------
    names, scores : list of (n_candidates,) arrays
        Per cluster, the best first.
    confidences : ndarray of shape (n_clusters,)
        Of the first names.
    """
    captioner = ClusterCaptioner(n_candidates=n_candidates, device=device)
    captioner.clusters_ = np.arange(labels.max() + 1)
    vocabulary = read_vocabulary(space.vocabulary, space.prompt)
    captioner._fit_rows(rows, labels, vocabulary, space)
    return captioner.candidates_, captioner.candidate_scores_, captioner.confidences_


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
            f"Of {counted(len(y), 'label')}, all are negative, which is noise: no "
            "cluster to name."
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
