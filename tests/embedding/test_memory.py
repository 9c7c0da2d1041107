"""What does not fit is refused before it is allocated, and says what to do."""

import numpy as np
import pytest
import torch

from benchmarks.machine import PeakMemory
from sklearn_vlclust import (
    CodingLengthKSelector,
    ContrastiveMaskedClustering,
    GenerativeCalibrationClustering,
    MCAClustering,
    RateReductionClustering,
    SemanticSpace,
    Vocabulary,
)
from sklearn_vlclust.cluster.rate_reduction.membership import sinkhorn_membership
from sklearn_vlclust.cluster.spectral import cut as spectral_module
from sklearn_vlclust.cluster.spectral import eigenpairs as eigenpairs_module
from sklearn_vlclust.data import memory as memory_module
from sklearn_vlclust.embedding import open_shards
from sklearn_vlclust.plotting import SimilarityDisplay


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    X = np.eye(4, 16)[np.arange(400) % 4] + 0.15 * rng.normal(size=(400, 16))
    return X.astype(np.float32)


@pytest.fixture
def little(monkeypatch):
    """Return a function that leaves so many bytes free, and counts them all."""

    def leave(n_bytes):
        monkeypatch.setattr(memory_module, "NEGLIGIBLE", 0)
        monkeypatch.setattr(memory_module, "available_bytes", lambda: n_bytes)

    return leave


def test_the_message():
    with pytest.raises(MemoryError) as error:
        memory_module.check_memory(10**18, "n=7: all pairs", "Take fewer.")
    start = "n=7: all pairs takes about 931,322,574.6 GiB of memory, of which "
    assert str(error.value).startswith(start)
    assert str(error.value).endswith(" GiB are free. Take fewer.")
    memory_module.check_memory(1000, "this", "no")


def test_the_free_memory_is_known_here():
    free = memory_module.available_bytes()
    assert free is None or 2**20 < free < 2**50


def test_where_it_is_not_known_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(memory_module, "available_bytes", lambda: None)
    memory_module.check_memory(10**18, "this", "no")


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("1000", 1000 - 700 + 300), ("max", None), ("500", 100), ("100", 0)],
)
def test_limit_of_a_container(tmp_path, limit, expected):
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 400\nfile 300\n")
    assert memory_module._of_the_container(tmp_path) == expected
    assert memory_module._of_the_container(tmp_path / "none") is None


PAIRS = [
    RateReductionClustering(4, max_iter=1, batch_size=100),
    ContrastiveMaskedClustering(4, batch_size=100),
    GenerativeCalibrationClustering(4, batch_size=100),
]


@pytest.mark.parametrize("estimator", PAIRS, ids=lambda e: type(e).__name__)
def test_pairs_of_a_batch(X, little, estimator):
    little(50_000)
    message = r"batch_size=100: to compare all pairs of 100 samples takes.*smaller"
    with pytest.raises(MemoryError, match=message):
        estimator.fit(X)


def test_a_batch_larger_than_X_is_as_large(X, little):
    little(50_000)
    model = MCAClustering(4, semantic_space=None, max_iter=1, batch_size=10**9).fit(X)
    assert len(model.labels_) == 400  # no pairs
    with pytest.raises(MemoryError, match="all pairs of 400 samples"):
        RateReductionClustering(4, batch_size=10**9).fit(X)


def test_membership_of_all_in_all(X, little):
    model = RateReductionClustering(4, max_iter=1, random_state=0).fit(X)
    little(4 * 300**2 * 4)
    assert model.membership(X[:300]).shape == (300, 300)
    with pytest.raises(MemoryError, match=r"membership of 400 samples .* Give fewer"):
        model.membership(X)


def test_results_of_many_columns(X, little):
    model = MCAClustering(4, semantic_space=None, max_iter=1).fit(X)
    space = SemanticSpace(
        Vocabulary(list("abcd"), embeddings=np.eye(4, 16)), n_clusters=4, gamma_h=0
    ).fit(X)
    little(400 * 4 * 4 - 1)
    for method in (model.transform, model.predict_proba):
        with pytest.raises(MemoryError, match=r"shape \(400, 4\).*as a dask array"):
            method(X)
        assert len(method(X[:399])) == 399
    with pytest.raises(MemoryError, match=r"400 images and 4 nouns.*use kneighbors"):
        space.transform(X)
    assert len(space.transform(X[:399])) == 399


def test_shards_as_one_array(X, tmp_path, little):
    np.save(tmp_path / "x.npy", X)
    rows = open_shards(tmp_path)
    little(X.nbytes - 1)
    with pytest.raises(MemoryError, match=r"All of <ShardedRows .* as one array"):
        np.asarray(rows)
    assert rows[:].nbytes == X.nbytes  # asked for as plainly as can be


def test_picture_of_all_pairs(X, little):
    little(100_000)
    SimilarityDisplay.from_features(X, np.zeros(400), n_samples=100)
    message = "n_samples=400: the cosines of all pairs of 400 rows"
    with pytest.raises(MemoryError, match=message):
        SimilarityDisplay.from_features(X, np.zeros(400), n_samples=400)


def test_clusters_of_a_graph(X, little):
    little(32 * 400**2 - 1)
    for estimator in (
        RateReductionClustering(300, max_iter=1, batch_size=64),
        CodingLengthKSelector(k_range=(2, 300)),
    ):
        message = r"400 rows into up to \d+ clusters .* Ask for fewer \(n_clusters"
        with pytest.raises(MemoryError, match=message):
            estimator.fit(X)


def test_eigenvectors_without_a_dense_matrix(X, monkeypatch):
    """Above the limit the same cut comes from the iterative solver."""
    affinity = spectral_module.knn_affinity(X, 10, 0.2, np.random.RandomState(0))

    def cut():
        return spectral_module.SpectralCut(affinity, 60, np.random.RandomState(0))

    dense = cut()
    monkeypatch.setattr(spectral_module, "DENSE_BYTES", 0)
    calls = []
    eigsh = eigenpairs_module.eigsh
    monkeypatch.setattr(
        eigenpairs_module, "eigsh", lambda *a, **k: calls.append(1) or eigsh(*a, **k)
    )
    iterative = cut()
    assert calls
    np.testing.assert_allclose(iterative.eigenvalues, dense.eigenvalues, atol=1e-4)
    np.testing.assert_array_equal(iterative.labels(4), dense.labels(4))


def test_the_estimate_is_what_is_taken():
    """The membership takes four matrices, as was estimated."""
    codes = torch.randn(3000, 8, generator=torch.Generator().manual_seed(0))
    codes = torch.nn.functional.normalize(codes, dim=1)
    sinkhorn_membership(codes[:500], 0.2)  # buffers of products
    with PeakMemory() as peak:
        for _ in range(3):
            sinkhorn_membership(codes, 0.2)
    if np.isnan(peak.bytes):
        pytest.skip("the system does not tell how much memory a process has")
    assert peak.bytes < 1.3 * 4 * codes.itemsize * len(codes) ** 2
