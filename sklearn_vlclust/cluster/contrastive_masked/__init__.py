"""Clustering by masked images and contrast at two levels (PICI)."""

from . import presets
from .estimator import ContrastiveMaskedClustering

__all__ = ["ContrastiveMaskedClustering", "presets"]
