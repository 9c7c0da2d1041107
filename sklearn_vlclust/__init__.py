"""Clustering of images with vision-language embeddings, the scikit-learn way."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from ._exports import EXPORTS as _EXPORTS
from ._version import __version__

if TYPE_CHECKING:  # what is imported lazily below, for editors and type checkers
    from . import (
        cluster,
        datasets,
        embedding,
        metrics,
        model_selection,
        neighbors,
        persistence,
        plotting,
        semantics,
        training,
    )
    from .cluster import (
        ContrastiveMaskedClustering,
        GenerativeCalibrationClustering,
        MCAClustering,
        RateReductionClustering,
        VLClustering,
    )
    from .embedding import CLIPEmbedder, OfflineEmbedder, TimmEmbedder, TorchEmbedder
    from .model_selection import CodingLengthKSelector
    from .neighbors import ImageSearch
    from .semantics import ClusterCaptioner, SemanticSpace, Vocabulary

# A plain list: type checkers read no other.
__all__ = [
    "CLIPEmbedder",
    "ClusterCaptioner",
    "CodingLengthKSelector",
    "ContrastiveMaskedClustering",
    "GenerativeCalibrationClustering",
    "ImageSearch",
    "MCAClustering",
    "OfflineEmbedder",
    "RateReductionClustering",
    "SemanticSpace",
    "TimmEmbedder",
    "TorchEmbedder",
    "VLClustering",
    "Vocabulary",
    "__version__",
    "cluster",
    "datasets",
    "embedding",
    "metrics",
    "model_selection",
    "neighbors",
    "persistence",
    "plotting",
    "semantics",
    "training",
]


def __getattr__(name):
    # On first use: `import sklearn_vlclust` costs nothing, and nobody waits for the
    # methods of others.
    if name in _EXPORTS:
        return getattr(_import_module(f".{_EXPORTS[name]}", __name__), name)
    if name in __all__:  # a room
        return _import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
