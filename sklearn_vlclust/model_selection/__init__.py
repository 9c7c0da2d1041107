"""Choice of parameters and of the number of clusters, without labels."""

from ._scorers import coding_rate_reduction_score, neighbor_consistency_score

__all__ = ["coding_rate_reduction_score", "neighbor_consistency_score"]
