"""The networks that GCC calibrates."""

import copy

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from sklearn_vlclust.cluster.axes import half_whitening
from sklearn_vlclust.cluster.generative.network import (
    ResidualNetwork,
    RowNetwork,
    own_statistics,
)
from sklearn_vlclust.data.rows import UnitRows
from sklearn_vlclust.training import load_model, save_model
from tests.conftest import new_generator

K = 5
SHAPES = [(1, 8, 8), (3, 32, 32), (3, 12, 20), (1, 3, 3)]


def make_network(shape=(1, 8, 8), seed=0, width=4, **sizes):
    network = ResidualNetwork(shape, K, width=width, instance_dim=6, **sizes)
    network.start(new_generator(seed), mean=0.3, scale=0.4)
    return network.eval()


def make_images(shape, n=6):
    images = torch.randint(256, (n, *shape), generator=new_generator(1))
    return images.to(torch.uint8)


@pytest.fixture(scope="module")
def rows():
    x = load_digits().data[:200].astype(np.float32)
    return UnitRows(x / np.linalg.norm(x, axis=1, keepdims=True))


def make_row_network(rows, n_axes=20, seed=0):
    mean, axes = half_whitening(rows, n_axes)
    network = RowNetwork(rows.shape[1], n_axes, K, instance_dim=n_axes)
    network.start(
        new_generator(seed), torch.from_numpy(mean), torch.from_numpy(axes[:n_axes])
    )
    return network.eval()


@pytest.mark.parametrize("small", [True, False], ids=["small stem", "large stem"])
def test_it_is_the_resnet_18_of_torchvision(small):
    from torchvision.models import resnet18

    side = 16 if small else 96
    network = make_network((3, side, side), width=64)
    with torch.device("meta"):
        reference = resnet18()
        if small:
            reference.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
            reference.maxpool = nn.Identity()
        reference.fc = nn.Identity()
    reference.to_empty(device="cpu").eval()
    ours = [*network.stem.state_dict().values(), *network.stages.state_dict().values()]
    names = [*reference.state_dict()]
    reference.load_state_dict(dict(zip(names, ours, strict=True)))
    images = make_images((3, side, side), n=2)
    expected = reference((images / 255 - 0.3) / 0.4)
    torch.testing.assert_close(network.encode(images), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_features_are_unit_rows_and_a_sample_is_alone(shape):
    network, images = make_network(shape), make_images(shape)
    z, logits = network(images)
    assert z.shape == (6, 6) and logits.shape == (6, K)
    assert network.encode(images).shape == (6, 32)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(6))
    torch.testing.assert_close(network.features(images[2:3]), z[2:3])
    torch.testing.assert_close(network.logits(images[2:3]), logits[2:3])
    torch.testing.assert_close(network.logits(images / 255), logits)


def test_every_part_learns():
    network, images = make_network().train(), make_images((1, 8, 8))
    z, logits = network(images)
    (z[:, 0].sum() + logits[:, 0].square().sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_weights_come_from_the_generator_alone(rows):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    for make in (make_network, lambda seed: make_row_network(rows, seed=seed)):
        networks = [make(seed=seed) for seed in (1, 1, 2)]
        a, b, c = (torch.cat([p.flatten() for p in n.parameters()]) for n in networks)
        assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)


def test_no_weight_is_left_as_memory_was(rows, monkeypatch):
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(True)  # new memory is NaN
    try:
        assert torch.empty(1).isnan()
        for network in (make_network(), make_row_network(rows)):
            assert all(v.isfinite().all() for v in network.state_dict().values())
            if hasattr(network, "stem"):
                assert int(network.stem[1].num_batches_tracked) == 0
    finally:
        torch.use_deterministic_algorithms(False)


def test_clusters_are_renumbered(rows):
    order = torch.tensor([3, 0, 4, 1, 2])
    x = torch.from_numpy(rows[:])
    cases = (make_network(), make_images((1, 8, 8))), (make_row_network(rows), x)
    for network, samples in cases:
        before = network.logits(samples)
        network.permute_clusters(order)
        torch.testing.assert_close(network.logits(samples), before[:, order])


def test_networks_are_saved_and_copied(rows, tmp_path):
    x = torch.from_numpy(rows[:])
    cases = (make_network(), make_images((1, 8, 8))), (make_row_network(rows), x)
    for network, samples in cases:
        expected = network.logits(samples)
        save_model(network, tmp_path / "network")
        for found in (load_model(tmp_path / "network"), copy.deepcopy(network)):
            torch.testing.assert_close(found.logits(samples), expected)
        assert load_model(tmp_path / "network").config == network.config


def test_rows_keep_their_nearness_at_the_start(rows):
    x = torch.from_numpy(rows[:])
    network = make_row_network(rows)
    h = network.encode(x)
    assert h.shape == (200, 20)
    mean, axes = half_whitening(rows, 20)
    expected = (rows[:] - mean) @ axes[:20].T
    np.testing.assert_allclose(h.detach().numpy(), expected, atol=1e-5)
    z, logits = network(x)
    unit = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(z.detach().numpy(), unit, atol=1e-4)
    assert logits.shape == (200, K)
    torch.testing.assert_close(network.features(x[:7]), z[:7])


def test_clusters_of_rows_start_at_centers(rows):
    x = torch.from_numpy(rows[:])
    network = make_row_network(rows)
    unit = nn.functional.normalize(network.encode(x), dim=1)
    centers = unit[:K]
    network.start_clusters(centers)
    nearest = torch.cdist(unit, centers).argmin(dim=1)
    assert torch.equal(network.logits(x).argmax(dim=1), nearest)


def test_images_of_another_kind_leave_no_statistics():
    network, real = make_network().train(), make_images((1, 8, 8))
    alone = copy.deepcopy(network)
    expected = alone.encode(real)
    found = network.encode(real)
    with own_statistics(network):
        other = network.encode(255 - real)
    # They are normalized by their own statistics, which are not kept.
    torch.testing.assert_close(other, copy.deepcopy(alone).encode(255 - real))
    torch.testing.assert_close(found, expected)
    for module, same in zip(network.modules(), alone.modules()):
        if isinstance(module, nn.BatchNorm2d):
            torch.testing.assert_close(module.running_mean, same.running_mean)
            torch.testing.assert_close(module.running_var, same.running_var)
    network.encode(real)
    assert not torch.equal(network.stem[1].running_mean, alone.stem[1].running_mean)
