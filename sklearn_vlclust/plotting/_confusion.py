"""Confusion matrix of clusters and classes, matched one to one."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_consistent_length, column_or_1d

from .._backend._text import counted
from .._docs import documented
from .._typing import Axes, Colormap, Data, Float, Names, Strings
from ..metrics import match_clusters
from ._assignments import check_labels, read_labels
from ._drawing import new_axes

_NORMALIZE = ("true", "pred", "all", None)
_READABLE = 40  # rows or columns: up to this number, cells show their values
_EMPTY = 20  # beyond this number zeros are left out
_NAME = 18  # characters of a cluster name
_CELL, _LARGEST = 0.45, 10.0  # inches: side of a cell, largest side of the matrix


@documented()
class ClusterConfusionDisplay:
    """Confusion matrix of clusters, each matched with the class it agrees with most.

    :class:`~sklearn.metrics.ConfusionMatrixDisplay` compares labels of one kind, and
    numbers of clusters mean nothing. Here clusters and classes are matched one to one
    by the Hungarian method, as for
    :func:`~sklearn_vlclust.metrics.clustering_accuracy`, so agreement is on the
    diagonal. There may be more clusters than classes or fewer: the rest comes last, and
    noise after it. Build it by :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    confusion_matrix : ndarray of shape (n_classes, n_clusters)
        Samples of each class in each cluster, or shares of them. Row and column `i` are
        matched, up to the smaller number.
    classes : array-like of shape (n_classes,)
        Names of the rows.
    clusters : array-like of shape (n_clusters,)
        Names of the columns.

    Attributes
    ----------
    display_ : ConfusionMatrixDisplay
        scikit-learn's display, which has drawn it.
    <ax_, figure_>
    im_ : matplotlib AxesImage
        The matrix.
    text_ : ndarray of shape (n_classes, n_clusters) of matplotlib Text, or None
        The numbers in it.

    See Also
    --------
    sklearn_vlclust.metrics.clustering_accuracy : Share of samples on the diagonal.

    Examples
    --------
    >>> from sklearn_vlclust.plotting import ClusterConfusionDisplay
    >>> y = ["cat", "cat", "cat", "dog", "dog"]
    >>> display = ClusterConfusionDisplay.from_predictions(y, [1, 1, 0, 0, -1])
    >>> display.clusters
    ['1', '0', 'noise']
    >>> display.confusion_matrix
    array([[2, 1, 0],
           [0, 1, 1]])
    """

    def __init__(
        self, confusion_matrix: np.ndarray, *, classes: ArrayLike, clusters: Strings
    ) -> None:
        self.confusion_matrix = confusion_matrix
        self.classes = classes
        self.clusters = clusters

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Data,
        y: ArrayLike,
        *,
        normalize: Literal["true", "pred", "all"] | None = None,
        names: Names | Strings | None = None,
        include_values: bool | None = None,
        cmap: Colormap = "viridis",
        xticks_rotation: str | Float | None = None,
        values_format: str | None = None,
        ax: Axes | None = None,
        colorbar: bool = True,
        im_kw: dict | None = None,
        text_kw: dict | None = None,
    ) -> Self:
        """Compare the clusters of a fitted clusterer with classes.

        Parameters
        ----------
        estimator : clusterer
            Fitted. Without `predict`, its `labels_` are used, and `X` must be the data
            of the fit.
        <given>
        y : array-like of shape (n_samples,)
            Class of each sample.
        normalize : {"true", "pred", "all"}, default=None
            Shares of the class, of the cluster or of all samples. If None, counts.
        names : list of str or of sequences of str, default=None
            Names of cluster 0, 1, ..., which are written after their numbers; of
            several the first. If None, those that the estimator has, if any.
        <include_values, cmap, xticks_rotation, values_format, ax, colorbar, im_kw>

        Returns: <drawn>

        Raises
        ------
        ValueError
            If the lengths differ, or `normalize` is not one of these.
        TypeError
            If `estimator` has neither `predict` nor `labels_`.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(estimator)
        if names is None:
            names = getattr(estimator, "cluster_names_", None)
        return cls.from_predictions(
            y,
            read_labels(estimator, X),
            normalize=normalize,
            names=names,
            include_values=include_values,
            cmap=cmap,
            xticks_rotation=xticks_rotation,
            values_format=values_format,
            ax=ax,
            colorbar=colorbar,
            im_kw=im_kw,
            text_kw=text_kw,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        labels: ArrayLike,
        *,
        normalize: Literal["true", "pred", "all"] | None = None,
        names: Names | Strings | None = None,
        include_values: bool | None = None,
        cmap: Colormap = "viridis",
        xticks_rotation: str | Float | None = None,
        values_format: str | None = None,
        ax: Axes | None = None,
        colorbar: bool = True,
        im_kw: dict | None = None,
        text_kw: dict | None = None,
    ) -> Self:
        """Compare any clusters with classes.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Class of each sample.
        labels : array-like of shape (n_samples,), int
            Cluster of each sample; negative is noise, which no class is matched with.
        <normalize, names, include_values, cmap, xticks_rotation, values_format, ax>
        <colorbar, im_kw>

        Returns: <drawn>

        Raises
        ------
        ValueError
            If the lengths differ, there are no samples, a cluster has no name, or
            `normalize` is another.
        """
        if not np.size(labels):
            raise ValueError("y_true and labels are empty: one of each per sample.")
        y_true, labels = column_or_1d(y_true), check_labels(labels)
        check_consistent_length(y_true, labels)
        if normalize not in _NORMALIZE:
            raise ValueError(f"normalize={normalize!r} is none of {_NORMALIZE}.")
        labels = np.where(labels < 0, -1, labels)
        classes, rows = np.unique(y_true, return_inverse=True)
        clusters, columns = np.unique(labels, return_inverse=True)
        counts = np.zeros((len(classes), len(clusters)), dtype=np.int64)
        np.add.at(counts, (rows, columns), 1)
        row_order, column_order = _match(classes, clusters, rows, labels)
        counts = counts[np.ix_(row_order, column_order)]
        display = cls(
            _normalize(counts, normalize),
            classes=[str(c) for c in classes[row_order]],
            clusters=[_name(int(c), names) for c in clusters[column_order]],
        )
        return display.plot(
            include_values=include_values,
            cmap=cmap,
            xticks_rotation=xticks_rotation,
            values_format=values_format,
            ax=ax,
            colorbar=colorbar,
            im_kw=im_kw,
            text_kw=text_kw,
        )

    def plot(
        self,
        *,
        include_values: bool | None = None,
        cmap: Colormap = "viridis",
        xticks_rotation: str | Float | None = None,
        values_format: str | None = None,
        ax: Axes | None = None,
        colorbar: bool = True,
        im_kw: dict | None = None,
        text_kw: dict | None = None,
    ) -> Self:
        """Draw the matrix, as scikit-learn does.

        Parameters
        ----------
        include_values : bool, default=None
            Whether numbers are written. If None, up to 40 rows and columns; of more
            than 20, zeros are left out.
        cmap : str or Colormap, default="viridis"
            Colors.
        xticks_rotation : {"vertical", "horizontal"} or float, default=None
            Rotation of the cluster names. If None, long ones are turned.
        values_format : str, default=None
            How numbers are written.
        <ax>
        colorbar : bool, default=True
            Whether a color bar is drawn.
        im_kw, text_kw : dict, default=None
            Passed to `imshow` and `text` of matplotlib.

        Returns: <itself>
        """
        from sklearn.metrics import ConfusionMatrixDisplay

        n_rows, n_columns = np.shape(self.confusion_matrix)
        if include_values is None:
            include_values = max(n_rows, n_columns) <= _READABLE
        if xticks_rotation is None:
            long = max(map(len, self.clusters)) > 3
            xticks_rotation = "vertical" if long else "horizontal"
        cell = min(_CELL, _LARGEST / max(n_rows, n_columns))
        small = min(10.0, 28 * cell)  # points: four digits fill a cell
        ax = new_axes(ax, (max(3 + cell * n_columns, 4.5), max(1.5 + cell * n_rows, 3)))
        # scikit-learn draws square matrices: pad to one, and cut the padding off.
        n = max(n_rows, n_columns)
        square = np.zeros((n, n), dtype=np.asarray(self.confusion_matrix).dtype)
        square[:n_rows, :n_columns] = self.confusion_matrix
        self.display_ = ConfusionMatrixDisplay(square).plot(
            include_values=include_values,
            cmap=cmap,
            xticks_rotation=xticks_rotation,
            values_format=values_format,
            ax=ax,
            colorbar=colorbar,
            im_kw=im_kw,
            text_kw={"fontsize": small, **(text_kw or {})},
        )
        self.ax_, self.figure_ = ax, ax.figure
        self.im_, self.text_ = self.display_.im_, self.display_.text_
        if include_values:
            kept = self.text_[:n_rows, :n_columns]
            for text in set(self.text_.flat) - set(kept.flat):
                text.remove()
            self.text_ = kept
            if max(n_rows, n_columns) > _EMPTY:
                for text, value in zip(kept.flat, np.ravel(self.confusion_matrix)):
                    text.set_visible(value != 0)
        ax.set(
            xlim=(-0.5, n_columns - 0.5),
            ylim=(n_rows - 0.5, -0.5),
            xticks=range(n_columns),
            yticks=range(n_rows),
            xlabel="cluster",
            ylabel="class",
        )
        ax.set_xticklabels(self.clusters, rotation=xticks_rotation, parse_math=False)
        ax.set_yticklabels(self.classes, parse_math=False)
        ax.tick_params(labelsize=min(10.0, 60 * cell))
        return self


