"""Displays: what was found, to look at."""

from ._coding_length import CodingLengthDisplay
from ._confusion import ClusterConfusionDisplay
from ._contact_sheet import ContactSheetDisplay
from ._embedding_map import EmbeddingMapDisplay
from ._features import SimilarityDisplay, SpectrumDisplay
from ._gallery import ClusterGalleryDisplay
from ._generated import GeneratedImagesDisplay
from ._semantic_tree import SemanticTreeDisplay
from ._training_curve import TrainingCurveDisplay
from .report import ClusterReport

__all__ = [
    "ClusterConfusionDisplay",
    "ClusterGalleryDisplay",
    "ClusterReport",
    "CodingLengthDisplay",
    "ContactSheetDisplay",
    "EmbeddingMapDisplay",
    "GeneratedImagesDisplay",
    "SemanticTreeDisplay",
    "SimilarityDisplay",
    "SpectrumDisplay",
    "TrainingCurveDisplay",
]
