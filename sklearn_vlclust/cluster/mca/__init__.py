"""Multi-level cross-modal alignment (MCA), Qiu et al., AAAI 2024."""

from . import presets
from .estimator import MCAClustering

__all__ = ["MCAClustering", "presets"]
