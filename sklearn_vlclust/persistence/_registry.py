"""The classes that a file may name, by names that stay when a class moves."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from joblib.hashing import NumpyHasher

from .._exports import EXPORTS

_PACKAGE = __name__.partition(".")[0]

# Name in files -> module where the class is now. Where a class moves, its module
# changes here; the name never does.
CLASSES = {
    **EXPORTS,
    "VLNetwork": "cluster.vl.network",
    "Copies": "neighbors.copies",
    "JointEmbedding": "cluster.words",
    "MCANetwork": "cluster.mca.network",
    "RateReductionNetwork": "cluster.rate_reduction.network",
    "SpectralCut": "cluster.spectral.cut",
    "EmbeddingNetwork": "cluster.row_network",
    "ImageNetwork": "cluster.contrastive_masked.images",
    "MaskedAutoencoder": "cluster.contrastive_masked.network",
    "CalibratedNetwork": "cluster.generative.objective",
    "EmbeddingGenerator": "cluster.generative.generator",
    "ImageGenerator": "cluster.generative.generator",
    "ResidualNetwork": "cluster.generative.network",
    "RowNetwork": "cluster.generative.network",
}

# Where these classes were in version 0.1.0, whose files say so: this stays as it is.
_MODULES_0_1 = {
    "embedding._clip": ["CLIPEmbedder"],
    "embedding._offline": ["OfflineEmbedder"],
    "neighbors._image_search": ["ImageSearch"],
    "semantics._captioner": ["ClusterCaptioner"],
    "semantics._space": ["SemanticSpace"],
    "semantics._vocabulary": ["Vocabulary"],
    "model_selection._k_selector": ["CodingLengthKSelector"],
    "cluster.vl._estimator": ["VLClustering"],
    "cluster.vl._network": ["VLNetwork"],
    "cluster._words": ["JointEmbedding"],
    "cluster.mca._estimator": ["MCAClustering"],
    "cluster.mca._network": ["MCANetwork"],
    "cluster.rate_reduction._estimator": ["RateReductionClustering"],
    "cluster.rate_reduction._network": ["RateReductionNetwork"],
    "cluster._spectral": ["SpectralCut"],
    "cluster.contrastive_masked._estimator": ["ContrastiveMaskedClustering"],
    "cluster.contrastive_masked._embeddings": ["EmbeddingNetwork"],
    "cluster.contrastive_masked._images": ["ImageNetwork"],
    "cluster.contrastive_masked._network": ["MaskedAutoencoder"],
    "cluster.generative._estimator": ["GenerativeCalibrationClustering"],
    "cluster.generative._objective": ["CalibratedNetwork"],
    "cluster.generative._generator": ["EmbeddingGenerator", "ImageGenerator"],
    "cluster.generative._network": ["ResidualNetwork", "RowNetwork"],
}
_NAMES_0_1 = {
    f"{_PACKAGE}.{module}.{name}": name
    for module, names in _MODULES_0_1.items()
    for name in names
}
_PATHS_0_1 = {name: path for path, name in _NAMES_0_1.items()}


def class_name(cls: type) -> str | None:
    """Return the name of `cls` in files; None if no file may name it."""
    name = cls.__name__
    return name if name in CLASSES and find_class(name) is cls else None


def find_class(name: str) -> Any:
    """Return the class that a file names; only its own module is imported for it.

    Parameters
    ----------
    name : str
        The name in files, or the dotted one of a file of version 0.1.0.

    Raises
    ------
    ValueError
        If files may not name it.
    """
    known = _NAMES_0_1.get(str(name), str(name))
    if known not in CLASSES:
        raise ValueError(
            f"names the class {name!r}; only these classes may be named: "
            f"{', '.join(sorted(CLASSES))}."
        )
    return getattr(import_module(f".{CLASSES[known]}", _PACKAGE), known)


class _Hasher(NumpyHasher):
    """Hash as joblib does, which counts the module of a class, but not our modules.

    They count as in version 0.1.0, so that checkpoints written then can be resumed.
    """

    def save_global(self, obj: Any, name: Any = None, **options: Any) -> None:
        known = class_name(obj) if isinstance(obj, type) else None
        if known is None:
            super().save_global(obj, name, **options)
            return
        module, _, known = _PATHS_0_1.get(known, f"{_PACKAGE}.{known}").rpartition(".")
        self.write(f"c{module}\n{known}\n".encode())  # the opcode of a global
        self.memoize(obj)

    dispatch = NumpyHasher.dispatch | {type: save_global}


def stable_hash(value: object) -> str:
    """Return a hash of what `value` holds that stays when a class of ours moves."""
    return _Hasher().hash(value)
