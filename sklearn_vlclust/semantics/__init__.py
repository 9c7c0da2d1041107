"""Nouns that describe images."""

from ._captioner import ClusterCaptioner
from ._space import SemanticSpace
from ._vocabulary import Vocabulary

__all__ = ["ClusterCaptioner", "SemanticSpace", "Vocabulary"]
