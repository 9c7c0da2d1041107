"""The number of clusters, by how well two halves of the rows agree (our own)."""

import warnings
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import torch
from scipy.cluster.hierarchy import linkage
from scipy.sparse import csr_array, diags_array, eye_array

from ..._backend._products import linear
from ...data.rows import unit

# Rows in the sample, and in the larger one that is drawn if the clusters found in the
# first have fewer than `FEW_ROWS` rows each.
SAMPLE_ROWS, MOST_ROWS = 4000, 10_000
FEW_ROWS = 16
# Numbers compared: all up to `ALL_UP_TO`, and `N_VALUES` more on a logarithmic scale,
# as long as clusters have `LEAST_ROWS` rows.
ALL_UP_TO, N_VALUES, LEAST_ROWS = 16, 45, 4
# Fewest rows that are halved.
LEAST_HALVES = 8
# Views of the rows, used in turn: number of half-whitened principal axes, and the power
# of the variance that they are divided by; compact tree: neighbors that a row is
# averaged with, and rounds; diffusion tree: nearest neighbors, and steps.
VIEWS = [
    (64, 0.5, 4, 1, 10, 8),
    (128, 0.3, 0, 0, 6, 8),
    (128, 0.5, 6, 2, 6, 16),
    (32, 0.5, 0, 0, 10, 16),
    (256, 0.5, 4, 1, 10, 8),
    (128, 0.3, 5, 1, 10, 16),
]
# Number of halvings of this many rows. Fewer rows get more, in the same time.
HALVINGS, HALVED_ROWS = 6, 4000
FEWEST_HALVINGS, MOST_HALVINGS = 3, 36
# Diffusion: random projections of its rows, temperature of its graph, and rounds of
# Sinkhorn scaling.
DIFFUSED_WIDTH, TEMPERATURE, BALANCING = 256, 0.1, 3
# Axes with less than this share of the first axis's variance are left out.
TINY_VARIANCE = 1e-6
# Price per nat of a partition, relative to the best agreement, as (tree, price): a
# split pays if a larger share of the added information is reproduced. See `_worth`.
PRICES = [("compact", 0.7), ("diffusion", 0.7), ("diffusion", 0.9)]
# The best agreement, which prices refer to, is taken without this many coarsest cuts.
COARSEST = 2
# Halvings after which one of the two diffusions (signed or absolute) is dropped.
DIFFUSION_TRIALS = 2
# An agreement above `SURE` proves structure. A lower one must be `BEYOND_GAUSSIAN`
# higher than Gaussian rows reach.
SURE, BEYOND_GAUSSIAN = 0.7, 0.1
# Number of runner-ups, and the smallest ratio between candidates.
N_RUNNERS_UP, APART = 3, 1.3


@dataclass(frozen=True)
class KEstimate:
    """An estimated number of clusters, and the others that were compared.

    Attributes
    ----------
    n_clusters : int
        The answer.
    candidates : list of (int, float)
        The answer and at most three runner-ups with their scores, best first.
    k_values : int array of shape (n_values,)
        Numbers that were compared, ascending.
    scores : dict of str to ndarray of shape (n_values,)
        ``"reproducibility"``, the worth between 0 and 1, greatest for the answer, and
        ``"agreement"``, the adjusted mutual information of two halves.
    has_structure : bool
        Whether clusters agree more than those of Gaussian rows.
    """

    n_clusters: int
    candidates: list = field(default_factory=list)
    k_values: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    scores: dict = field(default_factory=dict)
    has_structure: bool = False


def estimate_n_clusters(rows, rng, k_range=None):
    r"""Estimate the number of clusters without labels.

    The rows are halved at random several times. A tree clusters each half into all
    numbers `k` at once, and each row of one half also gets the cluster of its nearest
    rows in the other half. `H(k)` is the entropy of the clusters in nats, and `A(k)`,
    the adjusted mutual information of own and given clusters, is the share that both
    halves agree on. A finer cut raises `H`; beyond the clusters that exist, it lowers
    `A`. The worth of `k` is ``H(k) (A(k) - price)``, where the price is relative to the
    best agreement. The mean worth over several prices and trees decides.

    One tree is Ward's on rows averaged with their nearest neighbors, for compact
    clusters. The other is Ward's on a diffusion over the kNN graph by
    :math:`|\cos|`, for clusters of any shape, such as subspaces.

    Parameters
    ----------
    rows : UnitRows or ndarray of shape (n, d)
        Rows; only their direction counts. A sample is read, and equal rows in it count
        once.
    rng : RandomState
        Draws the sample and the halves.
    k_range : int array or None, default=None
        Numbers that may be the answer. It changes the answer only if the best number
        is not among them.

    Returns
    -------
    estimate : KEstimate
        The answer, and what it was chosen from.

    Warns
    -----
    UserWarning
        If there is no structure, or the best number is outside `k_range`.
    """
    n, size = rows.shape[0], SAMPLE_ROWS
    while True:
        sample = np.sort(rng.permutation(n)[:size])
        Z = _distinct(_unit(np.asarray(rows[sample])))
        estimate = _estimate(Z, len(sample), rng)
        wanted = FEW_ROWS * estimate.n_clusters
        if size >= min(n, MOST_ROWS) or wanted <= len(Z):
            break
        size = MOST_ROWS
    if not estimate.has_structure:
        warnings.warn(
            f"No groups were found in {len(Z):,} distinct rows: halves of them agree "
            "no better than noise would, and they count as one cluster. Give more rows "
            "or other embeddings, or set n_clusters.",
            UserWarning,
            stacklevel=5,
        )
    return estimate if k_range is None else _restrict(estimate, np.unique(k_range))


