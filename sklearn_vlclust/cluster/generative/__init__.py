"""Clustering calibrated by images of a conditional diffusion model (GCC)."""
