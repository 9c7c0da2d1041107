"""Pictures compared by their pixels: small ones, laid over each other."""

from io import BytesIO

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.nn import functional as F

from ..data.rows import row_blocks

# Side of a thumbnail, and of the squares of which it is made for a first look.
SIDE, COARSE_SIDE = 32, 8
# Nearest thumbnails of each picture, and of its mirror image, that are laid over it.
CANDIDATES = 10
# Steps of registration on thumbnails of each side; scale and shift go up to `REACH`,
# where 1 is half a side.
STEPS = {16: 5, 32: 3}
REACH = 0.2
# Correlation that a pair loses at most where it is looked at more closely.
LOSS = 0.1
# Standard deviation of gray values, 0 to 1, below which a picture shows nothing.
LEAST_CONTRAST = 0.01
# Side of a picture of which trial copies are made, and share cut off at each edge.
TRIAL_SIDE, CUT = 256, 0.05
PAIRS_PER_BLOCK = 1024


def thumbnail(image):
    """Return an RGB image, squeezed to a square: uint8, (SIDE, SIDE, 3)."""
    small = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=3)
    return np.asarray(small)


def trial_copies(image):
    """Return thumbnails of a picture changed as copies often are: (4, SIDE, SIDE, 3).

    Saved again as a JPEG file, at half the size, cropped, mirrored.
    """
    width, height = image.size
    file = BytesIO()
    image.save(file, "JPEG", quality=50)
    half = image.resize((max(1, width // 2), max(1, height // 2)))
    x, y = round(CUT * width), round(CUT * height)
    crop = image.crop((x, y, width - x, height - y))
    copies = Image.open(file).convert("RGB"), half, crop, ImageOps.mirror(image)
    return np.stack([thumbnail(copy) for copy in copies])


class Thumbnails:
    """Thumbnails of pictures, whose pairs are compared.

    Parameters
    ----------
    pixels : ndarray of shape (n, SIDE, SIDE, 3), uint8
        As of `thumbnail`.
    """

    def __init__(self, pixels):
        self._pixels = pixels
        step = SIDE // COARSE_SIDE
        shape = len(pixels), COARSE_SIDE, step, COARSE_SIDE, step, 3
        coarse = np.empty((len(pixels), COARSE_SIDE, COARSE_SIDE, 3), np.float32)
        for block in row_blocks(len(pixels)):
            part = pixels[block].reshape(-1, *shape[1:])
            coarse[block] = part.mean(axis=(2, 4), dtype=np.float32) / 255
        self.rows = _centered(coarse)
        self.mirrored = _centered(coarse[:, :, ::-1])

    def correlate(self, first, second, least, others=None):
        """Lay pictures over others, mirrored if that fits better; scaled and shifted.

        Parameters
        ----------
        first, second : ndarray of shape (m,)
            The pairs.
        least : float
            Below it, a result need not be exact.
        others : Thumbnails, default=None
            Of which `second` are; these, if None.

        Returns
        -------
        correlations : ndarray of shape (m,), float32
            Of the colors where they overlap.
        """
        others = self if others is None else others
        found = np.empty(len(first), dtype=np.float32)
        for start in range(0, len(first), PAIRS_PER_BLOCK):
            block = slice(start, start + PAIRS_PER_BLOCK)
            i, j = first[block], second[block]
            plain = np.einsum("ij,ij->i", self.rows[i], others.rows[j])
            mirror = np.einsum("ij,ij->i", self.mirrored[i], others.rows[j]) > plain
            x = np.where(
                mirror[:, None, None, None],
                self._pixels[i][:, :, ::-1],
                self._pixels[i],
            )
            found[block] = _register(
                _to_tensor(x), _to_tensor(others._pixels[j]), least
            )
        return found


def _centered(coarse):
    """Return unit rows without the mean color; zeros for what shows nothing."""
    rows = (coarse - coarse.mean(axis=(1, 2), keepdims=True)).reshape(len(coarse), -1)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    shown = length > LEAST_CONTRAST * np.sqrt(rows.shape[1])
    return np.where(shown, rows / np.maximum(length, 1e-12), 0).astype(np.float32)


def _to_tensor(pixels):
    """Return pixels from 0 to 1, blurred to what two resized copies share."""
    x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
    return _blur(x)


def _blur(x):
    taps = torch.tensor([1, 4, 6, 4, 1]) / 16
    kernel = (taps[:, None] * taps).expand(3, 1, 5, 5)
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), kernel, groups=3)


@torch.no_grad()
def _register(x, y, least):
    """Return correlations of `x` with `y` moved to fit: from coarse to fine."""
    move = x.new_zeros(len(x), 4)
    best = x.new_zeros(len(x))
    alive = torch.arange(len(x))
    for side, n_steps in STEPS.items():
        a, b = (F.adaptive_avg_pool2d(z[alive], side) for z in (x, y))
        score, moved = _fit(a, b, move[alive], n_steps)
        best[alive], move[alive] = score, moved
        alive = alive[score >= least - LOSS]
    return best.numpy()


def _fit(a, b, move, n_steps):
    """Gauss-Newton steps on gray values; the best correlation of colors of any step."""
    side = a.shape[-1]
    x = torch.linspace(1 / side - 1, 1 - 1 / side, side).expand(side, side)
    y = x.T
    best, best_move = a.new_full((len(a),), -1.0), move
    gray = a.mean(dim=1)
    for step in range(n_steps + 1):
        across, down = (
            move[:, :2, None, None].unbind(1),
            move[:, 2:, None, None].unbind(1),
        )
        place = x * (1 + across[0]) + across[1], y * (1 + down[0]) + down[1]
        inside = ((place[0].abs() < 1) & (place[1].abs() < 1)).float()
        grid = torch.stack(place, dim=-1)
        moved = F.grid_sample(b, grid, padding_mode="border", align_corners=False)
        score = _correlation(a, moved, inside[:, None])
        better = score > best
        best = torch.where(better, score, best)
        best_move = torch.where(better[:, None], move, best_move)
        if step == n_steps:
            return best, best_move
        other = moved.mean(dim=1)
        dx, dy = (torch.gradient(other, dim=d)[0] * side / 2 for d in (2, 1))
        slopes = torch.stack([dx * x, dx, dy * y, dy], dim=1) * inside[:, None]
        slopes = slopes.flatten(2)  # (m, 4, side ** 2)
        rest = _off_mean(gray, inside) - _off_mean(other, inside)
        normal = slopes @ slopes.mT + 1e-3 * torch.eye(4)
        change = torch.linalg.solve(normal, slopes @ rest.flatten(1)[:, :, None])
        move = (move + change[:, :, 0]).clamp(-REACH, REACH)


def _off_mean(x, inside):
    total = (x * inside).sum((-2, -1), keepdim=True)
    return (x - total / inside.sum((-2, -1), keepdim=True)) * inside


def _correlation(a, b, inside):
    a, b = _off_mean(a, inside).flatten(1), _off_mean(b, inside).flatten(1)
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp_min(1e-6)