def _match(classes, clusters, rows, labels):
    """Return orders of classes and clusters: first matched ones, noise last."""
    matching = {}
    if (labels >= 0).any():
        matching = match_clusters(rows[labels >= 0], labels[labels >= 0])
    pairs = sorted((row, cluster) for cluster, row in matching.items())
    row_order = [row for row, _ in pairs]
    row_order += [i for i in range(len(classes)) if i not in set(row_order)]
    taken = [cluster for _, cluster in pairs]
    rest = [c for c in clusters.tolist() if c not in matching]
    rest.sort(key=lambda c: (c < 0, c))
    return row_order, np.searchsorted(clusters, taken + rest)


def _normalize(counts, normalize):
    if normalize is None:
        return counts
    axis = {"true": 1, "pred": 0, "all": None}[normalize]
    totals = counts.sum(axis=axis, keepdims=True)
    return counts / np.maximum(totals, 1)


def _name(cluster, names):
    """Return the number of a cluster and its name, shortened."""
    if cluster < 0:
        return "noise"
    if names is None:
        return str(cluster)
    if cluster >= len(names):
        raise ValueError(
            f"names has {counted(len(names), 'entry')}, but there is a cluster "
            f"{cluster}."
        )
    own = names[cluster]
    own = [own] if isinstance(own, str) else own
    if not len(own):
        return str(cluster)
    name = str(own[0])
    name = name if len(name) <= _NAME else name[: _NAME - 1] + "…"
    return f"{cluster} {name}".rstrip()
