"""Nouns that describe images."""

from ._vocabulary import Vocabulary

__all__ = ["Vocabulary"]
