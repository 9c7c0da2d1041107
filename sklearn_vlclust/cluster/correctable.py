"""The clusterers' methods that correct clusters, and undo that."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from .._backend._settings import own_settings
from .._docs import documented
from .._typing import Auto, Data, Int
from ..data.rows import unit
from .corrections import (
    FIELDS,
    FORMAT,
    Clusters,
    CorrectedNetwork,
    change,
    distances,
    n_more,
    points_of,
)
from .partition import partition
from .spectral.n_clusters import estimate_n_clusters

# What names of clusters are held in.
NAMING = "cluster_names_", "name_scores_", "name_confidences_"
N_STARTS = 3  # of the k-means that splits a cluster


@documented()
class CorrectionsMixin:
    """Corrections of the clusters of a fitted estimator, which can be undone."""

    labels_: np.ndarray
    n_clusters_: int
    cluster_centers_: np.ndarray
    cluster_names_: list
    name_scores_: list
    name_confidences_: np.ndarray
    network_: Any
    _corrections: Sequence[dict] = ()
    _uncorrected: Any = None  # dict of what the fit has found, if it was corrected
    _data_of_fit: Any = None  # as read; not part of pickles and files
    _center_lengths: np.ndarray | None = None  # of the means that centers are of

    if TYPE_CHECKING:  # of the clusterer

        def _infer(self, X, function, zero_rows):
            """Apply a function to the network and blocks of `X`."""

        def _read(self, X, reset):
            """Return embeddings or pixels."""

        def _rows(self, X, zero_rows):
            """Return them as rows."""

        def _center_rows(self, rows):
            """Return the rows whose mean directions are the centers."""

        def _name(self, rows, labels):
            """Return names, scores and confidences of clusters."""

    @property
    def corrections_(self) -> list[dict]:
        """Corrections since the fit, as :meth:`apply_corrections` takes them.

        In their order; numbers of clusters are those of the moment.
        """
        check_is_fitted(self)
        return [
            {name: record[name] for name in ("action", *FIELDS[record["action"]])}
            for record in self._corrections
        ]

    def rename_clusters(self, names: Mapping[Int, str]) -> Self:
        """Name clusters.

        Parameters
        ----------
        names : dict of int to str
            Names by cluster, such as ``{3: "my dog"}``. They are the first of
            `cluster_names_`, with a score of 1; the others follow.

        Returns: <corrected>

        Raises
        ------
        ValueError
            If there is no such cluster, or a name is empty.
        TypeError
            If `names` is not a dict of texts.
        """
        check_is_fitted(self)
        if not isinstance(names, Mapping) or not names:
            raise TypeError(
                f"names={names!r} is not a dict of names by cluster, such as "
                '{3: "my dog"}.'
            )
        clusters = [self._check_cluster(c, "names") for c in names]
        for name in names.values():
            if not isinstance(name, str):
                raise TypeError(f"names has {name!r}, which is not a text.")
            if not name.strip():
                raise ValueError(f"names has an empty name: {name!r}.")
        texts = [name.strip() for name in names.values()]
        return self._correct(action="rename", clusters=clusters, names=texts)

    def merge_clusters(self, clusters: ArrayLike) -> Self:
        """Make one cluster of several.

        It gets the smallest of their numbers, and the numbers above the others close
        up. Its names are those of all, by their mean score.

        Parameters
        ----------
        clusters : sequence of int
            At least two clusters.

        Returns: <corrected>

        Raises
        ------
        ValueError
            If there are no two of them, or no such clusters.
        """
        check_is_fitted(self)
        given = np.ravel(np.asarray(clusters, dtype=object)).tolist()
        own = sorted({self._check_cluster(c, "clusters") for c in given})
        if len(own) < 2:
            raise ValueError(f"clusters={clusters!r} are not two or more clusters.")
        return self._correct(action="merge", clusters=own)

    @own_settings
    def split_cluster(
        self, cluster: Int, n_clusters: Int | Auto = "auto", *, X: Data | None = None
    ) -> Self:
        """Divide a cluster by k-means.

        The largest part keeps its number, and the others become the last clusters. New
        samples of the cluster belong to the part with the nearest center. If there are
        words, the parts are named anew.

        Parameters
        ----------
        cluster : int
            The cluster.
        n_clusters : int or "auto", default="auto"
            Number of parts; "auto" estimates it, and is at least 2.
        <of_the_fit>

        Returns: <corrected>

        Raises
        ------
        ValueError
            If there is no such cluster, it has no `n_clusters` samples that differ, or
            `X` is needed or is not what the estimator was fitted to.
        """
        check_is_fitted(self)
        cluster = self._check_cluster(cluster, "cluster")
        members = np.flatnonzero(self.labels_ == cluster)
        auto = isinstance(n_clusters, str) and n_clusters == "auto"
        if not auto and not (
            isinstance(n_clusters, Integral) and 2 <= n_clusters <= len(members)
        ):
            raise ValueError(
                f"n_clusters={n_clusters!r} is neither 'auto' nor an integer between 2 "
                f"and the {len(members)} samples of cluster {cluster}."
            )
        rows = self._rows_to_correct(X, "split_cluster")
        own = _some(rows, members)
        points = self._infer(own, points_of, True).astype(np.float32)
        n_distinct = len(np.unique(points, axis=0))
        if n_distinct < (2 if auto else n_clusters):
            raise ValueError(
                f"Cluster {cluster} has {n_distinct} samples that differ: it cannot be "
                f"divided into {2 if auto else n_clusters}."
            )
        rng = np.random.RandomState(0)
        k = min(_estimate(points, rng), n_distinct) if auto else int(n_clusters)
        record = _divide(points, k, rng)
        sums = _sums(self._center_rows(own), record["parts"], record["n_clusters"])
        names, scores, confidences = self._name_parts(rows, members, record)
        return self._correct(
            action="split",
            cluster=cluster,
            **record,
            centers=unit(sums),
            weights=np.linalg.norm(sums, axis=1),
            part_names=names,
            part_scores=scores,
            part_confidences=confidences,
        )

    @own_settings
    def move_samples(
        self, samples: ArrayLike, to: Int, *, X: Data | None = None
    ) -> Self:
        """Give samples of the fit to another cluster.

        `labels_` change in any case. If the samples are known, :meth:`predict` also
        gives the cluster `to` to rows that equal theirs; it does not change for others.

        Parameters
        ----------
        samples : sequence of int, or mask of bool
            Places of the samples in `labels_`.
        to : int
            The cluster.
        <of_the_fit>

        Returns: <corrected>

        Raises
        ------
        ValueError
            If there are no such samples, no such cluster, or a cluster would be left
            without samples.
        """
        check_is_fitted(self)
        to = self._check_cluster(to, "to")
        places = _check_samples(samples, len(self.labels_))
        left = np.delete(self.labels_, places)
        counts = np.bincount(left, minlength=self.n_clusters_)
        counts[to] = 1
        if not counts.all():
            empty = int(np.argmin(counts))
            raise ValueError(
                f"Cluster {empty} would be left without samples: "
                f"merge_clusters([{empty}, {to}]) moves all of them."
            )
        rows = self._rows_of_the_fit() if X is None else self._rows_to_correct(X, "")
        known, sums = None, None
        if rows is not None:
            own = _some(rows, places)
            known = unit(self._infer(own, points_of, True).astype(np.float32))
            sums = _sums(self._center_rows(own), self.labels_[places], self.n_clusters_)
        return self._correct(
            action="move", samples=places.tolist(), to=to, rows=known, sums=sums
        )

    @own_settings
    def drop_cluster(self, cluster: Int, *, X: Data | None = None) -> Self:
        """Dissolve a cluster: its samples go to those that are next likeliest.

        The numbers above it close up.

        Parameters
        ----------
        cluster : int
            The cluster.
        <of_the_fit>

        Returns: <corrected>

        Raises
        ------
        ValueError
            If there is no such cluster or no other one, or `X` is needed or is not
            what the estimator was fitted to.
        """
        check_is_fitted(self)
        cluster = self._check_cluster(cluster, "cluster")
        if self.n_clusters_ == 1:
            raise ValueError("Cluster 0 is the only one: it cannot be dropped.")
        rows = self._rows_to_correct(X, "drop_cluster")
        own = _some(rows, np.flatnonzero(self.labels_ == cluster))
        record = {"action": "drop", "cluster": cluster}
        records = [*self._corrections, record]
        labels = self._infer(
            own,
            lambda network, *x: CorrectedNetwork(network, records).logits(*x).argmax(1),
            True,
        )
        sums = _sums(self._center_rows(own), labels, self.n_clusters_ - 1)
        return self._correct(**record, labels=labels, sums=sums)

    def undo_correction(self) -> Self:
        """Take back the last correction.

        Returns
        -------
        self : object
            The estimator, as it was before.

        Raises
        ------
        ValueError
            If there is none.
        """
        check_is_fitted(self)
        if not self._corrections:
            raise ValueError("There is no correction to undo.")
        return self._show(self._corrections[:-1])

    def reset_corrections(self) -> Self:
        """Take back all corrections.

        Returns
        -------
        self : object
            The estimator, as it was fitted.
        """
        check_is_fitted(self)
        return self._show([]) if self._corrections else self

    def apply_corrections(
        self, corrections: Mapping | Iterable[Mapping], *, X: Data | None = None
    ) -> Self:
        """Make corrections that are given as data, all of them or none.

        Parameters
        ----------
        corrections : list of dict, or dict
            As `corrections_` lists them, or ``{"version": 1, "corrections": [...]}``.
            Each has its ``"action"`` and

            - ``"rename"``: ``"clusters"`` and as many ``"names"``;
            - ``"merge"``: ``"clusters"``;
            - ``"split"``: ``"cluster"``, and ``"n_clusters"``, if not "auto";
            - ``"move"``: ``"samples"`` and the cluster ``"to"``;
            - ``"drop"``: ``"cluster"``.
        <of_the_fit>

        Returns: <corrected>

        Raises
        ------
        ValueError
            If a correction cannot be made; the message says which. The estimator is
            then as before.
        """
        check_is_fitted(self)
        if isinstance(corrections, Mapping):
            if corrections.get("version") != FORMAT:
                raise ValueError(
                    f"corrections have version {corrections.get('version')!r}; this "
                    f"release reads version {FORMAT}."
                )
            corrections = corrections.get("corrections", [])
        before = list(self._corrections)
        for i, correction in enumerate(corrections):
            try:
                self._apply(correction, X)
            except (ValueError, TypeError) as error:
                self._show(before)
                raise ValueError(f"corrections[{i}]: {error}") from error
        return self

    def _apply(self, correction, X):
        action = correction.get("action") if isinstance(correction, Mapping) else None
        if action not in FIELDS:
            raise ValueError(
                f"{correction!r} has none of the actions {', '.join(FIELDS)}."
            )
        needed = [name for name in FIELDS[action] if name != "n_clusters"]
        if missing := [name for name in needed if name not in correction]:
            raise ValueError(f"the action {action!r} needs {missing[0]!r}.")
        given = [correction[name] for name in needed]
        if action == "rename":
            clusters, names = given
            if isinstance(names, str) or len(clusters) != len(names):
                raise ValueError(f"{correction!r} has not one name per cluster.")
            self.rename_clusters(dict(zip(clusters, names)))
        elif action == "merge":
            self.merge_clusters(*given)
        elif action == "split":
            parts = correction.get("n_clusters", "auto")
            self.split_cluster(given[0], parts, X=X)
        elif action == "move":
            self.move_samples(*given, X=X)
        else:
            self.drop_cluster(*given, X=X)

    def _correct(self, **record):
        return self._show([*self._corrections, record])

    def _show(self, records):
        """Set the fitted attributes to what the fit and `records` make of them."""
        if self._uncorrected is None:
            names = "labels_", "n_clusters_", "cluster_centers_"
            names += NAMING
            held = {name: vars(self)[name] for name in names if name in vars(self)}
            self._uncorrected = held
        attributes = dict(self._uncorrected)
        if records:
            attributes |= self._attributes(records)
        for name in NAMING:
            self.__dict__.pop(name, None)
        vars(self).update(attributes)
        self._corrections = list(records)
        if not records:
            self._uncorrected = None
        return self

    def _attributes(self, records):
        clusters = self._clusters_of_the_fit()
        for record in records:
            clusters = change(clusters, record)
        dtype = self._uncorrected["cluster_centers_"].dtype
        found = {
            "labels_": clusters.labels,
            "n_clusters_": clusters.n_clusters,
            "cluster_centers_": clusters.centers.astype(dtype),
        }
        if clusters.names is not None:
            names = [np.array(own, dtype=object) for own in clusters.names]
            found["cluster_names_"] = names
            found["name_scores_"] = [np.array(own, float) for own in clusters.scores]
            found["name_confidences_"] = np.array(clusters.confidences, float)
        return found

    def _clusters_of_the_fit(self):
        held = self._uncorrected
        centers = np.asarray(held["cluster_centers_"], dtype=np.float64)
        weights = np.bincount(held["labels_"], minlength=len(centers)).astype(float)
        if self._center_lengths is not None:
            weights *= self._center_lengths
        names = scores = sure = None
        if "cluster_names_" in held:
            names = [[str(name) for name in own] for own in held["cluster_names_"]]
            scores = [[float(s) for s in own] for own in held["name_scores_"]]
            # A model that was saved before names had confidences has none.
            sure = held.get("name_confidences_", np.full(len(names), np.nan)).tolist()
        given: list[str | None] = [None] * len(centers)
        return Clusters(held["labels_"], centers, weights, names, scores, sure, given)

    def _forget_corrections(self):
        """Be as without corrections, before another clustering is set."""
        for name in ("_corrections", "_uncorrected"):
            self.__dict__.pop(name, None)

    def _corrected(self, function):
        """Return what :meth:`_infer` takes, for the clusters that there are now."""
        if not (records := self._corrections):
            return function
        return lambda network, *x: function(CorrectedNetwork(network, records), *x)

    @property
    def _n_clusters_out(self):
        """Number of clusters, also of an estimator that is being fitted."""
        k = self.network_.config["n_clusters"]
        return k + sum(map(n_more, self._corrections))

    def _check_corrections(self):
        """Raise ValueError unless the corrections that were read make these labels."""
        found = self._attributes(self._corrections)
        if not np.array_equal(found["labels_"], self.labels_):
            raise ValueError("labels_ are not those of the corrections")

    def _rows_of_the_fit(self):
        """Return the rows of the fit, if they are at hand."""
        return None if self._data_of_fit is None else self._rows(*self._data_of_fit)

    def _rows_to_correct(self, X, method):
        if X is None:
            if (rows := self._rows_of_the_fit()) is None:
                raise ValueError(
                    f"{method} needs what the estimator was fitted to, which it does "
                    "not hold after it was saved or pickled: give it as X."
                )
            return rows
        X, zero_rows = self._read(X, reset=False)
        if len(X) != len(self.labels_):
            raise ValueError(
                f"X has {len(X)} samples, but the estimator was fitted to "
                f"{len(self.labels_)}: give these, in the same order."
            )
        return self._rows(X, zero_rows)

    def _name_parts(self, rows, members, record):
        """Return names, scores and confidences of parts of a cluster, or None each."""
        if getattr(self, "semantic_space_", None) is None or len(rows.shape) > 2:
            return None, None, None
        labels = self.labels_.copy()
        numbers = np.r_[
            labels[members[0]],
            self.n_clusters_ + np.arange(record["n_clusters"] - 1),
        ]
        labels[members] = numbers[record["parts"]]
        names, scores, confidences = self._name(rows, labels)
        return (
            [[str(name) for name in names[c]] for c in numbers],
            [[float(score) for score in scores[c]] for c in numbers],
            [float(confidences[c]) for c in numbers],
        )

    def _check_cluster(self, cluster, name):
        k = self.n_clusters_
        if (
            not isinstance(cluster, Integral)
            or isinstance(cluster, bool)
            or not 0 <= int(cluster) < k
        ):
            raise ValueError(
                f"{name}: {cluster!r} is none of the clusters 0 to {k - 1}."
            )
        return int(cluster)

    def __getstate__(self):
        state: dict = {**super().__getstate__()}  # type: ignore[dict-item]
        state.pop("_data_of_fit", None)
        return state


def _some(rows, index):
    return rows.some(index) if hasattr(rows, "some") else rows[index]


def _sums(rows, labels, k):
    """Return the sum of the rows of each of `k` clusters, (k, d) float64."""
    sums = np.zeros((k, rows.shape[1]))
    np.add.at(sums, labels, rows)
    return sums


def _check_samples(samples, n):
    places = np.atleast_1d(np.asarray(samples))
    if places.dtype == bool and places.shape == (n,):
        places = np.flatnonzero(places)
    if places.dtype.kind not in "iu" or places.ndim != 1 or not len(places):
        raise ValueError(
            f"samples={samples!r} are neither places of samples nor a mask of {n}."
        )
    if places.min() < 0 or places.max() >= n:
        wrong = places[(places < 0) | (places >= n)][0]
        raise ValueError(f"samples: {wrong} is none of the places 0 to {n - 1}.")
    return np.unique(places)


def _estimate(points, rng):
    """Return an estimate of the number of clusters of rows, at least 2."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a user who splits sees two groups or more
        return max(2, estimate_n_clusters(points, rng).n_clusters)


def _divide(points, k, rng):
    """Divide rows into `k` parts, largest first.

    Returns the part of each row, the centers of the parts (`anchors`), and the mean
    squared distance to them (`spread`).
    """
    labels = partition(points, k, N_STARTS, rng)
    anchors = np.stack([points[labels == i].mean(axis=0) for i in np.unique(labels)])
    x = torch.from_numpy(points)
    parts = distances(x, anchors).argmin(dim=1).numpy()
    order = np.argsort(-np.bincount(parts, minlength=len(anchors)), kind="stable")
    anchors = anchors[order[: len(np.unique(parts))]]
    apart = distances(x, anchors)
    nearest = apart.amin(dim=1) + x.square().sum(dim=1)
    return {
        "parts": apart.argmin(dim=1).numpy(),
        "n_clusters": len(anchors),
        "anchors": anchors,
        "spread": max(float(nearest.mean()), 1e-6),
    }
