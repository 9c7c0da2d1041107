"""Each loss of MCA against a loop written from the paper."""

from math import exp, log

import numpy as np
import pytest
import torch

from sklearn_vlclust.cluster.mca import losses

B, C, M, K, D = 6, 4, 9, 3, 5


def assignments(rows, seed):
    logits = np.random.default_rng(seed).normal(size=(rows, C))
    p = np.exp(logits)
    return p / p.sum(axis=1, keepdims=True)


@pytest.fixture(params=range(3))
def q(request):
    return assignments(B, request.param)


@pytest.fixture
def p():
    return assignments(M, 10)


def value(loss, *arrays, **others):
    return loss(*(torch.as_tensor(a) for a in arrays), **others).item()


def test_image_consistency_eq1(q):
    near = assignments(B, 20)
    total = 0
    for i in range(B):
        total -= log(sum(q[i, label] * near[i, label] for label in range(C)))
    assert value(losses.image_consistency, q, near) == pytest.approx(total / B)


def test_negative_entropy_eq1(q):
    total = 0
    for label in range(C):
        mean = sum(q[i, label] for i in range(B)) / B
        total += mean * log(mean)
    assert value(losses.negative_entropy, q) == pytest.approx(total)


def test_negative_entropy_is_least_when_even_and_most_when_collapsed():
    even, collapsed = np.full((B, C), 1 / C), np.eye(C)[np.zeros(B, int)]
    assert value(losses.negative_entropy, even) == pytest.approx(-log(C))
    assert value(losses.negative_entropy, collapsed) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("tau", [0.2, 1.0])
def test_instance_alignment_eq2(q, p, tau):
    neighbor = np.array([0, 3, 8, 2, 2, 5])
    total = 0
    for i, j in enumerate(neighbor):
        denominator = sum(exp(q[i] @ p[m] / tau) for m in range(M) if m != j)
        total -= log(exp(q[i] @ p[j] / tau) / denominator)
    found = value(losses.instance_alignment, q, p, neighbor, tau=tau)
    assert found == pytest.approx(total / B)


@pytest.mark.parametrize("tau", [0.05, 1.0])
def test_prototype_alignment_eq3(tau):
    rho_image, rho_text = assignments(C, 30), assignments(C, 31)
    total = 0
    for j in range(C):
        denominator = sum(
            exp(rho_image[m] @ rho_text[m] / tau) for m in range(C) if m != j
        )
        total -= log(exp(rho_image[j] @ rho_text[j] / tau) / denominator)
    found = value(losses.prototype_alignment, rho_image, rho_text, tau=tau)
    assert found == pytest.approx(total / C)


def test_attention_and_semantic_assignment_eq4(p):
    rng = np.random.default_rng(40)
    u, v = rng.normal(size=(B, D)), rng.normal(size=(M, D))
    w_image, w_text = rng.normal(size=(D, D)), rng.normal(size=(D, D))
    near = np.array([rng.permutation(M)[:K] for _ in range(B)])
    expected = np.zeros((B, C))
    for i in range(B):
        scores = [exp((w_image @ u[i]) @ (w_text @ v[j])) for j in near[i]]
        for score, j in zip(scores, near[i]):
            expected[i] += score / sum(scores) * p[j]
    queries, keys = torch.as_tensor(u @ w_image.T), torch.as_tensor(v @ w_text.T)
    weights = losses.attention_weights(queries, keys[near])
    found = losses.semantic_assignment(weights, torch.as_tensor(p)[near])
    np.testing.assert_allclose(found.numpy(), expected)


def test_semantic_alignment_eq5_eq6(q):
    p_prime = assignments(B, 50)
    total = 0
    for i in range(B):
        one_hot = [float(label == np.argmax(p_prime[i])) for label in range(C)]
        total -= sum(one_hot[label] * log(q[i, label]) for label in range(C))
    found = value(losses.semantic_alignment, q, p_prime)
    assert found == pytest.approx(total / B)


def softmax_args(*shapes):
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()
        for shape in shapes
    )


@pytest.mark.parametrize(
    ("loss", "shapes"),
    [
        (losses.image_consistency, [(B, C), (B, C)]),
        (losses.negative_entropy, [(B, C)]),
        (
            lambda q, p: losses.instance_alignment(q, p, torch.arange(B), 0.5),
            [(B, C), (M, C)],
        ),
        (lambda a, b: losses.prototype_alignment(a, b, 0.5), [(C, C), (C, C)]),
    ],
)
def test_gradients(loss, shapes):
    def of_logits(*logits):
        return loss(*(x.softmax(dim=1) for x in logits))

    assert torch.autograd.gradcheck(of_logits, softmax_args(*shapes))


def test_gradients_of_attention():
    def mean_assignment(queries, keys, logits):
        weights = losses.attention_weights(queries, keys)
        return losses.semantic_assignment(weights, logits.softmax(dim=2))

    args = softmax_args((B, D), (B, K, D), (B, K, C))
    assert torch.autograd.gradcheck(mean_assignment, args)


def test_straight_through_gradient_of_semantic_alignment():
    # The label itself has none: its gradient is that of the linear term in p'.
    q, p_prime = (x.softmax(dim=1) for x in softmax_args((B, C), (B, C)))
    (gradient,) = torch.autograd.grad(losses.semantic_alignment(q, p_prime), p_prime)
    torch.testing.assert_close(gradient, -q.log() / B)


def test_losses_stay_finite_where_assignments_are_zero():
    a = torch.eye(2, dtype=torch.float32).requires_grad_()
    b = torch.eye(2).flip(0)
    for loss in (
        losses.image_consistency(a, b),
        losses.negative_entropy(a[:1]),
        losses.semantic_alignment(a, b),
    ):
        (gradient,) = torch.autograd.grad(loss, a)
        assert torch.isfinite(loss) and torch.isfinite(gradient).all()
