"""Coding rates against loops written from the paper."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sklearn_vlclust.metrics import (
    _coding_forms,
    _coding_rate,
    cluster_coding_rate,
    coding_rate,
)
from sklearn_vlclust.metrics._coding_rate import cholesky, partition_coding_rate


def features(m, d, seed=0):
    x = torch.randn(m, d, generator=torch.Generator().manual_seed(seed))
    return F.normalize(x.double(), dim=1)


def membership(m, k, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(m, k, generator=generator, dtype=torch.float64) ** 3


def slow_rate(Z, eps):
    m, d = Z.shape
    total = np.eye(d)
    for z in Z:
        total += d / (m * eps) * np.outer(z, z)
    return 0.5 * np.log(np.linalg.eigvalsh(total)).sum()


def slow_cluster_rate(Z, Pi, eps):
    m, d = Z.shape
    rate = 0.0
    for p in Pi.T:
        if p.sum() == 0:
            continue
        matrix = np.eye(d)
        for weight, z in zip(p, Z):
            matrix += d / (p.sum() * eps) * weight * np.outer(z, z)
        rate += p.sum() * np.log(np.linalg.eigvalsh(matrix)).sum() / (2 * m)
    return rate


@pytest.mark.parametrize(("m", "d"), [(9, 4), (4, 9), (5, 5), (1, 3), (3, 1)])
@pytest.mark.parametrize("eps", [0.1, 2.0])
def test_values(m, d, eps):
    Z, Pi = features(m, d), membership(m, 3)
    assert coding_rate(Z, eps).item() == pytest.approx(slow_rate(Z.numpy(), eps))
    expected = slow_cluster_rate(Z.numpy(), Pi.numpy(), eps)
    assert cluster_coding_rate(Z, Pi, eps).item() == pytest.approx(expected)
    Z, Pi = Z.requires_grad_(), Pi.requires_grad_()
    assert cluster_coding_rate(Z, Pi, eps).item() == pytest.approx(expected)


@settings(deadline=None)
@given(st.lists(st.integers(-1, 4), min_size=1, max_size=30), st.integers(1, 8))
def test_a_partition_is_a_membership_of_zeros_and_ones(labels, d):
    labels, Z = np.array(labels), features(len(labels), d)
    Pi = F.one_hot(torch.from_numpy(labels) + 1).double()
    rate = partition_coding_rate(Z, labels, 0.3).item()
    assert rate == pytest.approx(cluster_coding_rate(Z, Pi, 0.3).item())
    assert rate == pytest.approx(slow_cluster_rate(Z.numpy(), Pi.numpy(), 0.3))


@pytest.mark.parametrize(("m", "d"), [(9, 4), (4, 9), (6, 6), (70, 67), (67, 70)])
def test_gradients(m, d):
    def difference(Z, Pi):
        return coding_rate(Z) - cluster_coding_rate(Z, Pi)

    Z, Pi = features(m, d).requires_grad_(), membership(m, 2).requires_grad_()
    assert torch.autograd.gradcheck(difference, (Z, Pi), fast_mode=m > 9)


@pytest.mark.parametrize(("m", "d"), [(9, 4), (4, 9)])
def test_gradients_at_a_partition(m, d):
    """Zeros in Pi: the roots of the (m, m) form have no derivative there."""
    Z = features(m, d).requires_grad_()
    Pi = torch.eye(2, dtype=torch.float64)[torch.arange(m) % 2].requires_grad_()
    cluster_coding_rate(Z, Pi).backward()
    step, i = 1e-5, (1, 0)
    assert Pi[i] == 0
    with torch.no_grad():
        moved = Pi.clone()
        moved[i] += step
        slope = (cluster_coding_rate(Z, moved) - cluster_coding_rate(Z, Pi)) / step
    assert Pi.grad[i].item() == pytest.approx(slope.item(), rel=1e-3)


@pytest.mark.parametrize(("m", "d"), [(70, 67), (9, 4), (3, 1)])
@pytest.mark.parametrize("form", ["Features", "PackedFeatures", "Samples"])
def test_forms_are_the_same_rate(m, d, form, monkeypatch):
    """That of a GPU as well, whichever is fast here."""

    def run():
        Z, Pi = features(m, d).requires_grad_(), membership(m, 5).requires_grad_()
        rate = cluster_coding_rate(Z, Pi)
        rate.backward()
        return rate.detach(), Z.grad, Pi.grad

    expected = run()
    chosen = getattr(_coding_forms, form)
    monkeypatch.setattr(_coding_rate, "fastest_form", lambda *args: chosen)
    torch.testing.assert_close(run(), expected)
    # Of one of the gradients alone.
    for which in (0, 1):
        given = [features(m, d), membership(m, 5)]
        given[which].requires_grad_()
        cluster_coding_rate(*given).backward()
        torch.testing.assert_close(given[which].grad, expected[1 + which])


def test_form_of_a_device():
    assert (
        _coding_forms.fastest_form(torch.ones(9, 4), 3) is _coding_forms.PackedFeatures
    )
    assert _coding_forms.fastest_form(torch.ones(9, 4), 2) is _coding_forms.Features
    there = torch.ones(9, 4, device="meta")
    assert _coding_forms.fastest_form(there, 9) is _coding_forms.Features
    assert _coding_forms.fastest_form(there.T, 9) is _coding_forms.Samples


def test_matrices_that_cannot_be_factorized_are_nan():
    """Not an error, which would make a GPU wait: training looks once per epoch."""
    good = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    factors = cholesky(torch.stack([good, -good, good * torch.nan]))
    torch.testing.assert_close(factors[0], torch.linalg.cholesky(good))
    assert factors[1:].isnan().all()
    Z = torch.ones(5, 3) / 3**0.5
    Z[0, 0] = torch.nan
    Z, Pi = Z.requires_grad_(), torch.ones(5, 2).requires_grad_()
    for rate in (coding_rate(Z), cluster_coding_rate(Z, Pi)):
        assert rate.isnan()
        (gradient,) = torch.autograd.grad(rate, Z)
        assert gradient.isnan().any()
    # Rank one, times 1e12, plus the identity: beyond single precision.
    Z = (torch.ones(5, 3) / 3**0.5).requires_grad_()
    for rate in (coding_rate(Z, 1e-14), cluster_coding_rate(Z, Pi, 1e-14)):
        assert rate.isnan()
        (gradient,) = torch.autograd.grad(rate, Z)
        assert gradient.isnan().any()


def test_blocks_change_nothing(monkeypatch):
    def run(m, d):
        Z, Pi = features(m, d).requires_grad_(), membership(m, 7).requires_grad_()
        value = cluster_coding_rate(Z, Pi)
        value.backward()
        return value.item(), Z.grad, Pi.grad

    whole = [run(11, 5), run(5, 11)]
    monkeypatch.setattr(_coding_forms, "MATRIX_FLOATS", 60)
    monkeypatch.setattr(_coding_forms, "OUTER_FLOATS", 60)
    monkeypatch.setattr(_coding_forms, "CACHE_FLOATS", 60)
    monkeypatch.setattr(_coding_rate, "LEAF", 1)
    for (value, dZ, dPi), (m, d) in zip(whole, [(11, 5), (5, 11)]):
        value_, dZ_, dPi_ = run(m, d)
        assert value == pytest.approx(value_)
        torch.testing.assert_close(dZ, dZ_)
        torch.testing.assert_close(dPi, dPi_)


@pytest.mark.parametrize("k", [3, 20, 256])
def test_single_precision_is_good_to_four_digits(k, monkeypatch):
    """With few clusters and with many, of which the products are another library's."""
    Z, Pi = features(300, 64), membership(300, k)
    runs = []
    for dtype, outer_floats in [
        (torch.float64, _coding_forms.OUTER_FLOATS),
        (torch.float32, _coding_forms.OUTER_FLOATS),
        (torch.float32, 100 * 64**2),
    ]:
        monkeypatch.setattr(_coding_forms, "OUTER_FLOATS", outer_floats)
        given = [x.to(dtype, copy=True).requires_grad_() for x in (Z, Pi)]
        rate = cluster_coding_rate(*given)
        rate.backward()
        alone = cluster_coding_rate(*(x.detach() for x in given))
        made = [rate.detach(), alone, *(x.grad for x in given)]
        runs.append([x.double() for x in made])
    exact, *single = runs
    for run in single:
        for value, expected in zip(run, exact):
            error = (value - expected).norm() / expected.norm()
            assert error < 1e-4


