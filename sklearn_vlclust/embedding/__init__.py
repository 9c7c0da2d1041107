"""Images and words -> unit vectors of one space."""

from ._clip import CLIPEmbedder
from ._images import check_images, is_images
from ._offline import OfflineEmbedder
from ._shards import open_shards

__all__ = [
    "CLIPEmbedder",
    "OfflineEmbedder",
    "check_images",
    "is_images",
    "open_shards",
]
