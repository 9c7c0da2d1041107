"""What decides the labels of GCC and is not in the paper."""

from dataclasses import dataclass

from ..recipe import Recipe


@dataclass(frozen=True)
class GenerativeRecipe(Recipe):
    """The stages of the training, as tuples of the names of their epochs and these."""

    #: On images, and on embeddings, whose network starts well.
    image_stages: tuple[tuple[str, int], ...] = (
        ("contrast_epochs", 100),
        ("head_epochs", 20),
        ("generator_epochs", 100),
    )
    row_stages: tuple[tuple[str, int], ...] = (
        ("contrast_epochs", 20),
        ("head_epochs", 10),
        ("generator_epochs", 40),
    )
    #: Batches that an epoch on images has at least, or is repeated for: it is steps
    #: that teach a network, and a thousand images need as many as two thousand.
    least_batches: int = 8
    #: Largest number of samples generated per round.
    max_generated: int = 4096
    #: Share of generated samples in the intended cluster, beyond chance, from which the
    #: calibration has its full learning rate.
    trusted: float = 0.5
