"""Nouns that describe images."""

from ._space import SemanticSpace
from ._vocabulary import Vocabulary

__all__ = ["SemanticSpace", "Vocabulary"]
