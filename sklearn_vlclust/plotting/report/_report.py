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
from .._assignments import read_labels, read_names, read_rows
from .._coding_length import CodingLengthDisplay, read_curves
from .._embedding_map import lay_out
from ._page import render
from .findings import choose_shown, find_outliers, measure_clusters
from .quality import find_flaws
from .thumbnails import Thumbnails, make_thumbnails
from .words import SearchVectors, make_search

if TYPE_CHECKING:
    from ...model_selection import CodingLengthKSelector
    from ...semantics import ClusterCaptioner

# Groups of duplicates and images of each; images that stand out; at most
_DUPLICATES, _COPIES, _FINDINGS = 100, 12, 60


@documented()
class ClusterReport:
    """Clusters of images on one page, in one HTML file that needs no network.

    It shows pictures and names of each cluster, a search by words, a map of all images,
    similar clusters, what to check (duplicates, outliers, bad pictures, folders that
    disagree), and why there are so many clusters. Any browser opens the file.

    Build it by :meth:`from_estimator`.

    Parameters
    ----------
    thumbnails : Thumbnails
        A small picture of each image that is shown, in sheets.
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
    name_confidences : dict of int to float, default=None
        How sure the first name of each cluster is, from 0 to 1. One below 0.5 is shown
        as "perhaps: lamp".
    rivals : (ndarray of int, ndarray of float), default=None
        Second cluster of each image, -1 if there is none, and how near it is: as
        `certainty` if that is a probability, else a cosine.
    search : SearchVectors, default=None
        Images and words in few bytes, for the search.
    folder : str, default=None
        Where the images are: their names follow it. If None, the page has no links to
        them.
    duplicates : list of (list of int, int, list of str), default=()
        Groups of images that may be duplicates: those shown, the number of others, and
        how they are known ("exact", "perceptual", "embedding").
    outliers : list of (int, float), default=()
        Outliers, and how far they are from their cluster.
    flaws : dict of str to list of int, default=None
        Images that are blurred, dark, empty or tiny.
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
    The thumbnails share 24 MiB (32 MiB as text): of 10,000 photographs each is 96
    pixels wide, of 50,000 it is 48. The page loads nothing but the original of an image
    that is opened, if it is still there; its content security policy forbids all else.
    With `link_images=False` it does not know where the images are stored: file names
    are shown from the folder on that all of them have in common.

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
        thumbnails: Thumbnails,
        image_names: Sequence[str],
        labels: np.ndarray,
        coordinates: np.ndarray,
        typicality: np.ndarray,
        certainty: np.ndarray,
        sizes: dict[int, int],
        similarities: np.ndarray,
        *,
        cluster_names: dict[int, list[tuple[str, float]]] | None = None,
        name_confidences: dict[int, float] | None = None,
        rivals: tuple[np.ndarray, np.ndarray] | None = None,
        search: SearchVectors | None = None,
        folder: str | None = None,
        duplicates: Sequence[tuple[list[int], int, list[str]]] = (),
        outliers: Sequence[tuple[int, float]] = (),
        flaws: dict[str, list[int]] | None = None,
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
        self.name_confidences = name_confidences
        self.rivals = rivals
        self.search = search
        self.folder = folder
        self.duplicates = duplicates
        self.outliers = outliers
        self.flaws = flaws
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
        name_confidences: ArrayLike | None = None,
        title: str | None = None,
        link_images: bool = True,
        max_images: int = 50_000,
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
        name_confidences : array-like of shape (n_clusters,), default=None
            How sure the first names are, from 0 to 1, in the order of the labels. If
            None, those of the captioner or the estimator, if it has any.
        title : str, default=None
            Title of the page. If None, one is made.
        link_images : bool, default=True
            Whether the page has the full paths of the images, links to them, and shows
            an original where it is opened. Else nobody reads in it where they are.
        max_images : int, default=50_000
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
        outliers = find_outliers(geometry.typicality, labels, _FINDINGS)
        first = [i for group, *_ in duplicates for i in group] + [
            i for i, _ in outliers
        ]
        shown = choose_shown(
            labels, geometry.typicality, geometry.margin, first, max_images
        )
        place = {int(i): place for place, i in enumerate(shown)}
        certainty, rivals, certainty_name = _certainty(
            estimator, inputs, labels, geometry
        )
        # Pictures that are seen together are next to each other.
        order = np.lexsort((-geometry.typicality[shown], labels[shown]))
        thumbnails, quality = make_thumbnails([images[i] for i in shown], order)
        names = read_names(estimator, captioner)
        image_names, folder = _image_names(images, shown)
        return cls(
            thumbnails,
            image_names,
            labels[shown],
            lay_out(rows[shown], random_state=0),
            geometry.typicality[shown],
            certainty[shown],
            _sizes(labels),
            geometry.similarities,
            cluster_names=names,
            name_confidences=_confidences(name_confidences, estimator, captioner),
            rivals=tuple(values[shown] for values in rivals),
            search=make_search(
                unit, shown, captioner or getattr(estimator, "semantic_space_", None)
            ),
            folder=folder if link_images else None,
            duplicates=[
                ([place[i] for i in group if i in place], others, reasons)
                for group, others, reasons in duplicates
            ],
            outliers=[(place[i], score) for i, score in outliers],
            flaws=find_flaws(quality, _FINDINGS),
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
    """Return paths from their common folder on, and that folder; others get numbers."""
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
    names = [
        f"image {i}" if path is None else path[start:] for i, path in zip(shown, paths)
    ]
    return names, os.path.abspath(common) if folders else None


def _certainty(estimator, inputs, labels, geometry):
    """Return how sure each label is, the second cluster and how near, and the unit."""
    if not hasattr(estimator, "predict_proba"):
        rivals = geometry.rival, geometry.typicality - geometry.margin
        return geometry.margin, rivals, "margin"
    proba = np.array(estimator.predict_proba(inputs))
    row = np.arange(len(labels))
    known = (labels >= 0) & (labels < proba.shape[1])
    own = np.where(known, proba[row, np.where(known, labels, 0)], np.nan)
    if proba.shape[1] < 2:
        return (
            own,
            (np.full(len(labels), -1), np.full(len(labels), np.nan)),
            "probability",
        )
    proba[row[known], labels[known]] = -1
    second = proba.argmax(axis=1)
    return own, (second, proba[row, second]), "probability"


def _confidences(given, estimator, captioner):
    """Return how sure the name of each cluster is, by label, if that is known."""
    if given is None and captioner is None:
        given = getattr(estimator, "name_confidences_", None)
    elif given is None:
        given = captioner.confidences_
    if given is None:
        return None
    labels = range(len(given)) if captioner is None else captioner.clusters_
    return {int(label): float(value) for label, value in zip(labels, given)}


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
    if captioner is not None and captioner.method == "votes":
        return "votes per image"
    return "share of images"
