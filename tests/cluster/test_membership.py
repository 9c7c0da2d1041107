"""The doubly stochastic membership against its definition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch.nn import functional as F

from sklearn_vlclust.cluster.rate_reduction import membership as membership_module
from sklearn_vlclust.cluster.rate_reduction.membership import (
    membership_residual,
    sinkhorn_membership,
)


def codes(m, d, seed=0):
    x = torch.randn(m, d, generator=torch.Generator().manual_seed(seed))
    return F.normalize(x.double(), dim=1)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 20), st.floats(0.08, 5), st.integers(0, 99))
def test_doubly_stochastic_and_exactly_symmetric(m, d, gamma, seed):
    Pi = sinkhorn_membership(codes(m, d, seed), gamma)
    assert (Pi >= 0).all() and torch.equal(Pi, Pi.T)
    assert membership_residual(Pi) < 1e-4
    assert membership_residual(Pi) == pytest.approx(
        np.abs(Pi.numpy().sum(axis=0) - 1).max()
    )


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_exactly_symmetric_in_single_precision_whatever_the_threads(n_threads):
    """A thread rounds the last entries of its share in another way than the rest."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        for m in [7, 150, 181, 182, 222, 257, 313, 512]:
            C = codes(m, 16).float()
            Pi = sinkhorn_membership(C, 0.13)
            assert torch.equal(Pi, Pi.T) and membership_residual(Pi) < 1e-4
    finally:
        torch.set_num_threads(before)


def test_minimizes_eq_3():
    """No doubly stochastic matrix near it has a lower objective."""
    C, gamma = codes(4, 3), 0.3
    cosines = (C @ C.T).abs().numpy()

    def objective(pi):
        pi = pi.reshape(4, 4)
        return -(cosines * pi).sum() + gamma * (pi * np.log(pi)).sum()

    sums = [
        {"type": "eq", "fun": lambda p, i=i: p.reshape(4, 4).sum(1)[i] - 1}
        for i in range(4)
    ]
    sums += [
        {"type": "eq", "fun": lambda p, i=i: p.reshape(4, 4).sum(0)[i] - 1}
        for i in range(3)
    ]
    best = minimize(
        objective,
        np.full(16, 0.25),
        bounds=[(1e-9, 1)] * 16,
        constraints=sums,
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    Pi = sinkhorn_membership(C, gamma).numpy()
    np.testing.assert_allclose(best.x.reshape(4, 4), Pi, atol=1e-4)


def test_equals_log_domain_sinkhorn():
    C, gamma = codes(30, 5), 0.1
    log_pi = (C @ C.T).abs() / gamma
    for _ in range(500):
        log_pi = log_pi - log_pi.logsumexp(dim=1, keepdim=True)
        log_pi = log_pi - log_pi.logsumexp(dim=0, keepdim=True)
    torch.testing.assert_close(
        sinkhorn_membership(C, gamma), log_pi.exp(), atol=1e-5, rtol=1e-3
    )


@settings(deadline=None)
@given(st.integers(2, 30), st.integers(1, 10), st.floats(0.01, 5), st.integers(0, 99))
def test_system_of_the_gradient_is_positive_definite(m, d, gamma, seed):
    Pi = sinkhorn_membership(codes(m, d, seed), gamma)
    least = torch.linalg.eigvalsh(Pi + torch.eye(m))[0]
    assert least > 2 * Pi.diagonal().min() - 1e-4


def test_gradient(monkeypatch):
    monkeypatch.setattr(membership_module, "MAX_ROUNDS", 100)
    C = codes(7, 3).requires_grad_()
    weights = torch.randn(7, 7, generator=torch.Generator().manual_seed(3)).double()
    assert torch.autograd.gradcheck(
        lambda C: (sinkhorn_membership(F.normalize(C, dim=1), 0.3) * weights).sum(), C
    )


def test_gradient_without_a_solution_is_nan():
    """Not that of another system: training looks for NaN once per epoch."""
    # Entries of the membership are to be positive: here the diagonal is 0.
    similarities = torch.tensor([[-50.0, 1.0], [1.0, -50.0]], requires_grad=True)
    membership_module.project(similarities, 0.1).square().sum().backward()
    assert similarities.grad.isnan().all()
