"""Clustering calibrated by images of a conditional diffusion model (GCC)."""

from .estimator import GenerativeCalibrationClustering

__all__ = ["GenerativeCalibrationClustering"]
