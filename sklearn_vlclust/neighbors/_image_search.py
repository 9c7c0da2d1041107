"""Search of images by image or by text."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.validation import check_is_fitted

from .._backend._files import file_hash, locked, write_atomically
from .._backend._settings import own_settings
from .._backend._text import counted
from .._compat import (
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
)
from .._docs import documented
from .._typing import (
    Bool,
    Data,
    Encoder,
    Float,
    Int,
    Neighbors,
    RandomState,
    Strings,
    StrPath,
    Transformer,
)
from ..data.distributed import gather, is_dask
from ..data.file_rows import FileRows, is_large
from ..data.images import check_images, is_images
from ..data.read import read_embeddings
from ..data.rows import BLOCK_ROWS, UnitRows, row_blocks
from ..embedding._resolve import embed_images, make_embedder
from ..persistence import load_model, save_model
from ..persistence._model_files import read_attribute
from ..persistence._tensor_files import naming
from ._cells import Cells
from .knn import _check_k, _drop_self, kneighbors, nearest

MODEL = "search.safetensors"
# Files of the parts, whose names have this many digits of their checksum.
_SUFFIXES = {"rows": ".npy", "cells": ".faiss", "paths": ".json"}
_HASH = 32


@documented()
class ImageSearch(BaseEstimator):
    """Find images by an image or by text.

    The images are embedded, unless embeddings are given, and kept as rows of unit
    length; the nearest rows of a query are found [1]_. With a `transformer` the search
    uses learned features, where neighbors share meaning rather than looks.

    Parameters: <embedder>
    transformer : fitted transformer or None, default=None
        Maps embeddings to the features that are compared, such as a fitted clusterer
        with `transform` or a pipeline. It is not fitted again.
    n_neighbors : int, default=10
        Number of images that a search returns; [1]_ shows 64.
    metric : {"cosine", "euclidean"}, default="cosine"
        The distance that is returned, of rows of unit length: one minus the cosine, or
        the length of the difference. Both rank alike.
    exact_limit : int, default=200_000
        Largest number of images that are compared with a query one by one. Above it an
        inverted-file index is built, and a query visits some of its cells.
    recall : float in (0, 1], default=0.95
        Share of the `n_neighbors` nearest images that the index should find. The number
        of cells visited is tuned at fit, by searching some of its own images.
    random_state : int, RandomState instance or None, default=None
        Draws the rows that the index is trained and measured on.

    Attributes
    ----------
    n_samples_fit_ : int
        Number of images.
    paths_ : ndarray of shape (`n_samples_fit_`,), object, or None
        Paths of the images, where known: ``paths_[indices]`` are those found.
    encoder_id_ : str or None
        Model and weights of the encoder that the images were embedded by; None if
        embeddings were given and `embedder` is None.
    <embedder_>
    recall_ : float
        Share of the nearest images that the index was measured to find; 1 if it is
        exact.
    <n_features_in_, feature_names_in_>

    See Also
    --------
    sklearn.neighbors.NearestNeighbors : The same methods, for any metric.
    kneighbors : Neighbors of all rows at once.

    Notes
    -----
    Up to `exact_limit` images there is no index: all rows are compared, in tiles.
    Above, faiss's inverted-file index with one byte per number is used: spherical
    k-means partitions the rows into about ``sqrt(n)`` cells, a query visits the nearest
    cells, and the cosines of the best candidates are recomputed from the rows, so the
    distances returned are exact.

    A float `X` (single or double) is not copied if its unit rows would take more than
    256 MiB, and a memory-mapped one is read in blocks. After :meth:`load`, rows and an
    index of more than 256 MiB stay on disk: the rows are read from the open file, the
    index is memory-mapped and shared by all processes that load it.

    References
    ----------
    .. [1] Chu, Tong, Ding, Dai, Haeffele, Vidal, Ma, "Image clustering via the
       principle of rate reduction in the age of pretrained models", ICLR 2024,
       section 4.2 and appendix G.

    Examples
    --------
    >>> from sklearn_vlclust import ImageSearch
    >>> X = [[1, 0], [0, 2], [3, 3]]
    >>> search = ImageSearch(n_neighbors=2).fit(X, paths=["a.jpg", "b.jpg", "c.jpg"])
    >>> distances, indices = search.kneighbors([[1, 0.1]])
    >>> distances.round(2)
    array([[0.  , 0.23]], dtype=float32)
    >>> search.paths_[indices]
    array([['a.jpg', 'c.jpg']], dtype=object)

    With images and words:

    >>> search = ImageSearch(embedder="offline").fit(paths)  # doctest: +SKIP
    >>> search.kneighbors_text(["a dog on grass"])  # doctest: +SKIP
    >>> search.save("search")  # doctest: +SKIP
    """

    embedder_: Any  # an encoder, or None
    _cells: Any  # Cells, or None where all rows are compared

    _parameter_constraints: dict = {
        "embedder": [HasMethods(["transform"]), StrOptions({"auto", "offline"}), None],
        "transformer": [HasMethods(["transform"]), None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions({"cosine", "euclidean"})],
        "exact_limit": [Interval(Integral, 0, None, closed="left")],
        "recall": [Interval(Real, 0, 1, closed="right")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        embedder: Encoder | None = None,
        *,
        transformer: Transformer | None = None,
        n_neighbors: Int = 10,
        metric: Literal["cosine", "euclidean"] = "cosine",
        exact_limit: Int = 200_000,
        recall: Float = 0.95,
        random_state: RandomState = None,
    ) -> None:
        self.embedder = embedder
        self.transformer = transformer
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.exact_limit = exact_limit
        self.recall = recall
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    @own_settings
    def fit(
        self,
        X: Data,
        y: object = None,
        *,
        paths: Sequence[StrPath] | np.ndarray | None = None,
    ) -> Self:
        """Index the images to search.

        Parameters: <shared.X, y>
        paths : sequence of str or Path, default=None
            Path of each row's image. Not needed if `X` is paths.

        Returns: <fitted>

        Raises
        ------
        ValueError
            If a row of `X` or of its features is zero or not finite, or `paths` has
            another length than `X`.
        """
        self.embedder_ = self.encoder_id_ = None
        if self.embedder is not None or is_images(X):
            self.embedder_ = make_embedder(self.embedder)
            self.encoder_id_ = _encoder_id(self.embedder_)
        found_paths = _paths_of(X) if paths is None else _as_paths(paths)
        X, zero_rows = read_embeddings(self, X, reset=True, embed=self._embed)
        if paths is None and found_paths is not None and len(found_paths) > len(X):
            found_paths = found_paths[self.embedder_.kept_]  # on_error="skip"
        if found_paths is not None and len(found_paths) != len(X):
            raise ValueError(
                f"paths has {counted(len(found_paths), 'entry')} for "
                f"{counted(len(X), 'image')}."
            )
        self.paths_ = found_paths
        self.n_samples_fit_ = len(X)
        self._rows = self._features(X, zero_rows)
        self._cells, self.recall_ = None, 1.0
        if len(X) > max(self.exact_limit, 1):
            rng = check_random_state(self.random_state)
            k = min(self.n_neighbors, len(X) - 1)
            self._cells, self.recall_ = Cells.build(self._rows, k, self.recall, rng)
        return self

    @property
    def embeddings(self) -> np.ndarray:
        """The images that are searched: ndarray of shape (n_samples, n_features)."""
        check_is_fitted(self, "_rows")
        return self._rows[:]

    @own_settings
    def kneighbors(
        self,
        X: Data | None = None,
        n_neighbors: Int | None = None,
        return_distance: Bool = True,
    ) -> Neighbors:
        """Find the nearest images of images.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features), or images, default=None
            The queries, as in :meth:`fit`. If None, the images of the search
            themselves; an image is then not its own neighbor.
        n_neighbors : int, default=None
            Number of images to find. If None, the parameter of the search.
        return_distance : bool, default=True
            Whether distances are returned.

        Returns
        -------
        distances : ndarray of shape (n_queries, n_neighbors), float32
            Ascending. Left out with ``return_distance=False``.
        indices : ndarray of shape (n_queries, n_neighbors), int64
            Numbers of the images found.

        Raises
        ------
        ValueError
            If `n_neighbors` is larger than the number of images, `X` has another width
            than the embeddings of the search, or `embedder` is not the encoder that
            these are by.
        """
        check_is_fitted(self)
        if X is None:
            return self._answer(None, n_neighbors, return_distance)
        X, zero_rows = read_embeddings(self, X, reset=False, embed=self._embed)
        return self._answer(self._features(X, zero_rows), n_neighbors, return_distance)

    @own_settings
    def kneighbors_text(
        self,
        texts: Strings,
        n_neighbors: Int | None = None,
        return_distance: Bool = True,
    ) -> Neighbors:
        """Find the images that are nearest to texts.

        Texts are far from all images: only the ranking of distances is meaningful.

        Parameters
        ----------
        texts : list of str
            The queries, as the encoder reads them.
        <n_neighbors, return_distance>

        Returns: <distances, indices>

        Raises
        ------
        TypeError
            If `texts` is a single string or holds anything but strings.
        ValueError
            If the search has a `transformer`, whose features have no texts, or an
            encoder that knows no words; or as for :meth:`kneighbors`.
        """
        check_is_fitted(self)
        if self.transformer is not None:
            raise ValueError(
                f"Features of {type(self.transformer).__name__} have no texts: for "
                "search by text fit an ImageSearch with transformer=None."
            )
        encoder = self._encoder()
        if not hasattr(encoder, "encode_texts"):
            raise ValueError(
                f"{type(encoder).__name__} knows no words: for search by text fit an "
                "ImageSearch with an encoder that does, such as CLIPEmbedder()."
            )
        rows = encoder.encode_texts(texts)
        if rows.shape[1] != self.n_features_in_:
            raise ValueError(
                f"Texts have {rows.shape[1]} columns by {_encoder_id(self.embedder_)}, "
                f"but the images of this search have {self.n_features_in_}: both must "
                "come from the same encoder."
            )
        return self._answer(UnitRows(rows), n_neighbors, return_distance)

    def save(self, path: StrPath) -> None:
        """Write the search to a folder: images' rows, index, paths and parameters.

        No pickle is written. The rows are kept in single precision, at unit length.

        Parameters
        ----------
        path : str or Path
            The folder; made if it is not there. A search that was saved there before is
            replaced once the new one is complete.

        Raises
        ------
        TypeError
            If `embedder` or `transformer` is not of this library.
        """
        check_is_fitted(self)
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        model = copy.copy(self)
        model._rows = model._cells = None
        model.paths_ = None if self.paths_ is None else ()
        model._n_probe = None if self._cells is None else self._cells.n_probe
        # Two processes that save here would take each other's files away.
        with locked(folder):
            old = _saved_parts(folder)
            new: dict[str, str] = {}
            try:
                self._write_parts(folder, new)
                model._saved = new
                save_model(model, folder / MODEL)  # replaced in one step: the whole
            except BaseException:
                _remove(folder, set(new.values()) - old)
                raise
            if self._cells is not None and self._cells.file is not None:
                self._cells.file = str(folder / new["cells"])  # its own may go now
            known = old | set(new.values())
            _remove(folder, (old | _orphans(folder, known)) - set(new.values()))

    @classmethod
    def load(cls, path: StrPath, *, mmap: Bool = True) -> Self:
        """Read a search that :meth:`save` wrote.

        Parameters
        ----------
        path : str or Path
            The folder.
        mmap : bool, default=True
            Whether rows and index stay on disk and are read on demand, each if it has
            more than 256 MiB.

        Returns
        -------
        search : ImageSearch
            As it was saved.

        Raises
        ------
        FileNotFoundError
            If there is no search in the folder, or a file of it is missing.
        PermissionError
            If a file may not be read.
        ValueError
            If a file is damaged, or the files are not of one search.
        """
        folder = Path(path)
        if not (folder / MODEL).is_file():
            raise FileNotFoundError(f"There is no saved ImageSearch in {str(path)!r}.")
        search = load_model(folder / MODEL, cls)
        try:
            search._read_parts(folder, mmap)
        except FileNotFoundError:
            again = load_model(folder / MODEL, cls)
            if again._saved == search._saved:
                raise
            search = again  # another process has saved meanwhile
            search._read_parts(folder, mmap)
        return search

    def _write_parts(self, folder, new):
        """Write rows, cells and paths; put their names into `new`."""
        new["rows"] = _write_part(folder, "rows", self._write_rows)
        if self._cells is not None:
            new["cells"] = _write_part(folder, "cells", self._cells.write)
        if self.paths_ is not None:
            text = json.dumps(self.paths_.tolist())

            def write(name):
                Path(name).write_bytes(text.encode())

            new["paths"] = _write_part(folder, "paths", write)

    def _read_parts(self, folder, mmap):
        """Set rows, cells and paths from the files that the model file names."""
        with naming(folder / MODEL, "part of a saved ImageSearch"):
            parts = _part_names(self._saved)
            n, n_probe, paths = self.n_samples_fit_, self._n_probe, self.paths_
        with _reading(folder, parts, "rows") as file:
            self._rows = FileRows(file)
            if not (mmap and is_large(file)):
                self._rows = self._rows[:]
            if len(self._rows) != n:
                raise ValueError(
                    f"it has {counted(len(self._rows), 'row')} for "
                    f"{counted(n, 'image')}"
                )
        if n_probe is not None:
            with _reading(folder, parts, "cells") as file:
                self._cells = Cells.read(file, n_probe, mmap and is_large(file))
                self._cells.check(self._rows.shape)
        if paths is not None:
            with _reading(folder, parts, "paths") as file:
                paths = json.loads(file.read_text("utf-8"))
                if len(paths) != n:
                    raise ValueError(
                        f"it has {counted(len(paths), 'path')} for "
                        f"{counted(n, 'image')}"
                    )
                self.paths_ = _as_paths(paths)

    def _embed(self, images):
        return embed_images(self._encoder(), images)

    def _encoder(self):
        """Return the encoder of queries, which must be the images' encoder."""
        embedder = make_embedder(self.embedder)
        asked, built_by = _encoder_id(embedder), self.encoder_id_
        if built_by is not None and asked != built_by:
            raise ValueError(
                f"The images of this search were embedded by {built_by}, but embedder "
                f"is {asked}: search by the encoder that embedded the images, or fit "
                "again."
            )
        if self.embedder_ is None or _encoder_id(self.embedder_) != asked:
            self.embedder_ = embedder  # kept: it holds the network
        return self.embedder_

    def _features(self, X, zero_rows):
        """Return the unit rows that are compared, of embeddings `X`."""
        if self.transformer is None:
            return UnitRows(X, zero_rows=zero_rows)
        features = None
        for block in row_blocks(len(X)):
            new = np.asarray(self.transformer.transform(X[block]))
            if features is None:
                features = np.empty((len(X), new.shape[1]), dtype=np.float32)
            features[block] = new
        return UnitRows(features)

    def _answer(self, queries, k, return_distance):
        k = self.n_neighbors if k is None else k
        if not isinstance(k, int | np.integer):
            raise TypeError(f"n_neighbors must be an integer, got {k!r}.")
        own = queries is None
        _check_k(k, self.n_samples_fit_ - own, "other images" if own else "images")
        if self._cells is not None:
            indices, cosines = self._search_cells(
                self._rows if own else queries, k, own
            )
        elif own:
            limit = self.n_samples_fit_
            indices, cosines = kneighbors(self._rows, k, exact_limit=limit)
        else:
            indices, cosines = nearest(queries, self._rows, k)
        indices = indices.astype(np.int64, copy=False)
        if not return_distance:
            return indices
        distances = (1 - cosines).clip(0)
        if self.metric == "euclidean":
            distances = np.sqrt(2 * distances)
        return distances, indices

    def _search_cells(self, queries, k, own):
        indices = np.empty((queries.shape[0], k), dtype=np.int64)
        cosines = np.empty((queries.shape[0], k), dtype=np.float32)
        for block in gen_batches(queries.shape[0], BLOCK_ROWS):
            found = self._cells.search(queries[block], self._rows, k + own)
            if own:
                found = _drop_self(np.arange(block.start, block.stop), *found)
            indices[block], cosines[block] = found
        return indices, cosines

    def _write_rows(self, name):
        shape = self._rows.shape
        with open(name, "wb") as file:
            header = np.lib.format.header_data_from_array_1_0(np.empty(0, np.float32))
            np.lib.format.write_array_header_1_0(file, header | {"shape": shape})
            for block in row_blocks(shape[0]):
                file.write(np.ascontiguousarray(self._rows[block]).data)


