"""Images and words -> unit vectors of one space."""

from ..data.images import check_images, is_images
from ..data.shards import open_shards
from ._base import BaseEmbedder as BaseEmbedder
from ._base import BaseImageEmbedder as BaseImageEmbedder
from ._clip import CLIPEmbedder
from ._module import TimmEmbedder, TorchEmbedder
from ._offline import OfflineEmbedder

__all__ = [
    "CLIPEmbedder",
    "OfflineEmbedder",
    "TimmEmbedder",
    "TorchEmbedder",
    "check_images",
    "is_images",
    "open_shards",
]
