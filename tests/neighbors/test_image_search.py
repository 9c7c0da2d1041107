"""Searches against comparing all rows, by image and by text, and saved on disk."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    parametrize_with_checks,
)

from sklearn_vlclust import CLIPEmbedder, MCAClustering
from sklearn_vlclust.data import file_rows
from sklearn_vlclust.data.file_rows import FileRows
from sklearn_vlclust.neighbors import ImageSearch
from tests._open_clip import save_random_clip

DATA = Path(os.environ.get("VLCLUST_TEST_DATA", "../shared/data"))
CHECKED = [ImageSearch(), ImageSearch(exact_limit=5, random_state=0)]


@parametrize_with_checks(CHECKED)
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", CHECKED, ids=["exact", "cells"])
@pytest.mark.parametrize(
    "check", [check_param_validation, check_dataframe_column_names_consistency]
)
def test_more_checks(estimator, check):
    check("ImageSearch", estimator)


def rows(n, d, seed=0):
    return np.random.RandomState(seed).standard_normal((n, d))


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@given(
    n=st.integers(2, 60),
    d=st.integers(2, 9),
    k=st.integers(1, 8),
    exact_limit=st.sampled_from([0, 1000]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_distances_are_those_of_unit_rows(n, d, k, exact_limit, seed):
    X, queries, k = rows(n, d, seed), rows(5, d, seed + 1), min(k, n)
    params = {"exact_limit": exact_limit, "recall": 1, "random_state": 0}
    cosine = ImageSearch(n_neighbors=k, **params).fit(X)
    euclidean = ImageSearch(metric="euclidean", **params).fit(7 * X)
    for search, between in [
        (cosine, lambda a, b: 1 - a @ b),
        (euclidean, lambda a, b: np.sqrt(((a - b) ** 2).sum())),
    ]:
        every = [[between(a, b) for b in unit(X)] for a in unit(queries)]
        distances, indices = search.kneighbors(queries, k)
        at_indices = np.take_along_axis(np.array(every), indices, axis=1)
        np.testing.assert_allclose(distances, at_indices, atol=1e-3)
        assert (np.diff(distances) >= -1e-6).all()
        if exact_limit:
            nearest = np.sort(every)[:, :k]
            np.testing.assert_allclose(distances, nearest, atol=1e-3)
        # All images are found where all are asked for.
        every_one = search.kneighbors(queries, n, return_distance=False)
        np.testing.assert_array_equal(np.sort(every_one), np.tile(np.arange(n), (5, 1)))
    np.testing.assert_array_equal(
        cosine.kneighbors(3 * queries, return_distance=False),
        cosine.kneighbors(queries)[1],
    )


@pytest.mark.parametrize("exact_limit", [0, 1000])
def test_an_image_is_no_neighbor_of_its_own(exact_limit):
    X = np.repeat(rows(40, 6), 2, axis=0)  # row 2 i + 1 is row 2 i
    search = ImageSearch(exact_limit=exact_limit, random_state=0).fit(X)
    distances, indices = search.kneighbors(n_neighbors=3)
    np.testing.assert_array_equal(indices[:, 0], np.arange(80) ^ 1)
    assert not (indices == np.arange(80)[:, None]).any()
    np.testing.assert_allclose(distances[:, 0], 0, atol=1e-6)


def test_recall_on_digits():
    X, y = load_digits(return_X_y=True)
    exact, search = (
        ImageSearch(exact_limit=limit, random_state=0).fit(X[300:])
        for limit in (10_000, 100)
    )
    expected = exact.kneighbors(X[:300], return_distance=False)
    cosines = unit(X[:300]) @ unit(X[300:]).T
    best = np.sort(cosines, axis=1)[:, :-11:-1]
    np.testing.assert_allclose(np.take_along_axis(cosines, expected, 1), best, 1e-5)
    found = search.kneighbors(X[:300], return_distance=False)
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(found, expected)]
    assert 0.9 < np.mean(shared) < 1  # cells were left out
    assert (y[300:][found] == y[:300, None]).mean() > 0.9


def test_recall_on_real_embeddings(clip_data):
    images = clip_data("images_caltech101.npz")
    X = images["emb_test"].astype(np.float32)
    queries = images["emb_val"].astype(np.float32)
    exact = ImageSearch().fit(X)
    expected = exact.kneighbors(queries, return_distance=False)
    probes = []
    for recall in (0.8, 0.95, 1.0):
        search = ImageSearch(recall=recall, exact_limit=1000, random_state=0).fit(X)
        distances, found = search.kneighbors(queries)
        shared = [len(set(a) & set(b)) / 10 for a, b in zip(found, expected)]
        assert search.recall_ >= recall and np.mean(shared) >= recall - 0.03
        cosines = np.einsum("nd,nkd->nk", unit(queries), unit(X)[found])
        np.testing.assert_allclose(distances, 1 - cosines, atol=1e-5)
        probes.append(search._cells.n_probe)
    assert probes[0] < probes[1] < probes[2]
    assert exact.recall_ == 1
    # What is near looks alike.
    same = images["label_test"][expected] == images["label_val"][:, None]
    assert same.mean() > 0.7


@pytest.mark.smoke
@pytest.mark.parametrize("exact_limit", [0, 1000])
@pytest.mark.parametrize("mmap", [True, False])
def test_saved_with_its_index(exact_limit, mmap, tmp_path, monkeypatch):
    monkeypatch.setattr(file_rows, "HELD_BYTES", 100)  # all files are large
    paths = [Path(f"photo {i}.jpg") for i in range(90)]
    X, queries = rows(90, 8), rows(4, 8, seed=1)
    search = ImageSearch(exact_limit=exact_limit, random_state=0).fit(X, paths=paths)
    expected = search.kneighbors(queries)
    search.save(tmp_path / "search")
    loaded = ImageSearch.load(tmp_path / "search", mmap=mmap)
    assert isinstance(loaded._rows, FileRows) == mmap
    np.testing.assert_array_equal(loaded.embeddings, search.embeddings)
    loaded.save(tmp_path / "search")  # over the files that it reads
    once_more = ImageSearch.load(tmp_path / "search", mmap=mmap)
    copied = pickle.loads(pickle.dumps(once_more))
    loaded.save(tmp_path / "elsewhere")
    for other in (loaded, once_more, copied, ImageSearch.load(tmp_path / "elsewhere")):
        for a, b in zip(other.kneighbors(queries), expected):
            np.testing.assert_allclose(a, b, atol=1e-6)
        assert other.paths_.tolist() == [str(path) for path in paths]
        assert other.get_params() == search.get_params()
    files = {path.suffix for path in (tmp_path / "search").iterdir()}
    assert files == {".npy", ".safetensors", ".json", ".faiss"} - (
        {".faiss"} if exact_limit else set()
    )
    np.load(next((tmp_path / "search").glob("rows-*")), allow_pickle=False)


READ = """
import sys
from sklearn_vlclust import ImageSearch
from sklearn_vlclust.data import file_rows
folder, cut, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
file_rows.HELD_BYTES = limit
search = ImageSearch.load(folder)
expected = search.kneighbors(n_neighbors=3, return_distance=False)
with open(cut, "rb+") as file:
    file.truncate(1000)
