"""Conditional diffusion of images and of embeddings."""

import copy
import pickle
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from sklearn_vlclust.cluster.generative.generator import (
    BETA_END,
    BETA_START,
    N_STEPS,
    Diffusion,
    EmbeddingGenerator,
    ImageGenerator,
)
from sklearn_vlclust.training import load_model, save_model
from tests.conftest import new_generator

pytest.importorskip("diffusers", reason='needs pip install ".[generative]"')

K = 3
BETAS = np.linspace(BETA_START, BETA_END, N_STEPS)
ALPHAS = np.cumprod(1 - BETAS)
SHAPES = [(1, 8, 8), (3, 16, 16), (1, 9, 7), (3, 3, 5), (1, 1, 1)]


class GaussianDenoiser(nn.Module):
    """The best denoiser of normal distributions; any cluster is around 0."""

    means = torch.tensor([[-2.0, 1], [0.5, 0.5], [3, -1], [0, 0]])
    spread = 0.5

    def __init__(self, alphas=ALPHAS):
        super().__init__()
        self.alphas = torch.from_numpy(alphas).float()

    def forward(self, x, t, labels):
        alpha = self.alphas[t][:, None]
        rest = x - alpha.sqrt() * self.means[labels]
        return (1 - alpha).sqrt() * rest / (alpha * self.spread**2 + 1 - alpha)


class Gaussians(Diffusion):
    """Two features, standardized as they are."""

    def __init__(self):
        super().__init__((2,), K, clip=100.0)

    def make_denoiser(self):
        return GaussianDenoiser()

    def standardize(self, samples):
        return samples

    def restore(self, x):
        return x


@pytest.fixture
def gaussians():
    diffusion = Gaussians()
    diffusion.denoiser = diffusion.average = GaussianDenoiser()
    return diffusion


def make_images(shape=(1, 8, 8), n=8, seed=1):
    images = torch.randint(256, (n, *shape), generator=new_generator(seed))
    return images.to(torch.uint8), torch.arange(n) % K


def make_image_generator(shape=(1, 8, 8), seed=0, **sizes):
    model = ImageGenerator(shape, K, **{"width": 8, **sizes})
    model.start(new_generator(seed))
    return model


def make_embedding_generator(seed=0, n_features=12, n_axes=5):
    model = EmbeddingGenerator(n_features, n_axes, K, width=16)
    axes = torch.linalg.qr(torch.randn(12, 5, generator=new_generator(9)))[0].T
    scales = torch.tensor([0.5, 1, 2, 1, 1])
    mean = torch.linspace(-0.2, 0.2, 12)
    model.start(new_generator(seed), mean, axes * scales[:, None], 0.2 * scales)
    return model


def make_rows(n=8):
    rows = torch.randn(n, 12, generator=new_generator(2))
    return nn.functional.normalize(rows, dim=1), torch.arange(n) % K


CASES = {
    "images": (make_image_generator, make_images),
    "embeddings": (make_embedding_generator, make_rows),
}


@pytest.fixture(params=CASES)
def case(request):
    """Return a function that makes a generator from a seed, samples, and labels."""
    make, data = CASES[request.param]
    return make, *data()


def train(model, samples, labels, generator, n_steps, lr=0.01):
    optimizer = torch.optim.SGD(model.denoiser.parameters(), lr=lr)
    for _ in range(n_steps):
        optimizer.zero_grad()
        model.loss(samples, labels, generator).backward()
        optimizer.step()
        model.update_average()


def test_noise_is_that_of_single_steps_eq3(gaussians):
    rng = np.random.default_rng(0)
    x = np.full(20_000, 2.0)
    steps, at = [], (9, 99)
    for t, beta in enumerate(BETAS[:100]):
        x = rng.normal(np.sqrt(1 - beta) * x, np.sqrt(beta))
        if t in at:
            steps.append((x.mean(), x.std()))
    noise = torch.randn(20_000, 1, generator=new_generator(0))
    for t, (mean, spread) in zip(at, steps):
        when = torch.full((20_000,), t)
        found = gaussians.add_noise(torch.full((20_000, 1), 2.0), noise, when)
        assert found.mean().item() == pytest.approx(mean, abs=0.02)
        assert found.std().item() == pytest.approx(spread, rel=0.02)


def test_schedule_is_that_of_diffusers(gaussians):
    schedule = gaussians._make_scheduler().alphas_cumprod
    torch.testing.assert_close(gaussians.signal, schedule)
    np.testing.assert_allclose(gaussians.signal, ALPHAS, rtol=1e-4)


def test_loss_eq6(case):
    make, samples, labels = case
    model = make()
    train(model, samples, labels, new_generator(3), n_steps=2, lr=0.1)
    found = model.loss(samples, labels, new_generator(4)).item()
    generator = new_generator(4)
    x = model.standardize(samples)
    t = torch.randint(N_STEPS, (len(x),), generator=generator)
    noise = torch.randn(x.shape, generator=generator)
    total = 0
    for i in range(len(x)):
        alpha = ALPHAS[t[i]]
        noisy = (np.sqrt(alpha) * x[i] + np.sqrt(1 - alpha) * noise[i]).float()
        predicted = model.predict_noise(
            model.denoiser, noisy[None], t[i : i + 1], labels[i : i + 1]
        )
        total += ((predicted[0] - noise[i]) ** 2).mean().item()
    assert found == pytest.approx(total / len(x), rel=1e-4)


