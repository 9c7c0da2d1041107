"""Batches of images for the methods that learn from pixels."""

import numpy as np
import torch

from .._backend._device import to_device
from ..data.rows import row_blocks

# Images from which the mean and spread of colors are taken.
SAMPLED_IMAGES = 4096
# Samples per forward pass without gradients.
INFERENCE_ROWS = 1024
# Largest size of images that are held on the device as a whole.
HELD_BYTES = 4 * 2**30


class Images:
    """Batches of uint8 images: on the device, or fetched on demand.

    Images are (n, channels, height, width); a memmap may be of any size.
    """

    def __init__(self, images, device):
        self.images, self.device = images, device
        self._held = None
        if images.nbytes <= HELD_BYTES:
            held = np.require(images, requirements=["C", "W"])
            self._held = torch.from_numpy(held).to(device)

    def __len__(self):
        return len(self.images)

    def batch(self, index):
        """Return the images `index` and `index` itself."""
        if self._held is not None:
            return self._held[to_device(index, self.device)], index
        images = torch.from_numpy(self.images[index.numpy()])
        return to_device(images, self.device), index

    def blocks(self):
        """Yield all images block by block."""
        if self._held is not None:
            yield from self._held.split(INFERENCE_ROWS)
            return
        for block in row_blocks(len(self), INFERENCE_ROWS):
            images = np.ascontiguousarray(self.images[block])
            yield to_device(torch.from_numpy(images), self.device)


def color_range(pixels, patch_size):
    """Mean and spread of each channel, in [0, 1], for every value of a patch.

    `pixels` are uint8, (n, channels, height, width), of which a few thousand are used.
    """
    some = pixels[:: -(-len(pixels) // SAMPLED_IMAGES)]
    x = torch.from_numpy(some / 255.0).float()
    mean, spread = x.mean(dim=(0, 2, 3)), x.std(dim=(0, 2, 3))
    spread[spread < 1e-6] = 1.0  # images of one color
    return (v.repeat_interleave(patch_size**2) for v in (mean, spread))
