"""Coding rates of features, of a whole and of its clusters, with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .._backend._device import to_device
from .._docs import documented
from .._typing import Int
from ._clusters import cluster_members
from ._coding_forms import fastest_form

# Matrices up to this size are inverted by LAPACK.
LEAF = 32


@documented()
def coding_rate(Z: torch.Tensor, eps: float = 0.1) -> torch.Tensor:
    """Bits, in nats a sample, to code features up to a precision: eq. 1 of [1]_.

    ``1/2 logdet(I + d / (m eps) Z^T Z)``. The factor 1/2 is from [2]_ and the authors'
    code; eq. 1 of [1]_ is printed without.

    Parameters: <Z, eps>

    Returns
    -------
    rate : scalar tensor
        With gradient where `Z` has one. NaN where `Z` has any, or where `eps` is so
        small that the matrix cannot be factorized in the precision of `Z`.

    Raises
    ------
    ValueError
        If `Z` is not a matrix of floats with at least one row, or `eps` not positive.

    References: <chu2024>
    .. [2] Yu, Chan, You, Song, Ma, "Learning diverse and discriminative
       representations via the principle of maximal coding rate reduction",
       NeurIPS 2020.

    Examples
    --------
    >>> import torch
    >>> from sklearn_vlclust.metrics import coding_rate
    >>> round(coding_rate(torch.eye(4)).item(), 4)
    4.7958
    """
    _check_features(Z, eps)
    m, d = Z.shape
    gram = Z.T @ Z if d <= m else Z @ Z.T
    gram = gram * (d / (m * eps)) + torch.eye(len(gram), dtype=Z.dtype, device=Z.device)
    # Half the log-determinant is the log-diagonal of the Cholesky factor.
    return cholesky(gram).diagonal().log().sum()


@documented()
def cluster_coding_rate(
    Z: torch.Tensor,
    Pi: torch.Tensor,
    eps: float = 0.1,
    n_columns: Int | None = None,
    *,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Coding rate of features that are coded cluster by cluster: eq. 2 of [1]_.

    ``1 / (2 m) sum_j t_j logdet(I + d / (t_j eps) Z^T diag(Pi_j) Z)`` with ``t_j`` the
    sum of column ``Pi_j``. A doubly stochastic membership of every sample with every
    other has ``t_j = 1``; a partition has one column of zeros and ones per cluster.

    All ``Z^T diag(Pi_j) Z`` come out of one matrix product, of `Pi` with the outer
    products of the rows of `Z`; only one triangle of these is computed. The gradient is
    worked out by hand from the inverses, block by block.

    Parameters: <Z>
    Pi : float tensor of shape (m, k)
        Membership of the samples in each cluster, not negative.
    <eps>
    n_columns : int, default=None
        Number of columns of `Pi`, drawn at random, that stand for all: an unbiased
        estimate of value and gradient at a fraction of the cost. If None, all columns
        are used.
    generator : torch.Generator, default=None
        Draws the columns; a CPU generator. If None, torch's global generator.

    Returns
    -------
    rate : scalar tensor
        With gradients where `Z` and `Pi` have them; it cannot be differentiated twice.
        Value and gradients are NaN where :func:`coding_rate` is.

    Raises
    ------
    ValueError
        If the shapes do not fit, or `eps` or `n_columns` is not positive.

    References: <chu2024>

    Examples
    --------
    >>> import torch
    >>> from sklearn_vlclust.metrics import cluster_coding_rate
    >>> Z = torch.eye(2).repeat_interleave(5, dim=0)  # two clusters at right angles
    >>> round(cluster_coding_rate(Z, Z).item(), 4)
    1.5223
    """
    _check_features(Z, eps)
    if Pi.ndim != 2 or len(Pi) != len(Z) or not Pi.shape[1]:
        raise ValueError(
            f"Pi has shape {tuple(Pi.shape)}; it must have a row for each of the "
            f"{len(Z)} rows of Z and at least one column."
        )
    scale = 1.0
    if n_columns is not None:
        if n_columns < 1:
            raise ValueError(f"n_columns={n_columns}; it must be at least 1, or None.")
        if n_columns < Pi.shape[1]:
            order = torch.randperm(Pi.shape[1], generator=generator)
            scale = Pi.shape[1] / n_columns
            # A product of contiguous rows: columns gathered one by one are slow.
            some = order[:n_columns].sort().values
            Pi = Pi[:, to_device(some, Pi.device)]
    return scale * _ClusterCodingRate.apply(Z, Pi.to(Z.dtype), float(eps))


@documented()
def partition_coding_rate(Z: torch.Tensor, labels: np.ndarray, eps: float = 0.1) -> Any:
    """Return eq. 2 of a partition: the rates of its clusters, weighted by their sizes.

    The same as :func:`cluster_coding_rate` with a column of zeros and ones a cluster,
    at a cost that does not grow with their number.

    Parameters: <Z>
    labels : ndarray of shape (m,)
        Clusters.
    <eps>

    Returns
    -------
    rate : scalar tensor
    """
    _, labels = np.unique(labels, return_inverse=True)
    return sum(
        len(rows) / len(Z) * coding_rate(Z[rows], eps)
        for rows in cluster_members(labels)
    )


