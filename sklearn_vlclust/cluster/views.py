"""Weak and strong views of a batch of images, each image with its own parameters."""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from .._backend._device import to_device

# Shares of red, green and blue in gray (ITU-R BT.601).
GRAY = 0.299, 0.587, 0.114


@dataclass(frozen=True)
class StrongView:
    """Ranges of the strong view's random parameters; None of them depends on the data.

    Parameters
    ----------
    window : (float, float)
        Sides of the window that becomes the view, as shares of the image's.
    stretch : float
        Largest factor between the window's width and height.
    shift : float
        How far the window may leave the image, as a share of the image's side.
    rotation : float
        Largest angle in degrees, either way.
    shear : float
        Largest shear, either way.
    flip : float
        Probability of a mirrored image.
    jitter : float
        Probability of other colors.
    color : float
        Largest change of brightness, contrast and saturation, as a factor around 1.
    hue : float
        Largest change of hue, in turns.
    gray : float
        Probability of a gray image.
    blur : float
        Probability of a blurred image.
    outside : {"zeros", "border"}
        What a window sees outside the image.
    """

    window: tuple[float, float] = (0.8, 1.2)
    stretch: float = 1.0
    shift: float = 0.2
    rotation: float = 15.0
    shear: float = 0.1
    flip: float = 0.0
    jitter: float = 0.0
    color: float = 0.4
    hue: float = 0.1
    gray: float = 0.0
    blur: float = 0.0
    outside: str = "zeros"

    @classmethod
    def for_images(cls, channels):
        """Return the strong view of images with that many channels.

        Color images are treated as photographs: crops, flips, colors and blur, as in
        the paper. Others may be characters, which mirroring would change: they are
        shifted, rotated and sheared a little (not in the paper).
        """
        if channels != 3:
            return cls()
        return cls(
            window=(0.45, 1.0),  # a fifth of the area to all of it
            stretch=4 / 3,
            shift=0.0,
            rotation=0.0,
            shear=0.0,
            flip=0.5,
            jitter=0.8,
            gray=0.2,
            blur=0.5,
            outside="border",
        )


