"""Each loss of GCC against a loop written from the paper."""

from itertools import combinations
from math import exp, log

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_vlclust.cluster.generative import kernel_pairs as kernel_pairs_module
from sklearn_vlclust.cluster.generative import losses

K, D = 4, 3
quick = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 10_000)


def samples(seed, n=9, k=K):
    """Features and labels; the first labels leave no cluster empty."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(k), rng.integers(k, size=n - k)])
    return rng.normal(size=(n, D)) + labels[:, None], labels


def value(loss, *arguments, dtype=torch.float64, **others):
    tensors = [
        torch.as_tensor(a).to(dtype) if np.ndim(a) == 2 else torch.as_tensor(a)
        for a in arguments
    ]
    return loss(*tensors, **others).item()


def match(*arguments, **others):
    return value(losses.kernel_matching, *arguments, **others)


def kernel(x, y, sigma):
    return exp(-sum((a - b) ** 2 for a, b in zip(x, y)) / (2 * sigma**2))


def loop_kernel_matching(real, labels, generated, generated_labels, sigma):
    """Eq. 9, cluster by cluster and pair by pair, without pairs of a sample."""
    terms = []
    for k in set(labels) & set(generated_labels):
        r, g = real[labels == k], generated[generated_labels == k]
        if min(len(r), len(g)) < 2:
            continue
        d_r = np.mean([kernel(x, y, sigma) for x, y in combinations(r, 2)])
        d_g = np.mean([kernel(x, y, sigma) for x, y in combinations(g, 2)])
        d_rg = np.mean([kernel(x, y, sigma) for x in r for y in g])
        terms.append(d_r + d_g - 2 * d_rg)
    return np.mean(terms) if terms else 0


def cosine(x, y):
    return x @ y / np.linalg.norm(x) / np.linalg.norm(y)


def loop_class_wise_matching(x, labels):
    """Eq. 10 without the pairs of a sample with itself."""
    same, different = [], []
    for i, j in combinations(range(len(x)), 2):
        pairs = same if labels[i] == labels[j] else different
        pairs.append(cosine(x[i], x[j]))
    return (np.mean(different) if different else 0) - (np.mean(same) if same else 0)


@pytest.mark.parametrize("tau", [0.1, 0.5])
def test_contrast_of_views_eq1(tau):
    x = np.random.default_rng(0).normal(size=(10, D))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    terms = []
    for i in range(10):
        others = [exp(cosine(x[i], x[j]) / tau) for j in range(10) if j != i]
        positive = exp(cosine(x[i], x[(i + 5) % 10]) / tau)
        terms.append(-log(positive / sum(others)))
    found = value(losses.instance_contrast, x[:5], x[5:], tau=tau)
    assert found == pytest.approx(np.mean(terms))


def test_pseudo_label_loss_eq2():
    logits, labels = samples(0)
    terms = [-log(exp(p[y]) / sum(exp(v) for v in p)) for p, y in zip(logits, [0] * 9)]
    found = value(losses.pseudo_label_loss, logits, 0 * labels)
    assert found == pytest.approx(np.mean(terms))


@quick
@given(seeds, st.floats(0.3, 5))
def test_kernel_matching_eq9(seed, sigma):
    real, generated = samples(seed), samples(seed + 1, n=7)
    found = match(*real, *generated, bandwidth=sigma)
    assert found == pytest.approx(loop_kernel_matching(*real, *generated, sigma))


@quick
@given(seeds)
def test_bandwidth_is_the_median_distance(seed):
    real, generated = samples(seed, n=6), samples(seed + 1, n=5)  # an odd 55 pairs
    rows = np.concatenate([real[0], generated[0]])
    distances = [np.linalg.norm(x - y) for x, y in combinations(rows, 2)]
    found = match(*real, *generated)
    expected = loop_kernel_matching(*real, *generated, np.median(distances))
    assert found == pytest.approx(expected)
    # ... so that scale and place of the features do not matter.
    moved = [(7 * x + 3, labels) for x, labels in (real, generated)]
    assert match(*moved[0], *moved[1]) == pytest.approx(found)


@pytest.mark.parametrize("n", range(2, 10))
def test_median_of_pairs_with_ties(n):
    x = torch.randint(3, (n, 2), generator=torch.Generator().manual_seed(n)).float()
    squares = kernel_pairs_module.square_distances(x)
    found = kernel_pairs_module._scale(squares, None)
    pairs = sorted(float(squares[i, j]) for i, j in combinations(range(n), 2))
    assert found == max(pairs[(len(pairs) - 1) // 2], kernel_pairs_module.TINY)


@pytest.mark.parametrize("sigma", [2.0, None])
@pytest.mark.parametrize("k", [4, 60])
def test_blocks_of_clusters(k, sigma, monkeypatch):
    # Sizes of batches at which a CPU takes each cluster alone.
    real, generated = samples(0, n=300, k=k), samples(1, n=240, k=k + 3)
    x = np.concatenate([real[0], generated[0]])
    if sigma is None:
        distances = [np.linalg.norm(a - b) for a, b in combinations(x[::2], 2)]
        sigma = np.median(distances)
        found = match(*real, *generated)
    else:
        found = match(*real, *generated, bandwidth=sigma)
    assert found == pytest.approx(loop_kernel_matching(*real, *generated, sigma))
    # Value and gradient are those of the kernels of all pairs, as on a GPU.
    x, labels = torch.tensor(x), torch.tensor(np.r_[real[1], generated[1]])
    loss, gradient = kernel_pairs_module.match(x, labels, 300, None)
    monkeypatch.setattr(kernel_pairs_module, "LARGEST", 0)
    other_loss, other = kernel_pairs_module.match(x, labels, 300, None)
    assert not torch.equal(gradient, other)
    torch.testing.assert_close(gradient, other)
    torch.testing.assert_close(loss, other_loss)


def test_clusters_without_two_samples_of_both_kinds_are_left_out():
    real, labels = samples(1, n=12)
    generated, generated_labels = samples(2, n=12)
    r, g = labels != 1, (generated_labels != 2) & (generated_labels != 3)
    some = real[r], labels[r], generated[g], generated_labels[g]
    found = match(*some, bandwidth=1.0)
    assert found == pytest.approx(loop_kernel_matching(*some, 1.0))
    assert set(some[1]) & set(some[3]) == {0}
    assert match(real, 0 * labels, generated, 0 * labels + 1) == 0


@quick
@given(seeds, st.permutations(range(K)))
def test_renumbered_clusters_cost_the_same(seed, order):
    order = np.array(order)
    (real, labels), (generated, others) = samples(seed), samples(seed + 1)
    found = match(real, labels, generated, others)
    renumbered = match(real, order[labels], generated, order[others])
    assert renumbered == pytest.approx(found)
    found = value(losses.class_wise_matching, generated, others)
    renumbered = value(losses.class_wise_matching, generated, order[others])
    assert renumbered == pytest.approx(found)
    scores = np.random.default_rng(seed).normal(size=(9, K))
    found = value(losses.metric_learning, scores, others)
    inverse = np.argsort(order)
    renumbered = value(losses.metric_learning, scores[:, inverse], order[others])
    assert renumbered == pytest.approx(found)


@quick
@given(seeds)
def test_samples_of_one_distribution_match_on_average(seed):
    x, labels = np.random.default_rng(seed).normal(size=(6, D)), np.zeros(3, int)
    costs = []
    for half in combinations(range(6), 3):  # all ways to call half of them real
        other = np.setdiff1d(range(6), half)
        costs.append(match(x[list(half)], labels, x[other], labels, bandwidth=1.0))
    assert np.mean(costs) == pytest.approx(0, abs=1e-12)
    moved = match(x[:3], labels, x[:3] + 9, labels, bandwidth=1.0)
    assert moved > 0


@pytest.mark.parametrize("offset", [0, 1e3])
def test_float32_is_enough(offset):
    real, generated = samples(3, n=200), samples(4, n=150)
    real, generated = ((x + offset, y) for x, y in (real, generated))
    exact = match(*real, *generated)
    assert match(*real, *generated, dtype=torch.float32) == pytest.approx(exact, 1e-3)
    exact = value(losses.class_wise_matching, *generated)
    found = value(losses.class_wise_matching, *generated, dtype=torch.float32)
    assert found == pytest.approx(exact, abs=1e-5)


@quick
@given(seeds)
def test_class_wise_matching_eq10(seed):
    x, labels = samples(seed)
    found = value(losses.class_wise_matching, x, labels)
    assert found == pytest.approx(loop_class_wise_matching(x, labels))
    assert value(losses.class_wise_matching, 5 * x, labels) == pytest.approx(found)


@pytest.mark.parametrize("labels", [np.zeros(9, int), np.arange(9)])
def test_class_wise_matching_without_pairs_of_a_kind(labels):
    x = samples(5)[0]
    found = value(losses.class_wise_matching, x, labels)
    assert found == pytest.approx(loop_class_wise_matching(x, labels))


def test_tight_clusters_apart_match_best():
    tight = np.array([[1.0, 0], [2, 0], [-1, 0], [-3, 0]])
    labels = np.array([0, 0, 1, 1])
    assert value(losses.class_wise_matching, tight, labels) == pytest.approx(-2)
    assert value(losses.class_wise_matching, tight, labels[[0, 2, 1, 3]]) > 0


@quick
@given(seeds)
def test_metric_learning_eq11(seed):
    scores = np.random.default_rng(seed).normal(size=(9, K))
    labels = samples(seed)[1]
    total = 0
    for p, j in zip(scores, labels):
        for k in range(K):
            if p[k] > p[j]:
                total += (p[k] - p[j]) ** 2
    assert value(losses.metric_learning, scores, labels) == pytest.approx(total / 9)


def test_metric_learning_leaves_winners_alone():
    scores = torch.tensor([[3.0, 2.9, -1], [0.0, 2, 1]], requires_grad=True)
    loss = losses.metric_learning(scores, torch.tensor([0, 2]))
    loss.backward()
    assert loss.item() == pytest.approx(0.5)
    assert not scores.grad[0].any()
    # The rival falls, its own cluster rises, the rest stays.
    assert scores.grad[1].tolist() == [0, 1, -1]


def test_descent_brings_real_clusters_to_the_generated_ones():
    generated, labels = samples(6, n=40)
    real = torch.tensor(generated + 0.7, requires_grad=True)
    target, labels = torch.tensor(generated), torch.tensor(labels)
    for _ in range(100):
        loss = losses.kernel_matching(real, labels, target, labels)
        (gradient,) = torch.autograd.grad(loss, real)
        real = (real - 10 * K * gradient).detach().requires_grad_(True)
    gaps = [real[labels == k].mean(0) - target[labels == k].mean(0) for k in range(K)]
    assert torch.stack(gaps).abs().max() < 0.1 < 0.7


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(8, D),  # all features coincide
        torch.cat([torch.zeros(7, D), torch.ones(1, D)]),  # the median is zero
        torch.full((8, D), 1e4) + torch.eye(8, D),
        torch.eye(8, D) * 1e-12,
    ],
    ids=["alike", "one apart", "far away", "tiny"],
)
def test_degenerate_features_give_finite_losses_and_gradients(x):
    x = x.clone().requires_grad_(True)
    labels = torch.arange(4).repeat_interleave(2)
    loss = losses.kernel_matching(x, labels, x.detach() + 1e-3, labels)
    loss = loss + losses.class_wise_matching(x, labels)
    loss = loss + losses.metric_learning(x, labels % D)
    loss.backward()
    assert loss.isfinite() and x.grad.isfinite().all()


def test_gradients_are_those_of_the_losses():
    (real, labels), (generated, others) = samples(7), samples(8, n=6)
    real, generated = (torch.tensor(x, requires_grad=True) for x in (real, generated))
    labels, others = torch.tensor(labels), torch.tensor(others)

    def matching(r, g):
        return losses.kernel_matching(r, labels, g, others, bandwidth=2.0)

    assert torch.autograd.gradcheck(matching, (real, generated))
    assert torch.autograd.gradcheck(
        lambda g: losses.class_wise_matching(g, others), (generated,)
    )