def test_columns_are_an_unbiased_estimate():
    Z, Pi = features(12, 4), membership(12, 12)
    generator = torch.Generator().manual_seed(0)
    draws = torch.stack(
        [
            cluster_coding_rate(Z, Pi, n_columns=3, generator=generator)
            for _ in range(4000)
        ]
    )
    error = draws.std() / len(draws) ** 0.5
    assert abs(draws.mean() - cluster_coding_rate(Z, Pi)) < 4 * error
    assert torch.equal(
        cluster_coding_rate(Z, Pi, n_columns=12), cluster_coding_rate(Z, Pi)
    )


@settings(deadline=None)
@given(st.integers(2, 12), st.integers(1, 8), st.integers(1, 4), st.integers(0, 99))
def test_a_partition_never_costs_more_than_the_whole(m, d, k, seed):
    """log det is concave, so that the rate reduction is not negative."""
    Z = features(m, d, seed)
    labels = torch.randint(k, (m,), generator=torch.Generator().manual_seed(seed))
    Pi = F.one_hot(labels, k).double()
    assert cluster_coding_rate(Z, Pi) <= coding_rate(Z) + 1e-9
    assert cluster_coding_rate(Z, torch.ones(m, 1)).item() == pytest.approx(
        coding_rate(Z).item()
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: coding_rate(torch.ones(3)), r"shape \(3,\)"),
        (lambda: coding_rate(torch.ones(3, 2, dtype=int)), "int64"),
        (lambda: coding_rate(torch.ones(3, 2), eps=0), "eps=0"),
        (lambda: cluster_coding_rate(torch.eye(3), torch.ones(2, 3)), "3 rows of Z"),
        (
            lambda: cluster_coding_rate(torch.eye(3), torch.eye(3), n_columns=0),
            "n_columns=0",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