class Views:
    """Make two views of images (Section 3.1): unchanged and strongly augmented.

    Every image has its own parameters, but all are changed in the same few operations
    on the whole batch: one affine sampling, one matrix of colors, one blur.

    Parameters
    ----------
    strong : StrongView
        Ranges of the parameters.
    generator : torch.Generator
        On the CPU, so that any device gets the same views.
    """

    def __init__(self, strong, generator):
        self.strong = strong
        self.generator = generator

    def __call__(self, images):
        """Return the weak and the strong view of uint8 images, (n, c, h, w) in [0, 1].

        The paper's weak view resizes and normalizes: images have their size already,
        and the network normalizes.
        """
        weak = as_floats(images)
        return weak, self.distort(weak)

    def distort(self, images):
        """Return the strong view of images in [0, 1], (n, c, h, w)."""
        strong, device = self.strong, images.device
        grid = F.affine_grid(
            to_device(self._draw_windows(len(images)), device),
            list(images.shape),
            align_corners=False,
        )
        x = F.grid_sample(
            images, grid, padding_mode=strong.outside, align_corners=False
        )
        if images.shape[1] == 3 and (strong.jitter > 0 or strong.gray > 0):
            colors = self._draw_colors(len(images))
            matrix, contrast = (to_device(drawn, device) for drawn in colors)
            x = recolor(x, matrix, contrast)
        if strong.blur > 0:
            kernels = self._draw_blurs(len(images), min(images.shape[2:]))
            x = blur(x, to_device(kernels, device))
        return x

    def _draw_windows(self, n):
        """Matrices from the view's coordinates to the image's, (n, 2, 3)."""
        strong, draw = self.strong, self._uniform
        low, high = strong.window
        # Areas are drawn evenly, as in a random resized crop.
        side = draw(n, low**2, high**2).sqrt()
        stretch = draw(n, -1, 1).mul(math.log(strong.stretch) / 2).exp()
        angle = draw(n, -strong.rotation, strong.rotation).deg2rad()
        shear = draw(n, -strong.shear, strong.shear)
        mirror = 1 - 2 * self._happens(n, strong.flip)
        width, height = side * stretch, side / stretch
        cos, sin = angle.cos(), angle.sin()
        matrix = torch.stack(
            [
                torch.stack([mirror * width * cos, height * (shear * cos - sin)], 1),
                torch.stack([mirror * width * sin, height * (shear * sin + cos)], 1),
            ],
            dim=1,
        )
        room = (1 - torch.stack([width, height], 1)).clamp_min(0) + 2 * strong.shift
        center = room * draw((n, 2), -1, 1)
        return torch.cat([matrix, center[:, :, None]], dim=2)

    def _draw_colors(self, n):
        """Color matrices, (n, 3, 3), and contrasts, (n, 1, 1, 1), of `recolor`."""
        strong, draw = self.strong, self._uniform
        jittered = self._happens(n, strong.jitter)
        brightness, contrast, saturation = (
            1 + jittered * draw(n, -strong.color, strong.color) for _ in range(3)
        )
        angle = jittered * draw(n, -strong.hue, strong.hue) * 2 * math.pi
        saturation = saturation * (1 - self._happens(n, strong.gray))
        turn = hue_rotation(angle)  # (n, 3, 3)
        gray = torch.tensor(GRAY).expand(3, 3)
        saturation = saturation[:, None, None]
        matrix = saturation * turn + (1 - saturation) * gray
        return brightness[:, None, None] * matrix, contrast[:, None, None, None]

    def _draw_blurs(self, n, side):
        """Kernels of `blur`, (n, kernel): a tenth of the image wide, as in SimCLR."""
        radius = max(1, round(side / 20))
        # 0.1 to 2 pixels at 224, less for smaller images, down to a quarter.
        sigma = self._uniform(n, 0.1, 2.0) * max(side / 224, 0.25)
        offsets = torch.arange(-radius, radius + 1)
        kernel = torch.exp(-offsets.square() / (2 * sigma.square()[:, None]))
        kernel = kernel / kernel.sum(dim=1, keepdim=True)
        happens = self._happens(n, self.strong.blur)[:, None]
        return happens * kernel + (1 - happens) * (offsets == 0)

    def _uniform(self, size, low, high):
        size = (size,) if isinstance(size, int) else size
        return low + (high - low) * torch.rand(size, generator=self.generator)

    def _happens(self, n, probability):
        """1.0 with that probability, else 0.0, (n,)."""
        return (torch.rand(n, generator=self.generator) < probability).float()


def as_floats(images):
    """Images in [0, 1] of uint8 images."""
    return images.float() / 255


def recolor(images, matrix, contrast):
    """Multiply colors by a matrix, (n, 3, 3), and stretch them around the mean gray.

    Images, (n, 3, h, w), are in [0, 1] before and after. Brightness, saturation and hue
    are linear maps of a pixel's color; `contrast`, (n, 1, 1, 1), is the factor of the
    differences from the mean gray.
    """
    x = (matrix @ images.flatten(2)).view_as(images)
    gray = to_device(torch.tensor(GRAY), x.device)
    mean = (x.mean(dim=(2, 3)) @ gray)[:, None, None, None]
    return (mean + contrast * (x - mean)).clamp_(0, 1)


def blur(images, kernels):
    """Convolve each image with its own kernel, along rows and columns.

    Images are (n, c, h, w) and kernels (n, kernel), of odd width. Borders are repeated
    outside.
    """
    n, channels, height, width = images.shape
    radius = kernels.shape[1] // 2
    x = images.reshape(1, n * channels, height, width)
    weight = kernels.repeat_interleave(channels, dim=0)[:, None, None, :]
    x = F.pad(x, (radius, radius, 0, 0), mode="replicate")
    x = F.conv2d(x, weight, groups=n * channels)
    x = F.pad(x, (0, 0, radius, radius), mode="replicate")
    x = F.conv2d(x, weight.transpose(2, 3), groups=n * channels)
    return x.view_as(images)


def hue_rotation(angle):
    """Matrices that turn the colors around gray, (n, 3, 3): a rotation in YIQ."""
    to_yiq = torch.tensor([GRAY, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)])
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    turn = torch.stack([zero + 1, zero, zero, zero, cos, -sin, zero, sin, cos], dim=1)
    return torch.linalg.inv(to_yiq) @ turn.view(-1, 3, 3) @ to_yiq
