"""Recipes: the constants that decide labels, one frozen dataclass per method.

A constructor has what users choose; a recipe has what was chosen once for all data. An
ablation replaces fields for a block of code::

    from sklearn_vlclust.cluster.spectral.recipe import SpectralRecipe

    with SpectralRecipe.using(trim_below=0.5):
        labels = VLClustering(10).fit_predict(X)

Constants that decide only speed, memory or the layout of model files stay in the
modules that use them; those of the papers are in the `presets` of their methods.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

_KINDS: list[type["Recipe"]] = []


@dataclass(frozen=True)
class Recipe:
    """Base of the recipes: what is in use in this thread, and how to change it."""

    _in_use: ClassVar[ContextVar[Any]]

    def __init_subclass__(cls) -> None:
        cls._in_use = ContextVar(cls.__name__)
        _KINDS.append(cls)

    @classmethod
    def in_use(cls) -> Self:
        """Return the recipe in use: the default, unless :meth:`using` changed it."""
        return cls._in_use.get(None) or cls()

    @classmethod
    @contextmanager
    def using(cls, **changes: Any) -> Iterator[Self]:
        """Replace fields for the fits of this thread until the block ends.

        Parameters
        ----------
        **changes
            Fields and their new values.

        Yields
        ------
        recipe : Recipe
            The recipe in use.

        Raises
        ------
        TypeError
            If the recipe has no such field.
        """
        token = cls._in_use.set(replace(cls.in_use(), **changes))
        try:
            yield cls.in_use()
        finally:
            cls._in_use.reset(token)


def changed_fields() -> dict[str, str]:
    """Return the fields of all recipes in use that are not at their defaults."""
    return {
        f"{kind.__name__}.{name}": repr(value)
        for kind in _KINDS
        for name, value in asdict(kind.in_use()).items()
        if value != getattr(kind, name)
    }


@dataclass(frozen=True)
class CommonRecipe(Recipe):
    """Samples and first partitions, which several methods share."""

    #: Rows in the sample that training starts from, and at least per cluster. More rows
    #: change the partition little, and cost time.
    start_rows: int = 20_000
    start_rows_per_cluster: int = 50
    #: Ward's method compares all pairs; above this many rows it merges micro-clusters.
    ward_rows: int = 5_000
    #: Least silhouette of each cluster of separate groups, which are left as they are:
    #: "reasonable structure" begins there (Kaufman and Rousseeuw, Finding Groups in
    #: Data, 1990, Table 4). Classes of embeddings have 0 to 0.3.
    least_silhouette: float = 0.5
    #: Rounds of k-means from farthest-first centers; separate groups need one.
    separate_rounds: int = 2
    #: Largest number of rows of a cluster by which it is split, if another is empty.
    split_rows: int = 1000
    #: Rounds in which empty clusters get a part of others: one is enough, unless other
    #: samples move as well.
    fill_rounds: int = 5
    #: Networks on rows: number of principal axes, and of starts of k-means for the
    #: first partition.
    n_axes: int = 64
    n_init: int = 5
    #: Largest side, in pixels, of images whose size is not given.
    max_side: int = 224


@dataclass(frozen=True)
class WordRecipe(Recipe):
    """Noun mixtures, and how far they are trusted."""

    #: Length of a noun mixture relative to its image, at full weight.
    mixture_weight: float = 0.7
    #: Effective number of nouns in a mixture.
    perplexity: float = 5.0
    #: Largest number of images that are halved, and number of halvings. Fewer images
    #: are halved more often, by at most this factor.
    halved_rows: int = 2000
    n_halvings: int = 6
    most_factor: int = 4
    #: Numbers of clusters, as multiples of the one asked for: with a single number, a
    #: few images would decide which groups are merged.
    multiples: tuple[float, ...] = (1.0, 1.5, 2.0)
    #: Number of principal axes, and of nearest images that vote for a cluster.
    n_axes: int = 64
    n_nearest: int = 3
    #: The weight rises from 0 to 1 over these ranges. Gain: what joint rows add to the
    #: agreement of images, as a share of what is missing to 1. Coverage: how well
    #: mixtures predict the clusters of images, as a share of how well images do.
    gain_range: tuple[float, float] = (0.0, 0.05)
    coverage_range: tuple[float, float] = (0.7, 0.8)