def test_a_thousand_steps_with_fresh_noise_are_ddpm_eqs_4_and_5(gaussians):
    labels = torch.tensor([0, 1, 2, 2])
    found = gaussians.sample(labels, new_generator(0), n_steps=N_STEPS, eta=1.0)
    generator, denoiser = new_generator(0), GaussianDenoiser()
    x = torch.randn(4, 2, generator=generator)
    for t in reversed(range(N_STEPS)):
        before = ALPHAS[t - 1] if t else 1.0
        sigma = np.sqrt((1 - before) / (1 - ALPHAS[t]) * BETAS[t])
        noise = denoiser(x, torch.full((4,), t), labels)
        x = (x - BETAS[t] / np.sqrt(1 - ALPHAS[t]) * noise) / np.sqrt(1 - BETAS[t])
        x = (x + sigma * torch.randn(4, 2, generator=generator)).float()
    torch.testing.assert_close(found, x, atol=5e-3, rtol=5e-3)


@pytest.mark.parametrize("n_steps", [20, 30, 50])
def test_few_steps_give_the_distribution_of_each_cluster(gaussians, n_steps):
    labels = torch.arange(1500) % K
    samples = gaussians.sample(labels, new_generator(0), n_steps=n_steps)
    for k in range(K):
        of_cluster = samples[labels == k]
        mean, spread = of_cluster.mean(dim=0), of_cluster.std(dim=0)
        # 500 samples: five standard errors, and what few steps cost.
        assert (mean - GaussianDenoiser.means[k]).abs().max() < 0.15
        assert (spread - GaussianDenoiser.spread).abs().max() < 0.1


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_images_of_any_size(shape):
    model, (images, labels) = make_image_generator(shape), make_images(shape, n=3)
    torch.testing.assert_close(model.restore(model.standardize(images)), images)
    model.loss(images, labels, new_generator(0)).backward()
    found = model.sample(labels, new_generator(0), n_steps=2)
    assert found.shape == images.shape and found.dtype == torch.uint8


def test_sizes_follow_the_image():
    sizes = {}
    for side in (8, 16, 28, 32, 64):
        model = ImageGenerator((3, side, side), K)
        unet = model.denoiser.unet
        sizes[side] = list(unet.config.block_out_channels)
    assert sizes == {
        8: [16, 32],
        16: [32, 64, 128],
        28: [64, 128, 256, 256],
        32: [64, 128, 256, 256],
        64: [64, 128, 256, 256],
    }


def test_embeddings_are_standardized_along_their_axes():
    model, (rows, _) = make_embedding_generator(), make_rows()
    x = model.standardize(rows)
    unit = nn.functional.normalize(model.axes, dim=1)
    torch.testing.assert_close(x, (rows - model.mean) @ unit.T / 0.2)
    inside = nn.functional.normalize(model.mean + x @ unit * 0.2, dim=1)
    torch.testing.assert_close(model.restore(x), inside)
    found = model.sample(torch.arange(K), new_generator(0), n_steps=5)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(K))


def test_averages_of_weights():
    model = make_embedding_generator()
    weight, average = model.denoiser.first.weight, model.average.first.weight
    expected = weight.detach().clone()
    for n in range(4):
        with torch.no_grad():
            weight.add_(1.0)
        decay = min((1 + n) / (10 + n), 0.2)
        expected = decay * expected + (1 - decay) * weight.detach()
        model.update_average(decay=0.2)
        torch.testing.assert_close(average.detach(), expected)


def test_samples_come_from_the_averages():
    model = make_embedding_generator()
    before = model.sample(torch.arange(K), new_generator(0), n_steps=3)
    with torch.no_grad():
        model.denoiser.last.bias.add_(1.0)
    after = model.sample(torch.arange(K), new_generator(0), n_steps=3)
    assert torch.equal(before, after)
    model.update_average()
    moved = model.sample(torch.arange(K), new_generator(0), n_steps=3)
    assert not torch.equal(moved, before)


def test_every_part_learns(case):
    make, samples, labels = case
    model = make()
    # Branches that end in zeros learn from the second step on, what is inside from
    # the third.
    train(model, samples, labels, new_generator(0), n_steps=3, lr=0.1)
    model.loss(samples, labels, new_generator(1)).backward()
    for name, parameter in model.denoiser.named_parameters():
        # A bias that is the same for all queries does not change attention.
        if not name.endswith("to_k.bias"):
            assert parameter.grad.any(), name