def _write_part(folder, part, write):
    """Write a file that is named by its checksum; return the name."""
    found = ""

    def write_and_hash(name):
        nonlocal found
        write(name)
        found = file_hash(name)

    new = folder / f".{part}.new"
    write_atomically(new, write_and_hash)
    name = f"{part}-{found[:_HASH]}{_SUFFIXES[part]}"
    os.replace(new, folder / name)
    return name


def _part_names(saved):
    """Return the file of each part, of what the model file says."""
    if isinstance(saved, str):  # version 0.1.0: one random name for all of them
        saved = {part: f"{part}-{saved}{end}" for part, end in _SUFFIXES.items()}
    for part, name in saved.items():
        if not re.fullmatch(rf"{part}-\w+\{_SUFFIXES[part]}", name):
            raise ValueError(f"it names {name!r}")
    return saved


def _saved_parts(folder):
    """Return the names of the files of a search that is saved in `folder`."""
    try:
        return {*_part_names(read_attribute(folder / MODEL, "_saved")).values()}
    except (OSError, ValueError, AttributeError):
        return set()


def _orphans(folder, known):
    """Return the parts, beside known ones, that are named by their checksums.

    A save that was killed has left them.
    """
    found = set()
    for part, end in _SUFFIXES.items():
        for file in folder.glob(f"{part}-{'[0-9a-f]' * _HASH}{end}"):
            if file.name not in known and file.is_file() and _has_its_name(file):
                found.add(file.name)
    return found


