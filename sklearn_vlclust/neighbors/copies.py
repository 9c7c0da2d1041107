"""Copies of rows, exact and near: the distinct pictures of a collection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .._backend._products import linear
from .._typing import Device
from ..data.protocol import as_tensor
from ..data.rows import UnitRows, row_blocks
from ..metrics._clusters import cluster_means, cluster_members
from .knn import _cell_centers, nearest

# Fewest columns for near copies: in few dimensions, rows lie close by chance.
LEAST_WIDTH = 16
# Rows that are compared with all others to find the radius of near copies.
PROBED_ROWS = 1000
# Range of that radius: squared distances, as shares of the mean of two rows.
LEAST_RADIUS, GREATEST_RADIUS = 0.005, 0.2
# Between the squared radius and this multiple of it, there are hardly any rows. In D
# dimensions, chance leaves such a gap behind the j-th nearest neighbor with probability
# GAP ** (-D * j / 2). Radii are tried in steps of GAP ** (1 / STEPS_PER_GAP).
GAP, STEPS_PER_GAP = 1.5, 4
# Largest number of rows in the gap around a row, and of groups in the gap around a
# group, as shares of the number of copies.
STRAY_ROWS, STRAY_GROUPS = 0.1, 0.25
# There are near copies if `CROWDED_SHARE` of the rows have at least `CROWD`, which fill
# their neighborhood, or `COPIED_SHARE` have any. Fewer are chance, or harmless.
CROWD, CROWDED_SHARE, COPIED_SHARE = 8, 0.002, 1 / 3
# Small groups are harmless up to this share of rows with an earlier copy.
RARE = 0.05
# Near copies have other pictures within this share of the mean squared distance. Groups
# that are farther from all others are tight clusters.
APART = 0.5
# Above `EXACT_ROWS`, rows are compared within cells of about `CELL_ROWS`.
EXACT_ROWS, CELL_ROWS = 20_000, 2000
BLOCK_ROWS = 1024


@dataclass(frozen=True)
class Copies:
    """Rows in groups of copies.

    Parameters
    ----------
    group : ndarray of shape (n_rows,), int64
        Group of each row, numbered by first occurrence.
    representatives : ndarray of shape (n_groups,), int64
        The row of each group that is nearest to its mean; the first of those alike.
    weights : ndarray of shape (n_groups,), int64
        Number of rows of each group.
    """

    group: np.ndarray
    representatives: np.ndarray
    weights: np.ndarray

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.representatives)


def group_copies(
    rows: UnitRows | np.ndarray,
    rng: np.random.RandomState | None = None,
    device: Device = "cpu",
    exact: bool = False,
) -> Copies:
    """Group rows that are copies of one another.

    Exact copies are equal rows. Near copies (resaved or resized pictures, bursts) lie
    within a radius of the most central one, and hardly any other row lies within 1.5
    times the squared radius: in the many dimensions of embeddings, unrelated neighbors
    leave no such gap. The radius is estimated from up to 1,000 rows, and is at most 0.2
    of the mean squared distance of two rows, so it follows the encoder. Near copies are
    grouped only if a third of these rows have one, or 0.2 % have at least eight; a few
    pairs are chance, and harmless. Groups as far apart as unrelated rows are tight
    clusters, not copies.

    Parameters
    ----------
    rows : UnitRows or ndarray of shape (n_rows, n_features), float32
        Rows of unit length, read in blocks.
    rng : RandomState, default=None
        Draws these rows, and the start of the cells. If None, a fixed seed.
    device : torch.device or str, default="cpu"
        Where rows are compared.
    exact : bool, default=False
        Whether only exact copies are grouped.

    Returns
    -------
    copies : Copies
        A row without copies is a group of its own.

    Notes
    -----
    Up to 20,000 rows, each row is compared with the leaders of all groups. Above, it is
    compared only within its cell of a k-means partition, so copies on both sides of a
    cell boundary may form two groups.
    """
    rng = np.random.RandomState(0) if rng is None else rng
    group = _group_exact(rows)
    if not exact and rows.shape[1] >= LEAST_WIDTH:
        _, first = np.unique(group, return_index=True)
        near, radius = _group_near(_Centered(rows, first), rng, device)
        if near is not None:
            joined = _by_occurrence(near[group])
            whole = Copies(joined, *_represent(rows, joined))
            if _have_others_near(rows, whole, radius):
                return whole
    return Copies(group, *_represent(rows, group))


def distinct_rows(rows: UnitRows, at_least: int = 2) -> tuple[UnitRows, Copies | None]:
    """Return one row per group of copies, if there are enough copies to matter.

    A row with more copies than neighbors has nothing else in its neighborhood, and the
    kNN graph falls apart.

    Parameters
    ----------
    rows : UnitRows of shape (n_rows, n_features)
        Rows of unit length.
    at_least : int, default=2
        Number of distinct rows needed. If near copies leave fewer, only exact copies
        are grouped; if these leave fewer as well, none.

    Returns
    -------
    distinct : UnitRows of shape (n_groups, n_features)
        `rows` itself, if nothing is grouped.
    copies : Copies or None
        None if nothing is grouped.
    """
    for exact in (False, True):
        copies = group_copies(rows, exact=exact)
        spared = len(copies.group) - copies.n_groups
        if copies.weights.max() <= CROWD and spared <= RARE * len(copies.group):
            return rows, None
        if copies.n_groups >= at_least:
            return rows.some(copies.representatives), copies
    return rows, None


def _group_exact(rows):
    """Return the group of each row, by a hash of its bits."""
    n, width = rows.shape
    factors = np.random.RandomState(0).randint(2**62, size=width, dtype=np.uint64)
    hashes = np.empty(n, dtype=np.uint64)
    for block in row_blocks(n, BLOCK_ROWS):
        x = np.ascontiguousarray(rows[block], dtype=np.float32) + np.float32(0)  # no -0
        hashes[block] = x.view(np.uint32).astype(np.uint64) @ (2 * factors + 1)
    return _by_occurrence(hashes)


def _by_occurrence(keys):
    """Number keys 0, 1, ... in the order in which they occur first."""
    _, first, number = np.unique(keys, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[number]


class _Centered:
    """Some of the rows, their mean taken off: squared distances without cancellation.

    Rows of CLIP have a large mean in common, beside which copies hardly differ.
    """

    def __init__(self, rows, index):
        self._rows, self._index = rows, index
        self.shape = len(index), rows.shape[1]
        self.mean = np.zeros(rows.shape[1], dtype=np.float32)
        total, squares = np.zeros(rows.shape[1]), 0.0
        for block in row_blocks(len(index)):
            total += self[block].sum(axis=0, dtype=np.float64)
        self.mean = (total / len(index)).astype(np.float32)
        for block in row_blocks(len(index)):
            squares += float(np.square(self[block]).sum(dtype=np.float64))
        # The square root of the mean squared distance of two rows.
        self.spread = max((2 * squares / len(index)) ** 0.5, 1e-6)

    def __getitem__(self, index):
        return self._rows[self._index[index]] - self.mean

    def tensor(self, index):
        """Rows beside half their squares and ones, whose products are distances."""
        x = as_tensor(self[index] / np.float32(self.spread))
        half = x.square().sum(dim=1, keepdim=True) / -2
        return torch.cat([x, half, torch.ones_like(half)], dim=1)


def _distances(x, y):
    """Squared distances of rows as of `_Centered.tensor`: (len(x), len(y))."""
    y = torch.cat([y[:, :-2], y[:, -1:], y[:, -2:-1]], dim=1)
    return linear(x, y).mul_(-2)


def _group_near(rows, rng, device):
    """Return the group of each row and the radius; None if there are no near copies."""
    n = rows.shape[0]
    radius = _find_radius(rows, rng) if n > 2 else None
    if radius is None:
        return None, None
    group = np.empty(n, dtype=np.int64)
    for members in _cells(rows, rng, device):
        group[members] = members[_lead(rows, members, radius)]
    return group, radius


def _find_radius(rows, rng):
    """Return the radius of near copies that the distances of some rows show, or None.

    Counted are the rows within each of a series of radii.
    """
    n = rows.shape[0]
    step = GAP ** (1 / STEPS_PER_GAP)
    n_radii = 1 + int(np.log(GREATEST_RADIUS / LEAST_RADIUS) / np.log(step))
    edges = LEAST_RADIUS * step ** np.arange(n_radii + STEPS_PER_GAP)
    probed = rows.tensor(np.sort(rng.permutation(n)[:PROBED_ROWS]))
    counts = np.zeros((len(probed), len(edges)), dtype=np.int64)
    for block in row_blocks(n, 4 * BLOCK_ROWS):
        near = _distances(probed, rows.tensor(block))
        own, other = (near <= edges[-1]).nonzero(as_tuple=True)
        place = np.searchsorted(edges, near[own, other].numpy())
        place += len(edges) * own.numpy()
        counts += np.bincount(place, minlength=counts.size).reshape(counts.shape)
    within = counts.cumsum(axis=1) - 1  # but for the row itself
    copies = within[:, :n_radii]
    strays = within[:, STEPS_PER_GAP:] - copies
    stand_apart = (copies > 0) & (strays <= STRAY_ROWS * copies)
    found = np.where(stand_apart, np.minimum(copies, CROWD), 0).sum(axis=0)
    enough = (stand_apart & (copies >= CROWD)).mean(axis=0) >= CROWDED_SHARE
    enough |= stand_apart.mean(axis=0) >= COPIED_SHARE
    if not enough.any():
        return None
    found[~enough] = 0
    # Of several levels (pictures, and their classes) the finest that is about as good
    # as the best; of that, the middle of its best radii.
    level = _first_run(found >= 0.7 * found.max())
    best = _first_run(found[level] >= 0.95 * found[level].max())
    return float(edges[level.start + (best.start + best.stop - 1) // 2])


def _first_run(flags):
    """Return the slice of the first flags that are set."""
    start = int(flags.argmax())
    return slice(start, start + int(np.append(flags[start:], False).argmin()))


def _cells(rows, rng, device):
    """Yield the rows that are compared with one another, ascending."""
    n = rows.shape[0]
    if n <= EXACT_ROWS:
        yield np.arange(n)
        return
    centers = _cell_centers(rows, n // CELL_ROWS, rng)
    cell = nearest(rows, centers, 1, device)[0][:, 0]
    yield from (m for m in cluster_members(cell, len(centers)) if len(m))


def _lead(rows, members, radius):
    """Return of each of the `members` the place of the leader of its group.

    A copy at the edge of its picture, met first, may lead copies of another. So all go
    to the nearest of the most central rows, and groups whose central rows are copies of
    one another become one.
    """
    leader = _follow(rows, members, radius)
    group = _by_occurrence(leader)
    nearest_to_mean, sizes = _represent(rows[members], group)
    leader = nearest_to_mean[group]
    several = np.flatnonzero(sizes > 1)
    if not len(several):
        return leader
    central = nearest_to_mean[several[np.argsort(-sizes[several], kind="stable")]]
    heads, whole = rows.tensor(members[central]), np.arange(len(members))
    whole[central] = central[_follow(rows, members[central], radius)]
    for block in row_blocks(len(members), BLOCK_ROWS):
        least, best = _distances(rows.tensor(members[block]), heads).min(dim=1)
        close = (least <= radius).numpy()
        leader[block][close] = central[best.numpy()[close]]
    leader = whole[leader]
    sizes = np.bincount(leader, minlength=len(members))
    alone = np.isin(leader, _loose(rows, members, leader, sizes, radius))
    leader[alone] = np.flatnonzero(alone)
    return leader


def _follow(rows, members, radius):
    """Return of each row the place of its leader: the nearest within the radius.

    Rows without one lead those after them.
    """
    leader = np.full(len(members), -1)
    leaders: list[int] = []
    heads = rows.tensor(members[:0])
    for block in row_blocks(len(members), BLOCK_ROWS):
        x = rows.tensor(members[block])
        if leaders:
            least, best = _distances(x, heads).min(dim=1)
            close = (least <= radius).numpy()
            leader[block][close] = np.array(leaders)[best.numpy()[close]]
        rest = np.flatnonzero(leader[block] < 0)
        near = (_distances(x[rest], x[rest]) <= radius).numpy()
        new = []
        for i, row in enumerate(rest):
            if leader[block.start + row] < 0:
                free = rest[near[i] & (leader[block][rest] < 0)]
                leader[block][free] = leader[block.start + row] = block.start + row
                new.append(row)
        leaders += [block.start + row for row in new]
        heads = torch.cat([heads, x[new]])
    return leader


def _loose(rows, members, leader, sizes, radius):
    """Return the leaders of groups that have too many others in the gap around them."""
    leaders = np.flatnonzero(sizes > 1)
    if not len(leaders):
        return leaders
    heads = rows.tensor(members[leaders])
    strays = np.zeros(len(leaders))
    # Of another group's rows each counts little: together, they are one picture more.
    shares = as_tensor((1 / sizes[leader]).astype(np.float32))
    for block in row_blocks(len(members), BLOCK_ROWS):
        near = _distances(heads, rows.tensor(members[block]))
        gap = (near > radius) & (near <= GAP * radius)
        strays += (gap.float() @ shares[block]).numpy()
    return leaders[strays > STRAY_GROUPS * (sizes[leaders] - 1) + 1e-3]


def _represent(rows, group):
    """Return the row of each group that is nearest to its mean, and its size."""
    weights = np.bincount(group)
    _, first = np.unique(group, return_index=True)
    if len(weights) == len(group):
        return first, weights
    means = cluster_means(rows, group, len(weights))
    best = np.full(len(weights), -np.inf, dtype=np.float32)
    representatives = first.copy()
    for block in row_blocks(len(group)):
        own = group[block]
        cosines = np.einsum("ij,ij->i", rows[block], means[own])
        order = np.lexsort((np.arange(len(own)), -cosines, own))
        places, place = np.unique(own[order], return_index=True)
        top = order[place]
        better = cosines[top] > best[places] + 1e-6
        best[places[better]] = cosines[top[better]]
        representatives[places[better]] = block.start + top[better]
    return representatives, weights


def _have_others_near(rows, copies, radius):
    """Whether the median group of copies has others near, beyond its own outskirts."""
    several = np.flatnonzero(copies.weights > 1)
    if not len(several):
        return False
    rows, n = _Centered(rows, copies.representatives), copies.n_groups
    some = several[:: 1 + len(several) // (PROBED_ROWS // 4)]
    x, has_others = rows.tensor(some), np.zeros(len(some), dtype=bool)
    for block in row_blocks(n, 4 * BLOCK_ROWS):
        near = _distances(x, rows.tensor(block))
        others = (near > GAP**2 * radius) & (near <= APART)
        has_others |= others.any(dim=1).numpy()
    return bool(has_others.mean() > 0.5)
