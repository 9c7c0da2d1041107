"""Views of images: each image for itself, within the ranges, from one generator."""

import colorsys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from sklearn_vlclust.cluster.views import (
    GRAY,
    StrongView,
    Views,
    blur,
    hue_rotation,
    recolor,
)
from tests.conftest import new_generator

STILL = StrongView(window=(1.0, 1.0), shift=0.0, rotation=0.0, shear=0.0)


def pictures(n, channels=3, side=16, seed=0):
    """Smooth random uint8 images."""
    rng = np.random.default_rng(seed)
    noise = rng.random((n, channels, side, side))
    smooth = gaussian_filter(noise, (0, 0, 2, 2))
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return torch.from_numpy((255 * smooth).round().astype(np.uint8))


def distort(images, seed=0, **ranges):
    return Views(replace(STILL, **ranges), new_generator(seed)).distort(images)


def test_weak_view_is_the_image():
    images = pictures(5)
    weak, strong = Views(StrongView.for_images(3), new_generator(0))(images)
    torch.testing.assert_close(weak, images / 255)
    assert strong.shape == weak.shape
    assert (strong - weak).abs().mean() > 0.02


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("side", [8, 32])
def test_strong_views_are_images_each_its_own(channels, side):
    image = pictures(1, channels, side).expand(50, -1, -1, -1)
    strong = Views(StrongView.for_images(channels), new_generator(0)).distort(
        image / 255
    )
    assert strong.min() >= -1e-5 and strong.max() <= 1 + 1e-5  # rounding
    assert len(torch.unique(strong.flatten(1), dim=0)) == 50


def test_same_generator_same_views_and_the_global_seed_is_left_alone():
    images = pictures(10)
    before = torch.get_rng_state()
    a, b, c = (
        Views(StrongView.for_images(3), new_generator(seed))(images)[1]
        for seed in (1, 1, 2)
    )
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)


def test_only_color_images_are_mirrored_and_recolored():
    color = StrongView.for_images(3)
    assert color.flip > 0 and color.jitter > 0 and color.gray > 0
    for channels in (1, 2, 4):
        other = StrongView.for_images(channels)
        assert other.flip == other.jitter == other.gray == other.blur == 0


def test_nothing_changes_where_all_ranges_are_nil():
    images = pictures(4) / 255
    torch.testing.assert_close(distort(images), images, atol=1e-5, rtol=0)


def test_mirrored():
    images = pictures(40) / 255
    torch.testing.assert_close(
        distort(images, flip=1.0), images.flip(3), atol=1e-5, rtol=0
    )
    mixed = distort(images, flip=0.5)
    mirrored = (mixed - images.flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-4
    as_it_was = (mixed - images).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert (mirrored ^ as_it_was).all()
    assert 8 < mirrored.sum() < 32


def test_windows_stay_inside_the_image_without_shift():
    # Outside the image all is black: of a white one, only the border mixes with it.
    white = torch.ones(200, 3, 16, 16)
    inside = distort(white, window=(0.45, 0.9), stretch=1.1)
    assert inside.min() >= 0.25 and (inside == 1).float().mean() > 0.9
    assert distort(white, shift=0.2).min() < 1e-6
    border = distort(white, shift=0.2, outside="border")
    torch.testing.assert_close(border, white)


def test_window_enlarges_what_it_shows():
    images = torch.zeros(100, 1, 32, 32)
    images[:, :, 12:20, 12:20] = 1
    area = images.sum(dim=(1, 2, 3))
    views = distort(images, window=(0.5, 0.5))
    whole = views.sum(dim=(1, 2, 3))[views[:, :, [0, -1]].sum(dim=(1, 2, 3)) == 0]
    assert (whole / area[0]).max() == pytest.approx(4, rel=0.05)


def test_shift_moves_by_at_most_its_share():
    images = torch.zeros(200, 1, 20, 20)
    images[:, :, 9:11, 9:11] = 1
    views = distort(images, shift=0.2)
    axis = torch.arange(20.0) + 0.5
    row = (views.sum(dim=3)[:, 0] @ axis) / views.sum(dim=(1, 2, 3))
    moved = (row - 10).abs()
    assert 3 < moved.max() < 4.1 and moved.mean() == pytest.approx(2, abs=0.3)


def test_rotation_keeps_the_distance_from_the_center():
    images = torch.zeros(100, 1, 32, 32)
    images[:, :, 15:17, 25:27] = 1
    views = distort(images, rotation=90.0)
    axis = torch.arange(32.0) - 15.5
    total = views.sum(dim=(1, 2, 3))
    y = (views.sum(dim=3)[:, 0] @ axis) / total
    x = (views.sum(dim=2)[:, 0] @ axis) / total
    torch.testing.assert_close(
        torch.hypot(x, y), torch.full((100,), 10.0), atol=0.2, rtol=0
    )
    assert torch.atan2(y, x).rad2deg().abs().max() <= 91
    assert y.min() < -5 and y.max() > 5


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.floats(-0.5, 0.5))
def test_hue_turns_colors_around_gray(color, turn):
    """In YIQ as colorsys has it, lightness and saturation stay."""
    found = hue_rotation(torch.tensor([2 * np.pi * turn]))[0] @ torch.tensor(color)
    back = hue_rotation(torch.tensor([-2 * np.pi * turn]))[0] @ found
    assert back.tolist() == pytest.approx(color, abs=1e-4)
    lightness, i, q = yiq(color)
    lightness_found, i_found, q_found = yiq(found.tolist())
    assert lightness_found == pytest.approx(lightness, abs=0.02)
    assert np.hypot(i_found, q_found) == pytest.approx(np.hypot(i, q), abs=0.05)