try:
    found = search.kneighbors(n_neighbors=3, return_distance=False)
except ValueError as error:
    print(error)
else:
    print((found == expected).all())
"""


@pytest.mark.parametrize("part", ["rows", "cells"])
@pytest.mark.parametrize("limit", [0, 2**28])
def test_a_file_that_is_truncated_later(tmp_path, part, limit):
    """Small files are in memory; a large one is an error. None ends the process."""
    ImageSearch(exact_limit=10, random_state=0).fit(rows(3000, 64)).save(tmp_path)
    cut = next(tmp_path.glob(f"{part}-*"))
    command = [sys.executable, "-c", READ, tmp_path, cut, str(limit)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if limit:
        assert done.stdout == "True\n"
    else:
        assert f"'{cut}' was truncated after it was opened." in done.stdout


def test_rows_of_a_file(tmp_path):
    X = rows(70, 5).astype(np.float32)
    np.save(tmp_path / "rows.npy", X)
    found = FileRows(tmp_path / "rows.npy")
    assert found.shape == X.shape and len(found) == 70
    mask = np.arange(70) % 3 == 0
    whole = np.arange(6).reshape(2, 3)
    for index in (
        *(slice(None), slice(3, 60), slice(3, 60, 7), slice(9, 2), slice(60, 900)),
        *(mask, whole, np.array([5, 5, 6, 7, 3, -1]), np.array([], dtype=int)),
    ):
        np.testing.assert_array_equal(found[index], X[index])
    with pytest.raises(IndexError):
        found[np.array([70])]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found))[:], X)
    np.save(tmp_path / "double.npy", X.astype(float))
    with pytest.raises(ValueError, match="no rows of float32"):
        FileRows(tmp_path / "double.npy")


def test_a_save_that_fails_leaves_the_one_before(tmp_path, monkeypatch):
    X = rows(30, 4)
    ImageSearch().fit(X[:20]).save(tmp_path)

    replace = os.replace

    def no_space(source, target):
        if "rows" not in os.path.basename(target):  # the model, after its rows
            raise OSError(28, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", no_space)
        with pytest.raises(OSError, match="No space"):
            ImageSearch().fit(X).save(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert ImageSearch.load(tmp_path).n_samples_fit_ == 20
    ImageSearch().fit(X).save(tmp_path)
    assert ImageSearch.load(tmp_path).n_samples_fit_ == 30
    assert len(list(tmp_path.iterdir())) == 2


def test_files_that_are_missing_or_damaged(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no saved ImageSearch in '.*nothing"):
        ImageSearch.load(tmp_path / "nothing")
    search = ImageSearch(exact_limit=10).fit(rows(50, 4), paths=["a.jpg"] * 50)
    for part in ("rows", "cells", "paths"):
        search.save(tmp_path)
        file = next(tmp_path.glob(f"{part}-*"))
        file.write_bytes(file.read_bytes()[:-3])
        with pytest.raises(ValueError, match=rf"'.*{part}-.*' is not a whole part of"):
            ImageSearch.load(tmp_path, mmap=part == "rows")
        file.unlink()
        with pytest.raises(FileNotFoundError, match=rf"{part}-.* is missing"):
            ImageSearch.load(tmp_path)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two CLIP models of one width, with random weights, and one text for each."""
    folder = tmp_path_factory.mktemp("clip")
    return [
        CLIPEmbedder(save_random_clip(folder / str(seed), seed=seed), device="cpu")
        for seed in (0, 1)
    ]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    photograph = Image.fromarray(load_sample_image("china.jpg"))
    for i in range(8):
        photograph.crop((60 * i, 0, 60 * i + 120, 400)).save(folder / f"{i}.png")
    return sorted(folder.iterdir())


