"""Doubly stochastic membership of the samples of a batch: eq. 3."""

import warnings

import torch
from sklearn.exceptions import ConvergenceWarning

from ..._backend._products import linear
from ...metrics._coding_rate import cholesky

# The error at least halves in a round where the membership has no negative eigenvalue.
MAX_ROUNDS = 30
# Rounds between checks of the residual, which cost about as much as a round.
BLIND_ROUNDS = 2
# Largest difference of a row sum from 1 without a warning.
RESIDUAL = 1e-2


def sinkhorn_membership(C, gamma):
    """Project ``|C C^T|`` onto the doubly stochastic matrices: eq. 3, (m, m).

    ``diag(s) exp((|C C^T| - 1) / gamma) diag(s)``: as cosines of unit rows are at most
    1, nothing overflows and no logarithms are needed.

    Parameters
    ----------
    C : float tensor of shape (m, d)
        Codes, unit rows.
    gamma : float
        Weight of the entropy; the larger, the more uniform is the membership.

    Returns
    -------
    Pi : tensor of shape (m, m)
        Symmetric and not negative; rows and columns sum to 1 up to
        :func:`membership_residual`. With gradient where `C` has one.
    """
    cosines = linear(C, C)
    # A matrix product may round differently on either side of the diagonal.
    cosines = (cosines + cosines.T) / 2
    return project(cosines.abs(), gamma)


def project(similarities, gamma):
    """Project similarities, (m, m), symmetric and at most 1: eq. 3 itself."""
    return _Sinkhorn.apply(similarities, gamma)


def membership_residual(Pi):
    """Largest difference of a row sum from 1, a scalar tensor."""
    return (Pi.sum(dim=1) - 1).abs().max()


def warn_not_converged(residual, gamma):
    """Warn if rows of a membership do not sum to 1."""
    if residual > RESIDUAL:
        warnings.warn(
            f"The membership is not doubly stochastic: a row sum differs from 1 by "
            f"{residual:.2g}. A larger gamma than {gamma:g} makes it easier.",
            ConvergenceWarning,
            stacklevel=5,
        )


class _Sinkhorn(torch.autograd.Function):
    """Scale ``K = exp((similarities - 1) / gamma)``; differentiated at the fixed point.

    The update ``s <- sqrt(s / (K s))`` stays exactly symmetric and costs one product
    with a vector. At the fixed point ``log s + log(K s) = 0``, so that
    ``(I + Pi) d log s = -(Pi * d log K) 1``: one linear system gives the gradient, and
    no round has to be kept. It is positive definite, as the entries of `Pi` are
    positive and rows sum to 1: a diagonal entry, ``1 + Pi_ii``, is larger than the rest
    of its row, ``1 - Pi_ii``. Where rounding breaks this, the gradient is NaN.
    """

    @staticmethod
    def forward(ctx, similarities, gamma):
        K = ((similarities - 1) / gamma).exp_()
        s = K.sum(dim=1).rsqrt()
        tolerance = torch.finfo(K.dtype).eps ** 0.5 / 2
        # On a device other than the CPU, reading the residual would synchronize.
        first_look = BLIND_ROUNDS if K.device.type == "cpu" else MAX_ROUNDS
        for i in range(MAX_ROUNDS):
            sums = K @ s
            near = i >= first_look and (s * sums - 1).abs().max() < tolerance
            s = (s / sums).sqrt_()  # the last one costs no product
            if near:
                break
        Pi = K.mul_(s[:, None] * s)
        ctx.save_for_backward(Pi)
        ctx.gamma = gamma
        return Pi

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (Pi,) = ctx.saved_tensors
        grad = grad * Pi
        v = grad.sum(dim=0) + grad.sum(dim=1)
        system = Pi.clone()
        system.diagonal().add_(1)
        grad -= torch.cholesky_solve(v[:, None], cholesky(system)) * Pi
        return grad.div_(ctx.gamma), None
