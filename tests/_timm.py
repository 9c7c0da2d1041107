"""A small model of timm with random weights, on disk: timm's real code path."""

from pathlib import Path

import torch

ARCHITECTURE = "vit_tiny_patch16_224"
MODEL_ARGS = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2}
# A preprocessing that no model of timm has.
PREPROCESSING = {
    "input_size": (3, 32, 32),
    "interpolation": "bicubic",
    "crop_pct": 0.8,
    "mean": (0.1, 0.2, 0.3),
    "std": (0.5, 0.6, 0.7),
}


def make_random_timm(seed=0):
    """Return the model, with a classifier of 10 classes."""
    import timm

    with torch.random.fork_rng(devices=[]):  # timm draws from the global generator
        torch.manual_seed(seed)
        return timm.create_model(ARCHITECTURE, num_classes=10, **MODEL_ARGS)


def save_random_timm(folder, *, seed=0):
    """Write config.json and weights; return the folder as a string."""
    import timm

    model = make_random_timm(seed)
    timm.models.save_for_hf(
        model,
        folder,
        model_config={"pretrained_cfg": {**model.pretrained_cfg, **PREPROCESSING}},
        model_args=MODEL_ARGS,
        safe_serialization=True,
    )
    return str(Path(folder))
