"""Clustering by the principle of rate reduction (CPP)."""

from . import presets
from ._estimator import RateReductionClustering

__all__ = ["RateReductionClustering", "presets"]
