"""Corrections of a fitted clustering by its user (our own).

A correction is a dict: ``"action"``, and what it says in JSON values, which is what
`corrections_` shows. For prediction and undoing it also holds what was computed once
from the rows of the fit. Clusters are numbered as they are when their turn comes, so
corrections are applied in order, to the clusters of the fit and to logits alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional as F

# Version of what `apply_corrections` reads.
FORMAT = 1
# What the dict of each action says, beside "action".
FIELDS = {
    "rename": ("clusters", "names"),
    "merge": ("clusters",),
    "split": ("cluster", "n_clusters"),
    "move": ("samples", "to"),
    "drop": ("cluster",),
}
# Rows whose cosine is nearer to 1 are the same sample, embedded once more.
SAME = 1e-5


@dataclass(frozen=True)
class Clusters:
    """What corrections change of a fitted clusterer.

    Attributes
    ----------
    labels : ndarray of shape (n,), int64
        Cluster of each sample.
    centers : ndarray of shape (k, d)
        Mean direction of each cluster.
    weights : ndarray of shape (k,), float64
        Length of the sum of the rows that each center is the direction of.
    names : list of k lists of str, or None
        Names of each cluster, best first.
    scores : list of k lists of float, or None
        Their scores.
    confidences : list of k floats, or None
        How far the first names can be believed.
    given : list of k strings or None
        Names that the user gave.
    """

    labels: np.ndarray
    centers: np.ndarray
    weights: np.ndarray
    names: list[list[str]] | None
    scores: list[list[float]] | None
    confidences: list[float] | None
    given: list[str | None]

    @property
    def n_clusters(self):
        """Number of clusters."""
        return len(self.centers)


def change(clusters, record):
    """Return the :class:`Clusters` after a correction."""
    return _CHANGES[record["action"]](clusters, record)


def rename(clusters, record):
    """Put names given by a user first; their score is 1."""
    k = clusters.n_clusters
    names = [list(own) for own in clusters.names or [[] for _ in range(k)]]
    scores = [list(own) for own in clusters.scores or [[] for _ in range(k)]]
    sure = list(clusters.confidences or [0.0] * k)
    given = list(clusters.given)
    for cluster, name in zip(record["clusters"], record["names"]):
        kept = [(n, s) for n, s in zip(names[cluster], scores[cluster]) if n != name]
        names[cluster] = [name, *(n for n, _ in kept)]
        scores[cluster] = [1.0, *(s for _, s in kept)]
        sure[cluster], given[cluster] = 1.0, name
    return replace(clusters, names=names, scores=scores, confidences=sure, given=given)


def merge(clusters, record):
    """Join clusters into the one with the smallest number; the others close up."""
    first, *others = record["clusters"]
    order = np.delete(np.arange(clusters.n_clusters), others)
    number = np.empty(clusters.n_clusters, dtype=np.int64)
    number[order] = np.arange(len(order))
    number[others] = number[first]
    own = record["clusters"]
    total = clusters.weights[own] @ clusters.centers[own]
    centers, weights = clusters.centers[order], clusters.weights[order]
    centers[first], weights[first] = _direction(total, clusters.centers[first])
    sizes = np.bincount(clusters.labels, minlength=clusters.n_clusters)
    largest_first = sorted(own, key=lambda c: -sizes[c])
    given = next(filter(None, (clusters.given[c] for c in largest_first)), None)
    names, scores = _join_names(clusters, own, sizes[own], given)
    sure = 1.0
    if given is None and clusters.confidences is not None:
        sure = float(np.average(np.take(clusters.confidences, own), weights=sizes[own]))
    return Clusters(
        number[clusters.labels],
        centers,
        weights,
        _with(clusters.names, order, {first: names}),
        _with(clusters.scores, order, {first: scores}),
        _with(clusters.confidences, order, {first: sure}),
        _with(clusters.given, order, {first: given}),
    )


def split(clusters, record):
    """Divide a cluster: its first part keeps the number, the others are the last."""
    cluster, k, n_parts = record["cluster"], clusters.n_clusters, len(record["centers"])
    numbers = np.r_[cluster, k : k + n_parts - 1]
    labels = clusters.labels.copy()
    labels[labels == cluster] = numbers[record["parts"]]
    more = np.zeros((n_parts - 1, clusters.centers.shape[1]))
    centers = np.concatenate([clusters.centers, more.astype(clusters.centers.dtype)])
    weights = np.concatenate([clusters.weights, more[:, 0]])
    centers[numbers], weights[numbers] = record["centers"], record["weights"]
    names, scores = record["part_names"], record["part_scores"]
    if clusters.names is not None and names is None:  # no words: all keep the names
        names = [clusters.names[cluster]] * n_parts
        scores = [clusters.scores[cluster]] * n_parts
    order = np.r_[:k, [cluster] * (n_parts - 1)]
    return Clusters(
        labels,
        centers,
        weights,
        _with(clusters.names, order, dict(zip(numbers.tolist(), names or []))),
        _with(clusters.scores, order, dict(zip(numbers.tolist(), scores or []))),
        _with(
            clusters.confidences,
            order,
            dict(zip(numbers.tolist(), record["part_confidences"] or [])),
        ),
        _with(
            clusters.given,
            order,
            dict.fromkeys(numbers.tolist()) if record["part_names"] else {},
        ),
    )


def move(clusters, record):
    """Give samples to another cluster."""
    labels = clusters.labels.copy()
    labels[record["samples"]] = record["to"]
    if record["sums"] is None:
        return replace(clusters, labels=labels)
    totals = clusters.weights[:, None] * clusters.centers - record["sums"]
    totals[record["to"]] += record["sums"].sum(axis=0)
    centers, weights = clusters.centers.copy(), clusters.weights.copy()
    for c in {*np.flatnonzero(record["sums"].any(axis=1)).tolist(), record["to"]}:
        centers[c], weights[c] = _direction(totals[c], centers[c])
    return replace(clusters, labels=labels, centers=centers, weights=weights)


def drop(clusters, record):
    """Give the samples of a cluster to others; the numbers above it close up."""
    cluster = record["cluster"]
    order = np.delete(np.arange(clusters.n_clusters), cluster)
    labels = clusters.labels - (clusters.labels > cluster)
    labels[clusters.labels == cluster] = record["labels"]
    centers, weights = clusters.centers[order], clusters.weights[order]
    for c in np.unique(record["labels"]):
        total = weights[c] * centers[c] + record["sums"][c]
        centers[c], weights[c] = _direction(total, centers[c])
    return Clusters(
        labels,
        centers,
        weights,
        _with(clusters.names, order, {}),
        _with(clusters.scores, order, {}),
        _with(clusters.confidences, order, {}),
        _with(clusters.given, order, {}),
    )


_CHANGES = {f.__name__: f for f in (rename, merge, split, move, drop)}


def _direction(total, otherwise):
    """Return the direction of a sum of rows, and its length."""
    length = np.linalg.norm(total)
    return (total / length, length) if length > 0 else (otherwise, 0.0)


def _with(lists, order, changed):
    """Return the lists at `order`, of which some are `changed`; None stays None."""
    if lists is None:
        return None
    return [changed.get(i, lists[j]) for i, j in enumerate(order)]


def _join_names(clusters, own, sizes, given):
    """Return names and scores of merged clusters: a given one first, then by votes."""
    if clusters.names is None:
        return None, None
    total: dict[str, float] = {}
    for cluster, size in zip(own, sizes / sizes.sum()):
        for name, score in zip(clusters.names[cluster], clusters.scores[cluster]):
            total[name] = total.get(name, 0.0) + score * float(size)
    if given is not None:
        total[given] = 1.0
    order = sorted(total, key=lambda name: (name != given, -total[name]))
    return order, [total[name] for name in order]


def n_more(record):
    """Return how many more clusters there are after a correction than before."""
    if record["action"] == "split":
        return len(record["anchors"]) - 1
    return {"merge": 1 - len(record.get("clusters", ())), "drop": -1}.get(
        record["action"], 0
    )


def correct_logits(logits, points, record):
    """Return the logits of rows after a correction.

    The likeliest cluster of a row is that of the fit, followed through the corrections.

    Parameters
    ----------
    logits : tensor of shape (n, k)
        Logits of the clusters before.
    points : tensor of shape (n, d)
        The rows, as `split_cluster` has divided them.
    record : dict
        The correction.

    Returns
    -------
    logits : tensor of shape (n, k')
    """
    action = record["action"]
    if action == "merge":
        own = record["clusters"]
        merged = logits.clone()
        merged[:, own[0]] = logits[:, own].amax(dim=1)
        return _without(merged, own[1:])
    if action == "drop":
        return _without(logits, [record["cluster"]])
    if action == "split":
        gaps = distances(points, record["anchors"])
        gaps = (gaps - gaps.amin(dim=1, keepdim=True)) / (2 * record["spread"])
        parts = logits[:, [record["cluster"]]] - gaps
        divided = torch.cat([logits, parts[:, 1:]], dim=1)
        divided[:, record["cluster"]] = parts[:, 0]
        return divided
    if action == "move" and record["rows"] is not None:
        cosines = F.normalize(points, dim=1) @ _like(record["rows"], points).T
        moved = torch.nonzero((cosines > 1 - SAME).any(dim=1))[:, 0]
        likeliest, swapped = logits[moved].argmax(dim=1), logits.clone()
        swapped[moved, record["to"]] = logits[moved, likeliest]
        swapped[moved, likeliest] = logits[moved, record["to"]]
        return swapped
    return logits


def _without(logits, columns):
    kept = np.delete(np.arange(logits.shape[1]), columns)
    return logits[:, torch.from_numpy(kept).to(logits.device)]


def _like(array, tensor):
    return torch.as_tensor(array).to(tensor.device, tensor.dtype)


def distances(points, anchors):
    """Squared distances of rows to anchors, (n, p), up to a constant per row."""
    anchors = _like(anchors, points)
    return anchors.square().sum(dim=1) - 2 * points @ anchors.T


class CorrectedNetwork:
    """A network whose logits are corrected."""

    def __init__(self, network, records):
        self._network, self._records = network, records

    def logits(self, *inputs):
        """Logits of the clusters that there are after all corrections."""
        logits = self._network.logits(*inputs)
        points = points_of(self._network, *inputs)
        for record in self._records:
            logits = correct_logits(logits, points, record)
        return logits


def points_of(network, *inputs):
    """Return samples as the rows that clusters are divided by: unit rows, or features.

    `inputs` are what the network takes.
    """
    x, *norms = inputs
    if x.ndim > 2:
        return network.head_inputs(x)
    return x / norms[0][:, None] if norms else x