def yiq(color):
    """`colorsys.rgb_to_yiq`, which is linear, of colors that may leave [0, 1]."""
    axes = np.transpose([colorsys.rgb_to_yiq(*axis) for axis in np.eye(3)])
    return axes @ np.array(color)


def test_gray_images_have_equal_channels():
    views = distort(pictures(60) / 255, gray=0.5)
    is_gray = (views - views[:, :1]).abs().amax(dim=(1, 2, 3)) < 1e-3
    assert 15 < is_gray.sum() < 45
    luminance = torch.einsum("nchw,c->nhw", pictures(60) / 255, torch.tensor(GRAY))
    torch.testing.assert_close(
        views[is_gray][:, 0], luminance[is_gray], atol=1e-3, rtol=0
    )


def test_recolor_against_loops():
    rng = np.random.default_rng(0)
    images = 0.3 + 0.3 * rng.random((3, 3, 4, 5))
    matrix = np.eye(3) + 0.1 * rng.normal(size=(3, 3, 3))
    contrast = 0.7 + 0.6 * rng.random(3)
    expected = np.empty_like(images)
    for i in range(3):
        x = np.empty((3, 4, 5))
        for row in range(4):
            for column in range(5):
                x[:, row, column] = matrix[i] @ images[i, :, row, column]
        mean = sum(GRAY[c] * x[c].mean() for c in range(3))
        expected[i] = np.clip(mean + contrast[i] * (x - mean), 0, 1)
    found = recolor(
        torch.tensor(images, dtype=torch.float32),
        torch.tensor(matrix, dtype=torch.float32),
        torch.tensor(contrast, dtype=torch.float32)[:, None, None, None],
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_blur_is_that_of_scipy_with_each_image_its_own_kernel():
    images = pictures(2, 3, 20) / 255
    sigmas, radius = [0.6, 1.5], 4
    offsets = torch.arange(-radius, radius + 1)
    kernels = torch.stack([torch.exp(-(offsets**2) / (2 * s * s)) for s in sigmas])
    kernels /= kernels.sum(dim=1, keepdim=True)
    found = blur(images, kernels)
    for image, sigma, result in zip(images.numpy(), sigmas, found):
        expected = gaussian_filter(
            image, (0, sigma, sigma), mode="nearest", radius=(0, radius, radius)
        )
        np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("side", [8, 32, 224])
def test_blur_is_drawn_for_the_size_of_the_image(side):
    kernels = Views(replace(STILL, blur=0.5), new_generator(0))._draw_blurs(400, side)
    radius = kernels.shape[1] // 2
    assert radius == max(1, round(side / 20))
    torch.testing.assert_close(kernels.sum(dim=1), torch.ones(400))
    torch.testing.assert_close(kernels, kernels.flip(1))
    untouched = kernels[:, radius] == 1
    assert untouched.sum() > 120  # half of them, and those of very small sigma
