"""Value and gradient of kernel matching (eq. 9 of GCC), for all clusters at once."""

import numpy as np
import torch

# Keeps bandwidths away from zero.
TINY = 1e-12
# The median distance is taken over at most this many samples.
MEDIAN_OF = 512
# Above MEDIAN_OF samples the CPU path computes only pairs within clusters, padded to
# the largest cluster. Used if that cluster holds at most LARGEST of the samples and
# padding gives at most PLACES times as many rows.
LARGEST, PLACES = 1 / 4, 4


def match(x, labels, n, bandwidth):
    """Return the loss of eq. 9 and its gradient, (n + g, d).

    Features `x`, (n + g, d), and their clusters have the `n` real samples first. If
    `bandwidth` is None, it is the median distance.
    """
    # A GPU would have to wait to learn how large clusters are, and is fast as it is.
    if x.device.type == "cpu" and len(x) > MEDIAN_OF:
        place, shape = _places(labels)
        k, m = shape
        if m <= LARGEST * len(x) and k * m <= PLACES * len(x):
            return _match_blocks(x, place, shape, n, bandwidth)
    return _match_all(x, labels, n, bandwidth)


def _match_all(x, labels, n, bandwidth):
    """Match by the kernels of all pairs."""
    squares = square_distances(x)  # (n + g, n + g)
    spread = _spread(x)
    scale = _scale(squares[spread, spread], bandwidth)
    pairs = squares.div_(-2 * scale).exp_().mul_(_pair_weights(labels, n, x.dtype))
    gradient = (pairs @ x - pairs.sum(dim=1, keepdim=True) * x) * (2 / scale)
    return pairs.sum(), gradient


def _pair_weights(labels, n, dtype):
    """Weights of the pairs in eq. 9, (n + g, n + g); the first `n` samples are real."""
    weights = (labels[:, None] == labels).to(dtype)
    # Real and generated samples of a sample's cluster.
    real, made = weights[:, :n].sum(dim=1), weights[:, n:].sum(dim=1)
    counted = (real > 1) & (made > 1)
    # A sample counts for its share of a cluster; the sum is a whole number.
    n_counted = (counted / (real + made)).sum().round().clamp_min(1)
    own = torch.cat([real[:n], made[n:]])
    other = torch.cat([made[:n], real[n:]])
    within = counted / (own * (own - 1).clamp_min(1) * n_counted)
    across = -(counted / (own * other.clamp_min(1) * n_counted))
    weights.fill_diagonal_(0)
    for kind, another in ((slice(n), slice(n, None)), (slice(n, None), slice(n))):
        weights[kind, kind] *= within[kind, None]
        weights[kind, another] *= across[kind, None]
    return weights


def _places(labels):
    """Return a place for each sample in blocks of clusters, (n + g,), and their shape.

    A place is the row in the blocks laid one below the other; the shape is the number
    of clusters and the samples of the largest.
    """
    _, cluster, counts = labels.unique(return_inverse=True, return_counts=True)
    k, m = len(counts), int(counts.max())
    order = cluster.argsort(stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order)) - (counts.cumsum(0) - counts)[cluster[order]]
    return cluster * m + rank, (k, m)


def _match_blocks(x, place, shape, n, bandwidth):
    """Match by the kernels of the pairs of each cluster."""
    k, m = shape
    blocks = x.new_zeros(k * m, x.shape[1])
    blocks[place] = x
    blocks = blocks.view(k, m, -1)
    kinds = x.new_zeros(2, k * m)  # whether a place has a real, a generated sample
    kinds[0, place[:n]] = kinds[1, place[n:]] = 1
    kinds = kinds.view(2, k, m)
    counts = kinds.sum(dim=2)  # (2, k)
    counted = (counts > 1).all(dim=0)
    each = counted / counted.sum().clamp_min(1)  # weight of a cluster
    within = each / (counts * (counts - 1)).clamp_min(1)
    # A pair across is there twice, as eq. 9 has it.
    across = each / counts.prod(dim=0).clamp_min(1)
    # For a sample of each kind, the weight of one of each kind: (2, 2, k).
    table = torch.stack([within[0], -across, -across, within[1]]).view(2, 2, k)
    weights = torch.einsum("akm,abk,bkl->kml", kinds, table, kinds)
    weights.diagonal(dim1=1, dim2=2).zero_()
    scale = _scale(square_distances(x[_spread(x)]), bandwidth)
    pairs = square_distances(blocks).div_(-2 * scale).exp_().mul_(weights)
    pull = pairs @ blocks - pairs.sum(dim=2, keepdim=True) * blocks
    return pairs.sum(), pull.view(k * m, -1)[place] * (2 / scale)


def square_distances(x):
    """Squared distances of all pairs of rows, (..., n, n), of rows (..., n, d)."""
    norms = x.square().sum(dim=-1)
    squares = norms[..., :, None] + norms[..., None, :]
    add_product = squares.addmm_ if x.ndim == 2 else squares.baddbmm_
    add_product(x, x.mT, alpha=-2)
    squares.clamp_min_(0).diagonal(dim1=-2, dim2=-1).zero_()
    return squares


def _spread(x):
    """Return a slice of at most `MEDIAN_OF` of the rows, spread evenly."""
    return slice(None, None, -(-len(x) // MEDIAN_OF))


def _scale(squares, bandwidth):
    """Return the squared bandwidth; if None, the squared median distance."""
    if bandwidth is None:
        return _median_of_pairs(squares).clamp_min(TINY)
    return squares.new_full((), bandwidth**2)


def _median_of_pairs(squares):
    """Return the (lower) median above the diagonal of a symmetric matrix.

    All of the matrix is looked at, which has each pair twice and first, as the least,
    the zeros of the diagonal.
    """
    n = len(squares)
    place = n + 2 * ((n * (n - 1) // 2 - 1) // 2)
    if squares.device.type == "cpu":  # NumPy: a fifth of the time of torch
        return squares.new_tensor(np.partition(squares.numpy().ravel(), place)[place])
    return squares.flatten().kthvalue(place + 1).values
