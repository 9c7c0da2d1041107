import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from sklearn_vlclust.training import (
    Checkpoint,
    RandomBatches,
    StopTraining,
    resolve_device,
    train,
)
from tests.conftest import new_generator


class Rows:
    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def batch(self, index):
        return (self.X[index],)


class Reconstruction(nn.Module):
    """Squared error of an auto-encoder, scaled by the epoch to see it arrive."""

    def start_epoch(self, module, epoch):
        self.epoch = epoch

    def forward(self, module, x):
        error = (module(x) - x).square().mean()
        return {"loss": error, "epoch_seen": torch.tensor(float(self.epoch))}


def run(seed=0, max_epochs=5, checkpoint=None, after_epoch=()):
    X = torch.randn(50, 4, generator=new_generator(1))
    generator = new_generator(seed)
    module = nn.Linear(4, 4)
    with torch.no_grad():
        module.weight.copy_(torch.randn(4, 4, generator=generator))
        module.bias.zero_()
    if checkpoint:
        checkpoint = Checkpoint(checkpoint, {"seed": seed}, generator)
    history = train(
        module,
        Reconstruction(),
        RandomBatches(Rows(X), 16, generator),
        optimizer=torch.optim.Adam,
        lr=0.05,
        max_epochs=max_epochs,
        device=resolve_device("cpu"),
        checkpoint=checkpoint,
        after_epoch=after_epoch,
    )
    return module.weight.detach().numpy().copy(), history


def test_loss_falls_and_history_names_the_terms():
    _, history = run()
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5]
    assert [row["epoch_seen"] for row in history] == [0, 1, 2, 3, 4]
    assert history[-1]["loss"] < history[0]["loss"]


def test_batches_visit_every_row_once_and_are_even():
    batches = RandomBatches(Rows(torch.arange(103.0)), 20, new_generator(0))
    sizes, seen = [], []
    for (x,) in batches:
        sizes.append(len(x))
        seen += x.tolist()
    assert len(sizes) == len(batches) == 6
    assert max(sizes) - min(sizes) <= 1
    assert sorted(seen) == list(range(103))


def test_same_seed_same_weights_and_global_state_untouched():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    module = nn.Linear(4, 4)
    torch.set_rng_state(before)
    (a, _), (b, _) = run(seed=3), run(seed=3)
    np.testing.assert_array_equal(a, b)
    assert module.weight.shape == a.shape


@pytest.mark.parametrize("stop", [1, 2, 4])
def test_resumed_run_equals_an_uninterrupted_one(tmp_path, stop):
    def kill(net):
        if len(net.history) == stop:
            raise RuntimeError("killed")

    path = tmp_path / "run.safetensors"
    with pytest.raises(RuntimeError, match="killed"):
        run(checkpoint=path, after_epoch=[kill])
    weights, history = run(checkpoint=path)
    expected, expected_history = run()
    np.testing.assert_array_equal(weights, expected)
    assert history == expected_history


def test_finished_checkpoint_is_not_trained_again(tmp_path):
    path = tmp_path / "run.safetensors"
    expected, _ = run(checkpoint=path)
    seen = []
    weights, history = run(checkpoint=path, after_epoch=[seen.append])
    np.testing.assert_array_equal(weights, expected)
    assert not seen and len(history) == 5


def test_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    run(checkpoint=path, seed=0)
    with pytest.raises(ValueError, match=r"another fit .*seed: 0 in the file, 1 now"):
        run(checkpoint=path, seed=1)


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_truncated_checkpoint_is_named(tmp_path, keep):
    path = tmp_path / "run.safetensors"
    run(checkpoint=path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"run\.safetensors.*not a whole checkpoint"):
        run(checkpoint=path)


def test_checkpoint_that_cannot_be_written_is_a_warning(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    with pytest.warns(RuntimeWarning, match="could not be written"):
        weights, _ = run(checkpoint=blocker / "run.safetensors")
    np.testing.assert_array_equal(weights, run()[0])


def test_interrupt_keeps_what_was_learned():
    def interrupt(net):
        if len(net.history) == 2:
            raise KeyboardInterrupt

    with pytest.warns(ConvergenceWarning, match="interrupted in epoch 2 of 5"):
        weights, history = run(after_epoch=[interrupt])
    np.testing.assert_array_equal(weights, run(max_epochs=2)[0])
    assert len(history) == 2


def test_stop_training_is_silent():
    def stop(net):
        raise StopTraining

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(run(after_epoch=[stop])[1]) == 1


@pytest.mark.parametrize("in_step", ["first", "last"])
def test_weights_that_break_are_one_error(tmp_path, in_step):
    """In the last step of an epoch, no loss of which has shown it."""

    class Breaks(Reconstruction):
        def forward(self, module, x):
            losses = super().forward(module, x)
            self.step = 0 if self.epoch < 2 else self.step + 1
            if self.step == {"first": 1, "last": 4}[in_step]:
                scale = torch.full((), torch.nan, requires_grad=True)
                parameter = next(module.parameters())
                losses["loss"] = losses["loss"].detach() + parameter.sum() * 0 * scale
                if in_step == "last":
                    parameter.register_hook(lambda gradient: gradient * torch.nan)
                    losses["loss"] = losses["loss"].nan_to_num(1.0)
            return losses

    generator, path = new_generator(0), tmp_path / "run.safetensors"
    checkpoint = Checkpoint(path, {"seed": 0}, generator)
    source = Rows(torch.randn(50, 4, generator=new_generator(1)))
    told = "loss=nan" if in_step == "first" else "the last step"
    with pytest.raises(FloatingPointError, match=rf"epoch 3.*{told}.*than 0\.05"):
        train(
            nn.Linear(4, 4),
            Breaks(),
            RandomBatches(source, 16, generator),
            optimizer=torch.optim.Adam,
            lr=0.05,
            max_epochs=5,
            device=resolve_device("cpu"),
            checkpoint=checkpoint,
        )
    # The file holds the state before that epoch: a sound loss goes on from there.
    epochs = []
    count = [lambda net: epochs.append(len(net.history))]
    weights, _ = run(checkpoint=path, after_epoch=count)
    assert epochs == [3, 4, 5]
    assert np.isfinite(weights).all()


def test_unusable_device_is_named():
    with pytest.raises(ValueError, match="device='warp' cannot be used here"):
        resolve_device("warp")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device='cuda' cannot be used here"):
            resolve_device("cuda")
    assert resolve_device("cpu") == torch.device("cpu")


def test_criterion_sets_the_learning_rate_of_an_epoch():
    class Still(Reconstruction):
        def start_epoch(self, module, epoch):
            super().start_epoch(module, epoch)
            self.lr_factor = 0.0 if epoch == 1 else 0.5

    seen, module = [], nn.Linear(4, 4)

    def after(net):
        (group,) = net.optimizer_.param_groups
        seen.append((group["lr"], module.weight.detach().clone()))

    X = torch.randn(50, 4, generator=new_generator(1))
    train(
        module,
        Still(),
        RandomBatches(Rows(X), 16, new_generator(0)),
        optimizer=torch.optim.Adam,
        lr=0.05,
        max_epochs=3,
        device=resolve_device("cpu"),
        after_epoch=[after],
    )
    assert [lr for lr, _ in seen] == [0.025, 0.0, 0.025]
    assert torch.equal(seen[0][1], seen[1][1])
    assert not torch.equal(seen[1][1], seen[2][1])
