"""Coding rates of features, of a whole and of its clusters, with gradients."""

import numpy as np
import torch

from ..training._device import to_device
from ._clusters import cluster_members

# Largest number of floats of the matrices that are made at a time, and of the outer
# products of rows: 64 and 128 MiB in single precision.
MATRIX_FLOATS, OUTER_FLOATS = 2**24, 2**26
# Matrices that are inverted together stay in the cache; the smallest go to LAPACK.
CACHE_FLOATS, LEAF = 2**20, 32


def coding_rate(Z, eps=0.1):
    """Bits, in nats a sample, to code features up to a precision: eq. 1 of [1]_.

    ``1/2 logdet(I + d / (m eps) Z^T Z)``. The factor 1/2 is that of [2]_ and of the
    authors' code; eq. 1 of [1]_ is printed without.

    Parameters
    ----------
    Z : float tensor of shape (m, d)
        Features, one row a sample, of unit length.
    eps : float, default=0.1
        Squared precision (epsilon^2 in the paper).

    Returns
    -------
    rate : scalar tensor
        With gradient where `Z` has one.

    Raises
    ------
    ValueError
        If `Z` is not a matrix of floats with at least one row, or `eps` not positive.

    References
    ----------
    .. [1] Chu, Tong, Ding, Dai, Haeffele, Vidal, Ma, "Image clustering via the
       principle of rate reduction in the age of pretrained models", ICLR 2024.
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
    return torch.linalg.cholesky(gram).diagonal().log().sum()


def cluster_coding_rate(Z, Pi, eps=0.1, n_columns=None, *, generator=None):
    """Coding rate of features that are coded cluster by cluster: eq. 2 of [1]_.

    ``1 / (2 m) sum_j t_j logdet(I + d / (t_j eps) Z^T diag(Pi_j) Z)`` with ``t_j`` the
    sum of column ``Pi_j``. A doubly stochastic membership of every sample with every
    other has ``t_j = 1``; a partition has one column of zeros and ones a cluster.

    All ``Z^T diag(Pi_j) Z`` come out of one matrix product, of `Pi` with the outer
    products of the rows of `Z`, of which only one triangle is computed. The gradient is
    worked out by hand from the inverses, block by block.

    Parameters
    ----------
    Z : float tensor of shape (m, d)
        Features, one row a sample, of unit length.
    Pi : float tensor of shape (m, k)
        Membership of the samples in each cluster, not negative.
    eps : float, default=0.1
        Squared precision (epsilon^2 in the paper).
    n_columns : int, default=None
        Number of columns of `Pi`, drawn at random, that stand for all: an unbiased
        estimate of value and gradient at a fraction of the cost. None is all.
    generator : torch.Generator, default=None
        Draws the columns; a CPU generator. None is the global one of torch.

    Returns
    -------
    rate : scalar tensor
        With gradients where `Z` and `Pi` have them; it cannot be differentiated twice.

    Raises
    ------
    ValueError
        If the shapes do not fit, or `eps` or `n_columns` is not positive.

    References
    ----------
    .. [1] Chu, Tong, Ding, Dai, Haeffele, Vidal, Ma, "Image clustering via the
       principle of rate reduction in the age of pretrained models", ICLR 2024.

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


def partition_coding_rate(Z, labels, eps=0.1):
    """Return eq. 2 of a partition: the rates of its clusters, weighted by their sizes.

    The same as :func:`cluster_coding_rate` with a column of zeros and ones a cluster,
    at a cost that does not grow with their number.

    Parameters
    ----------
    Z : float tensor of shape (m, d)
        Features, one row a sample, of unit length.
    labels : ndarray of shape (m,)
        Clusters.
    eps : float, default=0.1
        Squared precision.

    Returns
    -------
    rate : scalar tensor
    """
    _, labels = np.unique(labels, return_inverse=True)
    return sum(
        len(rows) / len(Z) * coding_rate(Z[rows], eps)
        for rows in cluster_members(labels)
    )