def _restrict(estimate, k_range):
    """Return the estimate with the best of some numbers as answer."""
    best, found = estimate.n_clusters, estimate.has_structure
    kept = [(k, score) for k, score in estimate.candidates if k in k_range]
    if best in k_range:
        return replace(estimate, candidates=kept)
    scores = np.zeros(len(k_range))
    if len(estimate.k_values):
        curve = estimate.scores["reproducibility"]
        scores = np.interp(k_range, estimate.k_values, curve)
    i = int(scores.argmax())
    if found and not k_range[0] < best < k_range[-1]:
        i = 0 if best < k_range[0] else len(k_range) - 1
        warnings.warn(
            f"k_range ends at {k_range[i]}, but {best} clusters would be better: give "
            "a wider k_range, or none.",
            UserWarning,
            stacklevel=6,
        )
    k = int(k_range[i])
    others = [candidate for candidate in kept if candidate[0] != k]
    answer = (k, float(scores[i]))
    return replace(estimate, n_clusters=k, candidates=[answer, *others])


def _estimate(Z, n_given, rng):
    """Estimate the number of clusters of distinct unit rows."""
    n = len(Z)
    if n < LEAST_HALVES:
        is_categorical = 1 < n <= n_given // 2  # few rows, each many times
        k = n if is_categorical else 1
        return KEstimate(k, [(k, 1.0)], has_structure=is_categorical)
    k_values = _numbers(n)
    coordinates, variances = _principal_axes(Z)
    curves = _measure(coordinates, variances, k_values, rng)
    agreement = _mean_agreement(curves)
    scores = {"reproducibility": None, "agreement": agreement}
    if not _exceeds_gaussian(agreement, coordinates, variances, k_values, rng):
        scores["reproducibility"] = _worth(curves)[0].clip(min=0)
        return KEstimate(1, [(1, 0.0)], k_values, scores)
    worth, votes = _worth(curves)
    best = int(worth.argmax())
    if k_values[best] == 2 and len(worth) > COARSEST and _hides_finer(Z, rng):
        worth, votes = _worth(curves, COARSEST)
        best = COARSEST + int(worth[COARSEST:].argmax())
    scores["reproducibility"] = worth.clip(min=0)
    chosen = [best, *_runners_up(k_values, worth, [best, *votes], curves)]
    candidates = [(int(k_values[i]), float(max(worth[i], 0))) for i in chosen]
    return KEstimate(candidates[0][0], candidates, k_values, scores, True)


