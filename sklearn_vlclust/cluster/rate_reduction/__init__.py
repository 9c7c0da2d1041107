"""Clustering by the principle of rate reduction (CPP)."""

from . import presets
from .estimator import RateReductionClustering

__all__ = ["RateReductionClustering", "presets"]
