"""No training step makes a GPU wait: run on tensors that have no values."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sklearn_vlclust import (
    ContrastiveMaskedClustering,
    GenerativeCalibrationClustering,
    MCAClustering,
    RateReductionClustering,
    Vocabulary,
)
from sklearn_vlclust._backend._device import to_device
from sklearn_vlclust.cluster import base as base_module
from sklearn_vlclust.training import resolve_device
from tests.cluster._device_waits import DEVICE, DeviceWaits

N, WIDTH = 96, 24
RNG = np.random.default_rng(0)
DATA = {
    "rows": RNG.standard_normal((N, WIDTH), dtype=np.float32),
    "gray": RNG.integers(256, size=(N, 8, 8, 1), dtype=np.uint8),
    "color": RNG.integers(256, size=(N, 12, 12, 3), dtype=np.uint8),
}
NOUNS = Vocabulary(
    [f"noun {i}" for i in range(30)],
    RNG.standard_normal((30, WIDTH), dtype=np.float32),
)
RATE = {"n_clusters": 3, "max_iter": 1, "warm_up": 0}
STAGES = {"pretrain_epochs": 1, "train_epochs": 1, "boost_epochs": 1}
CALIBRATION = {
    "contrast_epochs": 1,
    "head_epochs": 1,
    "generator_epochs": 1,
    "n_rounds": 1,
    "calibration_epochs": 1,
    "refinement_epochs": 1,
    "sampling_steps": 1,
    "n_generated": 8,
    "width": 8,
    "generator_width": 8,
}
MODELS = {
    "mca": MCAClustering(3, semantic_space=NOUNS, max_iter=1, warm_up=0),
    "mca, no words": MCAClustering(3, semantic_space=None, max_iter=1),
    "rate": RateReductionClustering(**RATE),
    "rate, warm-up": RateReductionClustering(**{**RATE, "warm_up": 1}),
    "rate, hidden layer": RateReductionClustering(**RATE, hidden_dim=32),
    "rate, all columns": RateReductionClustering(**RATE, n_columns=None),
    "rate, many features": RateReductionClustering(
        **RATE, n_components=WIDTH, batch_size=WIDTH, view_neighbors=0
    ),
    "masked": ContrastiveMaskedClustering(3, **STAGES),
    "masked, amp": ContrastiveMaskedClustering(3, amp=True, **STAGES),
    "generative": GenerativeCalibrationClustering(3, **CALIBRATION),
    "generative, amp": GenerativeCalibrationClustering(3, amp=True, **CALIBRATION),
}
CASES = [
    pytest.param(name, kind, id=f"{name}, {kind}")
    for name in MODELS
    for kind in DATA
    if kind == "rows" or name.startswith(("masked", "generative"))
]


@pytest.fixture(autouse=True)
def no_autocast_of_meta(monkeypatch):
    """PyTorch knows no mixed precision on the device, and refuses to leave it off."""
    autocast = torch.autocast

    def elsewhere(device_type, *args, **kwargs):
        device_type = "cpu" if device_type == DEVICE.type else device_type
        return autocast(device_type, *args, **kwargs)

    monkeypatch.setattr(torch, "autocast", elsewhere)


class Prepared(Exception):
    """Carries what a fit is about to train."""


def prepare(model, X, epoch, monkeypatch):
    """Return network, criterion and batches of a fit at an epoch, on the CPU."""

    def stop(network, criterion, batches, **_):
        criterion.start_epoch(network, epoch)
        trained = [x for x in network.parameters() if x.requires_grad]
        raise Prepared(network.train(), criterion, batches, trained)

    monkeypatch.setattr(base_module, "train", stop)
    with pytest.raises(Prepared) as prepared:
        model.set_params(device="cpu", random_state=0).fit(X)
    network, criterion, batches, trained = prepared.value.args
    for x in trained:  # the fit has ended for them
        x.requires_grad_()
    return network.train(), criterion, batches


def move(network, criterion, source):
    """Move all tensors to the device, and let batches be wanted there."""
    network.to(DEVICE)
    criterion.to(DEVICE)
    for name, value in vars(criterion).items():
        if isinstance(value, torch.Tensor):
            setattr(criterion, name, value.to(DEVICE))
        elif isinstance(value, tuple) and all(map(torch.is_tensor, value)):
            setattr(criterion, name, tuple(x.to(DEVICE) for x in value))
    source.device = DEVICE
    source._held = source._held.to(DEVICE)


def waits_of_step(network, criterion, batches):
    """Take the first step of an epoch; return what a GPU would have waited for."""
    with DeviceWaits() as waits:
        try:
            losses = criterion(network, *next(iter(batches)))
            losses["loss"].backward()
        except (RuntimeError, NotImplementedError):
            if not waits.found:  # what waits has no result without values
                raise
    gradients = [x.grad for x in network.parameters() if x.grad is not None]
    assert waits.found or (gradients and {x.device for x in gradients} == {DEVICE})
    return waits.found


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_no_step_waits(name, kind, monkeypatch):
    if name.startswith("generative"):
        pytest.importorskip("diffusers", reason="needs the extra 'generative'")
    epoch = n_epochs = 0
    while epoch <= n_epochs:
        model = clone(MODELS[name])
        prepared = prepare(model, DATA[kind], epoch, monkeypatch)
        n_epochs = model._count_epochs(N) - 1
        source = prepared[2].source
        move(*prepared[:2], source)
        assert not waits_of_step(*prepared), f"epoch {epoch}"
        source._held = None  # batches are fetched
        assert not waits_of_step(*prepared), f"epoch {epoch}, batches fetched"
        epoch += 1


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.any()),
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.unique(),
        lambda x: x.flatten().long().bincount(),
        lambda x: torch.equal(x, x),
        lambda x: torch.linalg.solve(x, x),
        lambda x: torch.linalg.cholesky(x),
        lambda x: torch.linalg.inv(x),
        lambda x: x.repeat_interleave(x[0].long(), dim=0),
        lambda x: torch.nn.functional.one_hot(x.long()),
        lambda x: torch.tensor([1.0, 2.0], device=x.device),
        lambda x: x[:, [0, 2]],
        lambda x: x[torch.arange(2)],
        lambda x: torch.ones(3).to(x.device),
        lambda x: x.copy_(torch.ones(3, 3)),
        lambda x: torch.ones(3, 3)[x[0].long()],
    ],
)
def test_what_waits_is_found(wait):
    with DeviceWaits() as waits:
        try:
            wait(torch.ones(3, 3, device=DEVICE))
        except (RuntimeError, NotImplementedError):
            assert waits.found
    assert waits.found


def test_what_does_not_wait_is_passed_over():
    x = torch.ones(3, 3, device=DEVICE)
    with DeviceWaits() as waits:
        torch.linalg.solve_ex(x, x)
        torch.linalg.cholesky_ex(x)
        x[to_device(torch.arange(2), DEVICE)].median()
        x.masked_fill(x > 0, 2.0).new_full((), 3.0)
        torch.ones(3, 3)[torch.ones(3) > 0].sum().item()  # all on the CPU
    assert not waits.found


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_a_copy_to_a_device_is_the_same_tensor(device):
    x = torch.arange(6).reshape(2, 3).T  # not contiguous
    device = resolve_device(device)
    copy = to_device(x, device)
    assert copy.device.type == device.type
    assert torch.equal(copy.cpu(), x)
    assert to_device(copy, device) is copy  # nothing is copied twice
