"""All images on one plane: like images lie near each other."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageOps
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_consistent_length

from .._backend._settings import own_settings
from .._docs import documented
from .._typing import Axes, Data, Float, Images, RandomState, Strings
from ..data.images import ImageSource, check_images, is_images
from ..data.rows import UnitRows
from ..neighbors import nearest
from ._assignments import check_labels, read_labels, read_names, read_rows
from ._drawing import new_axes

if TYPE_CHECKING:
    from matplotlib.transforms import Bbox

# Contrast of 3:1 with black and with white pages. All are distinct with normal vision,
# the first eight also with all kinds of color blindness (measured in tests/plotting).
PALETTE = (
    "#693cff",
    "#d27800",
    "#0f96ff",
    "#ff1e78",
    "#87692d",
    "#c30fc3",
    "#00785a",
    "#c369b4",
    "#00a500",
    "#e1001e",
    "#5a6987",
    "#c36969",
    "#969600",
    "#9669e1",
    "#ff2db4",
    "#3c780f",
    "#879687",
    "#0096a5",
    "#0069ff",
    "#c31e3c",
    "#f0694b",
    "#695aa5",
    "#3ca55a",
    "#ff00ff",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # 168 pairs before one is repeated
NOISE = "#808080"

_AXES = 50  # principal axes that t-SNE sees
_ITERATIONS = 500  # measured: as trustworthy as after the usual 1,000
_NEAR = 5  # laid-out rows that decide where another row goes
_LIMIT = 3.0  # largest distance of those rows, in nearest-neighbor distances
_JITTER = 0.3  # in nearest-neighbor distances
# Where a thumbnail may lie from its place, in thumbnails: around it, near and far.
_SHIFTS = np.array(
    [
        (distance * np.sin(turn), distance * np.cos(turn))
        for distance in (0.9, 1.5, 2.2)
        for turn in np.arange(8) * np.pi / 4
    ]
)
_KEPT = 512  # pixels: longer side of a thumbnail as stored, enough to enlarge it


@documented()
class EmbeddingMapDisplay:
    """All images on one plane, like ones near each other, colored by cluster.

    Only nearness means something: distances between islands, their sizes and the axes
    do not. Clusters have their names at their medians, or their numbers where there are
    no names or no room, and a pair of color and marker each.

    Build it by :meth:`from_estimator` or :meth:`from_embeddings`.

    Parameters
    ----------
    coordinates : ndarray of shape (n, 2)
        Place of each image.
    labels : ndarray of shape (n,), int
        Cluster of each image; a negative one is noise, which is gray.
    names : dict of int to str, or list of str, default=None
        What clusters are called.
    thumbnails : dict of int to PIL.Image.Image, default=None
        Pictures of some images by their number, drawn beside their places where they
        hide no name and no other.

    Attributes: <ax_, figure_>
    scatters_ : list of matplotlib PathCollection
        One per cluster, in the order of their labels; noise comes first.
    texts_ : list of matplotlib Text
        Names or numbers of the clusters.
    images_ : list of matplotlib AnnotationBbox
        The thumbnails.
    legend_ : matplotlib Legend or None
        Names of the clusters, if there are any.

    See Also
    --------
    sklearn.manifold.TSNE : Lays the images out.
    ContactSheetDisplay : Pictures of each cluster.

    Notes
    -----
    Rows of unit length are projected on 50 principal axes and laid out by t-SNE [1]_
    that starts at the first two of them. If there are more than `n_samples` rows, that
    many are drawn at random and laid out. Each other row is placed at the mean of its 5
    nearest drawn rows, counting only those beside the nearest one on the map. 10,000
    embeddings of width 512 take half a minute on one core.

    References
    ----------
    .. [1] van der Maaten, Hinton, "Visualizing data using t-SNE", JMLR 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_vlclust.plotting import EmbeddingMapDisplay
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat([0, 1, 2], 20)
    >>> X = np.eye(3, 8)[labels] + 0.1 * rng.normal(size=(60, 8))
    >>> display = EmbeddingMapDisplay.from_embeddings(X, labels, random_state=0)
    >>> display.coordinates.shape
    (60, 2)
    """

    texts_: list
    images_: list

    def __init__(
        self,
        coordinates: np.ndarray,
        labels: np.ndarray,
        names: dict[int, str] | Strings | None = None,
        thumbnails: dict[int, Image.Image] | None = None,
    ) -> None:
        self.coordinates = coordinates
        self.labels = labels
        self.names = names
        self.thumbnails = thumbnails

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Data,
        *,
        images: Images | None = None,
        n_samples: int = 5000,
        random_state: RandomState = None,
        ax: Axes | None = None,
        s: Float | None = None,
        thumbnail_size: Float = 48,
    ) -> Self:
        """Show how a fitted clusterer divides `X`.

        Parameters
        ----------
        estimator : clusterer
            Fitted, with `predict`, or with `labels_` of `X`. Its `cluster_names_` are
            shown if it has any.
        <given>
        images : images, default=None
            The images of embeddings `X`: one of each cluster is shown.
        n_samples : int, default=5000
            Largest number of rows that t-SNE lays out; see Notes of the class.
        random_state : int, RandomState instance or None, default=None
            Draws the rows and seeds t-SNE.
        <ax, s, thumbnail_size>

        Returns: <drawn>

        Raises
        ------
        ValueError
            If the lengths of `X` and `images` differ, or `X` does not fit the
            estimator.
        """
        if is_images(X):
            images = X
            rows, inputs = read_rows(estimator, X)
        else:
            rows = inputs = check_array(X, dtype=(np.float32, np.float64))
        return cls.from_embeddings(
            rows,
            read_labels(estimator, inputs),
            names={c: own[0][0] for c, own in read_names(estimator).items() if own},
            images=images,
            n_samples=n_samples,
            random_state=random_state,
            ax=ax,
            s=s,
            thumbnail_size=thumbnail_size,
        )

    @classmethod
    def from_embeddings(
        cls,
        X: ArrayLike,
        labels: ArrayLike,
        *,
        names: dict[int, str] | Strings | None = None,
        images: Images | None = None,
        n_samples: int = 5000,
        random_state: RandomState = None,
        ax: Axes | None = None,
        s: Float | None = None,
        thumbnail_size: Float = 48,
    ) -> Self:
        """Show any embeddings and clusters.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Embeddings; only their direction counts.
        labels : array-like of shape (n,), int
            Cluster of each row; a negative one is noise.
        names : dict of int to str, or list of str, default=None
            What clusters are called.
        <from_estimator.images, n_samples, random_state, ax, s, thumbnail_size>

        Returns: <drawn>

        Raises
        ------
        ValueError
            If lengths differ, labels are not integers, or a row has no direction.
        """
        labels = check_labels(labels)
        check_consistent_length(X, labels)
        coordinates = lay_out(X, n_samples=n_samples, random_state=random_state)
        thumbnails = None
        if images is not None:
            pictures = check_images(images)
            check_consistent_length(pictures, labels)
            thumbnails = {
                i: _thumbnail(pictures[i], i) for i in _medoids(coordinates, labels)
            }
        display = cls(coordinates, labels, names or None, thumbnails)
        return display.plot(ax=ax, s=s, thumbnail_size=thumbnail_size)

    def plot(
        self,
        *,
        ax: Axes | None = None,
        s: Float | None = None,
        thumbnail_size: Float = 48,
    ) -> Self:
        """Draw the map.

        Parameters: <ax>
        s : float, default=None
            Area of a marker in square points. If None, chosen by the number of images.
        thumbnail_size : float, default=48
            Side of the thumbnails, central squares, in points.

        Returns: <itself>
        """
        self.ax_ = new_axes(ax, (7, 6))
        self.figure_ = self.ax_.figure
        labels, places = np.asarray(self.labels), np.asarray(self.coordinates)
        s = s or float(np.clip(20_000 / max(len(labels), 1), 4, 36))
        self.scatters_, self.texts_ = [], []
        if (labels < 0).any():
            own = places[labels < 0]
            self.scatters_.append(
                self.ax_.scatter(*own.T, s=s, c=NOISE, marker=".", label="noise")
            )
        for cluster in np.unique(labels[labels >= 0]):
            own = places[labels == cluster]
            color, marker = color_and_marker(cluster)
            self.scatters_.append(
                self.ax_.scatter(
                    *own.T, s=s, c=color, marker=marker, lw=0, label=self._name(cluster)
                )
            )
            self._write(str(cluster), np.median(own, axis=0))
        self.legend_ = None
        if self.names and len(self.scatters_) <= 20:
            self.legend_ = self.ax_.legend(
                fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5)
            )
        self.ax_.set(xticks=[], yticks=[], aspect="equal")
        self.images_ = []
        if self.thumbnails:
            self.ax_.margins(0.2)  # room for them
        if self.names or self.thumbnails:
            self.figure_.draw_without_rendering()  # sets the sizes of axes and texts
            self._show_thumbnails(thumbnail_size, self._write_names(labels))
        return self

    def _write_names(self, labels):
        """Replace numbers by names where these hide no other, large clusters first.

        A name that finds no room at the median is tried above and below it. Returns the
        boxes of all texts, in pixels.
        """
        clusters, sizes = np.unique(labels[labels >= 0], return_counts=True)
        taken: list[Bbox] = []
        to_data = self.ax_.transData.inverted().transform
        for i in np.argsort(-sizes, kind="stable"):
            text, number = self.texts_[i], self.texts_[i].get_text()
            x, y = self.ax_.transData.transform(text.get_position())
            text.set_text(
                textwrap.shorten(self._name(clusters[i]), 22, placeholder="…")
            )
            height = text.get_window_extent().height
            for step in (0, 1, -1, 2, -2):
                text.set_position(to_data((x, y + step * height)))
                box = text.get_window_extent()
                if box.count_overlaps(taken) == 0:
                    break
            else:
                text.set_text(number)
                text.set_position(to_data((x, y)))
                box = text.get_window_extent()
            taken.append(box)
        return taken

    def _name(self, cluster):
        names = self.names or {}
        known = cluster in names if isinstance(names, dict) else cluster < len(names)
        return f"{cluster} {names[cluster]}" if known else str(cluster)

    def _write(self, text, place):
        """Write in the colors of the page, so it is legible on any."""
        import matplotlib as mpl
        from matplotlib.patheffects import withStroke

        halo = withStroke(linewidth=3, foreground=self.ax_.get_facecolor())
        self.texts_.append(
            self.ax_.text(
                *place,
                text,
                color=mpl.rcParams["text.color"],
                fontweight="bold",
                ha="center",
                va="center",
                path_effects=[halo],
                in_layout=False,  # else the axes would shrink for a long name
            )
        )

    def _show_thumbnails(self, size, taken):
        """Show pictures beside their places where they hide no text and no other.

        `taken` are the boxes of the texts. Of several places, the one that covers the
        fewest marks is taken.
        """
        from matplotlib.offsetbox import AnnotationBbox, OffsetImage
        from matplotlib.transforms import Bbox

        taken, points = list(taken), self.ax_.transData.transform(self.coordinates)
        pixels, frame = size * self.figure_.dpi / 72, self.ax_.get_window_extent()
        for i, picture in (self.thumbnails or {}).items():
            best = None
            for shift in pixels * _SHIFTS:
                corner = points[i] + shift - pixels / 2
                box = Bbox([corner, corner + pixels])
                inside = np.all((points >= box.p0) & (points <= box.p1), axis=1)
                free = not box.count_overlaps(taken) and frame.contains(*box.p0)
                free = free and frame.contains(*box.p1)
                if free and (best is None or inside.sum() < best[0]):
                    best = inside.sum(), shift, box
            if best is None:
                continue
            taken.append(best[2])
            side = min(int(4 * size), *picture.size)
            square = ImageOps.fit(picture, (side, side))
            shown = AnnotationBbox(
                OffsetImage(np.asarray(square), zoom=size / side),
                self.coordinates[i],
                xybox=best[1] * 72 / self.figure_.dpi,
                boxcoords="offset points",
                frameon=False,
                pad=0,
                arrowprops={"arrowstyle": "-", "lw": 0.6, "color": NOISE},
            )
            shown.set_in_layout(False)
            self.images_.append(self.ax_.add_artist(shown))


def _thumbnail(image, index):
    """Return the image, at most as large as thumbnails are stored."""
    picture = ImageSource(image, index).decode(_KEPT).copy()
    picture.thumbnail((_KEPT, _KEPT))
    return picture


def lay_out(X, *, n_samples=5000, random_state=None):
    """Return a place on the plane for each row, (n, 2) float32, near similar rows.

    The mean is about 0, and the larger of the standard deviations 1. Parameters are as
    for :meth:`EmbeddingMapDisplay.from_embeddings`.
    """
    if not isinstance(n_samples, int | np.integer) or n_samples < 2:
        raise ValueError(f"n_samples={n_samples!r} should be an integer above 1.")
    rng = check_random_state(random_state)
    rows = UnitRows(check_array(X, dtype=(np.float32, np.float64)))
    n = len(rows)
    if n <= n_samples:
        return _standard(_tsne(rows[:], rng))
    drawn = np.sort(rng.permutation(n)[:n_samples])
    others = np.setdiff1d(np.arange(n), drawn)
    sample = rows[drawn]
    coordinates = np.empty((n, 2), dtype=np.float32)
    coordinates[drawn] = _standard(_tsne(sample, rng))
    for block in np.array_split(others, len(others) // 16_384 + 1):
        near, _ = nearest(rows[block], sample, min(_NEAR, n_samples))
        coordinates[block] = _place_between(coordinates[drawn], near, rng)
    return coordinates


@own_settings
def _tsne(rows, rng):
    """Lay rows out by t-SNE, or by principal axes if there are few or all are equal."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    seed = rng.randint(2**31 - 1)
    if np.ptp(rows, axis=0).max() < 1e-6:  # one, or all the same
        return np.zeros((len(rows), 2))
    n_axes = min(_AXES, *rows.shape)
    axes = PCA(n_axes, random_state=seed).fit_transform(rows.astype(np.float64))
    if len(rows) < 5:
        return np.pad(axes, ((0, 0), (0, 2)))[:, :2]
    return TSNE(
        perplexity=min(30.0, (len(rows) - 1) / 3),
        init="pca" if n_axes > 1 else "random",
        max_iter=_ITERATIONS,
        random_state=seed,
    ).fit_transform(axes.astype(np.float32))


