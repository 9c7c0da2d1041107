"""ClusterReport: one HTML file that shows clusters of images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..._backend._files import write_bytes_atomically
from ..._docs import documented
from ..._typing import Images, StrPath
from ...data.images import check_images
from ...data.rows import UnitRows
from ...neighbors import find_duplicates
from .._assignments import read_certainty, read_labels, read_names, read_rows
from .._coding_length import CodingLengthDisplay, read_curves
from .._embedding_map import lay_out
from ._findings import choose_shown, find_outliers, measure_clusters
from ._page import render
from ._thumbnails import make_thumbnails

if TYPE_CHECKING:
    from ...model_selection import CodingLengthKSelector
    from ...semantics import ClusterCaptioner

_DUPLICATES, _COPIES, _OUTLIERS = 100, 12, 60  # groups, images of each; at most


@documented()
class ClusterReport:
    """Clusters of images on one page, in one HTML file that needs no network.

    It shows how many clusters there are and why, pictures and names of each, a map of
    all images, similar clusters, possible duplicates and outliers. Any browser opens
    the file.

    Build it by :meth:`from_estimator`.

    Parameters
    ----------
    thumbnails : list of `n` bytes
        A small picture of each image that is shown, a WebP file.
    image_names : list of `n` str
        Name of each image.
    labels : ndarray of shape (n,), int
        Cluster of each image; a negative one is noise.
    coordinates : ndarray of shape (n, 2)
        Place of each image on the map.
    typicality : ndarray of shape (n,)
        How typical each is of its cluster: a cosine.
    certainty : ndarray of shape (n,)
        Certainty of its cluster: a probability, or a margin of cosines. May be NaN.
    sizes : dict of int to int
        Number of images of each cluster, whether shown or not, and of noise as -1.
    similarities : ndarray of shape (k, k)
        Similarity of the clusters, in the order of their labels.
    cluster_names : dict of int to list of (str, float), default=None
        Nouns of clusters and their scores, best first.
    nouns : list of `n` lists of (str, float), default=None
        Nearest nouns of each image, and their weights.
    duplicates : list of (list of int, int, list of str), default=()
        Groups of images that may be duplicates: those shown, the number of others, and
        how they are known ("exact", "perceptual", "embedding").
    outliers : list of (int, float), default=()
        Outliers, and how far they are from their cluster.
    curves : list of CodingLengthDisplay, default=()
        How the number of clusters was chosen.
    method : str, default=""
        Name of the clusterer.
    params : dict of str to str, default=None
        Its parameters.
    certainty_name : {"probability", "margin"}, default="margin"
        Meaning of `certainty`.
    name_score : str, default="score"
        Meaning of the nouns' scores.
    title : str, default=None
        Title of the page.

    See Also
    --------
    ContactSheetDisplay : One picture of all clusters.
    EmbeddingMapDisplay : The map alone.
    CodingLengthDisplay : The curve alone.

    Notes
    -----
    The thumbnails share 18 MiB (24 MiB as text): of 10,000 photographs each is about
    96 pixels wide. Nothing in the page is loaded from elsewhere, and its content
    security policy forbids it. File names are shown from the folder on that all images
    have in common, so that a report does not reveal where they are stored.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.cluster import KMeans
    >>> from sklearn_vlclust.plotting import ClusterReport
    >>> rng = np.random.default_rng(0)
    >>> images = rng.integers(0, 255, (30, 16, 16, 3), dtype=np.uint8)
    >>> X = np.eye(3, 8)[np.arange(30) % 3] + 0.1 * rng.normal(size=(30, 8))
    >>> kmeans = KMeans(3, random_state=0).fit(X)
    >>> report = ClusterReport.from_estimator(kmeans, images, embeddings=X)
    >>> report.save("report.html").name
    'report.html'
    """

    def __init__(
        self,
        thumbnails: Sequence[bytes],
        image_names: Sequence[str],
        labels: np.ndarray,
        coordinates: np.ndarray,
        typicality: np.ndarray,
        certainty: np.ndarray,
        sizes: dict[int, int],
        similarities: np.ndarray,
        *,
        cluster_names: dict[int, list[tuple[str, float]]] | None = None,
        nouns: Sequence[list[tuple[str, float]]] | None = None,
        duplicates: Sequence[tuple[list[int], int, list[str]]] = (),
        outliers: Sequence[tuple[int, float]] = (),
        curves: Sequence[CodingLengthDisplay] = (),
        method: str = "",
        params: dict[str, str] | None = None,
        certainty_name: str = "margin",
        name_score: str = "score",
        title: str | None = None,
    ) -> None:
        self.thumbnails = thumbnails
        self.image_names = image_names
        self.labels = labels
        self.coordinates = coordinates
        self.typicality = typicality
        self.certainty = certainty
        self.sizes = sizes
        self.similarities = similarities
        self.cluster_names = cluster_names
        self.nouns = nouns
        self.duplicates = duplicates
        self.outliers = outliers
        self.curves = curves
        self.method = method
        self.params = params
        self.certainty_name = certainty_name
        self.name_score = name_score
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        images: Images,
        *,
        embeddings: ArrayLike | None = None,
        captioner: ClusterCaptioner | None = None,
        selector: CodingLengthKSelector | None = None,
        title: str | None = None,
        max_images: int = 10_000,
    ) -> Self:
        """Report how a fitted clusterer divides images.

        Parameters
        ----------
        estimator : clusterer
            Fitted; clusters come from its `predict`, or from `labels_` if it cannot
            predict. Probabilities are shown if it has `predict_proba`.
        <images, embeddings>
        captioner : ClusterCaptioner, default=None
            Fitted on these clusters: names them. If None, names are the estimator's
            `cluster_names_`, if it has any.
        selector : CodingLengthKSelector, default=None
            Fitted: shows how the number of clusters was chosen. Not needed for a
            :class:`~sklearn_vlclust.RateReductionClustering` that chose it itself.
        title : str, default=None
            Title of the page. If None, one is made.
        max_images : int, default=10_000
            Largest number of images with a thumbnail and a place on the map. Of more,
            typical and doubtful ones of each cluster are shown, and others evenly
            between; numbers, duplicates and outliers are of all.

        Returns
        -------
        report : ClusterReport
            Call :meth:`save`, or :meth:`to_html`.

        Raises
        ------
        ValueError
            If there is neither an embedder nor embeddings, lengths differ, or an image
            cannot be decoded.
        """
        images = check_images(images)
        rows, inputs = read_rows(estimator, images, embeddings)
        labels = read_labels(estimator, inputs)
        unit = UnitRows(rows)
        geometry = measure_clusters(unit, labels)
        # Learned features make all images of a cluster similar.
        learned = embeddings is None and rows is not inputs
        duplicates = _duplicates(
            find_duplicates(images, embeddings=None if learned else unit)
        )
        outliers = find_outliers(geometry.typicality, labels, _OUTLIERS)
        first = [i for group, *_ in duplicates for i in group] + [
            i for i, _ in outliers
        ]
        shown = choose_shown(
            labels, geometry.typicality, geometry.margin, first, max_images
        )
        place = {int(i): place for place, i in enumerate(shown)}
        certainty, certainty_name = read_certainty(estimator, inputs), "probability"
        if certainty is None:
            certainty, certainty_name = geometry.margin, "margin"
        pictures = [images[i] for i in shown]
        return cls(
            make_thumbnails(pictures),
            _image_names(images, shown),
            labels[shown],
            lay_out(rows[shown], random_state=0),
            geometry.typicality[shown],
            certainty[shown],
            _sizes(labels),
            geometry.similarities,
            cluster_names=read_names(estimator, captioner),
            nouns=_nouns(estimator, rows[shown]),
            duplicates=[
                ([place[i] for i in group if i in place], others, reasons)
                for group, others, reasons in duplicates
            ],
            outliers=[(place[i], score) for i, score in outliers],
            curves=_curves(estimator, selector),
            method=type(estimator).__name__,
            params=_params(estimator),
            certainty_name=certainty_name,
            name_score=_name_score(estimator, captioner),
            title=title,
        )

    def to_html(self) -> str:
        """Return the page.

        Returns
        -------
        html : str
            A whole HTML document, which can be encoded as UTF-8 whatever the images
            are called.
        """
        return render(self)

    def save(self, path: StrPath) -> Path:
        """Write the page to a file.

        Parameters
        ----------
        path : str or Path
            The file; replaced in one step if it exists. Folders are made.

        Returns
        -------
        path : Path
            The file.
        """
        write_bytes_atomically(path, self.to_html().encode())
        return Path(path)


def _sizes(labels):
    clusters, counts = np.unique(np.maximum(labels, -1), return_counts=True)
    return {int(c): int(n) for c, n in zip(clusters, counts)}


def _duplicates(found):
    """Return some images of some groups, the number of others, and the reasons."""
    group = {int(i): number for number, own in enumerate(found.groups) for i in own}
    reasons: list[list[str]] = [[] for _ in found.groups]
    for (i, _), reason in zip(found.pairs, found.reasons):
        reasons[group[int(i)]].append(str(reason))
    return [
        (own[:_COPIES].tolist(), len(own[_COPIES:]), list(dict.fromkeys(known)))
        for own, known in zip(found.groups[:_DUPLICATES], reasons)
    ]


def _image_names(images, shown):
    """Return paths relative to their common folder; other images get numbers."""
    paths = [
        os.fspath(images[i]) if isinstance(images[i], (str, os.PathLike)) else None
        for i in shown
    ]
    folders = {os.path.dirname(path) for path in paths if path is not None}
    try:
        common = os.path.commonpath(folders) if folders else ""
    except ValueError:  # absolute and relative ones, or several drives
        common = ""
    start = len(os.path.join(common, "")) if common else 0
    return [
        f"image {i}" if path is None else path[start:] for i, path in zip(shown, paths)
    ]


def _nouns(estimator, rows):
    """Return the nouns near each image if the estimator attends to nouns."""
    if getattr(estimator, "semantic_space_", None) is None or not hasattr(
        estimator, "attention"
    ):
        return None
    nouns, weights = estimator.attention(rows)
    return [
        [(str(noun), float(weight)) for noun, weight in zip(*pair)]
        for pair in zip(nouns, weights)
    ]


def _curves(estimator, selector):
    """Return the curve that decided the number of clusters, then the others."""
    if selector is None and not isinstance(getattr(estimator, "k_scores_", None), dict):
        return []
    curves = read_curves(estimator if selector is None else selector).values()
    # A curve is empty if there are too few rows to compare numbers of clusters.
    return [CodingLengthDisplay(*curve) for curve in curves if len(curve[0])]


def _params(estimator, longest=200):
    params = estimator.get_params(deep=False)
    texts = {name: " ".join(repr(value).split()) for name, value in params.items()}
    return {
        name: text if len(text) <= longest else text[: longest - 3] + "..."
        for name, text in texts.items()
    }


def _name_score(estimator, captioner):
    if captioner is None and not hasattr(estimator, "name_scores_"):
        return "score"
    if captioner is None and hasattr(estimator, "attention"):  # MCA
        return "attention times probability"
    return "votes per image"
