"""The one training loop that all methods share, and how its results are kept."""

from .._backend._device import resolve_device
from ..persistence import load_model, save_model  # as version 0.1.0 had them
from ._callbacks import (
    ProgressBar,
    after_epoch,
    name_phases,
    notify_callbacks,
    notify_sklearn,
    training_phases,
)
from ._checkpoint import Checkpoint
from ._net import ClusteringNet, RandomBatches, StopTraining, train

__all__ = [
    "Checkpoint",
    "ClusteringNet",
    "ProgressBar",
    "RandomBatches",
    "StopTraining",
    "after_epoch",
    "load_model",
    "name_phases",
    "notify_callbacks",
    "notify_sklearn",
    "resolve_device",
    "save_model",
    "train",
    "training_phases",
]
