"""Clustering by masked images and contrast at two levels (PICI)."""

from . import presets
from ._estimator import ContrastiveMaskedClustering

__all__ = ["ContrastiveMaskedClustering", "presets"]
