"""Choice of parameters and of the number of clusters, without labels."""

from ._consensus import consensus_score
from ._generalization import generalization_score
from ._k_selector import CodingLengthKSelector
from ._scorers import coding_rate_reduction_score, neighbor_consistency_score

__all__ = [
    "CodingLengthKSelector",
    "coding_rate_reduction_score",
    "consensus_score",
    "generalization_score",
    "neighbor_consistency_score",
]
