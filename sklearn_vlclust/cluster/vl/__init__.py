"""The default clusterer, our own recipe."""

from .estimator import VLClustering

__all__ = ["VLClustering"]
