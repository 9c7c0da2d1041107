"""The clusterers, one folder a published method."""

from .mca import MCAClustering

__all__ = ["MCAClustering"]
