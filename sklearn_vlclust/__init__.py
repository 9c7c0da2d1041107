"""Clustering of images with vision-language embeddings, the scikit-learn way."""

from importlib import import_module as _import_module

from ._version import __version__

# Public name -> room. Imported on first use, so that `import sklearn_vlclust` costs
# nothing and a user of one method does not pay for the others.
_EXPORTS = {
    "CLIPEmbedder": "embedding",
    "OfflineEmbedder": "embedding",
    "ImageSearch": "neighbors",
    "ClusterCaptioner": "semantics",
    "SemanticSpace": "semantics",
    "Vocabulary": "semantics",
    "VLClustering": "cluster",
    "ContrastiveMaskedClustering": "cluster",
    "GenerativeCalibrationClustering": "cluster",
    "MCAClustering": "cluster",
    "RateReductionClustering": "cluster",
    "CodingLengthKSelector": "model_selection",
}
_MODULES = (
    "cluster",
    "datasets",
    "embedding",
    "metrics",
    "model_selection",
    "neighbors",
    "plotting",
    "semantics",
    "training",
)

__all__ = [*_EXPORTS, *_MODULES, "__version__"]


def __getattr__(name):
    if name in _EXPORTS:
        return getattr(_import_module(f".{_EXPORTS[name]}", __name__), name)
    if name in _MODULES:
        return _import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
