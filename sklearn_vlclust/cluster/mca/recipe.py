"""What decides the labels of MCA and is not in the paper."""

from dataclasses import dataclass

from ..recipe import Recipe


@dataclass(frozen=True)
class MCARecipe(Recipe):
    """The partition that training starts from."""

    #: Rounds in which every row moves halfway to the mean of its neighbors.
    smoothing_rounds: int = 2
