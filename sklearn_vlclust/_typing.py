"""Types that public signatures share. Nothing is imported for them when they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import matplotlib.axes
    import matplotlib.colors
    import numpy as np
    import torch
    from numpy.typing import ArrayLike
    from PIL import Image

    from .semantics import SemanticSpace, Vocabulary

# What NumPy counts with is no int, and what torch and NumPy measure with no float.
Bool: TypeAlias = "bool | np.bool"
Int: TypeAlias = "int | np.integer"
Float: TypeAlias = "float | np.floating | np.integer"
Auto: TypeAlias = Literal["auto"]
StrPath: TypeAlias = "str | PathLike[str]"
Strings: TypeAlias = "Sequence[str] | np.ndarray"
Device: TypeAlias = "str | torch.device"
RandomState: TypeAlias = "Int | np.random.RandomState | None"

# Any: collections of dask, which need not be installed. A path is of `.npy` files.
Images: TypeAlias = "ArrayLike | Sequence[StrPath | Image.Image | np.ndarray] | Any"
Data: TypeAlias = "Images | StrPath"
# An ndarray unless it was asked for otherwise: dask for dask, or by `set_output`.
Array: TypeAlias = "np.ndarray | Any"
# Distances and indices, or the indices alone where only they are asked for.
Neighbors: TypeAlias = "tuple[np.ndarray, np.ndarray] | Any"

Nouns: TypeAlias = "Literal['wordnet'] | Vocabulary | Strings"
Words: TypeAlias = "Nouns | SemanticSpace"
Encoder: TypeAlias = "Transformer | Literal['auto', 'offline']"
WordEncoder: TypeAlias = "TextEncoder | NounEncoder | Literal['auto', 'offline']"
Callbacks: TypeAlias = "Sequence[Callback] | np.ndarray"

Axes: TypeAlias = "matplotlib.axes.Axes"
Colormap: TypeAlias = "str | matplotlib.colors.Colormap"
# Of each cluster: its pictures, and its names, best first.
Pictures: TypeAlias = "Sequence[Sequence[Image.Image]]"
Names: TypeAlias = "Sequence[Strings]"


class Transformer(Protocol):
    """What embeds images, or maps vectors to others."""

    def transform(self, X: Any, /) -> Any:
        """Return one row per image or vector."""


class TextEncoder(Protocol):
    """What embeds texts."""

    def encode_texts(self, texts: Any, /) -> Any:
        """Return one row per text."""


class NounEncoder(Protocol):
    """What embeds nouns, whose synsets it is told."""

    def encode_nouns(self, nouns: Any, synsets: Any, prompt: Any, /) -> Any:
        """Return one row per noun."""


class Callback(Protocol):
    """What is told of each epoch, and ends the training by returning True."""

    def on_epoch_end(
        self, estimator: Any, epoch: int, losses: dict[str, float], /
    ) -> object:
        """Take note of the mean of each loss term."""


class Indexed(Protocol):
    """Rows that are read when they are indexed."""

    @property
    def shape(self) -> Any:
        """Number of rows and of columns."""

    def __getitem__(self, index: Any, /) -> Any:
        """Return the rows of an index array."""
