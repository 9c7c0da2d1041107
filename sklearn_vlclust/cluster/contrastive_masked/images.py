"""The network on images: pixels in, patches as tokens."""

import math

import torch

from ..networks import ClusterNetwork
from ..recipe import CommonRecipe
from ..views import as_floats
from .network import MaskedAutoencoder
from .patches import patchify, unpatchify

# Sizes that follow from the sizes of images and patches.
_DERIVED = "n_tokens", "token_dim", "n_clusters"


class ImageNetwork(ClusterNetwork, MaskedAutoencoder):
    """Masked auto-encoder whose samples are uint8 images.

    Parameters
    ----------
    image_shape : (int, int, int)
        Channels, height and width of an image.
    patch_size : int
        Side of a patch; height and width are multiples of it.
    n_clusters : int
        Clusters.
    n_centers : int, default=0
        See :class:`ClusterNetwork`.
    **sizes
        Of :class:`MaskedAutoencoder`.
    """

    def __init__(self, image_shape, patch_size, n_clusters, n_centers=0, **sizes):
        channels, height, width = image_shape
        n_tokens = height * width // patch_size**2
        super().__init__(n_tokens, channels * patch_size**2, n_clusters, **sizes)
        self.config = {
            "image_shape": list(image_shape),
            "patch_size": patch_size,
            "n_clusters": n_clusters,
            "n_centers": n_centers,
            **{name: v for name, v in self.config.items() if name not in _DERIVED},
        }
        self.register_buffer(
            "centers", torch.zeros(n_centers, self.config["instance_dim"])
        )

    def tokens(self, images):
        """Patches of uint8 images, or of float ones in [0, 1]: (n, L, p)."""
        if images.dtype == torch.uint8:
            images = as_floats(images)
        return patchify(images, self.config["patch_size"])

    def samples(self, tokens):
        """Return the uint8 images of patches: the inverse of `tokens`."""
        shape, patch_size = self.config["image_shape"], self.config["patch_size"]
        images = unpatchify(tokens, patch_size, shape)
        return images.mul(255).round().clamp(0, 255).to(torch.uint8)

    def restore(self, x):
        """Undo `standardize`."""
        return x * self.scale + self.mean

    def head_inputs(self, images):
        """Inputs of the last layer of the cluster head, (n, width)."""
        h = self.encode(self.standardize(self.tokens(images)), class_only=True)
        return self.cluster_mlp[:-1](h[:, 0])

    def last_cluster_layers(self):
        """Return the linear layer that gives the cluster logits."""
        return (self.cluster_mlp[-1],)

    def compile_blocks(self):
        """Let torch translate the blocks at their first call."""
        for block in (*self.encoder, *self.decoder):
            block.compile()


def choose_patch(side):
    """Return the side of a patch for images of a side: 2 at 8, 4 at 32, 16 at 224."""
    return 2 ** math.floor(math.log2(side) / 2 + 0.4) if side > 1 else 1


def choose_sizes(side, image_size=None, patch_size=None):
    """Choose the side of images, and the side of their patches, which divides it.

    Parameters are the (typical) side of the images at hand, and what was asked for, if
    it was.

    Raises
    ------
    ValueError
        If what was asked for does not go together.
    """
    side = image_size or min(side, CommonRecipe.in_use().max_side)
    patch = patch_size or choose_patch(side)
    if patch > side:
        raise ValueError(
            f"patch_size={patch} is more than the {side} pixels of an image's shorter "
            "side. Give a smaller one, or a larger image_size."
        )
    if image_size and side % patch:
        if patch_size:
            raise ValueError(
                f"image_size={side} is not a multiple of patch_size={patch}, as "
                f"{side - side % patch} is. Leave one of them out to have it chosen."
            )
        patch = max(p for p in range(1, patch + 1) if side % p == 0)
    return side - side % patch, patch