def _check_features(Z, eps):
    if Z.ndim != 2 or not Z.numel() or not Z.is_floating_point():
        raise ValueError(
            f"Z is a {Z.dtype} tensor of shape {tuple(Z.shape)}; it must be a matrix "
            "of floats, one row a sample."
        )
    if not eps > 0:
        raise ValueError(f"eps={eps}; the squared precision must be positive.")


class _ClusterCodingRate(torch.autograd.Function):
    """Value and gradients of eq. 2, both made in the forward pass, block by block."""

    @staticmethod
    def forward(ctx, Z, Pi, eps):
        rate, grads = _rate_and_gradients(
            Z.detach(), Pi.detach(), eps, ctx.needs_input_grad[:2]
        )
        ctx.save_for_backward(*grads)
        return rate

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_output):
        grads = ctx.saved_tensors
        scaled = [g * grad_output if g.numel() else None for g in grads]
        return *scaled, None


def _rate_and_gradients(Z, Pi, eps, needed):
    m, d = Z.shape
    form = (_Features if d < m else _Samples)(Z, needed)
    totals = Pi.sum(dim=0)
    # A cluster without members adds nothing; 1 keeps its matrix finite.
    a = d / (eps * torch.where(totals > 0, totals, 1))
    rate = Z.new_zeros(())
    grad_Pi = torch.empty_like(Pi) if needed[1] else Z.new_empty(0)
    for start in range(0, Pi.shape[1], form.columns):
        block = slice(start, start + form.columns)
        p, t, a_block = Pi[:, block], totals[block], a[block]
        matrices = form.matrices(p, a_block)  # (k, size, size)
        matrices.diagonal(dim1=1, dim2=2).add_(1)
        if not any(needed):
            factors = torch.linalg.cholesky(matrices)
            rate += t @ factors.diagonal(dim1=1, dim2=2).log().sum(dim=1) / m
            continue
        logdets = _invert(matrices)
        rate += t @ logdets / (2 * m)
        # d/dt of t logdet(I + M / t) at fixed M: logdet - tr(I - inverse).
        excess = matrices.diagonal(dim1=1, dim2=2).sum(dim=1) - matrices.shape[1]
        grad = form.gradients(p, a_block, t * a_block / (2 * m), matrices)
        if needed[1]:
            torch.add(grad, (logdets + excess) / (2 * m), out=grad_Pi[:, block])
    return rate, (form.grad_Z if needed[0] else Z.new_empty(0), grad_Pi)


