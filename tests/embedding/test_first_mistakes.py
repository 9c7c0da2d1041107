"""What users pass first: taken as meant, or named with what to pass."""

import io
import os
from collections import deque

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image
from sklearn.compose import ColumnTransformer

from sklearn_vlclust import ImageSearch, RateReductionClustering
from sklearn_vlclust.embedding import BaseEmbedder, check_images, is_images

PATHS = ["a.jpg", "b.jpg"]
GRAY = np.random.default_rng(0).integers(0, 256, (5, 8, 9), dtype=np.uint8)
ROWS = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)


class Dataset:
    """As of torch: neither a sequence nor an array."""

    def __len__(self):
        return len(PATHS)

    def __getitem__(self, i):
        return PATHS[i]


@pytest.mark.parametrize(
    "X",
    [
        dict.fromkeys(PATHS).keys(),
        dict(enumerate(PATHS)).values(),
        deque(PATHS),
        np.array(PATHS)[:, None],
        np.array(PATHS, dtype=object)[:, None],
        [[path] for path in PATHS],
        pd.DataFrame({"path": PATHS}),
        pd.DataFrame({"path": pd.array(PATHS, dtype="string")}, index=[7, 8]),
        pl.DataFrame({"path": PATHS}),
    ],
    ids=lambda X: type(X).__name__,
)
def test_paths_in_other_shapes(X):
    assert is_images(X)
    assert list(check_images(X)) == PATHS


@pytest.mark.parametrize("X", [GRAY, torch.from_numpy(GRAY), list(GRAY)])
def test_gray_pictures_without_channels(X):
    assert is_images(X)
    images = check_images(X)
    assert len(images) == len(GRAY)
    np.testing.assert_array_equal(np.asarray(images[3]).squeeze(), GRAY[3])


REFUSED = [
    ((path for path in PATHS), "a generator.*only once; pass list"),
    (map(str, PATHS), "a map.*only once; pass list"),
    (set(PATHS), "a set.*no order; pass sorted"),
    (frozenset(PATHS), "a frozenset.*no order; pass sorted"),
    (dict(enumerate(PATHS)), r"a dict; pass list\(X.values"),
    (dict.fromkeys(PATHS).items(), "a dict_items; pass a list"),
    (b"\xff\xd8" * 10_000, "is bytes, of length 20000; pass a list of paths"),
    ([b"\xff\xd8" * 10_000], r"X\[0\] is bytes, of length 20000; .*Image.open"),
    ([os.fsencode(path) for path in PATHS], r"X\[0\] is bytes.*os.fsdecode"),
    (np.array(PATHS, dtype="S"), "an array of bytes; pass paths as str"),
    (io.BytesIO(b"x"), r"an open file \(BytesIO\)"),
    ([io.BytesIO(b"x")], r"X\[0\] is an open file \(BytesIO\).*Image.open"),
    (Dataset(), "a Dataset; pass a list"),
]


@pytest.mark.parametrize(("X", "message"), REFUSED)
def test_what_can_not_be_meant_is_named(X, message):
    assert not is_images(X)
    for read in (check_images, RateReductionClustering(2).fit):
        with pytest.raises(TypeError, match=message) as info:
            read(X)
        assert len(str(info.value)) < 200


def test_one_picture_is_no_stack():
    with pytest.raises(TypeError, match=r"shape \(8, 9, 3\): is it a single image"):
        check_images(np.zeros((8, 9, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    "X",
    [
        pd.Series(list(ROWS)),
        pd.DataFrame({"vector": list(ROWS)}),
        pd.Series([row.tolist() for row in ROWS]),
        pl.Series([row.tolist() for row in ROWS]),
        pl.DataFrame({"vector": [row.tolist() for row in ROWS]}),
        dict(enumerate(ROWS)).values(),
        torch.tensor(ROWS, requires_grad=True),
        [torch.tensor(row, requires_grad=True) for row in ROWS],
        [torch.tensor(row) for row in ROWS],
    ],
    ids=lambda X: type(X).__name__,
)
def test_rows_in_other_shapes(X):
    model = RateReductionClustering(2, max_iter=2, random_state=0)
    expected = model.fit(ROWS).labels_
    np.testing.assert_array_equal(model.fit(X).labels_, expected)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (torch.eye(4).to_sparse(), r"a sparse tensor.*pass X.to_dense\(\)"),
        (torch.eye(4).to_sparse_csr(), r"a sparse tensor.*pass X.to_dense\(\)"),
        (torch.zeros(4, 4, device="meta"), "on the device 'meta', without values"),
        (pd.Series([np.ones(3), np.ones(4)]), r"must have 3 values, but X\[1\]"),
        (pd.Series([None, np.ones(4)]), r"must have 4 values, but X\[0\]"),
        (np.zeros((4, 5, 6)), r"dim 3.*\(4, 5, 6\).*gray images as uint8"),
        (torch.zeros(4, 5, 6), r"dim 3.*\(4, 5, 6\).*gray images as uint8"),
    ],
)
def test_rows_that_can_not_be_meant_are_named(X, message):
    with pytest.raises((TypeError, ValueError), match=message):
        RateReductionClustering(2).fit(X)


class MeanColor(BaseEmbedder):
    encoder_id = "mean color"
    _n_features_out = 3
    batch_size, device, cache, n_jobs = 8, "cpu", None, 1
    on_error, verbose = "raise", 0

    def _load(self):
        return self

    def _preprocess(self, image):
        return torch.tensor(1.0 + np.asarray(image).reshape(-1, 3).mean(axis=0))

    def _encode_image_batch(self, batch):
        return batch


def test_a_column_of_a_table(tmp_path):
    paths = [str(tmp_path / f"{color}.png") for color in ("red", "lime", "blue")]
    for path in paths:
        Image.new("RGB", (4, 4), os.path.basename(path)[:-4]).save(path)
    table = pd.DataFrame({"path": paths, "size": [1, 2, 3]})
    columns = ColumnTransformer([("image", MeanColor(), ["path"])])
    rows = columns.fit_transform(table)
    np.testing.assert_array_equal(rows.argmax(axis=1), [0, 1, 2])
    search = ImageSearch(MeanColor()).fit(table[["path"]])
    assert list(search.paths_) == paths
