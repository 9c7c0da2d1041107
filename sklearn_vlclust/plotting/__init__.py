"""Displays: what was found, to look at."""

from ._contact_sheet import ContactSheetDisplay

__all__ = ["ContactSheetDisplay"]