def _standard(coordinates):
    centered = coordinates - coordinates.mean(axis=0)
    scale = centered.std(axis=0).max()
    return (centered / (scale if scale > 1e-12 else 1)).astype(np.float32)


def _place_between(laid_out, near, rng):
    """Return the mean place of the nearest rows that are close to the nearest one."""
    from sklearn.neighbors import NearestNeighbors

    spacing = NearestNeighbors(n_neighbors=2).fit(laid_out).kneighbors()[0][:, 1]
    places = laid_out[near]  # (n, k, 2)
    distance = np.linalg.norm(places - places[:, :1], axis=2)  # (n, k)
    beside = distance <= _LIMIT * spacing[near[:, :1]]
    beside[:, 0] = True
    mean = (places * beside[:, :, None]).sum(axis=1) / beside.sum(axis=1, keepdims=True)
    # The jitter keeps both visible where a row would cover another.
    return mean + _JITTER * spacing[near[:, 0], None] * rng.normal(size=mean.shape)


def color_and_marker(cluster):
    """Return the color and the matplotlib marker of a cluster."""
    return PALETTE[cluster % len(PALETTE)], MARKERS[cluster % len(MARKERS)]


def _medoids(coordinates, labels):
    """Return the row nearest to the median of each cluster."""
    for cluster in np.unique(labels[labels >= 0]):
        own = np.flatnonzero(labels == cluster)
        gap = coordinates[own] - np.median(coordinates[own], axis=0)
        yield int(own[np.square(gap).sum(axis=1).argmin()])
