"""A round of GCC's calibration: samples generated once, by DDIM, or for every batch.

On the digits a round generates as many samples as there are once, in 20 steps of DDIM.
Beside it, a round that generates for every batch in 1,000 steps of DDPM (eqs. 4 and 5):
as that takes an hour, one batch is generated so and counted as often as there are
batches, beside the same training. Bar: at least 10 times as fast.
"""

import time

import torch

from sklearn_vlclust import GenerativeCalibrationClustering
from sklearn_vlclust._backend._device import new_generator

from .machine import EpochClock
from .masked_quality import digits

SIZES = {
    "toy": {"n": 100, "ddpm_steps": 20},
    "quick": {"n": 1797, "ddpm_steps": 1000},
    "full": {"n": 1797, "ddpm_steps": 1000},
}


def run(n, ddpm_steps):
    """Seconds of a round either way."""
    X = digits()[0][:n]
    clock = EpochClock()
    model = GenerativeCalibrationClustering(
        10,
        contrast_epochs=1,
        head_epochs=1,
        generator_epochs=1,
        n_rounds=1,
        refinement_epochs=0,
        random_state=0,
        callbacks=[clock],
    ).fit(X)
    first, *others = clock.seconds[-model.calibration_epochs :]
    training = model.calibration_epochs * min(others)
    cached = first + sum(others)
    batch_size = model._samples_a_batch
    n_batches = model.calibration_epochs * -(-len(X) // batch_size)
    labels = torch.arange(min(batch_size, len(X))) % 10
    start = time.perf_counter()
    model.network_.generator.sample(labels, new_generator(0), ddpm_steps, eta=1.0)
    fresh = training + n_batches * (time.perf_counter() - start)
    return {
        f"digits, {len(X):,} images, a round of {n_batches} batches": [
            {
                "what": "once per round, 20 steps of DDIM",
                "seconds": cached,
                "of them training": training,
            },
            {
                "what": f"for every batch, {ddpm_steps:,} steps of DDPM",
                "seconds": fresh,
                "of them training": training,
                "cached_times_as_fast": fresh / cached,
                "bar": ">= 10",
            },
        ]
    }
