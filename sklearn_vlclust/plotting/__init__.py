"""Displays: what was found, to look at."""

from ._contact_sheet import ContactSheetDisplay
from ._features import SimilarityDisplay, SpectrumDisplay
from ._generated import GeneratedImagesDisplay

__all__ = [
    "ContactSheetDisplay",
    "GeneratedImagesDisplay",
    "SimilarityDisplay",
    "SpectrumDisplay",
]
