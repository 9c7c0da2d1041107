"""Nearest neighbors of embeddings by cosine similarity, and search of images."""

from ._image_search import ImageSearch
from .copies import Copies, distinct_rows, group_copies
from .knn import kneighbors, nearest

__all__ = [
    "Copies",
    "ImageSearch",
    "distinct_rows",
    "group_copies",
    "kneighbors",
    "nearest",
]
