"""Nearest neighbors of embeddings by cosine similarity, and search of images."""

from ._image_search import ImageSearch
from ._knn import kneighbors, nearest

__all__ = ["ImageSearch", "kneighbors", "nearest"]
