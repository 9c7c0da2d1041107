"""Template of clusterers that learn from images themselves."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted
from torch.nn.functional import adaptive_avg_pool2d

from .._compat import Interval, StrOptions
from .._docs import documented
from .._typing import Array, Data, Images
from ..data.distributed import by_blocks, gather, is_dask
from ..data.images import is_images
from ..data.pixels import read_pixels, typical_side
from ..data.protocol import as_tensor
from ..data.read import read_embeddings
from ..data.rows import divide_rows
from ..metrics import learned_information
from .base import BaseDeepClusterer, _features, _most_likely
from .spectral.recipe import NClustersRecipe

# Constraint of the number of epochs of a stage.
EPOCHS = [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})]


@documented()
class BaseImageClusterer(BaseDeepClusterer):
    """Template of a clusterer whose network takes pixels, or embeddings.

    A method has the parameters `n_jobs` and `verbose`, sets `image_shape_` by fitting,
    and supplies `_choose_side(side)`, which returns the side that images of a (typical)
    side are brought to, and what "auto" is for `batch_size` and `lr`. Its network has
    `features(x)` besides.

    What all methods have:

    Parameters
    ----------
    instance_dim : int, default=None
        Width of the instance features. If None, 128 for images; for embeddings the
        number of principal axes, at most 64.
    lr : float or "auto", default="auto"
        Learning rate of Adam; "auto" is 1e-3 on images and 3e-4 on embeddings.
    amp : bool, default=False
        Whether to train in bfloat16 where that is safe (mixed precision).
    compile : bool, default=False
        Whether `torch.compile` translates the networks of images first, which takes
        minutes and saves time on a GPU.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (`n_clusters_`, instance_dim)
        Mean direction of the instance features of each cluster, unit rows.
    image_shape_ : tuple of int or None
        Channels, height and width of the images as the network sees them.
    """

    image_shape_: Any  # (channels, height, width), or None
    n_features_in_: int
    _auto_on_images: tuple[int, float]  # batch size and learning rate
    _auto_on_embeddings: tuple[int, float]
    _inference_rows = 1024  # of large networks
    _learns_features = True

    _parameter_constraints: dict = {
        **{
            name: constraint
            for name, constraint in BaseDeepClusterer._parameter_constraints.items()
            if name != "max_iter"
        },
        "image_size": [Interval(Integral, 1, None, closed="left"), None],
        "instance_dim": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [
            Interval(Integral, 2, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "lr": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "n_jobs": [Integral, None],
    }

    @by_blocks
    def transform(self, X: Data) -> Array:
        """Instance features of each sample.

        Parameters: <X>

        Returns
        -------
        Z : ndarray of shape (n_samples, instance_dim)
            Unit rows.
        """
        return self._predict(X, _features)

    def score(self, X: Data, y: object = None) -> float:
        """Label-free quality of the clustering of `X`.

        Of images it is learned from the instance features. These differ between fits,
        so the scores of two fits say little about which is better.

        Parameters: <X, y>

        Returns: <learned>
        """
        check_is_fitted(self)
        X, zero_rows = self._read(X, reset=False)
        labels = self._infer(X, self._corrected(_most_likely), zero_rows)
        rows = self._rows(X, zero_rows)
        if len(X.shape) == 4:
            rows = self._infer(X, _features, zero_rows)
        return learned_information(rows, labels)

    def _read(self, X, reset):
        """Return pixels, (n, channels, side, side), or embeddings."""
        if reset:
            self.embedder_ = None
        X = self._open(X, reset)
        if is_images(X) and self.embedder is not None:
            if reset:
                self.image_shape_ = None
            return super()._read(X, reset)
        if not is_images(X):
            if not reset and self.image_shape_ is not None:
                raise ValueError(
                    f"X is not images{_shape(X)}; the fit had images. Give paths, PIL "
                    "images or an array of shape (n_samples, height, width, channels)."
                )
            if reset:
                self.image_shape_ = None
            smallest = 2 if reset else 1
            return read_embeddings(
                self, X, reset=reset, embed=None, ensure_min_samples=smallest
            )
        if is_dask(X):
            X = gather(X)
        if reset:
            side = self._choose_side(typical_side(X))
            channels = None
        elif self.image_shape_ is None:
            raise ValueError(
                f"X is images{_shape(X)}; the fit had embeddings of "
                f"{self.n_features_in_} features. Embed them as for the fit."
            )
        else:
            channels, side, _ = self.image_shape_
        pixels = read_pixels(X, side, channels, self.n_jobs, self.verbose)
        if reset:
            if len(pixels) < 2:
                raise ValueError(f"X has {len(pixels)} image; 2 or more are needed.")
            self.image_shape_ = pixels.shape[1:]
            self.n_features_in_ = int(np.prod(self.image_shape_))
            if hasattr(self, "feature_names_in_"):
                del self.feature_names_in_
        return pixels, False

    def embed(self, images: Images) -> np.ndarray:
        """Return the instance features, which serve as embeddings of images.

        Parameters: <images>

        Returns
        -------
        embeddings : ndarray of shape (n_images, n_features), float32
            What :meth:`transform` returns; with an `embedder`, its embeddings.
        """
        if self.embedder is not None:
            return super().embed(images)
        return self.transform(images)

    def _rows(self, X, zero_rows):
        return X if X.ndim == 4 else super()._rows(X, zero_rows)

    def _rows_to_count(self, rows):
        return SmallPixels(rows) if len(rows.shape) == 4 else rows

    def _as_given(self, X):
        return X.transpose(0, 2, 3, 1) if len(X.shape) == 4 else X

    def _inputs(self, X, zero_rows):
        if len(X.shape) != 4:
            for block, (x, norms) in super()._inputs(X, zero_rows):
                yield block, (divide_rows(x, norms),)
            return
        for block in gen_batches(len(X), self._inference_rows):
            yield block, (as_tensor(X[block]),)

    @property
    def _samples_a_batch(self):
        return self._auto[0] if self.batch_size == "auto" else self.batch_size

    @property
    def _auto(self):
        on_images = self.image_shape_ is not None
        return self._auto_on_images if on_images else self._auto_on_embeddings

    @property
    def _learning_rate(self):
        return self._auto[1] if self.lr == "auto" else self.lr

    def _optimizer(self, device):
        return {**super()._optimizer(device), "lr": self._learning_rate}

    def _locate_clusters(self, rows, dtype):
        super()._locate_clusters(self._instance_features(rows), np.float32)

    def _instance_features(self, rows):
        return self._infer(rows, _features, True)


class SmallPixels:
    """Pixels at a small side, one row per image, without the mean color of those read.

    Parameters
    ----------
    pixels : uint8 ndarray of shape (n, channels, height, width)
        The images.

    Attributes
    ----------
    shape : tuple of int
        ``(n, number of small pixels)``.
    """

    def __init__(self, pixels):
        self._pixels = pixels
        n, channels, *sides = pixels.shape
        most = NClustersRecipe.in_use().image_side
        height, width = (min(side, most) for side in sides)
        self._sides = height, width
        self.shape = n, channels * height * width

    def __getitem__(self, rows):
        """Return the float32 rows of an index array."""
        parts = []
        for block in gen_batches(len(rows), 256):
            x = as_tensor(self._pixels[rows[block]]).float()
            parts.append(adaptive_avg_pool2d(x, self._sides))
        x = torch.cat(parts)
        return (x - x.mean(dim=(0, 2, 3), keepdim=True)).flatten(1).numpy()


def _shape(X):
    """Return the shape of what was given in words, if it has one."""
    return f" (shape {tuple(X.shape)})" if hasattr(X, "shape") else ""
