"""What decides the labels of PICI and is not in the paper."""

from dataclasses import dataclass

from ..recipe import Recipe


@dataclass(frozen=True)
class ContrastiveMaskedRecipe(Recipe):
    """What "auto" stands for, on images and on embeddings.

    Stages are tuples of the names of their epochs, these, and the optimizer steps after
    which larger sets have had enough.
    """

    #: Width, depth and heads of the transformer for images up to a side in pixels, and
    #: for others; of the decoder; and width of the instance features.
    small_side: int = 16
    small_backbone: tuple[int, int, int] = (64, 3, 4)
    large_backbone: tuple[int, int, int] = (128, 3, 4)
    decoder: tuple[int, int, int] = (32, 1, 4)
    instance_dim: int = 128
    #: Standard deviation of the position embeddings at the start. From the usual 0.02,
    #: digits took twice the epochs.
    position_scale: float = 0.5
    #: Temperature of the instance contrast. From 0.5, digits end at 90 instead of 95.
    image_tau: float = 0.2
    row_tau: float = 0.5
    image_stages: tuple[tuple[str, int, int], ...] = (
        ("pretrain_epochs", 20, 2_000),
        ("train_epochs", 250, 25_000),
        ("boost_epochs", 40, 4_000),
    )
    row_stages: tuple[tuple[str, int, int], ...] = (
        ("pretrain_epochs", 5, 250),
        ("train_epochs", 20, 1_000),
        ("boost_epochs", 15, 750),
    )