def _has_its_name(file):
    return file_hash(file)[:_HASH] == file.stem.rpartition("-")[2]


def _remove(folder, names):
    for name in names:
        (folder / name).unlink(missing_ok=True)


def _encoder_id(embedder):
    # A user's own encoder may have no id: then its class identifies it.
    name = f"{type(embedder).__module__}.{type(embedder).__qualname__}"
    return getattr(embedder, "encoder_id", name)


def _paths_of(X):
    """Return paths as an object array of str; None if `X` is anything else."""
    if not is_images(X):
        return None
    X = gather(X) if is_dask(X) else check_images(X)
    if getattr(X, "ndim", 1) != 1:
        return None
    if not all(isinstance(path, str | os.PathLike) for path in X):
        return None
    return _as_paths(X)


def _as_paths(paths):
    return np.array([os.fspath(path) for path in paths], dtype=object)


@contextmanager
def _reading(folder, parts, part):
    """Yield the file of a part, undamaged; errors of reading it name it."""
    with naming(folder / MODEL, "part of a saved ImageSearch"):
        file = folder / parts[part]
    try:
        with naming(file, "part of a saved ImageSearch"):
            # Files of version 0.1.0 have a random name.
            if len(file.stem.rpartition("-")[2]) == _HASH and not _has_its_name(file):
                raise ValueError("its checksum is wrong")
            yield file
    except ValueError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise FileNotFoundError(
                f"{str(file)!r}, a part of a saved ImageSearch, is missing."
            ) from error
        if isinstance(error.__cause__, PermissionError):
            raise PermissionError(f"{str(file)!r} may not be read.") from error
        raise
