"""The plain model of the benchmark computes the losses of the library."""

import json

import pytest
import torch

from benchmarks.contrastive_masked import (
    MODELS,
    PlainModel,
    make_network,
    make_objective,
    run,
)
from tests.conftest import new_generator


@pytest.mark.parametrize("side", MODELS)
def test_plain_model_computes_the_losses_of_the_library(side):
    channels, patch_size = MODELS[side]
    shape = 40, channels, side, side
    images = torch.randint(256, shape, generator=new_generator(1)).to(torch.uint8)
    network = make_network(side)
    objective = make_objective(images, patch_size, new_generator(2))
    objective.start_epoch(network, 0)
    loss = objective(network, *objective.source.batch(torch.arange(40)))["loss"]
    loss.backward()
    gradients = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    # The same random numbers: those of the views, then those of the masks.
    generator = new_generator(2)
    objective.views.generator = generator
    views = objective.views(images)
    n_tokens = network.config["n_tokens"]
    noise = torch.rand(80, n_tokens, generator=generator).chunk(2)
    plain = PlainModel(network, patch_size)(*views, noise)
    torch.testing.assert_close(plain, loss)
    plain.backward()
    for parameter, gradient in zip(network.parameters(), gradients):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-5, rtol=1e-3)


def test_every_table_has_its_figures():
    tables = run(n=64, sides=[8, 32], repeats=1, n_workers=[0])
    assert len(tables) == 4
    rates = [row["images_a_second"] for row in next(iter(tables.values()))]
    assert len(rates) == 2 and min(rates) > 0


@pytest.mark.parametrize("name", ["masked_digits", "masked_ablation"])
def test_quality_is_measured_beside_pixels(name, tmp_path):
    from benchmarks.__main__ import main

    assert main([name, "--size", "toy", "--output", str(tmp_path)]) == 0
    report = json.loads((tmp_path / f"{name}-toy.json").read_text())
    (rows,) = report["tables"].values()
    assert len(rows) == {"masked_digits": 4, "masked_ablation": 6}[name]
    assert all(0 <= row["ACC"] <= 100 for row in rows)
    assert rows[-1]["n_clusters"][0] <= 3


def test_images_of_cifar10():
    from benchmarks import masked_quality

    try:
        X, y = masked_quality.cifar10("test", 50)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert X.shape == (50, 32, 32, 3) and X.dtype.name == "uint8"
    assert set(y) == set(range(10))
