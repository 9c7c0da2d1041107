"""The nouns of a semantic space in the tree of WordNet: Figure 14 of MCA."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._backend._text import counted
from .._docs import documented
from .._typing import Axes, Strings
from ..datasets.nouns import noun_hierarchy
from ._drawing import new_axes

_ROW = 0.2  # inches
_REMOVED = "#e02b2b"  # a red that is legible on white and on black


@documented()
class SemanticTreeDisplay:
    """WordNet above the nouns of a semantic space, with the levels removed: Figure 14.

    Words of the upper levels (red) are too general to tell images apart: the hierarchy
    filter of :class:`~sklearn_vlclust.SemanticSpace` removes nouns less than `gamma_h`
    levels below `entity`. However many nouns there are, only the few rows with the most
    nouns are drawn; the others are counted. Of several hypernyms, a node is below the
    one with the shortest path to `entity`. Build it by :meth:`from_estimator` or
    :meth:`from_synsets`.

    Parameters
    ----------
    names : list of str
        Noun of each node, or first word of its synset; the root comes first, and each
        node before those below it.
    parents : ndarray of int
        Position of each node's parent; -1 for the root.
    depths : ndarray of int
        Levels below the root.
    n_nouns : ndarray of int
        Nouns of the space at a node and below.
    kept : ndarray of bool
        Whether a node is in the space.
    min_depth : int
        Levels that are removed.

    Attributes: <ax_, figure_>
    texts_ : list of matplotlib Text
        The rows, from the top.
    lines_ : matplotlib LineCollection
        The branches.
    markers_ : list of matplotlib PathCollection
        Markers of removed nouns, of nouns in the space, and of nodes between.

    See Also
    --------
    sklearn_vlclust.SemanticSpace : Its filters.

    References: <qiu2024>

    Examples
    --------
    >>> from sklearn_vlclust.plotting import SemanticTreeDisplay
    >>> display = SemanticTreeDisplay.from_estimator(
    ...     space, max_rows=60
    ... )  # doctest: +SKIP
    >>> display.figure_.savefig("tree.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        names: Strings,
        parents: np.ndarray,
        depths: np.ndarray,
        n_nouns: np.ndarray,
        kept: np.ndarray,
        min_depth: int,
    ) -> None:
        self.names = names
        self.parents = parents
        self.depths = depths
        self.n_nouns = n_nouns
        self.kept = kept
        self.min_depth = min_depth

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        ax: Axes | None = None,
        max_rows: int = 40,
        max_children: int = 8,
        max_depth: int | None = None,
    ) -> Self:
        """Show the nouns of a fitted semantic space.

        Parameters
        ----------
        estimator : SemanticSpace or MCAClustering
            Fitted; the latter with words.
        <ax, max_rows, max_children, max_depth>

        Returns: <drawn>

        Raises
        ------
        ValueError
            If there is no semantic space, or the synset of no noun is known.
        FileNotFoundError
            If WordNet is not there.
        """
        check_is_fitted(estimator)
        space = getattr(estimator, "semantic_space_", estimator)
        if not hasattr(space, "synsets_"):
            raise ValueError(
                f"This {type(estimator).__name__} has no semantic space: give a "
                "SemanticSpace, or an MCAClustering that was fitted with words."
            )
        return cls.from_synsets(
            space.synsets_,
            nouns=space.nouns_,
            min_depth=space.gamma_h,
            ax=ax,
            max_rows=max_rows,
            max_children=max_children,
            max_depth=max_depth,
        )

    @classmethod
    def from_synsets(
        cls,
        synsets: Sequence[str | None] | np.ndarray,
        *,
        nouns: Strings | None = None,
        min_depth: int = 0,
        ax: Axes | None = None,
        max_rows: int = 40,
        max_children: int = 8,
        max_depth: int | None = None,
    ) -> Self:
        """Show any synsets of WordNet.

        Parameters
        ----------
        synsets : sequence of str or None
            Names ("dog.n.01") or ids ("n02084071"); entries of None are left out.
        nouns : sequence of str, default=None
            Names to show. If None, the first word of each synset.
        min_depth : int, default=0
            Levels that are shown as removed.
        <ax, max_rows, max_children, max_depth>

        Returns: <drawn>

        Raises
        ------
        ValueError
            If all synsets are None, WordNet has no such synset, or the lengths differ.
        FileNotFoundError
            If WordNet is not there.
        """
        synsets = list(synsets)
        nouns = [None] * len(synsets) if nouns is None else list(nouns)
        if len(nouns) != len(synsets):
            raise ValueError(
                f"{counted(len(synsets), 'synset')} and {counted(len(nouns), 'noun')}: "
                "expected as many of each."
            )
        if not any(synsets):
            raise ValueError(
                "The synset of no noun is known, so none has a place in WordNet: "
                "give a Vocabulary with synsets, such as Vocabulary.from_wordnet()."
            )
        hierarchy = noun_hierarchy()
        own: dict[int, list[str]] = {}
        for synset, noun in zip(synsets, nouns):
            if synset is not None:
                position = hierarchy.position(synset)
                own.setdefault(position, []).append(
                    hierarchy.lemmas[position][0] if noun is None else str(noun)
                )
        above = _climb(hierarchy, own)
        totals = Counter({position: len(names) for position, names in own.items()})
        for position in sorted(above, key=lambda i: -hierarchy.depths[i]):
            if above[position] >= 0:
                totals[above[position]] += totals[position]
        order = sorted(above, key=lambda i: (hierarchy.depths[i], hierarchy.names[i]))
        number = {position: i for i, position in enumerate(order)}
        display = cls(
            [", ".join(own.get(i, hierarchy.lemmas[i][:1])) for i in order],
            np.array([number.get(above[i], -1) for i in order]),
            np.array([int(hierarchy.depths[i]) for i in order]),
            np.array([totals[i] for i in order]),
            np.array([i in own for i in order]),
            min_depth,
        )
        return display.plot(
            ax=ax, max_rows=max_rows, max_children=max_children, max_depth=max_depth
        )

    def plot(
        self,
        *,
        ax: Axes | None = None,
        max_rows: int = 40,
        max_children: int = 8,
        max_depth: int | None = None,
    ) -> Self:
        """Draw the tree.

        Parameters: <ax>
        max_rows : int, default=40
            Largest number of rows. Nodes open in the order of their nouns, the root
            first, while there is room for what is below them.
        max_children : int, default=8
            Nodes shown below one; the others are counted in a row.
        max_depth : int, default=None
            Levels shown. If None, all.

        Returns: <itself>

        Raises
        ------
        ValueError
            If `max_rows` or `max_children` is less than 1.
        """
        for name, value in (("max_rows", max_rows), ("max_children", max_children)):
            if value < 1:
                raise ValueError(f"{name}={value!r} should be at least 1.")
        rows = self._choose_rows(max_rows, max_children, max_depth)
        self.ax_ = new_axes(ax, (7, max(2.0, _ROW * (len(rows) + 3))))
        self.figure_ = self.ax_.figure
        self._draw_branches(rows)
        self._draw_markers(rows)
        self.texts_ = [self._write(y, row) for y, row in enumerate(rows)]
        deepest = max(depth for *_, depth, _ in rows)
        self.ax_.set(xlim=(-0.6, deepest + 8), ylim=(len(rows) - 0.3, -0.9))
        self.ax_.set_axis_off()
        self.ax_.legend(fontsize="small", loc="upper right", framealpha=0.9)
        return self

    def _choose_rows(self, max_rows, max_children, max_depth):
        """Return the rows in order, each ``(node, nodes left out, depth, parent row)``.

        A row of nodes that are left out has no node of its own: None.
        """
        children: dict[int, list[int]] = {}
        for node, parent in enumerate(self.parents):
            children.setdefault(int(parent), []).append(node)
        for below in children.values():
            below.sort(key=lambda node: (-self.n_nouns[node], self.names[node]))
        opened: dict[int, int] = {}  # node -> number of children shown
        n_rows = 1
        ahead = [(-int(self.n_nouns[0]), 0)]
        while ahead:
            _, node = heapq.heappop(ahead)
            below = children.get(node, [])
            # A single one is shown, as counting it would take the same room.
            shown = len(below) if len(below) <= max_children + 1 else max_children
            extra = shown + (shown < len(below))
            too_deep = max_depth is not None and self.depths[node] >= max_depth
            if not below or too_deep or n_rows + extra > max_rows:
                continue
            opened[node] = shown
            n_rows += extra
            for child in below[:shown]:
                heapq.heappush(ahead, (-int(self.n_nouns[child]), child))
        rows: list[tuple] = []
        todo: list[tuple] = [(0, (), int(self.depths[0]), -1)]
        while todo:
            row = todo.pop()
            rows.append(row)
            node, _, depth, _ = row
            if node not in opened:
                continue
            here, below, shown = len(rows) - 1, children[node], opened[node]
            if rest := below[shown:]:
                todo.append((None, rest, depth + 1, here))
            todo += [(n, (), depth + 1, here) for n in below[:shown][::-1]]
        return rows

    def _write(self, y, row):
        node, left_out, depth, _ = row
        removed = depth < self.min_depth
        if node is None:
            n = sum(int(self.n_nouns[i]) for i in left_out)
            text = f"{len(left_out):,} more ({counted(n, 'noun')})"
            style = {"style": "italic"}
        else:
            n = int(self.n_nouns[node])
            alone = n == 1 and self.kept[node]
            text = self.names[node] + ("" if alone else f" ({counted(n, 'noun')})")
            style = {"weight": "bold"} if self.kept[node] and not removed else {}
        if removed:
            style["color"] = _REMOVED
        return self.ax_.text(
            depth + 0.35,
            y,
            text,
            fontsize=9,
            va="center",
            parse_math=False,
            clip_on=True,
            **style,
        )

    def _draw_branches(self, rows):
        from matplotlib.collections import LineCollection

        branches = [
            [(rows[parent][2], parent), (rows[parent][2], y), (depth, y)]
            for y, (_, _, depth, parent) in enumerate(rows)
            if parent >= 0
        ]
        self.lines_ = self.ax_.add_collection(
            LineCollection(branches, colors="0.5", linewidths=0.8, zorder=1)
        )

    def _draw_markers(self, rows):
        import matplotlib.pyplot as plt

        ink = plt.rcParams["text.color"]
        kinds = {
            f"removed: less than {counted(self.min_depth, 'level')} below the root": {
                "marker": "x",
                "color": _REMOVED,
            },
            "in the space": {"marker": "o", "color": ink},
            "above nouns of the space": {
                "marker": "o",
                "edgecolors": ink,
                "color": "none",
            },
        }
        places: list[list] = [[] for _ in kinds]
        for y, (node, _, depth, _) in enumerate(rows):
            if node is not None:
                kind = 0 if depth < self.min_depth else 1 if self.kept[node] else 2
                places[kind].append((depth, y))
        self.markers_ = [
            self.ax_.scatter(*zip(*own), s=22, zorder=2, label=label, **style)
            for own, (label, style) in zip(places, kinds.items())
            if own
        ]


def _climb(hierarchy, positions):
    """Return the parent of each node on the shortest paths to the root (-1 there)."""
    above: dict[int, int] = {}
    for position in positions:
        while position not in above:
            parents = hierarchy.parents[position]
            parent = min(parents, key=lambda i: hierarchy.depths[i], default=-1)
            above[position] = parent
            if parent < 0:
                break
            position = parent
    return above
