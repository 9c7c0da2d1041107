"""Displays: what was found, to look at."""

from ._coding_length import CodingLengthDisplay
from ._contact_sheet import ContactSheetDisplay
from ._features import SimilarityDisplay, SpectrumDisplay
from ._generated import GeneratedImagesDisplay

__all__ = [
    "CodingLengthDisplay",
    "ContactSheetDisplay",
    "GeneratedImagesDisplay",
    "SimilarityDisplay",
    "SpectrumDisplay",
]