def cholesky(matrices: torch.Tensor) -> torch.Tensor:
    """Return Cholesky factors of (..., d, d), of NaN where there are none.

    Like `torch.linalg.cholesky`, but failures give NaN: raising an error would force a
    GPU to synchronize.
    """
    factors, info = torch.linalg.cholesky_ex(matrices)
    failed = (info != 0)[..., None, None]
    # A factor of NaN, as gradients are to be NaN as well.
    return factors * factors.new_ones(failed.shape).masked_fill_(failed, torch.nan)


def _check_features(Z: torch.Tensor, eps: float) -> None:
    if Z.ndim != 2 or not Z.numel() or not Z.is_floating_point():
        raise ValueError(
            f"Z is a {Z.dtype} tensor of shape {tuple(Z.shape)}; it must be a matrix "
            "of floats, one row per sample."
        )
    if not eps > 0:
        raise ValueError(f"eps={eps}; the squared precision must be positive.")


class _ClusterCodingRate(torch.autograd.Function):
    """Value and gradients of eq. 2, both made in the forward pass, block by block."""

    @staticmethod
    def forward(
        ctx: Any, Z: torch.Tensor, Pi: torch.Tensor, eps: float
    ) -> torch.Tensor:
        rate, grads = _rate_and_gradients(
            Z.detach(), Pi.detach(), eps, ctx.needs_input_grad[:2]
        )
        ctx.save_for_backward(*grads)
        return rate

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple:
        grads = ctx.saved_tensors
        scaled = [g * grad_output if g.numel() else None for g in grads]
        return *scaled, None


def _rate_and_gradients(
    Z: torch.Tensor, Pi: torch.Tensor, eps: float, needed: Sequence[bool]
) -> tuple:
    m, d = Z.shape
    form = fastest_form(Z, Pi.shape[1])(Z, needed)
    totals = Pi.sum(dim=0)
    # A cluster without members adds nothing; 1 keeps its matrix finite.
    a = d / (eps * torch.where(totals > 0, totals, 1))
    rate = Z.new_zeros(())
    grad_Pi = torch.empty_like(Pi) if needed[1] else Z.new_empty(0)
    for start in range(0, Pi.shape[1], form.columns):
        block = slice(start, start + form.columns)
        p, t, a_block = Pi[:, block], totals[block], a[block]
        matrices = form.matrices(p, a_block)
        determinants, excesses = [], []
        for part in form.parts(matrices):
            part.diagonal(dim1=1, dim2=2).add_(1)
            if any(needed):
                determinants.append(_invert(part))
                # d/dt of t logdet(I + M / t) at fixed M: logdet - tr(I - inverse).
                trace = part.diagonal(dim1=1, dim2=2).sum(dim=1)
                excesses.append(trace - part.shape[1])
            else:
                determinants.append(_logdets(cholesky(part)))
        logdets = torch.cat(determinants)
        rate += t @ logdets / (2 * m)
        if not any(needed):
            continue
        grad = form.gradients(p, a_block, t * a_block / (2 * m), matrices)
        if needed[1]:
            grad_t = (logdets + torch.cat(excesses)) / (2 * m)
            torch.add(grad, grad_t, out=grad_Pi[:, block])
    return rate, (form.grad_Z if needed[0] else Z.new_empty(0), grad_Pi)


def _invert(matrices: torch.Tensor) -> Any:
    """Invert positive definite (k, d, d) in place; return their log-determinants.

    Through the Schur complement of one half, which is matrix products. On small
    matrices LAPACK reaches a tenth of the speed of these; it is left with blocks of at
    most `LEAF`. Only the lower triangle is read.
    """
    d = matrices.shape[1]
    if d <= LEAF:
        factors = cholesky(matrices)
        # Not `cholesky_inverse`, which on a GPU goes matrix by matrix.
        identity = torch.eye(d, dtype=factors.dtype, device=factors.device)
        x = torch.linalg.solve_triangular(factors, identity, upper=False)
        torch.matmul(x.mT, x, out=matrices)
        return _logdets(factors)
    h = d // 2
    first, second = matrices[:, :h, :h], matrices[:, h:, h:]
    cross = matrices[:, h:, :h].clone()
    logdets = _invert(first)
    x = cross @ first
    second.baddbmm_(x, cross.mT, alpha=-1)
    logdets = logdets + _invert(second)
    y = second @ x
    first.baddbmm_(x.mT, y)
    torch.neg(y, out=matrices[:, h:, :h])
    torch.neg(y.mT, out=matrices[:, :h, h:])
    return logdets


def _logdets(factors: torch.Tensor) -> torch.Tensor:
    """Log-determinants of matrices from their Cholesky factors, (k, d, d)."""
    return 2 * factors.diagonal(dim1=1, dim2=2).log().sum(dim=1)
