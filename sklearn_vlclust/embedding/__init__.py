"""Images and words -> unit vectors of one space."""

from ._images import check_images, is_images

__all__ = ["check_images", "is_images"]
