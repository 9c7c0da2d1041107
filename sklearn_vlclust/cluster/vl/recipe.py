"""What decides the labels of VLClustering beside the cuts of `spectral`."""

from dataclasses import dataclass

from ..recipe import Recipe


@dataclass(frozen=True)
class VLRecipe(Recipe):
    """The rounds of the fit."""

    #: Largest number of rounds; a round that changes nothing is the last.
    n_rounds: int = 3
