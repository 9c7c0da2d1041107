"""The clusterers, one folder a published method."""

from .contrastive_masked import ContrastiveMaskedClustering
from .generative import GenerativeCalibrationClustering
from .mca import MCAClustering
from .rate_reduction import RateReductionClustering

__all__ = [
    "ContrastiveMaskedClustering",
    "GenerativeCalibrationClustering",
    "MCAClustering",
    "RateReductionClustering",
]