def _invert(matrices):
    """Invert positive definite (k, d, d) in place; return their log-determinants.

    A few at a time where they then stay in the cache.
    """
    size = len(matrices)
    if matrices.device.type == "cpu":
        size = max(1, CACHE_FLOATS // matrices[0].numel())
    return torch.cat([_invert_by_halves(part) for part in matrices.split(size)])


def _invert_by_halves(matrices):
    """Invert through the Schur complement of one half, which is matrix products.

    On small matrices LAPACK reaches a tenth of the speed of these; it is left with
    blocks of at most `LEAF`. Only the lower triangle is read.
    """
    d = matrices.shape[1]
    if d <= LEAF:
        factors = torch.linalg.cholesky(matrices)
        matrices.copy_(torch.cholesky_inverse(factors))
        return 2 * factors.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    h = d // 2
    first, second = matrices[:, :h, :h], matrices[:, h:, h:]
    cross = matrices[:, h:, :h].clone()
    logdets = _invert_by_halves(first)
    x = cross @ first
    second.baddbmm_(x, cross.mT, alpha=-1)
    logdets = logdets + _invert_by_halves(second)
    y = second @ x
    first.baddbmm_(x.mT, y)
    matrices[:, h:, :h] = -y
    matrices[:, :h, h:] = -y.mT
    return logdets


class _Features:
    """``I + a_j Z^T diag(Pi_j) Z``, (d, d) a cluster: for more samples than features.

    Of the outer products ``z z^T``, the lower triangle is kept, packed row by row into
    (m, d (d + 1) / 2): a row of a triangle is a slice, which copies faster than a
    gather.
    """

    def __init__(self, Z, needed):
        m, d = Z.shape
        self.Z, self.needed = Z, needed
        # (r, where row r of the triangle lies in the packed order)
        self.triangle = [
            (r, slice(r * (r + 1) // 2, r * (r + 1) // 2 + r + 1)) for r in range(d)
        ]
        self.columns = max(1, MATRIX_FLOATS // d**2)
        rows = max(1, OUTER_FLOATS // d**2)
        self.rows = [slice(i, min(i + rows, m)) for i in range(0, m, rows)]
        self.grad_Z = torch.zeros_like(Z)
        self._outer = self._pack(self.rows[0]) if len(self.rows) == 1 else None

    def matrices(self, p, a):
        d = self.Z.shape[1]
        packed = sum((a * p[rows]).T @ self._outer_products(rows) for rows in self.rows)
        matrices = packed.new_empty(p.shape[1], d, d)
        for r, part in self.triangle:
            matrices[:, r, : r + 1] = packed[:, part]  # the upper one is not read
        return matrices

    def gradients(self, p, a, weights, inverses):
        packed = inverses.new_empty(len(inverses), self.triangle[-1][1].stop)
        for r, part in self.triangle:
            packed[:, part] = inverses[:, r, : r + 1]
        packed *= weights[:, None]
        grad_Pi = torch.empty_like(p)
        for rows in self.rows:
            if self.needed[0]:
                self._add_grad_Z(rows, p[rows] @ packed)
            if self.needed[1]:
                # x^T S x: off the diagonal, an entry of the triangle counts twice.
                outer = self._outer_products(rows)
                diagonal = [part.stop - 1 for _, part in self.triangle]
                ones = outer[:, diagonal] @ packed[:, diagonal].T
                torch.sub(2 * (outer @ packed.T), ones, out=grad_Pi[rows])
        return grad_Pi

    def _add_grad_Z(self, rows, packed):
        """Add ``2 sum_j Pi_ij S_j z_i``, from the packed ``sum_j Pi_ij S_j``."""
        z, grad = self.Z[rows], self.grad_Z[rows]
        for r, part in self.triangle:
            s = 2 * packed[:, part]
            grad[:, r] += (s * z[:, : r + 1]).sum(dim=1)
            grad[:, :r] += s[:, :r] * z[:, r : r + 1]

    def _outer_products(self, rows):
        return self._pack(rows) if self._outer is None else self._outer

    def _pack(self, rows):
        z = self.Z[rows]
        packed = z.new_empty(len(z), self.triangle[-1][1].stop)
        for r, part in self.triangle:
            torch.mul(z[:, r : r + 1], z[:, : r + 1], out=packed[:, part])
        return packed


class _Samples:
    """``I + a_j D Z Z^T D``, D^2 = diag(Pi_j), (m, m) a cluster: for many features."""

    def __init__(self, Z, needed):
        self.Z, self.needed = Z, needed
        self.gram = Z @ Z.T
        self.columns = max(1, MATRIX_FLOATS // len(Z) ** 2)
        self.grad_Z = torch.zeros_like(Z)

    def matrices(self, p, a):
        roots = p.T.sqrt()  # (k, m)
        matrices = roots[:, :, None] * self.gram
        return matrices.mul_((a[:, None] * roots)[:, None, :])

    def gradients(self, p, a, weights, inverses):
        roots = p.T.sqrt()
        # S_j = D inverse D: of the log-determinant with respect to a_j Z Z^T.
        inverses.mul_(roots[:, :, None]).mul_(roots[:, None, :])
        if self.needed[0]:
            mean = torch.einsum("k,kij->ij", weights, inverses)
            self.grad_Z += 2 * mean @ self.Z
        if not self.needed[1]:
            return None
        # With respect to Pi_ij: G_ii - a_j (G S_j G)_ii, which holds at 0 as well.
        products = torch.matmul(inverses, self.gram)
        products = products.mul_(self.gram).sum(dim=1)  # (k, m)
        grad = self.gram.diagonal() - a[:, None] * products
        return (grad * weights[:, None]).T
