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
from ..axes import TINY_VARIANCE
from .recipe import NClustersRecipe


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
    recipe = NClustersRecipe.in_use()
    n, size = rows.shape[0], recipe.sample_rows
    while True:
        sample = np.sort(rng.permutation(n)[:size])
        Z = _distinct(_unit(np.asarray(rows[sample])))
        estimate = _estimate(Z, len(sample), rng)
        wanted = recipe.few_rows * estimate.n_clusters
        if size >= min(n, recipe.most_rows) or wanted <= len(Z):
            break
        size = recipe.most_rows
    if not estimate.has_structure:
        warnings.warn(
            f"No groups were found in {len(Z):,} distinct rows: halves of them agree "
            "no better than noise would, and they count as one cluster. Give more rows "
            "or other embeddings, or set n_clusters.",
            UserWarning,
            stacklevel=6,
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
        # One cluster tells nothing.
        k_values = [1, *estimate.k_values]
        curve = [0.0, *estimate.scores["reproducibility"]]
        scores = np.interp(k_range, k_values, curve)
    i = int(scores.argmax())
    if found and not k_range[0] < best < k_range[-1]:
        i = 0 if best < k_range[0] else len(k_range) - 1
        warnings.warn(
            f"k_range ends at {k_range[i]}, but {best} clusters would be better: give "
            "a wider k_range, or none.",
            UserWarning,
            stacklevel=7,
        )
    k = int(k_range[i])
    others = [candidate for candidate in kept if candidate[0] != k]
    answer = (k, float(scores[i]))
    return replace(estimate, n_clusters=k, candidates=[answer, *others])


def _estimate(Z, n_given, rng):
    """Estimate the number of clusters of distinct unit rows."""
    n, recipe = len(Z), NClustersRecipe.in_use()
    if n < recipe.least_halves:
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
    coarsest = recipe.n_coarsest
    if k_values[best] == 2 and len(worth) > coarsest and _hides_finer(Z, rng):
        worth, votes = _worth(curves, coarsest)
        best = coarsest + int(worth[coarsest:].argmax())
    scores["reproducibility"] = worth.clip(min=0)
    chosen = [best, *_runners_up(k_values, worth, [best, *votes], curves)]
    candidates = [(int(k_values[i]), float(max(worth[i], 0))) for i in chosen]
    return KEstimate(candidates[0][0], candidates, k_values, scores, True)


def _numbers(n):
    """Return the numbers of clusters that are compared for `n` rows."""
    recipe = NClustersRecipe.in_use()
    most = max(recipe.n_coarsest + 1, n // recipe.least_rows)
    k_values = np.geomspace(2, most, recipe.n_values).round().astype(int)
    k_values = np.union1d(k_values, np.arange(2, min(most, recipe.all_up_to) + 1))
    return k_values[k_values <= n // 2]


def _mean_agreement(curves):
    return np.mean([agreement for agreement, _ in curves.values()], axis=0)


def _exceeds_gaussian(agreement, coordinates, variances, k_values, rng):
    """Compare the best agreement with that of Gaussian rows of the same variances."""
    recipe = NClustersRecipe.in_use()
    if agreement.max() > recipe.sure:
        return True
    gaussian = rng.standard_normal(coordinates.shape) * np.sqrt(variances)
    curves = _measure(gaussian, variances, k_values, rng, effort=0.5)
    by_chance = _mean_agreement(curves).max()
    return bool(agreement.max() > by_chance + recipe.beyond_gaussian)


def _hides_finer(Z, rng):
    """Whether a part of the cut in two has structure of its own.

    Two large groups, such as cats and dogs, agree so well that finer ones, which are
    what is looked for, seem to be worth nothing.
    """
    recipe = NClustersRecipe.in_use()
    coordinates, variances = _principal_axes(Z)
    axes = recipe.views[0][0]
    rows = _unit(coordinates[:, :axes] / variances[:axes] ** 0.25)
    parts = np.unique(_cut(_product(rows, rows), np.array([2])), return_inverse=True)[1]
    for part in range(2):
        some = Z[parts.ravel() == part]
        k_values = _numbers(len(some))
        if len(some) < recipe.least_halves or not len(k_values):
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
    recipe, total, votes = NClustersRecipe.in_use(), 0.0, []
    for tree, price in recipe.prices:
        agreement, entropy = curves[tree]
        best = agreement[recipe.n_coarsest :].max(initial=0) or agreement.max()
        worth = entropy * (agreement - price * best)
        votes.append(start + int(worth[start:].argmax()))
        total = total + (worth / max(worth[start:].max(), 1e-9)).clip(max=1)
    return total / len(recipe.prices), votes


def _runners_up(k_values, worth, chosen, curves):
    """Return other numbers of which each is the best by some price, best first.

    Those are the corners of the concave envelope of what is reproduced over what is
    told.
    """
    recipe = NClustersRecipe.in_use()
    corners = {i for curve in curves.values() for i in _corners(*curve)}
    votes = sorted(set(chosen[1:]), key=lambda i: -worth[i])
    kept = [chosen[0]]
    for i in votes + sorted(corners, key=lambda i: -worth[i]):
        ratios = k_values[i] / k_values[kept]
        if np.maximum(ratios, 1 / ratios).min() > recipe.least_ratio:
            kept.append(i)
    return kept[1 : 1 + recipe.n_runners_up]


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
    n, recipe = len(coordinates), NClustersRecipe.in_use()
    fewest, views = recipe.fewest_halvings, recipe.views
    halvings = recipe.n_halvings * (recipe.halved_rows / n) ** 2
    halvings = np.clip(halvings, fewest, recipe.most_halvings)
    halvings = max(fewest, round(effort * halvings))
    # What is summed: by tree, information of both halves at every number.
    sums: dict = {}
    kinds = ["signed", "absolute"]
    for i in range(halvings):
        dims, power, smoothed, rounds, linked, moves = views[i % len(views)]
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
        if i + 1 == recipe.diffusion_trials:
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
    n, recipe = len(product), NClustersRecipe.in_use()
    k = min(n_neighbors, n - 1)
    likeness = product.abs() if absolute else product.clone()
    cosines, near = likeness.fill_diagonal_(-2).topk(k, dim=1)
    weights = np.exp((cosines.numpy().ravel() - 1) / recipe.temperature)
    ends = np.arange(0, n * k + 1, k)
    graph = csr_array((weights, near.numpy().ravel(), ends), shape=(n, n))
    graph = graph.maximum(graph.T)
    for _ in range(recipe.sinkhorn_rounds):
        scale = diags_array(1 / np.sqrt(graph.sum(axis=1)))
        graph = scale @ graph @ scale
    graph = (0.5 * (graph + eye_array(n))).astype(np.float32).tocsr()
    rows = rng.standard_normal((n, recipe.diffused_width)).astype(np.float32)
    for _ in range(moves):
        rows = graph @ rows
    return _unit(rows)


def _principal_axes(Z):
    """Return coordinates (n, r) on principal axes and their variances (r,)."""
    (n, d), views = Z.shape, NClustersRecipe.in_use().views
    centered = (Z - Z.mean(axis=0)).astype(np.float64)
    if d <= n:
        variances, vectors = np.linalg.eigh(centered.T @ centered / n)
    else:
        variances, vectors = np.linalg.eigh(centered @ centered.T / n)
    variances, vectors = variances[::-1], vectors[:, ::-1]
    kept = variances > TINY_VARIANCE * max(variances[0], 1e-12)
    r = max(1, min(kept.sum(), max(view[0] for view in views)))
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
