"""What decides the labels of CPP and is not in the paper."""

from dataclasses import dataclass

from ..recipe import Recipe


@dataclass(frozen=True)
class RateReductionRecipe(Recipe):
    """The width of the features, and the classifier of the clusters."""

    #: Least and greatest width of the features, and least number of embedding
    #: dimensions per feature: the last principal axes are noise.
    min_width: int = 64
    max_width: int = 128
    columns_per_feature: int = 4
    #: Number of directions per cluster, and rows needed for each.
    n_directions: int = 4
    rows_per_direction: int = 10
