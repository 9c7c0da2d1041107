"""Copies of pictures and rows: which are found, why, and what is left alone."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from sklearn_vlclust.data.images import UnreadableImageError
from sklearn_vlclust.datasets import fetch_sample_images
from sklearn_vlclust.neighbors import find_duplicates


def draw(rng, side=96):
    """Return a picture with shapes of several sizes, unlike any other."""
    image = Image.new("RGB", (side, side))
    for size in (3, 6, 12, 24):
        part = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
        part = Image.fromarray(part).resize((side, side), Image.Resampling.BICUBIC)
        image = Image.blend(image, part, 0.4)
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures 00 to 59, and six copies of 07."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for i in range(60):
        image = draw(rng)
        image.save(folder / f"{i:02d}.png")
        if i == 7:
            picture = image
    (folder / "same.png").write_bytes((folder / "07.png").read_bytes())
    picture.save(folder / "resaved.jpg", quality=50)
    picture.resize((48, 48)).save(folder / "half.png")
    picture.crop((3, 2, 93, 94)).save(folder / "cropped.png")
    ImageOps.mirror(picture).save(folder / "mirrored.png")
    picture.point(lambda value: value * 0.8).save(folder / "darker.png")
    return folder


def names(paths, index):
    return {paths[i].name for i in index}


def test_copies_of_a_picture(folder):
    paths = sorted(folder.iterdir())
    found = find_duplicates(paths)
    (group,) = found.groups
    assert names(paths, group) == {
        "07.png",
        "same.png",
        "resaved.jpg",
        "half.png",
        "cropped.png",
        "mirrored.png",
        "darker.png",
    }
    reasons = {
        frozenset(names(paths, pair)): reason
        for pair, reason in zip(found.pairs, found.reasons)
    }
    assert reasons.pop(frozenset({"07.png", "same.png"})) == "exact"
    assert set(reasons.values()) == {"perceptual"}
    assert (found.pairs[:, 0] < found.pairs[:, 1]).all()
    perceptual = found.reasons == "perceptual"
    assert (found.similarities[perceptual] >= found.thresholds["perceptual"]).all()
    assert found.similarities[~perceptual].tolist() == [1]
    assert found.kept.tolist() == list(range(66)) and found.errors == []


def test_copies_among_sample_pictures():
    try:
        paths = fetch_sample_images()
    except LookupError as error:
        pytest.skip(str(error))
    images = [Image.open(path).convert("RGB") for path in paths]
    n = len(images)
    copies = [ImageOps.mirror(images[i]) for i in range(0, n, 15)]
    copies += [images[i].resize((90, 90)) for i in range(5, n, 15)]
    found = find_duplicates([*images, *copies])
    made = [*range(0, n, 15), *range(5, n, 15)]
    wanted = {(i, n + j) for j, i in enumerate(made)}
    pairs = {tuple(pair) for pair in found.pairs.tolist()}
    assert len(wanted & pairs) >= 0.9 * len(wanted)
    # Some of the pictures are much alike.
    assert len(pairs - wanted) <= 0.1 * n


def test_embeddings_find_what_pixels_do_not(folder):
    paths = sorted(folder.iterdir())
    rng = np.random.default_rng(0)
    X = rng.normal(size=(66, 64))
    rotated = [Image.open(path).convert("RGB") for path in paths]
    rotated[1] = rotated[0].rotate(3, Image.Resampling.BICUBIC)
    X[1] = X[0] + 0.02 * rng.normal(size=64)
    X[3] = X[2] + 0.02 * rng.normal(size=64)  # of pictures that look different
    assert not (find_duplicates(rotated).pairs == [0, 1]).all(axis=1).any()
    found = find_duplicates(rotated, embeddings=X)
    place = (found.pairs == [0, 1]).all(axis=1)
    assert found.reasons[place].tolist() == ["embedding"]
    assert found.similarities[place] >= found.thresholds["embedding"]
    assert not (found.pairs == [2, 3]).all(axis=1).any()


def test_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 64))
    X[400:405] = X[0]
    X[410:420] = X[10:20] + 0.05 * rng.normal(size=(10, 64))
    found = find_duplicates(X)
    pairs = [[0, i] for i in range(400, 405)] + [[i, i + 400] for i in range(10, 20)]
    assert found.pairs.tolist() == pairs
    assert found.reasons.tolist() == ["exact"] * 5 + ["embedding"] * 10
    assert [len(group) for group in found.groups] == [6] + [2] * 10


@pytest.mark.parametrize("width", [4, 64, 512])
def test_unrelated_rows_have_no_copies(width):
    X = np.random.default_rng(0).normal(size=(1000, width))
    assert len(find_duplicates(X).pairs) == 0


def test_few_and_uniform_pictures():
    gray = np.full((30, 8, 8, 3), 99, dtype=np.uint8)
    gray[15:] += np.arange(15, dtype=np.uint8)[:, None, None, None]
    found = find_duplicates(gray)
    assert found.pairs.tolist() == [[0, i] for i in range(1, 16)]
    assert set(found.reasons) == {"exact"}
    for n in (1, 2):
        assert len(find_duplicates(gray[20 : 20 + n]).pairs) == 0
        assert len(find_duplicates(np.eye(3)[:n]).pairs) == 0


def test_pictures_that_cannot_be_read(folder, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    paths = [folder / "07.png", tmp_path / "broken.jpg", folder / "mirrored.png"]
    with pytest.raises(UnreadableImageError, match="broken"):
        find_duplicates(paths)
    found = find_duplicates(paths, on_error="skip")
    assert found.pairs.tolist() == [[0, 2]] and found.kept.tolist() == [0, 2]
    assert [path for path, _ in found.errors] == [str(tmp_path / "broken.jpg")]


def test_what_does_not_fit(folder):
    paths = sorted(folder.iterdir())
    with pytest.raises(ValueError, match="5 rows for 66 images"):
        find_duplicates(paths, embeddings=np.eye(5))
    with pytest.raises(ValueError, match="embeddings belong to images"):
        find_duplicates(np.eye(5), embeddings=np.eye(5))
    with pytest.raises(ValueError, match="'ignore'; expected 'raise' or 'skip'"):
        find_duplicates(paths, on_error="ignore")
    with pytest.raises(ValueError, match="None of 1 image can"):
        find_duplicates([folder / "none.png"], on_error="skip")
