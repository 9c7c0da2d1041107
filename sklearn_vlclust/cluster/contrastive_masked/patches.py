"""Images as sequences of patches, and back."""


def patchify(images, patch_size):
    """Cut images, (n, channels, height, width), into square patches, row by row.

    Height and width are multiples of `patch_size`. Tokens are (n, n_patches, channels *
    patch_size**2).
    """
    n, channels, height, width = images.shape
    p = patch_size
    grid = images.reshape(n, channels, height // p, p, width // p, p)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(n, -1, channels * p * p)


def unpatchify(tokens, patch_size, shape):
    """Put patches together again to images of `shape`, the inverse of `patchify`.

    `shape` is that of an image: (channels, height, width).
    """
    channels, height, width = shape
    p = patch_size
    grid = tokens.reshape(-1, height // p, width // p, channels, p, p)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, height, width)
