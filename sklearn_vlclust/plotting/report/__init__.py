"""A report of clusters as one HTML file."""

from ._report import ClusterReport

__all__ = ["ClusterReport"]
