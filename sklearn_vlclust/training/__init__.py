"""The one training loop that all methods share, and how its results are kept."""

from ._callbacks import ProgressBar, notify_callbacks, notify_sklearn
from ._checkpoint import Checkpoint
from ._device import resolve_device
from ._net import ClusteringNet, RandomBatches, StopTraining, train
from ._persistence import load_model, save_model

__all__ = [
    "Checkpoint",
    "ClusteringNet",
    "ProgressBar",
    "RandomBatches",
    "StopTraining",
    "load_model",
    "notify_callbacks",
    "notify_sklearn",
    "resolve_device",
    "save_model",
    "train",
]