def test_by_image_and_by_text(clips, photos, tmp_path):
    clip, _ = clips
    search = ImageSearch(clip, n_neighbors=3).fit(photos)
    X = clip.encode_images(photos)
    assert search.paths_.tolist() == [str(path) for path in photos]
    distances, indices = search.kneighbors([photos[5]])
    assert search.paths_[indices[0, 0]] == str(photos[5])
    assert distances[0, 0] < 1e-5
    texts = ["a temple", "a cat"]
    expected = np.argsort(-(clip.encode_texts(texts) @ X.T), axis=1)[:, :3]
    found = search.kneighbors_text(texts, return_distance=False)
    np.testing.assert_array_equal(found, expected)
    # Embeddings that are there already, and after loading.
    of_rows = ImageSearch(clip, n_neighbors=3).fit(X, paths=photos)
    of_rows.save(tmp_path)
    for other in (of_rows, ImageSearch.load(tmp_path)):
        np.testing.assert_array_equal(other.kneighbors_text(texts)[1], expected)
        np.testing.assert_array_equal(other.kneighbors([photos[5]])[1], indices)
    with pytest.raises(TypeError, match="texts is a single string, 'a cat'"):
        search.kneighbors_text("a cat")


def test_another_encoder(clips, photos, tmp_path):
    first, second = clips
    search = ImageSearch(first, n_neighbors=2).fit(photos)
    search.save(tmp_path)
    loaded = ImageSearch.load(tmp_path)
    for other in (search, loaded):
        other.set_params(embedder=second)
        for ask in (
            lambda s: s.kneighbors(photos[:1]),
            lambda s: s.kneighbors_text(["a cat"]),
        ):
            with pytest.raises(ValueError) as error:
                ask(other)
            assert first.encoder_id in str(error.value)
            assert second.encoder_id in str(error.value)
        other.set_params(embedder=first)
        assert other.kneighbors(photos[:1])[1][0, 0] == 0
    # Rows of an encoder that was not named: the width tells.
    unknown = ImageSearch().fit(rows(10, 5)).set_params(embedder=first)
    with pytest.raises(ValueError, match=r"Texts have 64 columns.*this search have 5"):
        unknown.kneighbors_text(["a cat"])
    with pytest.raises(ValueError, match=r"X has 64 features.*expecting 5 features"):
        unknown.kneighbors(photos[:1])


