"""Patches, network and stages of PICI."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score, silhouette_score

from sklearn_vlclust.cluster.contrastive_masked.network import (
    MaskedAutoencoder,
    draw_mask,
)
from sklearn_vlclust.cluster.contrastive_masked.objective import (
    ContrastiveMaskedObjective,
)
from sklearn_vlclust.cluster.contrastive_masked.patches import patchify, unpatchify
from sklearn_vlclust.cluster.image_batches import Images
from sklearn_vlclust.cluster.views import StrongView, Views
from sklearn_vlclust.training import RandomBatches, load_model, save_model, train
from tests.conftest import new_generator

CPU = torch.device("cpu")
SMALL = {
    "width": 16,
    "depth": 2,
    "n_heads": 2,
    "decoder_width": 8,
    "decoder_depth": 1,
    "decoder_heads": 2,
    "instance_dim": 6,
}


def make_network(seed=0, n_tokens=16, token_dim=4, n_clusters=10, **sizes):
    network = MaskedAutoencoder(n_tokens, token_dim, n_clusters, **SMALL | sizes)
    network.start(new_generator(seed), mean=0.3, scale=0.4)
    return network


def make_objective(images, generator, **params):
    views = Views(StrongView.for_images(images.shape[1]), generator)
    defaults = {
        "pretrain_epochs": 1,
        "train_epochs": 2,
        "boost_epochs": 1,
        "mask_ratio": 0.5,
        "tau_i": 0.5,
        "tau_c": 1.0,
    }
    return ContrastiveMaskedObjective(
        Images(images, CPU),
        views,
        partial(patchify, patch_size=2),
        generator=generator,
        **defaults | params,
    )


@pytest.fixture(scope="module")
def digits():
    images = load_digits().images[:400] * (255 / 16)
    return torch.from_numpy(images.round().astype(np.uint8))[:, None]


@pytest.fixture
def tokens(digits):
    return patchify(digits[:20] / 255, 2)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4))
def test_patches_are_pieces_of_the_image_row_by_row(channels, rows, columns, p):
    shape = channels, rows * p, columns * p
    images = torch.arange(2 * math.prod(shape)).view(2, *shape)
    tokens = patchify(images, p)
    assert tokens.shape == (2, rows * columns, channels * p * p)
    for i in range(rows):
        for j in range(columns):
            patch = images[:, :, i * p : (i + 1) * p, j * p : (j + 1) * p]
            found = tokens[:, i * columns + j].view_as(patch)
            torch.testing.assert_close(found, patch)
    torch.testing.assert_close(unpatchify(tokens, p, shape), images)


@settings(deadline=None)
@given(st.integers(1, 30), st.floats(0, 0.99), st.integers(0, 100))
def test_mask_splits_the_tokens(n_tokens, ratio, seed):
    visible, masked = draw_mask(3, n_tokens, ratio, new_generator(seed))
    both = torch.cat([visible, masked], dim=1).sort(dim=1).values
    torch.testing.assert_close(both, torch.arange(n_tokens).expand(3, -1))
    assert visible.shape[1] == max(1, n_tokens - round(ratio * n_tokens))


def test_masks_are_uniform():
    visible, _ = draw_mask(4000, 8, 0.5, new_generator(0))
    share = torch.bincount(visible.flatten(), minlength=8) / 4000
    assert (share - 0.5).abs().max() < 0.04  # 5 standard deviations


def test_encoder_sees_the_visible_tokens_only(tokens):
    network = make_network()
    x = network.standardize(tokens)
    visible, masked = draw_mask(len(x), 16, 0.5, new_generator(1))
    changed = x.scatter(1, masked[:, :, None].expand(-1, -1, 4), 9.0)
    assert not torch.equal(x, changed)
    encoded = network.encode(x, visible)
    assert encoded.shape == (20, 9, 16)
    torch.testing.assert_close(network.encode(changed, visible), encoded)


def test_last_block_finishes_wanted_tokens_only(tokens):
    network = make_network()
    x = network.standardize(tokens)
    visible, _ = draw_mask(len(x), 16, 0.5, new_generator(1))
    for chosen in (visible, None):
        whole = network.encode(x, chosen)
        alone = network.encode(x, chosen, class_only=True)
        torch.testing.assert_close(alone, whole[:, :1])
    first = network.class_token.expand(20, 1, -1)
    raw = torch.cat([first, network.embed(x) + network.positions], dim=1)
    expected = network.norm(network.encoder(raw))  # as timm runs its blocks
    torch.testing.assert_close(network.encode(x), expected)


def test_tokens_know_their_positions_but_not_their_order(tokens):
    network = make_network()
    x = network.standardize(tokens)
    everything = torch.arange(16).expand(20, -1)
    other_order = everything.flip(1)
    whole = network.encode(x)
    torch.testing.assert_close(network.encode(x, everything), whole)
    flipped = network.encode(x, other_order)
    torch.testing.assert_close(flipped[:, 0], whole[:, 0], atol=1e-5, rtol=1e-4)
    moved = network.encode(x.flip(1))[:, 0]  # other contents at the same positions
    assert (moved - whole[:, 0]).abs().max() > 1e-3


def test_decoder_predicts_the_masked_tokens_in_their_order(tokens):
    network = make_network()
    x = network.standardize(tokens)
    visible, masked = draw_mask(len(x), 16, 0.75, new_generator(1))
    encoded = network.encode(x, visible)
    predicted = network.decode(encoded, visible, masked)
    assert predicted.shape == (20, 12, 4)
    flipped = network.decode(encoded, visible, masked.flip(1)).flip(1)
    torch.testing.assert_close(flipped, predicted, atol=1e-5, rtol=1e-4)


def test_features_are_unit_rows_and_a_sample_is_alone(tokens):
    network = make_network().eval()
    features, logits = network(tokens)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(20))
    assert features.shape == (20, 6) and logits.shape == (20, 10)
    for alone, whole in zip(network(tokens[3:4]), (features, logits)):
        torch.testing.assert_close(alone, whole[3:4])


def test_weights_come_from_the_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    networks = [make_network(seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    a, b, c = (torch.cat([p.flatten() for p in n.parameters()]) for n in networks)
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert all(value.isfinite().all() for value in networks[0].state_dict().values())


def test_network_is_saved_with_its_scale(tmp_path, tokens):
    network = make_network().eval()
    save_model(network, tmp_path / "network")
    loaded = load_model(tmp_path / "network")
    torch.testing.assert_close(loaded(tokens), network(tokens))
    torch.testing.assert_close(loaded.mean, torch.full((16, 4), 0.3))


STAGES = [
    ({"reconstruction"}, {}),
    ({"reconstruction", "instance_contrast", "cluster_contrast", "entropy"}, {}),
    ({"reconstruction", "instance_contrast", "cluster_contrast", "entropy"}, {}),
    ({"instance_contrast", "cluster_contrast", "entropy", "interaction"}, {}),
]


def run_stages(digits, seed=0, **params):
    generator = new_generator(seed)
    network = make_network(seed)
    objective = make_objective(digits, generator, **params)
    batches = RandomBatches(objective.source, 100, generator)
    history = train(
        network,
        objective,
        batches,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        max_epochs=objective.n_epochs,
        device=CPU,
    )
    return network, [set(row) - {"epoch", "loss"} for row in history]


def test_stages_of_algorithm_1(digits):
    _, terms = run_stages(digits)
    assert terms == [names for names, _ in STAGES]


@pytest.mark.parametrize(
    ("off", "expected"),
    [
        (
            "reconstruction",
            [{"instance_contrast", "cluster_contrast", "entropy"}] * 2
            + [{"instance_contrast", "cluster_contrast", "entropy", "interaction"}],
        ),
        (
            "interaction",
            [{"reconstruction"}]
            + [{"reconstruction", "instance_contrast", "cluster_contrast", "entropy"}]
            * 2,
        ),
        (
            "cluster_contrast",
            [{"reconstruction"}]
            + [{"reconstruction", "instance_contrast"}] * 2
            + [{"instance_contrast", "interaction"}],
        ),
        (
            "instance_contrast",
            [{"reconstruction"}]
            + [{"reconstruction", "cluster_contrast", "entropy"}] * 2
            + [{"cluster_contrast", "entropy", "interaction"}],
        ),
    ],
)
def test_each_module_can_be_switched_off(digits, off, expected):
    _, terms = run_stages(digits, **{off: False})
    assert terms == expected


def test_loss_is_the_sum_of_its_terms(digits):
    generator = new_generator(0)
    objective = make_objective(digits, generator)
    network = make_network()
    index = torch.arange(50)
    for epoch in range(4):
        objective.start_epoch(network, epoch)
        terms = objective(network, *objective.source.batch(index))
        loss = terms.pop("loss")
        signs = [-1 if name == "entropy" else 1 for name in terms]
        total = sum(sign * value for sign, value in zip(signs, terms.values()))
        torch.testing.assert_close(loss, total)


@pytest.mark.parametrize(
    ("epoch", "trained", "untouched"),
    [
        (0, ["embed", "encoder", "decoder"], ["instance_mlp", "cluster_mlp"]),
        (1, ["embed", "decoder", "instance_mlp", "cluster_mlp"], []),
        (3, ["embed", "encoder", "instance_mlp", "cluster_mlp"], ["decoder"]),
    ],
)
def test_each_stage_trains_its_parts(digits, epoch, trained, untouched):
    objective, network = make_objective(digits, new_generator(0)), make_network()
    objective.start_epoch(network, epoch)
    batch = objective.source.batch(torch.arange(60))
    objective(network, *batch)["loss"].backward()
    for part in trained:
        gradients = [p.grad for p in getattr(network, part).parameters()]
        assert all(g is not None and g.abs().sum() > 0 for g in gradients[:1])
    for part in untouched:
        assert all(p.grad is None for p in getattr(network, part).parameters())


def test_same_seed_same_network(digits):
    a, b, c = (run_stages(digits, seed)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["positions"], c["positions"])


def test_pseudo_labels_are_clusters_of_the_features_numbered_as_the_head(digits):
    network = make_network().eval()
    tokens = patchify(digits / 255, 2)
    features, logits = (output.detach() for output in network(tokens))

    def agreement_and_labels():
        objective = make_objective(digits, new_generator(0))  # k-means starts alike
        labels = objective.find_pseudo_labels(network)
        return (network(tokens)[1].argmax(dim=1) == labels).sum(), labels

    agreement, labels = agreement_and_labels()
    assert labels.shape == (400,) and set(labels.tolist()) == set(range(10))
    assert silhouette_score(features, labels) > 0.2
    assert agreement >= torch.bincount(logits.argmax(dim=1)).max() / 10
    order = torch.randperm(10, generator=new_generator(3))
    last = network.cluster_mlp[-1]
    last.weight.data, last.bias.data = last.weight[order].data, last.bias[order].data
    renumbered, other_labels = agreement_and_labels()
    assert renumbered == agreement
    assert adjusted_rand_score(labels, other_labels) == 1


def test_reconstruction_learns(digits):
    generator = new_generator(0)
    objective = make_objective(digits, generator, pretrain_epochs=30, train_epochs=0)
    network = make_network()
    history = train(
        network,
        objective,
        RandomBatches(objective.source, 100, generator),
        optimizer=torch.optim.Adam,
        lr=3e-3,
        max_epochs=30,
        device=CPU,
    )
    # Half of each image explains a good part of the other half.
    assert history[-1]["reconstruction"] < 0.6 * history[0]["reconstruction"]
