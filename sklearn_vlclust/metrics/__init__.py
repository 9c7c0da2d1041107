"""How good a clustering is, with labels and without."""

from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from ._accuracy import clustering_accuracy, match_clusters
from ._coding_length import coding_length
from ._coding_rate import cluster_coding_rate, coding_rate
from ._generalization import generalization, learned_information
from ._silhouette import simplified_silhouette_score

__all__ = [
    "adjusted_rand_score",
    "cluster_coding_rate",
    "clustering_accuracy",
    "coding_length",
    "coding_rate",
    "generalization",
    "learned_information",
    "match_clusters",
    "normalized_mutual_info_score",
    "simplified_silhouette_score",
]
