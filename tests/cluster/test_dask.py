"""Dask collections as X: lazy results, fits that read blocks, and lost workers."""

import errno
import os
import pickle
import tempfile

import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
bag = pytest.importorskip("dask.bag")

from sklearn_vlclust import (  # noqa: E402
    CLIPEmbedder,
    ClusterCaptioner,
    CodingLengthKSelector,
    ContrastiveMaskedClustering,
    GenerativeCalibrationClustering,
    ImageSearch,
    MCAClustering,
    RateReductionClustering,
    SemanticSpace,
    VLClustering,
    Vocabulary,
)
from sklearn_vlclust.data import distributed as distributed_module  # noqa: E402
from sklearn_vlclust.embedding import is_images  # noqa: E402
from sklearn_vlclust.model_selection import neighbor_consistency_score  # noqa: E402
from tests._open_clip import save_random_clip  # noqa: E402
from tests._workers import forked_workers  # noqa: E402
from tests.cluster._dies_once import DiesOnce  # noqa: E402

WIDTH = 16
NOUNS = Vocabulary(["cat", "dog", "car", "ship"], embeddings=np.eye(4, WIDTH))


@pytest.fixture(autouse=True)
def in_this_thread():
    """Without a cluster, tasks run here: an error is then that of the test."""
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    X = np.eye(4, WIDTH)[np.arange(120) % 4] + 0.15 * rng.normal(size=(120, WIDTH))
    return X.astype(np.float32)


RATE_REDUCTION = RateReductionClustering(4, max_iter=2, random_state=0)
ESTIMATORS = {
    "VL": VLClustering(4, semantic_space=NOUNS, random_state=0),
    "MCA": MCAClustering(4, semantic_space=NOUNS, max_iter=2, random_state=0),
    "rate reduction": RATE_REDUCTION,
    "contrastive": ContrastiveMaskedClustering(
        4, pretrain_epochs=1, train_epochs=1, boost_epochs=1, random_state=0
    ),
    "generative": GenerativeCalibrationClustering(
        4,
        contrast_epochs=1,
        generator_epochs=1,
        n_rounds=0,
        generator_width=16,
        random_state=0,
    ),
    "selector": CodingLengthKSelector(k_range=(2, 6), random_state=0),
    "selector of learned": CodingLengthKSelector(
        RATE_REDUCTION, k_range=(2, 6), random_state=0
    ),
    "selector of any": CodingLengthKSelector(
        MCAClustering(semantic_space=None, max_iter=1), k_range=(2, 3), random_state=0
    ),
    "space": SemanticSpace(NOUNS, n_clusters=4, gamma_h=0, random_state=0),
}
METHODS = ["predict", "predict_proba", "transform"]


@pytest.mark.smoke
@pytest.mark.parametrize("name", ESTIMATORS)
def test_array_in_array_out(X, name):
    fitted = clone(ESTIMATORS[name]).fit(X)
    for dtype in (np.float16, np.float32, np.float64):
        rows = X.astype(dtype)
        # Rows in blocks of several sizes, columns in two.
        blocks = da.from_array(rows, chunks=((50, 7, 63), (10, 6)))
        for method in filter(lambda m: hasattr(fitted, m), METHODS):
            expected = getattr(fitted, method)(rows)
            lazy = getattr(fitted, method)(blocks)
            assert isinstance(lazy, da.Array) and lazy.chunks[0] == (50, 7, 63)
            assert (lazy.shape, lazy.dtype) == (expected.shape, expected.dtype)
            assert lazy._meta.dtype == expected.dtype and lazy._meta.ndim == lazy.ndim
            found = lazy.compute()
            assert found.dtype == expected.dtype and isinstance(found, np.ndarray)
            close = 1e-12 if dtype == np.float64 else 1e-5
            np.testing.assert_allclose(found, expected, atol=close)


