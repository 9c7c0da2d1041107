"""Nearest neighbors of embeddings by cosine similarity, and search of images."""

from ._copies import Copies, distinct_rows, group_copies
from ._image_search import ImageSearch
from ._knn import kneighbors, nearest

__all__ = [
    "Copies",
    "ImageSearch",
    "distinct_rows",
    "group_copies",
    "kneighbors",
    "nearest",
]
