"""Typical, doubtful, doubled and outlying images; thumbnails within their bytes."""

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter

from sklearn_vlclust.data.rows import UnitRows
from sklearn_vlclust.plotting import CodingLengthDisplay
from sklearn_vlclust.plotting.report.curve import draw_curve
from sklearn_vlclust.plotting.report.findings import (
    choose_shown,
    find_outliers,
    measure_clusters,
)
from sklearn_vlclust.plotting.report.quality import find_flaws
from sklearn_vlclust.plotting.report.thumbnails import make_thumbnails


def test_measures_are_cosines_to_means():
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(50, 6)), rng.integers(-1, 4, 50) * 2
    labels[labels < 0] = -1
    found = measure_clusters(UnitRows(X), labels)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    means = np.stack([unit[labels == c].mean(axis=0) for c in (0, 2, 4, 6)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    cosines = unit @ means.T
    np.testing.assert_array_equal(found.clusters, [0, 2, 4, 6])
    np.testing.assert_allclose(found.similarities, abs(means @ means.T), atol=1e-5)
    for i in range(50):
        own = labels[i] // 2 if labels[i] >= 0 else cosines[i].argmax()
        others = np.delete(cosines[i], own)
        assert found.typicality[i] == pytest.approx(cosines[i, own], abs=1e-5)
        gap = cosines[i, own] - others.max()
        assert found.rival[i] == 2 * np.flatnonzero(cosines[i] == others.max())[0]
        assert found.margin[i] == pytest.approx(gap, abs=1e-5)


def test_one_cluster_has_no_margin():
    found = measure_clusters(UnitRows(np.eye(3)), np.zeros(3, int))
    assert np.isnan(found.margin).all() and found.similarities.shape == (1, 1)
    assert (found.rival == -1).all()


def test_outliers_are_far_below_their_own_cluster():
    rng = np.random.default_rng(0)
    typicality = np.r_[
        0.9 + 0.01 * rng.normal(size=50), 0.5 + 0.1 * rng.normal(size=50)
    ]
    labels = np.repeat([0, 1], 50)
    typicality[7] = 0.7  # less typical of its cluster than 0.5 is of the other
    found = find_outliers(typicality, labels, 10)
    assert found[0][0] == 7 and found[0][1] > 5
    assert all(score >= 3.5 for _, score in found)
    assert find_outliers(np.ones(100), labels, 10) == []
    noise = np.full(100, -1)
    assert find_outliers(typicality, noise, 10) == []


def test_shown_images_are_spread_over_clusters():
    labels = np.repeat([0, 1, -1], [900, 80, 20])
    typicality = np.linspace(1, 0, 1000)
    shown = choose_shown(labels, typicality, typicality, [555], 200)
    assert len(shown) == len(set(shown)) == 200 and 555 in shown
    counts = [(labels[shown] == c).sum() for c in (0, 1, -1)]
    assert counts[0] > 100 and min(counts) >= 16
    every = choose_shown(labels, typicality, typicality, [], 1000)
    np.testing.assert_array_equal(every, np.arange(1000))


def tile(thumbnails, i):
    """Return the picture of image `i`."""
    columns = thumbnails.columns
    sheet, place = divmod(int(thumbnails.tiles[i]), columns**2)
    with Image.open(BytesIO(thumbnails.sheets[sheet])) as picture:
        side = picture.width // columns
        left, top = side * (place % columns), side * (place // columns)
        return picture.crop((left, top, left + side, top + side))


def test_thumbnails_fit_their_budget():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (40, 100, 140, 3), dtype=np.uint8)
    for budget, side in ((40 * 30_000, 96), (40 * 1_500, 48)):
        thumbnails, _ = make_thumbnails(noise, budget=budget)
        assert sum(map(len, thumbnails.sheets)) <= budget
        assert tile(thumbnails, 3).size == (side, side)


def test_a_sample_that_misleads():
    """The images that the size is estimated by are blank, the others are not."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (96, 64, 64, 3), dtype=np.uint8)
    pixels[np.unique(np.linspace(0, 95, 64).astype(int))] = 0
    thumbnails, _ = make_thumbnails(pixels, budget=96 * 500)
    assert sum(map(len, thumbnails.sheets)) <= 96 * 500


def test_thumbnails_are_middle_squares_in_any_order():
    pixels = np.zeros((700, 32, 96, 3), dtype=np.uint8)
    colors = np.random.default_rng(0).integers(0, 255, (700, 3), dtype=np.uint8)
    pixels[:, :, 32:64] = colors[:, None, None]
    thumbnails, _ = make_thumbnails(pixels, order=np.arange(700)[::-1])
    assert len(thumbnails.sheets) == 2 and thumbnails.tiles[699] == 0
    for i in (0, 1, 350, 699):
        picture = tile(thumbnails, i)
        assert picture.size == (32, 32)
        np.testing.assert_allclose(picture.getpixel((16, 16)), colors[i], atol=24)


def test_flaws_are_found():
    rng = np.random.default_rng(0)
    big = gaussian_filter(rng.normal(size=(60, 300, 300)), (0, 2, 2))
    gray = (128 + 55 * big / big.std()).clip(0, 255)
    gray[3] = gaussian_filter(gray[3], 6) * 2 - 128
    gray[7] = gray[7] / 9
    gray[9] = 200
    pictures = [
        np.repeat(g[..., None], 3, axis=2).clip(0, 255).astype(np.uint8) for g in gray
    ]
    pictures[11] = pictures[11][:60, :60]
    _, quality = make_thumbnails(pictures)
    expected = {"blurred": [3], "dark": [7], "empty": [9], "tiny": [11]}
    assert find_flaws(quality, 10) == expected
    assert find_flaws(quality[[0, 1, 2]], 10) == {}


def test_real_photographs_that_are_blurred(shared_photos):
    """Blurred copies come first, and hardly any photograph of the rest is blamed."""
    pictures = [Image.open(path).convert("RGB") for path in shared_photos]
    for i in range(5):
        pictures[i] = pictures[i].filter(ImageFilter.GaussianBlur(4))
    _, quality = make_thumbnails(pictures)
    found = find_flaws(quality, 60)
    assert set(found["blurred"][:5]) == set(range(5)) and len(found["blurred"]) < 12


@pytest.fixture
def shared_photos():
    folder = Path(os.environ.get("VLCLUST_TEST_DATA", "../shared/data"), "images")
    paths = sorted((folder / "pacs_photo").glob("*/*"))[::11]
    if not paths:
        pytest.skip(f"no shared test data: {folder} is missing")
    return paths


def test_the_curve_has_gaps_and_round_ticks():
    display = CodingLengthDisplay([2, 3, 4, 5, 6], [10.0, 30.0, np.nan, 20.0, 25.0], 3)
    drawing = draw_curve(display)
    assert [len(line.split()) for line in drawing["lines"]] == [2, 2]
    assert drawing["table"][2] == (4, "none")
    assert [text for _, text in drawing["y_ticks"]] == ["10", "15", "20", "25", "30"]
    assert [text for _, text in drawing["x_ticks"]] == ["2", "3", "5"]
    left, _, right, _ = drawing["box"]
    chosen = left + (right - left) * np.log(3 / 2) / np.log(6 / 2)  # a log scale
    assert float(drawing["chosen"]) == pytest.approx(chosen, abs=0.1)
    one = draw_curve(CodingLengthDisplay([5], [0.0], 5))
    assert one["points"] and np.isfinite(float(one["chosen"]))
