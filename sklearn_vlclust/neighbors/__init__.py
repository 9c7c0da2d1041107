"""Nearest neighbors of embeddings by cosine similarity, and search of images."""

from ._image_search import ImageSearch
from .copies import Copies, distinct_rows, group_copies
from .duplicates import Duplicates, find_duplicates
from .knn import kneighbors, nearest
from .novelty import novelty_p_values

__all__ = [
    "Copies",
    "Duplicates",
    "ImageSearch",
    "distinct_rows",
    "find_duplicates",
    "group_copies",
    "kneighbors",
    "nearest",
    "novelty_p_values",
]
