"""The clusterers: the default in `vl`, and a folder per published method."""

from .contrastive_masked import ContrastiveMaskedClustering
from .generative import GenerativeCalibrationClustering
from .mca import MCAClustering
from .rate_reduction import RateReductionClustering
from .vl import VLClustering

__all__ = [
    "ContrastiveMaskedClustering",
    "GenerativeCalibrationClustering",
    "MCAClustering",
    "RateReductionClustering",
    "VLClustering",
]
