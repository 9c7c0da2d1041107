"""Images and words -> unit vectors of one space."""

from ._clip import CLIPEmbedder
from ._images import check_images, is_images

__all__ = ["CLIPEmbedder", "check_images", "is_images"]
