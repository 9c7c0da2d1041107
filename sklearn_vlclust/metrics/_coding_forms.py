"""Forms of the matrices in eq. 2 of the coding rate: which one is fast depends.

A form is built of the features `Z`, (m, d), and of whether the gradients of `Z` and of
the membership are needed. ``matrices(p, a)`` returns the matrices of some clusters,
without the identity, given their columns `p` of the membership, (m, k), and factors
`a`, (k,). ``parts(matrices)`` yields them a few at a time, (k', size, size), to be
replaced by their inverses. ``gradients(p, a, weights, inverses)`` returns the part of
the gradient of `p` that goes through the matrices, and adds the gradient of `Z` to
`grad_Z`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from .._backend._products import linear

# Largest number of floats of the matrices that are made at a time, and of the outer
# products of rows: 64 and 128 MiB in single precision. And of those matrices that are
# inverted together, which stay in the cache then.
MATRIX_FLOATS, OUTER_FLOATS, CACHE_FLOATS = 2**24, 2**26, 2**20


def fastest_form(Z: Tensor, n_columns: int) -> type:
    """Return the form that is fastest for features, (m, d), and columns of `Pi`.

    Packing takes as long as the matrices of about d / 2 columns.
    """
    m, d = Z.shape
    if d >= m:
        return Samples
    packs = Z.device.type == "cpu" and 2 * n_columns > d
    return PackedFeatures if packs else Features


def _count_cached(size: int) -> int:
    return max(1, CACHE_FLOATS // size**2)


def _split(matrices: Tensor) -> Sequence[Tensor]:
    """Yield (k, size, size) a few at a time; on a GPU all at once."""
    on_cpu = matrices.device.type == "cpu"
    return matrices.split(_count_cached(matrices.shape[1]) if on_cpu else len(matrices))


class Features:
    """``I + a_j Z^T diag(Pi_j) Z``, (d, d) per cluster: for more samples than features.

    One matrix product per cluster. Twice the arithmetic of :class:`PackedFeatures`, in
    a handful of large operations instead of thousands of small ones: for GPUs, and for
    few clusters.
    """

    def __init__(self, Z: Tensor, needed: Sequence[bool]) -> None:
        self.Z, self.needed = Z, needed
        self.columns = max(1, MATRIX_FLOATS // Z.numel())
        self.grad_Z = torch.zeros_like(Z)

    def matrices(self, p: Tensor, a: Tensor) -> Tensor:
        weighted = (a * p).T[:, :, None] * self.Z  # (k, m, d)
        return self.Z.T.expand(len(a), -1, -1).bmm(weighted)

    parts = staticmethod(_split)

    def gradients(
        self, p: Tensor, a: Tensor, weights: Tensor, inverses: Tensor
    ) -> Tensor | None:
        products = self.Z.expand(len(a), -1, -1).bmm(inverses)  # z_i S_j: (k, m, d)
        if self.needed[0]:
            self.grad_Z += 2 * torch.einsum("mk,kmd->md", weights * p, products)
        if not self.needed[1]:
            return None
        return (products.mul_(self.Z).sum(dim=2) * weights[:, None]).T


class PackedFeatures:
    """The matrices of :class:`Features` with half the arithmetic.

    All come out of one product, of the membership with the outer products of rows. Of
    the outer products ``z z^T``, the lower triangle is kept, packed row by row into
    (m, d (d + 1) / 2): a row of a triangle is a slice, which copies faster than a
    gather.
    """

    def __init__(self, Z: Tensor, needed: Sequence[bool]) -> None:
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

    def matrices(self, p: Tensor, a: Tensor) -> Tensor:
        """Return the triangles of the matrices, packed: (k, d (d + 1) / 2)."""
        first, *others = self.rows
        packed = linear((a * p[first]).T, self._outer_products(first).T)
        for rows in others:
            packed += linear((a * p[rows]).T, self._outer_products(rows).T)
        return packed

    def parts(self, packed: Tensor) -> Iterator[Tensor]:
        d = self.Z.shape[1]
        matrices = packed.new_empty(min(_count_cached(d), len(packed)), d, d)
        for some in packed.split(len(matrices)):
            unpacked = matrices[: len(some)]
            for r, part in self.triangle:
                unpacked[:, r, : r + 1] = some[:, part]  # the upper one is not read
            yield unpacked
            if any(self.needed):  # else nothing is asked of the inverses
                for r, part in self.triangle:
                    some[:, part] = unpacked[:, r, : r + 1]

    def gradients(
        self, p: Tensor, a: Tensor, weights: Tensor, packed: Tensor
    ) -> Tensor:
        grad_Pi = torch.empty_like(p)
        for rows in self.rows:
            if self.needed[0]:
                self._add_grad_Z(rows, linear(p[rows] * weights, packed.T))
            if self.needed[1]:
                # x^T S x: off the diagonal, an entry of the triangle counts twice.
                outer = self._outer_products(rows)
                diagonal = [part.stop - 1 for _, part in self.triangle]
                grad = linear(outer, packed).mul_(2)
                grad.addmm_(outer[:, diagonal], packed[:, diagonal].T, alpha=-1)
                torch.mul(grad, weights, out=grad_Pi[rows])
        return grad_Pi

    def _add_grad_Z(self, rows: slice, packed: Tensor) -> None:
        """Add ``2 sum_j Pi_ij S_j z_i``, from the packed ``sum_j Pi_ij S_j``."""
        z, grad = self.Z[rows], self.grad_Z[rows]
        for r, part in self.triangle:
            s = 2 * packed[:, part]
            grad[:, r] += (s * z[:, : r + 1]).sum(dim=1)
            grad[:, :r] += s[:, :r] * z[:, r : r + 1]

    def _outer_products(self, rows: slice) -> Tensor:
        return self._pack(rows) if self._outer is None else self._outer

    def _pack(self, rows: slice) -> Tensor:
        z = self.Z[rows]
        packed = z.new_empty(len(z), self.triangle[-1][1].stop)
        for r, part in self.triangle:
            torch.mul(z[:, r : r + 1], z[:, : r + 1], out=packed[:, part])
        return packed


class Samples:
    """``I + a_j D Z Z^T D``, D^2 = diag(Pi_j), (m, m) per cluster: many features."""

    def __init__(self, Z: Tensor, needed: Sequence[bool]) -> None:
        self.Z, self.needed = Z, needed
        self.gram = Z @ Z.T
        self.columns = max(1, MATRIX_FLOATS // len(Z) ** 2)
        self.grad_Z = torch.zeros_like(Z)

    def matrices(self, p: Tensor, a: Tensor) -> Tensor:
        roots = p.T.sqrt()  # (k, m)
        matrices = roots[:, :, None] * self.gram
        return matrices.mul_((a[:, None] * roots)[:, None, :])

    parts = staticmethod(_split)

    def gradients(
        self, p: Tensor, a: Tensor, weights: Tensor, inverses: Tensor
    ) -> Tensor | None:
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
