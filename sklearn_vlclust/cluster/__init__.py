"""The clusterers, one folder a published method."""

from .mca import MCAClustering
from .rate_reduction import RateReductionClustering

__all__ = ["MCAClustering", "RateReductionClustering"]