def _numbers(n):
    """Return the numbers of clusters that are compared for `n` rows."""
    most = max(COARSEST + 1, n // LEAST_ROWS)
    k_values = np.geomspace(2, most, N_VALUES).round().astype(int)
    k_values = np.union1d(k_values, np.arange(2, min(most, ALL_UP_TO) + 1))
    return k_values[k_values <= n // 2]


def _mean_agreement(curves):
    return np.mean([agreement for agreement, _ in curves.values()], axis=0)


def _exceeds_gaussian(agreement, coordinates, variances, k_values, rng):
    """Compare the best agreement with that of Gaussian rows of the same variances."""
    if agreement.max() > SURE:
        return True
    gaussian = rng.standard_normal(coordinates.shape) * np.sqrt(variances)
    curves = _measure(gaussian, variances, k_values, rng, effort=0.5)
    by_chance = _mean_agreement(curves).max()
    return bool(agreement.max() > by_chance + BEYOND_GAUSSIAN)


def _hides_finer(Z, rng):
    """Whether a part of the cut in two has structure of its own.

    Two large groups, such as cats and dogs, agree so well that finer ones, which are
    what is looked for, seem to be worth nothing.
    """
    coordinates, variances = _principal_axes(Z)
    axes = VIEWS[0][0]
    rows = _unit(coordinates[:, :axes] / variances[:axes] ** 0.25)
    parts = np.unique(_cut(_product(rows, rows), np.array([2])), return_inverse=True)[1]
    for part in range(2):
        some = Z[parts.ravel() == part]
        k_values = _numbers(len(some))
        if len(some) < LEAST_HALVES or not len(k_values):
            continue
        coordinates, variances = _principal_axes(some)
        curves = _measure(coordinates, variances, k_values, rng, effort=0.5)
        agreement = _mean_agreement(curves)
        if _exceeds_gaussian(agreement, coordinates, variances, k_values, rng):
            return True
    return False


def _worth(curves, start=0):
    """Return the worth of each number, at most 1, and the best of each price.

    It is the mean over prices of what is reproduced less what is paid, relative to the
    best of the numbers from position `start` on.
    """
    total, votes = 0.0, []
    for tree, price in PRICES:
        agreement, entropy = curves[tree]
        best = agreement[COARSEST:].max(initial=0) or agreement.max()
        worth = entropy * (agreement - price * best)
        votes.append(start + int(worth[start:].argmax()))
        total = total + (worth / max(worth[start:].max(), 1e-9)).clip(max=1)
    return total / len(PRICES), votes


def _runners_up(k_values, worth, chosen, curves):
    """Return other numbers of which each is the best by some price, best first.

    Those are the corners of the concave envelope of what is reproduced over what is
    told.
    """
    corners = {i for curve in curves.values() for i in _corners(*curve)}
    votes = sorted(set(chosen[1:]), key=lambda i: -worth[i])
    kept = [chosen[0]]
    for i in votes + sorted(corners, key=lambda i: -worth[i]):
        ratios = k_values[i] / k_values[kept]
        if np.maximum(ratios, 1 / ratios).min() > APART:
            kept.append(i)
    return kept[1 : 1 + N_RUNNERS_UP]


def _corners(agreement, entropy):
    """Return the positions of the corners of the upper envelope of (H, H A)."""
    x, y = np.append(0, entropy), np.append(0, entropy * agreement)
    corners = [0]
    for i in range(1, len(x)):
        if x[i] <= x[corners[-1]]:
            continue
        while len(corners) > 1:
            a, b = corners[-2:]
            if (y[b] - y[a]) * (x[i] - x[b]) > (y[i] - y[b]) * (x[b] - x[a]):
                break
            corners.pop()
        corners.append(i)
    return [b - 1 for a, b in pairwise(corners) if y[b] > y[a]]


def _measure(coordinates, variances, k_values, rng, effort=1.0):
    """Return agreement and entropy at every number, by tree: each (n_values,)."""
    n = len(coordinates)
    halvings = HALVINGS * (HALVED_ROWS / n) ** 2
    halvings = np.clip(halvings, FEWEST_HALVINGS, MOST_HALVINGS)
    halvings = max(FEWEST_HALVINGS, round(effort * halvings))
    # What is summed: by tree, information of both halves at every number.
    sums: dict = {}
    kinds = ["signed", "absolute"]
    for i in range(halvings):
        dims, power, smoothed, rounds, linked, moves = VIEWS[i % len(VIEWS)]
        scaled = coordinates[:, :dims] / variances[:dims] ** (power / 2)
        order = rng.permutation(n)
        halves = [_unit(scaled[rows]) for rows in (order[: n // 2], order[n // 2 :])]
        products = [_product(half, half) for half in halves]
        across = _product(*halves)
        near = [_nearest(across, 3), _nearest(across.T.contiguous(), 3)]
        trees: dict = {"compact": []}
        for half, product in zip(halves, products):
            for kind in kinds:
                diffused = _diffuse(product, linked, moves, kind == "absolute", rng)
                cut = _cut(_product(diffused, diffused), k_values)
                trees.setdefault(kind, []).append(cut)
            if rounds:
                half = _smooth(half, product, smoothed, rounds)
                product = _product(half, half)
            trees["compact"].append(_cut(product, k_values))
        for tree, labels in trees.items():
            sums[tree] = sums.get(tree, 0.0) + _inform(labels, near, rng)
        if i + 1 == DIFFUSION_TRIALS:
            kinds = [max(kinds, key=lambda kind: _adjust(sums[kind], 1)[0].max())]
    if len(kinds) > 1:
        kinds = kinds[:1]
    return {
        "compact": _adjust(sums["compact"], halvings),
        "diffusion": _adjust(sums[kinds[0]], halvings),
    }


def _adjust(sums, halvings):
    """Return the adjusted mutual information and the mean entropy."""
    shared, by_chance, entropy = sums
    agreement = (shared - by_chance) / (entropy - by_chance).clip(1e-9)
    return agreement.clip(1e-4, 1), entropy / (2 * halvings)


def _inform(labels, near, rng):
    """Return what both halves tell each other about every cut: (3, n_values) nats.

    Mutual information of own clusters and those of the nearest rows of the other half,
    the same of shuffled rows, and the mean entropy.
    """
    sums = np.zeros((3, len(labels[0])))
    for own, other, nearest in zip(labels, labels[::-1], near):
        first, *rest = [other[:, column] for column in nearest.T]
        given = first
        if len(rest) == 2:  # the majority, or else the nearest
            given = np.where(rest[0] == rest[1], rest[0], first)
        shuffled = own[:, rng.permutation(own.shape[1])]
        each = _entropy(own) + _entropy(given)
        base = 2 * own.shape[1] + 2 * other.shape[1]
        shared = each - _entropy(given * base + own)
        by_chance = each - _entropy(given * base + shuffled)
        sums = sums + np.stack([shared, by_chance, each / 2])
    return sums


def _entropy(keys):
    """Return the entropy of each row of keys: (n_rows,) nats."""
    n_rows, n = keys.shape
    keys = np.sort(keys, axis=1)
    is_first = np.ones(keys.shape, dtype=bool)
    is_first[:, 1:] = keys[:, 1:] != keys[:, :-1]
    first = np.flatnonzero(is_first)
    counts = np.diff(first, append=keys.size)
    sums = np.bincount(first // n, counts * np.log(counts), minlength=n_rows)
    return np.log(n) - sums / n


def _cut(product, k_values):
    """Cut Ward's tree of unit rows into every number: (n_values, n) names of nodes."""
    n = len(product)
    upper = product.numpy()[np.triu_indices(n, 1)]
    tree = linkage(np.sqrt((2 - 2 * upper).clip(0)), "ward")
    parents = np.full(2 * n - 1, 2 * n)
    parents[tree[:, :2].astype(int)] = np.arange(n, 2 * n - 1)[:, None]
    nodes, cuts = np.arange(n), np.empty((len(k_values), n), dtype=np.int64)
    for i in reversed(range(len(k_values))):
        last = 2 * n - k_values[i]  # lower nodes are joined in this cut
        above = parents[nodes]
        while (above < last).any():
            nodes = np.where(above < last, above, nodes)
            above = parents[nodes]
        cuts[i] = nodes
    return cuts


def _smooth(rows, product, n_neighbors, rounds):
    """Replace rows by the mean of their nearest, themselves among them."""
    near = _nearest(product, n_neighbors + 1)
    for _ in range(rounds):
        rows = _unit(rows[near].mean(axis=1))
    return rows


def _diffuse(product, n_neighbors, moves, absolute, rng):
    """Return unit rows whose cosines are those of rows of a diffusion, about.

    The rows of the diffused graph are projected on random directions. With `absolute`,
    opposite rows are near, as those of a subspace are.
    """
    n = len(product)
    k = min(n_neighbors, n - 1)
    likeness = product.abs() if absolute else product.clone()
    cosines, near = likeness.fill_diagonal_(-2).topk(k, dim=1)
    weights = np.exp((cosines.numpy().ravel() - 1) / TEMPERATURE)
    ends = np.arange(0, n * k + 1, k)
    graph = csr_array((weights, near.numpy().ravel(), ends), shape=(n, n))
    graph = graph.maximum(graph.T)
    for _ in range(BALANCING):
        scale = diags_array(1 / np.sqrt(graph.sum(axis=1)))
        graph = scale @ graph @ scale
    graph = (0.5 * (graph + eye_array(n))).astype(np.float32).tocsr()
    rows = rng.standard_normal((n, DIFFUSED_WIDTH)).astype(np.float32)
    for _ in range(moves):
        rows = graph @ rows
    return _unit(rows)


def _principal_axes(Z):
    """Return coordinates (n, r) on principal axes and their variances (r,)."""
    n, d = Z.shape
    centered = (Z - Z.mean(axis=0)).astype(np.float64)
    if d <= n:
        variances, vectors = np.linalg.eigh(centered.T @ centered / n)
    else:
        variances, vectors = np.linalg.eigh(centered @ centered.T / n)
    variances, vectors = variances[::-1], vectors[:, ::-1]
    kept = variances > TINY_VARIANCE * max(variances[0], 1e-12)
    r = max(1, min(kept.sum(), max(view[0] for view in VIEWS)))
    variances = variances[:r].clip(1e-12)
    if d <= n:
        return centered @ vectors[:, :r], variances
    return vectors[:, :r] * np.sqrt(n * variances), variances


def _product(x, y):
    return linear(torch.from_numpy(x), torch.from_numpy(y))


def _nearest(products, k):
    """Return the columns of the `k` largest of each row, largest first."""
    return products.topk(min(k, products.shape[1]), dim=1).indices.numpy()


def _unit(rows):
    return np.ascontiguousarray(unit(rows), dtype=np.float32)


def _distinct(Z):
    """Return the rows that differ, as far as single precision tells, in order."""
    _, first = np.unique(Z.round(5) + 0.0, axis=0, return_index=True)
    return Z[np.sort(first)]
