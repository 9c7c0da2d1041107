"""Displays: what was found, to look at."""

from ._contact_sheet import ContactSheetDisplay
from ._features import SimilarityDisplay, SpectrumDisplay

__all__ = ["ContactSheetDisplay", "SimilarityDisplay", "SpectrumDisplay"]