def test_photographs_that_cannot_be_read_are_left_out(clips, photos, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    given = [photos[0], tmp_path / "broken.png", photos[1]]
    embedder = CLIPEmbedder(clips[0].model, device="cpu", on_error="skip")
    search = ImageSearch(embedder, n_neighbors=1).fit(given)
    assert search.paths_.tolist() == [str(photos[0]), str(photos[1])]
    assert search.kneighbors([photos[1]])[1].tolist() == [[1]]


def test_learned_features(tmp_path):
    X = np.repeat(np.eye(4, 12), 25, axis=0) + 0.3 * rows(100, 12)
    mca = MCAClustering(4, semantic_space=None, max_iter=5, random_state=0).fit(X)
    for exact_limit in (20, 1000):
        search = ImageSearch(
            transformer=mca, n_neighbors=5, exact_limit=exact_limit, recall=1
        ).fit(torch.from_numpy(X))
        indices = search.kneighbors(X[:10], return_distance=False)
        Z = unit(mca.transform(X))
        expected = np.argsort(-(Z[:10] @ Z.T), axis=1)[:, :5]
        assert [len(set(a) & set(b)) for a, b in zip(indices, expected)] == [5] * 10
    search.save(tmp_path)
    loaded = ImageSearch.load(tmp_path)
    np.testing.assert_array_equal(loaded.kneighbors(X[:10])[1], indices)
    with pytest.raises(ValueError, match="Features of MCAClustering have no texts"):
        loaded.kneighbors_text(["a cat"])
    foreign = ImageSearch(transformer=PCA(3).fit(X)).fit(X)
    with pytest.raises(TypeError, match="PCA, which cannot be saved without pickle"):
        foreign.save(tmp_path)
    pickle.loads(pickle.dumps(foreign)).kneighbors(X[:1])


def test_a_memmap_is_read_in_place(tmp_path, monkeypatch):
    from sklearn_vlclust.data import rows as rows_module

    np.save(tmp_path / "X.npy", rows(200, 8).astype(np.float32))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    expected = ImageSearch().fit(X).kneighbors(X[:5])
    monkeypatch.setattr(rows_module.UnitRows.__init__, "__defaults__", (0, False))
    search = ImageSearch().fit(X)
    assert not search._rows.in_memory
    for a, b in zip(search.kneighbors(X[:5]), expected):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_photographs_by_words():
    folder = DATA / "images" / "pacs_photo"
    if not folder.is_dir():
        pytest.skip(f"no shared data: {folder} is missing")
    kinds = ["dog", "elephant", "guitar"]
    paths = [p for kind in kinds for p in sorted((folder / kind).iterdir())[:5]]
    search = ImageSearch("offline", n_neighbors=3).fit(paths)
    for indices in (
        search.kneighbors_text(kinds, return_distance=False),
        search.kneighbors(paths[::5], return_distance=False),
    ):
        parts = [[Path(p).parent.name for p in row] for row in search.paths_[indices]]
        assert parts == [[kind] * 3 for kind in kinds]


def test_wrong_input():
    search = ImageSearch().fit(rows(12, 5))
    with pytest.raises(ValueError, match=r"X has 4 features.*expecting 5 features"):
        search.kneighbors(rows(2, 4))
    with pytest.raises(ValueError, match=r"k=13 .*there are 12 images"):
        search.kneighbors(rows(2, 5), 13)
    with pytest.raises(TypeError, match=r"n_neighbors must be an integer, got 2\.0"):
        search.kneighbors(rows(2, 5), 2.0)
    with pytest.raises(ValueError, match=r"k=12 .*there are 11 other images"):
        search.kneighbors(n_neighbors=12)
    with pytest.raises(ValueError, match="paths has 3 entries for 12 images"):
        ImageSearch().fit(rows(12, 5), paths=["a", "b", "c"])
    with pytest.raises(TypeError, match=r"expected str, bytes or os\.PathLike"):
        ImageSearch().fit(rows(2, 5), paths=[1, 2])
    with pytest.raises(ValueError, match="Row 1 of X is all zeros"):
        ImageSearch().fit(rows(3, 5) * np.array([[1], [0], [1]]))
    with pytest.raises(ValueError, match="Row 0 of X is all zeros"):
        search.kneighbors(np.zeros((1, 5)))
