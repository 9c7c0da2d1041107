"""Shared by all encoders: batches, the cache, skipped files, progress."""

from __future__ import annotations

import copy
import hashlib
import os
import threading
from contextlib import closing, nullcontext
from numbers import Integral
from typing import Any, Self
from weakref import WeakValueDictionary

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from torch.nn import functional as F

from .._backend._progress import progress_bar
from .._backend._settings import own_settings
from .._backend._text import counted
from .._compat import Interval, StrOptions
from .._docs import documented
from .._typing import Array, Images, Strings
from ..data.decoding import LIMITS, Limits
from ..data.distributed import by_blocks, is_dask
from ..data.images import UnreadableImageError, check_images, iter_decoded
from ._cache import EmbeddingCache, cached_rows

# Networks in use, shared by clones: a grid search loads the weights once. An entry
# lasts as long as an estimator holds the network.
_NETWORKS: WeakValueDictionary[tuple, Any] = WeakValueDictionary()
_LOADING = threading.RLock()


@documented()
class BaseImageEmbedder(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Template of an encoder of images into a space of unit vectors.

    A subclass stores its parameters in `__init__` and supplies

    - `_load()` -> the network, an instance of a class; called once, when needed,
    - `_preprocess(image)` -> tensor; called in threads with an RGB PIL image,
    - `_encode_image_batch(batch)` -> array or tensor of shape (b, d),
    - `encoder_id`: a string that names model, weights and preprocessing, and
    - `_n_features_out`: d.

    Inside these, `self._network` is what `_load` returned. Rows are scaled to unit
    length here. `_network_params` names the parameters that `_load` reads.

    What all encoders have:

    Parameters
    ----------
    batch_size : int, default=64
        Images or texts in one forward pass.
    cache : path, default=None
        A folder where embeddings are kept, by content of the image (or text), model and
        preprocessing: nothing is embedded twice, not even after a run was killed.
        Processes may share it.
    on_error : {"raise", "skip"}, default="raise"
        For an image that cannot be read: raise an error, or leave it out and report it
        in `errors_`.
    max_pixels : int, default=500_000_000
        Largest width times height of an image; a larger one is not decoded.
    max_bytes : int, default=2**30
        Largest file, and the most memory that decoding one image may take.

    Attributes
    ----------
    errors_ : list of (str, str)
        Of the latest images: path (or place, "X[3]") and reason of each that could
        not be read.
    kept_ : ndarray of int
        Of the latest images: the indices that have a row, in order.
    """

    _parameter_constraints: dict = {
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str, torch.device],
        "cache": [str, os.PathLike, None],
        "n_jobs": [Integral, None],
        "on_error": [StrOptions({"raise", "skip"})],
        "verbose": ["verbose"],
        "max_pixels": [Interval(Integral, 1, None, closed="left")],
        "max_bytes": [Interval(Integral, 1, None, closed="left")],
    }

    _network_params: tuple[str, ...] = ("device",)

    def fit(self, X: Images | None = None, y: object = None) -> Self:
        """Check the parameters and the kind of input; nothing is learned.

        Parameters
        ----------
        X : images or None, default=None
            As in :meth:`transform`. If None, only the parameters are checked.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The embedder itself.
        """
        self._validate_params()
        if X is not None and not is_dask(X):
            check_images(X)
        return self

    @by_blocks
    def transform(self, X: Images) -> Array:
        """Embed images.

        Parameters
        ----------
        X : images
            A list or 1-D array of paths, PIL images or uint8 arrays of shape
            (height, width, channels), or one uint8 array of shape
            (n, height, width, channels). Images are turned upright by their EXIF
            tag, transparent parts become white, 16-bit gray is scaled to 8 bits,
            and of an animation the first frame is taken. Or a dask bag or array of
            images, which are embedded by its workers.

        Returns
        -------
        X_out : ndarray of shape (n_images, n_features_out), float32
            Rows of unit length; a dask array for one or a bag. With `on_error="skip"`,
            unreadable images have no row: `kept_` holds the indices of those that do,
            `errors_` the others.

        Raises
        ------
        ValueError
            If an image cannot be read (the message names it and the reason) and
            `on_error="raise"`, if no image can be read, or if `X` is not images.
        """
        self._validate_params()
        return self.encode_images(X)

    @own_settings
    def encode_images(self, images: Images) -> np.ndarray:
        """Embed images: :meth:`transform` without parameter validation.

        Parameters: <images>

        Returns
        -------
        rows : ndarray of shape (n_images, n_features_out), float32
            Rows of unit length.
        """
        images = check_images(images)
        n = len(images)
        rows = np.empty((n, 0), dtype=np.float32)
        kept, errors = [], []
        pending: list[tuple] = []

        def store(indices, new):
            nonlocal rows
            if not rows.shape[1]:
                rows = np.empty((n, new.shape[-1]), dtype=np.float32)
            rows[indices] = new

        def flush():
            indices, keys, tensors = zip(*pending, strict=True)
            pending.clear()
            new = self._unit_rows(self._encode_image_batch(torch.stack(tensors)))
            if cache is not None:
                cache.put(keys, new)
            store(list(indices), new)

        with self._open_cache() as cache, self._progress(n, "image") as progress:
            prepare = self._preparer(cache)
            prefetch = 2 * self.batch_size
            decoded = iter_decoded(
                images,
                prepare,
                n_jobs=self.n_jobs,
                prefetch=prefetch,
                limits=self._limits,
            )
            with closing(decoded):
                for i, item in enumerate(decoded):
                    progress.update()
                    if isinstance(item, UnreadableImageError):
                        if self.on_error == "raise":
                            raise item
                        errors.append((item.name, item.reason))
                        continue
                    kept.append(i)
                    key, row, tensor = item
                    if row is not None:
                        store(i, row)
                        continue
                    pending.append((i, key, tensor))
                    if len(pending) == self.batch_size:
                        flush()
                if pending:
                    flush()
        if not kept:
            name, reason = errors[0]
            raise ValueError(
                f"None of {counted(n, 'image')} can be read; the first is {name!r}: "
                f"{reason}."
            )
        self.errors_ = errors
        self.kept_ = np.array(kept, dtype=np.intp)
        return rows[self.kept_] if errors else rows

    def _preparer(self, cache):
        """Return what decoding threads call: it looks an image up or decodes it."""
        prefix = b"" if cache is None else self._key_prefix(b"image")

        def prepare(source):
            key = None
            if cache is not None:
                key = _key(prefix, source.digest())
                row = cache.get(key)
                if row is not None:
                    return key, row, None
            return key, None, self._preprocess(source.decode())

        return prepare

    @property
    def _limits(self):
        """What one image may take; encoders of users need not have these parameters."""
        return Limits(
            getattr(self, "max_pixels", LIMITS.pixels),
            getattr(self, "max_bytes", LIMITS.bytes),
        )

    def _to_workers(self):
        if self.on_error == "skip":
            raise ValueError(
                "on_error='skip' is not for dask collections: nothing would tell which "
                "rows are left out. Take the images that cannot be read out first."
            )
        return copy.copy(self)

    @property
    def _network(self):
        held = self.__dict__.get("_held_network")
        key = self._network_key()
        if held is not None and held[0] == key:
            return held[1]
        with _LOADING:
            network = _NETWORKS.get(key)
            if network is None:
                network = _NETWORKS[key] = self._load()
        self._held_network = (key, network)
        return network

    def _network_key(self) -> tuple:
        params = (str(getattr(self, name)) for name in self._network_params)
        return (type(self), *params)

    def __dir__(self):
        # scikit-learn reads every attribute listed here to draw the estimator in a
        # notebook. Reading a property would load the network.
        return [
            name
            for name in object.__dir__(self)
            if not isinstance(getattr(type(self), name, None), property)
        ]

    def __getstate__(self):
        state = dict(super().__getstate__())
        state.pop("_held_network", None)  # weights are loaded again where needed
        return state

    def _key_prefix(self, kind: bytes) -> bytes:
        return b"\0".join((kind, self.encoder_id.encode(), b""))

    def _unit_rows(self, rows) -> np.ndarray:
        rows = F.normalize(torch.as_tensor(rows).detach().float().cpu(), dim=1).numpy()
        if not np.isfinite(rows).all() or not rows.any(axis=1).all():
            raise ValueError(
                f"{self.encoder_id} gave rows that are zero or not finite: the weights "
                "are damaged or the precision is too low for this model."
            )
        return rows

    def _open_cache(self):
        if self.cache is None:
            return nullcontext()
        return EmbeddingCache(self.cache, self._n_features_out)

    def _progress(self, total: int, unit: str):
        return progress_bar(total, unit, type(self).__name__, self.verbose)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags


class BaseEmbedder(BaseImageEmbedder):
    """Template of an encoder of images and words into one space of unit vectors.

    Besides what :class:`BaseImageEmbedder` asks for, a subclass supplies
    `_encode_text_batch(texts)` -> array or tensor of shape (b, d).
    """

    @own_settings
    def encode_texts(self, texts: Strings) -> np.ndarray:
        """Embed words or sentences.

        Parameters
        ----------
        texts : list of str
            The texts as the model reads them (a prompt, say).

        Returns
        -------
        rows : ndarray of shape (n_texts, n_features_out), float32
            Rows of unit length, in the space of the images.

        Raises
        ------
        TypeError
            If `texts` is a single string or holds anything but strings.
        """
        texts = _check_texts(texts)
        return self._encode_cached(
            texts, lambda chunk: self._encode_text_batch([texts[i] for i in chunk])
        )

    def _encode_cached(self, names, compute):
        """Return unit rows of `names` (strings), made by `compute(indices)`.

        With a cache, `compute` is called only for rows that are missing in it.
        """
        if not len(names):
            return np.empty((0, self._n_features_out), dtype=np.float32)
        with (
            self._open_cache() as cache,
            self._progress(len(names), "text") as progress,
        ):
            keys = names
            if cache is not None:
                prefix = self._key_prefix(b"text")
                keys = [_key(prefix, name.encode()) for name in names]
            return cached_rows(
                cache,
                keys,
                lambda chunk: self._unit_rows(compute(chunk)),
                batch_size=self.batch_size,
                on_rows=progress.update,
            )


def _key(prefix: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(prefix + content, digest_size=20).digest()


def _check_texts(texts) -> list[str]:
    if isinstance(texts, (str, bytes)):
        raise TypeError(f"texts is a single string, {texts!r}; expected a list of str.")
    texts = list(texts)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{i}] is {text!r}; expected str.")
    return texts
