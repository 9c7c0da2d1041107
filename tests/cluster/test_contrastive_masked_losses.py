"""Each loss of PICI against a loop written from the paper."""

from math import exp, log

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_vlclust.cluster.contrastive_masked import losses
from sklearn_vlclust.cluster.contrastive_masked.objective import match_labels

N, M, D = 5, 4, 3


def assignments(seed):
    p = np.exp(np.random.default_rng(seed).normal(size=(N, M)))
    return p / p.sum(axis=1, keepdims=True)


def unit_rows(seed):
    z = np.random.default_rng(seed).normal(size=(N, D))
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def value(loss, *arrays, **others):
    return loss(*(torch.as_tensor(a) for a in arrays), **others).item()


def cosine(x, y):
    return x @ y / np.linalg.norm(x) / np.linalg.norm(y)


def contrast(a, b, tau):
    """Eqs. 5 and 8, mean over both views, without the pair of a view with itself."""
    views, total = {"a": a, "b": b}, 0
    for i in range(len(a)):
        for own, other in ("ab", "ba"):
            row = views[own][i]
            denominator = sum(
                exp(cosine(row, views[k][j]) / tau)
                for k in "ab"
                for j in range(len(a))
                if (k, j) != (own, i)
            )
            total -= log(exp(cosine(row, views[other][i]) / tau) / denominator)
    return total / (2 * len(a))


def test_reconstruction_loss_eq1():
    rng = np.random.default_rng(0)
    predicted, target = rng.normal(size=(2, 2 * N, 3, 2))
    views = [
        sum(
            (predicted[i, j, pixel] - target[i, j, pixel]) ** 2
            for i in view
            for j in range(3)
            for pixel in range(2)
        )
        / (N * 3 * 2)
        for view in (range(N), range(N, 2 * N))
    ]
    found = value(losses.reconstruction_loss, predicted, target)
    assert found == pytest.approx(sum(views) / 2)


@pytest.mark.parametrize("tau", [0.1, 0.5])
def test_instance_contrast_eqs_5_and_6(tau):
    a, b = unit_rows(1), unit_rows(2)
    found = value(losses.instance_contrast, a, b, tau=tau)
    assert found == pytest.approx(contrast(a, b, tau))


@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_cluster_contrast_eq8(tau):
    a, b = assignments(3), assignments(4)
    found = value(losses.cluster_contrast, a, b, tau=tau)
    assert found == pytest.approx(contrast(a.T, b.T, tau))


def test_assignment_entropy_eqs_9_and_10():
    a, b = assignments(5), assignments(6)
    total = 0
    for q in (a, b):
        for i in range(M):
            share = sum(q[j, i] for j in range(N)) / N
            total -= share * log(share)
    assert value(losses.assignment_entropy, a, b) == pytest.approx(total)


def test_cross_level_interaction_eq15():
    rng = np.random.default_rng(7)
    logits, labels = rng.normal(size=(2, N, M)), np.array([0, 3, 3, 1, 2])
    total = 0
    for view in logits:
        for i in range(N):
            q = np.exp(view[i]) / sum(exp(v) for v in view[i])
            total -= log(q[labels[i]])
    found = value(losses.cross_level_interaction, *logits, labels)
    assert found == pytest.approx(total / 2 / N)


def test_entropy_is_most_when_even_and_least_when_collapsed():
    even, collapsed = np.full((N, M), 1 / M), np.eye(M)[np.zeros(N, int)]
    assert value(losses.assignment_entropy, even, even) == pytest.approx(2 * log(M))
    found = value(losses.assignment_entropy, collapsed, collapsed)
    assert found == pytest.approx(0, abs=1e-9)


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_contrast_is_the_same_for_swapped_views_and_another_order(seed):
    a, b = unit_rows(seed), unit_rows(seed + 1)
    order = np.random.default_rng(seed).permutation(N)
    found = value(losses.instance_contrast, a, b, tau=0.5)
    assert value(losses.instance_contrast, b, a, tau=0.5) == pytest.approx(found)
    found_in_order = value(losses.instance_contrast, a[order], b[order], tau=0.5)
    assert found_in_order == pytest.approx(found)


def test_descent_brings_the_views_together_and_the_images_apart():
    a, b = (torch.tensor(unit_rows(seed), requires_grad=True) for seed in (8, 9))
    optimizer = torch.optim.SGD([a, b], lr=0.5)
    for _ in range(200):
        unit = [torch.nn.functional.normalize(x, dim=1) for x in (a, b)]
        optimizer.zero_grad()
        losses.instance_contrast(*unit, tau=0.5).backward()
        optimizer.step()
    similarity = (unit[0] @ unit[1].T).detach()
    others = similarity[~torch.eye(N, dtype=bool)]
    assert similarity.diagonal().min() > 0.9 > 0.5 > others.mean()


def test_extreme_logits_give_finite_losses_and_gradients():
    logits = torch.zeros(N, M)
    logits[:, 0] = 1e4
    logits.requires_grad_(True)
    q = logits.softmax(dim=1)
    loss = (
        losses.cluster_contrast(q, q, 1.0)
        - losses.assignment_entropy(q, q)
        + losses.cross_level_interaction(logits, logits, torch.ones(N, dtype=int))
    )
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()


@settings(deadline=None)
@given(st.permutations(range(M)), st.integers(0, 1000))
def test_matching_undoes_any_renumbering(order, seed):
    q = np.random.default_rng(seed).integers(M, size=50)
    q[:M] = range(M)
    np.testing.assert_array_equal(match_labels(np.array(order)[q], q, M), q)


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_no_renumbering_agrees_with_more_labels(seed):
    from itertools import permutations

    p, q = np.random.default_rng(seed).integers(M, size=(2, 20))
    best = max(
        sum(order[i] == j for i, j in zip(p, q)) for order in permutations(range(M))
    )
    assert (match_labels(p, q, M) == q).sum() == best
