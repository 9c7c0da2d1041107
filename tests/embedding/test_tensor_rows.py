"""Embeddings that are a tensor: they stay on their device."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sklearn_vlclust import (
    ContrastiveMaskedClustering,
    GenerativeCalibrationClustering,
    ImageSearch,
    MCAClustering,
    RateReductionClustering,
    SemanticSpace,
    Vocabulary,
)
from sklearn_vlclust.data.rows import UnitRows
from sklearn_vlclust.data.tensor_rows import TensorRows

NOUNS = Vocabulary([f"noun {i}" for i in range(8)], embeddings=np.eye(8) + 0.05)
CLUSTERERS = [
    MCAClustering(4, semantic_space=None, max_iter=2, random_state=0),
    MCAClustering(4, semantic_space=NOUNS, max_iter=2, random_state=0),
    RateReductionClustering(4, max_iter=2, random_state=0),
    ContrastiveMaskedClustering(
        4, pretrain_epochs=1, train_epochs=1, boost_epochs=1, random_state=0
    ),
    GenerativeCalibrationClustering(
        4,
        n_rounds=1,
        contrast_epochs=1,
        head_epochs=1,
        calibration_epochs=1,
        generator_epochs=1,
        random_state=0,
    ),
]


def embeddings(n=120):
    rng = np.random.default_rng(0)
    X = np.eye(4, 8)[np.arange(n) % 4] + 0.15 * rng.normal(size=(n, 8))
    return X.astype(np.float32) * rng.uniform(0.5, 3, size=(n, 1)).astype(np.float32)


@given(
    start=st.integers(-12, 12),
    stop=st.integers(-12, 12),
    step=st.sampled_from([-3, -1, 1, 2]),
    seed=st.integers(0, 99),
)
def test_indexed_as_an_array_is(start, stop, step, seed):
    X = embeddings(9)
    rows, rng = TensorRows(torch.from_numpy(X)), np.random.default_rng(seed)
    some = rng.integers(-9, 9, size=5)
    mask = rng.uniform(size=9) < 0.5
    for index in (slice(start, stop, step), some, mask, some[0]):
        np.testing.assert_array_equal(rows[index], X[index])
        np.testing.assert_array_equal(rows.tensor(index), X[index])


@pytest.mark.parametrize("dense_bytes", [0, 2**20])
def test_unit_rows_are_those_of_the_array(dense_bytes):
    X = embeddings()
    ours = UnitRows(TensorRows(torch.from_numpy(X)), dense_bytes)
    theirs = UnitRows(X, dense_bytes)
    some = np.array([5, 0, 77])
    np.testing.assert_array_equal(ours.norms, theirs.norms)
    for index in (slice(3, 40), some):
        np.testing.assert_array_equal(ours[index], theirs[index])
        np.testing.assert_array_equal(ours.tensor(index), theirs.tensor(index))


@pytest.mark.parametrize("model", CLUSTERERS, ids=lambda m: str(m)[:40])
def test_clusterers_read_a_tensor_where_it_is(model, monkeypatch):
    X, tensor = embeddings(), torch.from_numpy(embeddings())
    expected = model.fit(X)
    labels, features = expected.labels_, expected.transform(X)
    fitted = model.fit(tensor)
    np.testing.assert_array_equal(fitted.labels_, labels)

    def refuse(rows, index):
        raise AssertionError("rows were copied off the device")

    monkeypatch.setattr(TensorRows, "__getitem__", refuse)
    np.testing.assert_array_equal(fitted.predict(tensor), labels)
    np.testing.assert_allclose(fitted.transform(tensor), features, atol=1e-5)
    assert isinstance(fitted.predict_proba(tensor), np.ndarray)


def test_training_reads_batches_where_the_tensor_is(monkeypatch):
    """Of rows too many to be held as unit rows, too, none is copied for a batch."""
    from sklearn_vlclust.cluster.batches import NeighborBatches

    rows = UnitRows(TensorRows(torch.from_numpy(embeddings())), dense_bytes=0)
    near = np.random.default_rng(0).integers(120, size=(120, 3))
    source = NeighborBatches(rows, near, torch.Generator(), "cpu")
    monkeypatch.delattr(TensorRows, "__getitem__")
    u, u_near = source.batch(torch.arange(7))
    assert u.shape == u_near.shape == (7, 8)
    assert sum(len(block) for block in source.blocks()) == 120


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_other_dtypes(dtype):
    X = (20 * embeddings()).round()
    tensor = torch.from_numpy(X).to(dtype)
    model = CLUSTERERS[0].fit(tensor)
    expected = CLUSTERERS[0].fit(tensor.float().numpy())
    np.testing.assert_array_equal(model.labels_, expected.labels_)
    assert model.transform(tensor).dtype == np.float32


def test_integers_may_have_rows_of_zeros():
    tensor = torch.from_numpy(embeddings().round().astype(np.int64))
    tensor[3] = 0
    CLUSTERERS[0].fit(tensor)
    with pytest.raises(ValueError, match="Row 3 of X is all zeros"):
        CLUSTERERS[0].fit(tensor.float())


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_extreme_lengths(scale):
    X = embeddings()
    fitted = CLUSTERERS[0].fit(X)
    tensor = torch.from_numpy(X * np.float32(scale))
    np.testing.assert_array_equal(fitted.predict(tensor), fitted.labels_)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda x: x[0], r"2D array, got a tensor of shape \(8,\)"),
        (lambda x: x[:, :0], r"tensor of shape \(120, 0\)"),
        (lambda x: x.to(torch.complex64), "Complex data not supported"),
        (lambda x: x[:1], "1 sample"),
        (lambda x: torch.cat([x, x[:1] * torch.nan]), "Row 120 of X has NaN"),
    ],
)
def test_what_no_fit_takes(spoil, what):
    with pytest.raises(ValueError, match=what):
        CLUSTERERS[0].fit(spoil(torch.from_numpy(embeddings())))


def test_width_of_the_fit_is_asked_for():
    fitted = CLUSTERERS[0].fit(embeddings())
    with pytest.raises(ValueError, match="X has 5 features, but MCAClustering is"):
        fitted.predict(torch.from_numpy(embeddings()[:, :5]))


def test_spaces_and_searches_take_tensors():
    X, tensor = embeddings(), torch.from_numpy(embeddings())
    space = SemanticSpace(NOUNS, n_clusters=4, gamma_h=0)
    np.testing.assert_array_equal(
        space.fit(tensor).transform(tensor), space.fit(X).transform(X)
    )
    search = ImageSearch().fit(tensor)
    np.testing.assert_array_equal(
        search.kneighbors(tensor)[1], ImageSearch().fit(X).kneighbors(X)[1]
    )
