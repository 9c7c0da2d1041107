"""Similarities and spectra of learned features (Figures 2 and 3)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from .._backend._text import counted
from .._docs import documented
from .._typing import Axes, Colormap, Data, RandomState
from ..data.memory import check_memory
from ..data.rows import unit
from ._drawing import new_axes

_LARGEST = 10  # clusters whose spectra are drawn


@documented()
class SimilarityDisplay:
    """Absolute cosines of features, sorted by cluster: Figure 2 of [1]_.

    Clusters in orthogonal subspaces are bright blocks on a dark background.

    Build it by :meth:`from_estimator` or :meth:`from_features`.

    Parameters
    ----------
    similarities : ndarray of shape (n, n)
        Absolute cosines, rows and columns sorted by cluster.
    sizes : ndarray of int
        Rows of each cluster, in order.

    Attributes: <ax_, figure_>
    image_ : matplotlib AxesImage
        The similarities.

    References: <chu2024>

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_vlclust.plotting import SimilarityDisplay
    >>> display = SimilarityDisplay.from_features(np.eye(2)[[0, 1, 0]], [0, 1, 0])
    >>> display.similarities
    array([[1., 1., 0.],
           [1., 1., 0.],
           [0., 0., 1.]])
    """

    def __init__(self, similarities: np.ndarray, sizes: np.ndarray) -> None:
        self.similarities = similarities
        self.sizes = sizes

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Data,
        *,
        n_samples: int = 1000,
        random_state: RandomState = None,
        ax: Axes | None = None,
        cmap: Colormap = "viridis",
    ) -> Self:
        """Show the features that a fitted clusterer gives `X`.

        Parameters: <featuring, given>
        n_samples : int, default=1000
            Largest number of rows shown, drawn at random.
        random_state : int, RandomState instance or None, default=None
            Draws the rows.
        <ax, cmap>

        Returns: <drawn>
        """
        check_is_fitted(estimator)
        return cls.from_features(
            estimator.transform(X),
            estimator.predict(X),
            n_samples=n_samples,
            random_state=random_state,
            ax=ax,
            cmap=cmap,
        )

    @classmethod
    def from_features(
        cls,
        features: ArrayLike,
        labels: ArrayLike,
        *,
        n_samples: int = 1000,
        random_state: RandomState = None,
        ax: Axes | None = None,
        cmap: Colormap = "viridis",
    ) -> Self:
        """Show any features and clusters.

        Parameters
        ----------
        features : array-like of shape (n, d)
            Features; only their direction counts.
        labels : array-like of shape (n,)
            Cluster of each row.
        <n_samples, random_state, ax, cmap>

        Returns: <drawn>
        """
        features, labels = _check(features, labels)
        if len(labels) > n_samples:
            rng = check_random_state(random_state)
            drawn = np.sort(rng.choice(len(labels), n_samples, replace=False))
            features, labels = features[drawn], labels[drawn]
        order = np.argsort(labels, kind="stable")
        check_memory(
            2 * len(order) ** 2 * features.itemsize,
            f"n_samples={n_samples}: the cosines of all pairs of {len(order):,} rows",
            "Show fewer.",
        )
        display = cls(
            absolute_cosines(features[order]),
            np.unique(labels, return_counts=True)[1],
        )
        return display.plot(ax=ax, cmap=cmap)

    def plot(self, *, ax: Axes | None = None, cmap: Colormap = "viridis") -> Self:
        """Draw the similarities.

        Parameters: <ax>
        cmap : str or Colormap, default="viridis"
            Colors from 0 to 1.

        Returns: <itself>
        """
        self.ax_ = new_axes(ax, (5.5, 5))
        self.figure_ = self.ax_.figure
        self.image_ = self.ax_.imshow(
            self.similarities, vmin=0, vmax=1, cmap=cmap, interpolation="nearest"
        )
        self.figure_.colorbar(self.image_, ax=self.ax_, label="absolute cosine")
        n, k = len(self.similarities), len(self.sizes)
        self.ax_.set(
            xticks=[],
            yticks=[],
            xlabel=f"{counted(n, 'sample')} in {counted(k, 'cluster')}",
        )
        return self


@documented()
class SpectrumDisplay:
    """Singular values of features, of all and of each cluster: Figure 3 of [1]_.

    Features that spread over many directions have a flat spectrum. Each is divided by
    its largest value.

    Build it by :meth:`from_estimator` or :meth:`from_features`.

    Parameters
    ----------
    spectra : dict of str to ndarray
        Singular values by name, largest first.

    Attributes: <ax_, figure_>
    lines_ : list of matplotlib Line2D
        One per spectrum.

    References: <chu2024>

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_vlclust.plotting import SpectrumDisplay
    >>> display = SpectrumDisplay.from_features(np.diag([4.0, 2.0, 1.0]))
    >>> display.spectra["all samples"]
    array([1.  , 0.5 , 0.25])
    """

    def __init__(self, spectra: dict[str, np.ndarray]) -> None:
        self.spectra = spectra

    @classmethod
    def from_estimator(cls, estimator: Any, X: Data, *, ax: Axes | None = None) -> Self:
        """Show the features that a fitted clusterer gives `X`.

        Parameters: <featuring, given, ax>

        Returns: <drawn>
        """
        check_is_fitted(estimator)
        return cls.from_features(estimator.transform(X), estimator.predict(X), ax=ax)

    @classmethod
    def from_features(
        cls,
        features: ArrayLike,
        labels: ArrayLike | None = None,
        *,
        ax: Axes | None = None,
    ) -> Self:
        """Show any features, and the clusters of them if there are any.

        Parameters
        ----------
        features : array-like of shape (n, d)
            Features, not centered.
        labels : array-like of shape (n,), default=None
            Cluster of each row. The ten largest clusters are shown.
        <ax>

        Returns: <drawn>
        """
        features, labels = _check(
            features, np.zeros(np.shape(features)[0]) if labels is None else labels
        )
        spectra = {"all samples": _spectrum(features)}
        clusters, counts = np.unique(labels, return_counts=True)
        if len(clusters) > 1:
            for cluster in clusters[np.argsort(-counts, kind="stable")][:_LARGEST]:
                spectra[f"cluster {cluster}"] = _spectrum(features[labels == cluster])
        return cls(spectra).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Draw the spectra.

        Parameters: <ax>

        Returns: <itself>
        """
        self.ax_ = new_axes(ax, (6, 4))
        self.figure_ = self.ax_.figure
        self.lines_ = []
        # The text color is visible in any style.
        all_samples = {"lw": 2.5, "color": self.ax_.xaxis.label.get_color()}
        for number, (name, values) in enumerate(self.spectra.items()):
            style = {"lw": 1, "alpha": 0.7} if number else all_samples
            self.lines_ += self.ax_.plot(
                np.arange(1, len(values) + 1), values, label=name, **style
            )
        self.ax_.set(
            xlabel="number of the singular value",
            ylabel="singular value / largest",
            ylim=(0, 1.02),
        )
        self.ax_.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
        return self


def absolute_cosines(rows):
    """Return the absolute cosines of all pairs of rows, (n, n)."""
    rows = unit(rows)
    return np.abs(rows @ rows.T)


def _check(features, labels):
    features = check_array(features, dtype=(np.float64, np.float32))
    labels = column_or_1d(labels)
    check_consistent_length(features, labels)
    return features, labels


def _spectrum(features):
    values = np.linalg.svd(features, compute_uv=False)
    return values / max(values[0], 1e-12)