@pytest.mark.parametrize("held", [True, False], ids=["held", "in a file"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_fit_on_blocks_is_fit_on_the_array(X, name, held, monkeypatch, tmp_path):
    if not held:
        monkeypatch.setattr(distributed_module, "HELD_BYTES", 0)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for rows in (X, X.astype(np.float16)):
        blocks = da.from_array(rows, chunks=(25, 9))
        expected, found = (clone(ESTIMATORS[name]).fit(x) for x in (rows, blocks))
        if hasattr(expected, "labels_"):
            assert isinstance(found.labels_, np.ndarray)
            np.testing.assert_array_equal(found.labels_, expected.labels_)
            assert found.score(blocks) == expected.score(rows)
        else:
            np.testing.assert_array_equal(found.nouns_, expected.nouns_)
    assert not list(tmp_path.iterdir())  # files go with the arrays


@pytest.mark.parametrize("method", METHODS)
def test_blocks_are_read_where_they_are(X, method, monkeypatch):
    fitted = clone(RATE_REDUCTION).fit(X)
    held, seen = [X[:60].copy(), X[60:].copy()], []
    parts = [dask.delayed(held.__getitem__)(i) for i in range(2)]
    parts = [da.from_delayed(part, (60, WIDTH), X.dtype) for part in parts]
    read = RateReductionClustering._read

    def look(self, block, **kwargs):
        seen.append(block)
        return read(self, block, **kwargs)

    monkeypatch.setattr(RateReductionClustering, "_read", look)
    getattr(fitted, method)(da.concatenate(parts)).compute()
    assert len(seen) == 2
    assert all(any(np.shares_memory(block, x) for x in held) for block in seen)


def test_blocks_of_unknown_length(X):
    blocks = da.from_array(X, chunks=(25, WIDTH))
    kept = X[:, 0] < 0.9
    some = blocks[blocks[:, 0] < 0.9]
    assert np.isnan(some.shape[0])
    fitted = clone(RATE_REDUCTION).fit(some)
    np.testing.assert_array_equal(fitted.labels_, fitted.predict(X[kept]))
    expected = clone(RATE_REDUCTION).fit(X[kept]).labels_
    np.testing.assert_array_equal(fitted.labels_, expected)
    np.testing.assert_array_equal(fitted.predict(some).compute(), expected)
    empty = blocks[blocks[:, 0] > 9]
    assert fitted.predict_proba(empty).compute().shape == (0, 4)
    with pytest.raises(ValueError, match=r"0 sample"):
        clone(RATE_REDUCTION).fit(empty)


@pytest.mark.parametrize(("n_held", "at_a_time"), [(1, 1), (3, 3), (100, 4)])
def test_few_blocks_are_computed_at_a_time(X, monkeypatch, n_held, at_a_time):
    blocks = da.from_array(X, chunks=(10, WIDTH))
    monkeypatch.setattr(distributed_module, "HELD_BYTES", n_held * 10 * WIDTH * 4)
    monkeypatch.setattr(distributed_module, "cpu_count", lambda: 4)
    computed = []

    def compute(*some):
        computed.append(len(some))
        return [block.compute() for block in some]

    monkeypatch.setattr(dask, "compute", compute)
    rows = distributed_module.gather(blocks)
    assert isinstance(rows, np.memmap) == (n_held < 12)
    np.testing.assert_array_equal(rows, X)
    assert sum(computed) == 12 and max(computed) == at_a_time


def test_no_room_for_the_file(X, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(distributed_module, "HELD_BYTES", 0)
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match=r"copy of X of 0.0 GiB .* No space.*Set TMPDIR"):
        clone(RATE_REDUCTION).fit(da.from_array(X, chunks=(25, WIDTH)))


def test_words_search_and_scores(X):
    blocks, labels = da.from_array(X, chunks=(25, WIDTH)), np.arange(120) % 4
    captions = [ClusterCaptioner(NOUNS).fit(x, labels).captions_ for x in (X, blocks)]
    np.testing.assert_array_equal(*captions)
    expected, found = (ImageSearch().fit(x).kneighbors(x) for x in (X, blocks))
    np.testing.assert_array_equal(found, expected)
    model = clone(RATE_REDUCTION).fit(X)
    scores = [neighbor_consistency_score(model, x) for x in (X, blocks)]
    assert scores[0] == scores[1]
    np.testing.assert_array_equal(model.membership(blocks), model.membership(X))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """24 files of three colors."""
    folder, paths = tmp_path_factory.mktemp("photos"), []
    for i in range(24):
        color = [20, 20, 20]
        color[i % 3] = 200 + i
        Image.new("RGB", (8, 8), tuple(color)).save(folder / f"{i:02}.png")
        paths.append(str(folder / f"{i:02}.png"))
    return paths


class ColorEmbedder(BaseEstimator):
    """An encoder of a user: the mean color of an image."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.array([np.asarray(Image.open(p)).mean(axis=(0, 1)) for p in X])


def collections(paths):
    return bag.from_sequence(paths, npartitions=3), da.from_array(
        np.array(paths, dtype=object), chunks=10
    )


def test_encoder_embeds_bags_and_arrays_of_paths(photos, tmp_path):
    save_random_clip(tmp_path / "clip")
    embedder = CLIPEmbedder(tmp_path / "clip", cache=tmp_path / "cache")
    expected = embedder.transform(photos)
    for images in collections(photos):
        assert is_images(images)
        lazy = embedder.fit_transform(images)
        assert isinstance(lazy, da.Array) and lazy.dtype == np.float32
        assert lazy.shape[1] == expected.shape[1]
        np.testing.assert_allclose(lazy.compute(), expected, atol=1e-5)
    mca = MCAClustering(
        3, semantic_space=None, embedder=embedder, max_iter=1, random_state=0
    )
    expected = mca.fit(photos).labels_
    np.testing.assert_array_equal(mca.fit(images).labels_, expected)
    np.testing.assert_array_equal(mca.predict(images).compute(), expected)
    with pytest.raises(ValueError, match="on_error='skip' is not for dask"):
        embedder.set_params(on_error="skip").transform(images)


def test_an_encoder_that_knows_no_dask(photos):
    mca = MCAClustering(
        3, semantic_space=None, embedder=ColorEmbedder(), max_iter=1, random_state=0
    )
    expected = mca.fit(photos).labels_
    for images in collections(photos):
        np.testing.assert_array_equal(mca.fit(images).labels_, expected)
        np.testing.assert_array_equal(mca.predict(images).compute(), expected)
        search = ImageSearch(embedder=ColorEmbedder(), n_neighbors=2).fit(images)
        assert search.paths_.tolist() == photos


def test_pixels(photos):
    pixels = np.stack([np.asarray(Image.open(p)) for p in photos])
    model = ContrastiveMaskedClustering(
        3, pretrain_epochs=1, train_epochs=1, boost_epochs=1, random_state=0
    )
    expected = model.fit(pixels).labels_
    for images in (da.from_array(pixels, chunks=(7, 8, 4, 3)), *collections(photos)):
        np.testing.assert_array_equal(model.fit(images).labels_, expected)
        for method in METHODS:
            lazy = getattr(model, method)(images)
            found, wanted = lazy.compute(), getattr(model, method)(pixels)
            assert lazy.dtype == wanted.dtype and lazy.ndim == wanted.ndim
            np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_what_is_wrong_is_said(X):
    model = clone(RATE_REDUCTION)
    blocks = da.from_array(X, chunks=(25, WIDTH))
    with pytest.raises(ValueError, match="not fitted"):
        model.predict(blocks)
    model.fit(X)
    with pytest.raises(ValueError, match=r"X has 5 features.*expecting 16"):
        model.predict(blocks[:, :5])  # before anything is computed
    bad = X.copy()
    bad[60] = np.nan
    wrong = da.from_array(bad, chunks=(25, WIDTH))
    with pytest.raises(ValueError, match=r"Block 2 of X: .*NaN"):
        model.predict(wrong).compute()
    with pytest.raises(ValueError, match="NaN"):
        model.fit(wrong)
    # dask.dataframe needs pyarrow besides; only the type's place and `ndim` count.
    frame = type("DataFrame", (), {"__module__": "dask.dataframe.core", "ndim": 2})()
    for method in (model.fit, model.predict):
        with pytest.raises(TypeError, match=r"DataFrame becomes an array by to_dask_"):
            method(frame)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_workers_get_what_they_need(X, name):
    fitted = clone(ESTIMATORS[name]).fit(np.tile(X, (20, 1)))
    before = set(vars(fitted))
    sent = fitted._to_workers()
    assert set(vars(fitted)) == before
    assert len(pickle.dumps(sent)) <= len(pickle.dumps(fitted))
    method = "predict" if hasattr(fitted, "predict") else "transform"
    np.testing.assert_array_equal(getattr(sent, method)(X), getattr(fitted, method)(X))
    if name in ("MCA", "rate reduction", "space"):
        kept = {v for v in vars(sent) if v.endswith("_") and v[0] != "_"}
        assert not {"labels_", "features_", "cuts_", "semantic_space_"} & kept


# With worker processes: they take seconds, so that there is one cluster.


@pytest.fixture(scope="module")
def client():
    with (
        forked_workers() as distributed,
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def on_workers(client):
    with dask.config.set(scheduler=None):
        yield client


def test_cluster_predicts_the_same_and_is_sent_the_model_once(X, on_workers, tmp_path):
    model = clone(RATE_REDUCTION).fit(X)
    blocks = da.from_array(np.tile(X, (5, 1)), chunks=(20, WIDTH))
    lazy = model.predict(blocks)
    keys = [k for k in lazy.__dask_graph__() if "RateReduction" in str(k)]
    assert len(keys) == 1 and lazy.npartitions == 30
    np.testing.assert_array_equal(lazy.compute(), np.tile(model.labels_, 5))


def test_cluster_computes_the_blocks_of_a_fit(X, on_workers):
    blocks = da.from_array(X, chunks=(10, WIDTH)) * 2
    fitted = clone(RATE_REDUCTION).fit(blocks)
    expected = clone(RATE_REDUCTION).fit(X).labels_
    np.testing.assert_array_equal(fitted.labels_, expected)


def test_grid_search_outlives_a_worker(X, on_workers, tmp_path):
    grid = {"n_clusters": [2, 3, 4, 5]}
    mca = MCAClustering(semantic_space=None, max_iter=2, random_state=0)
    expected = GridSearchCV(mca, grid, cv=2).fit(X)
    workers = set(on_workers.run(os.getpid).values())
    flag = tmp_path / "died"
    mca.set_params(callbacks=[DiesOnce(str(flag), n_clusters=4)])
    with joblib.parallel_config(backend="dask"):
        found = GridSearchCV(mca, grid, cv=2).fit(X)
    assert flag.exists()
    assert os.getpid() not in workers  # it was not this process that was to die
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    assert found.best_params_ == expected.best_params_
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))
