"""The default clusterer, our own recipe."""

from ._estimator import VLClustering

__all__ = ["VLClustering"]