def test_random_numbers_come_from_the_generator_alone(case):
    make, samples, labels = case
    torch.manual_seed(0)
    before = torch.get_rng_state()
    results = []
    for seed in (1, 1, 2):
        model, generator = make(seed=seed), new_generator(seed)
        train(model, samples, labels, generator, n_steps=2)
        results.append(model.sample(labels, generator, n_steps=3, eta=0.5))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_no_weight_is_left_as_memory_was(case):
    torch.use_deterministic_algorithms(True)  # new memory is NaN
    try:
        assert torch.empty(1).isnan()
        state = case[0]().state_dict()
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(value.isfinite().all() for value in state.values())


def test_training_goes_on_where_it_stopped(case):
    make, samples, labels = case
    whole, generator = make(), new_generator(5)
    train(whole, samples, labels, generator, n_steps=4)
    first, generator_a = make(), new_generator(5)
    train(first, samples, labels, generator_a, n_steps=2)
    second, generator_b = make(seed=7), new_generator(0)
    second.load_state_dict(first.state_dict())
    generator_b.set_state(generator_a.get_state())
    train(second, samples, labels, generator_b, n_steps=2)
    for name, value in whole.state_dict().items():
        assert torch.equal(second.state_dict()[name], value), name


def test_generators_are_saved_and_copied(case, tmp_path):
    make, samples, labels = case
    model = make()
    train(model, samples, labels, new_generator(0), n_steps=2)
    expected = model.sample(labels, new_generator(1), n_steps=3)
    save_model(model, tmp_path / "generator")
    copies = [
        load_model(tmp_path / "generator"),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
    ]
    for found in copies:
        assert found.config == model.config
        again = found.sample(labels, new_generator(1), n_steps=3)
        torch.testing.assert_close(again, expected)


def test_clusters_are_renumbered(case):
    make, samples, labels = case
    model = make()
    train(model, samples, labels, new_generator(0), n_steps=3, lr=0.1)
    order = torch.tensor([2, 0, 1])
    before = model.sample(order, new_generator(0), n_steps=3)
    loss = model.loss(samples, order[labels], new_generator(1))
    model.permute_clusters(order)
    after = model.sample(torch.arange(K), new_generator(0), n_steps=3)
    torch.testing.assert_close(after, before)
    renumbered = model.loss(samples, labels, new_generator(1))
    torch.testing.assert_close(renumbered, loss)


def test_embeddings_of_a_cluster_are_generated():
    X, y = load_digits(return_X_y=True)
    X, y = X[y < K].astype(np.float32), torch.from_numpy(y[y < K])
    rows = nn.functional.normalize(torch.from_numpy(X), dim=1)
    mean = rows.mean(dim=0)
    values, axes = torch.linalg.eigh(torch.cov(rows.T))
    axes, spread = axes.T[-10:], values[-10:].sqrt()
    model = EmbeddingGenerator(64, 10, K, width=64)
    model.start(new_generator(0), mean, axes, spread)
    optimizer = torch.optim.Adam(model.denoiser.parameters(), lr=3e-3)
    generator = new_generator(1)
    for _ in range(100):
        optimizer.zero_grad()
        model.loss(rows, y, generator).backward()
        optimizer.step()
        model.update_average(0.95)
    wanted = torch.arange(300) % K
    found = model.sample(wanted, generator, n_steps=20)
    assert found.shape == (300, 64)
    centers = torch.stack([rows[y == k].mean(dim=0) for k in range(K)])
    nearest = torch.cdist(found, centers).argmin(dim=1)
    assert (nearest == wanted).float().mean() > 0.9
    # Not the same one each time: as far from each other as the digits are.
    spread = [x.std(dim=0).norm() for x in (found[wanted == 0], rows[y == 0])]
    assert 0.6 < spread[0] / spread[1] < 1.4


def test_images_of_a_cluster_are_generated():
    X, y = load_digits(return_X_y=True)
    X, y = X[y < 2].reshape(-1, 1, 8, 8) * (255 / 16), torch.from_numpy(y[y < 2])
    images = torch.from_numpy(X.round().astype(np.uint8))
    model = ImageGenerator((1, 8, 8), 2)
    model.start(new_generator(0))
    optimizer = torch.optim.Adam(model.denoiser.parameters(), lr=4e-3)
    generator = new_generator(1)
    for _ in range(60):
        optimizer.zero_grad()
        index = torch.randint(len(images), (32,), generator=generator)
        model.loss(images[index], y[index], generator).backward()
        optimizer.step()
        model.update_average(0.9)
    wanted = torch.arange(40) % 2
    found = model.sample(wanted, generator, n_steps=10).flatten(1).float()
    centers = torch.stack([images[y == k].flatten(1).float().mean(0) for k in (0, 1)])
    nearest = torch.cdist(found, centers).argmin(dim=1)
    assert (nearest == wanted).float().mean() > 0.8


@pytest.mark.parametrize(
    "make",
    [lambda: ImageGenerator((1, 8, 8), K), lambda: EmbeddingGenerator(8, 4, K)],
    ids=["images", "embeddings"],
)
def test_the_missing_extra_is_named(monkeypatch, make):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(ImportError, match=r"pip install .diffusers>="):
        make()
