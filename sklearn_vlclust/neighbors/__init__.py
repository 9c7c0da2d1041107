"""Nearest neighbors of embeddings by cosine similarity."""

from ._knn import kneighbors, nearest

__all__ = ["kneighbors", "nearest"]
