"""Folders of .npy files as X: what is read, what is refused, and equal results."""

import pickle
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.model_selection import GridSearchCV

from sklearn_vlclust import (
    ClusterCaptioner,
    CodingLengthKSelector,
    ContrastiveMaskedClustering,
    GenerativeCalibrationClustering,
    ImageSearch,
    MCAClustering,
    OfflineEmbedder,
    RateReductionClustering,
    SemanticSpace,
    Vocabulary,
)
from sklearn_vlclust.cluster import joint as joint_module
from sklearn_vlclust.cluster.recipe import CommonRecipe
from sklearn_vlclust.data import rows
from sklearn_vlclust.data.shards import ShardedRows
from sklearn_vlclust.embedding import is_images, open_shards
from sklearn_vlclust.model_selection import neighbor_consistency_score
from sklearn_vlclust.neighbors import copies as copies_module
from sklearn_vlclust.neighbors import knn as knn_module

WIDTH = 16


def embeddings(n=120, seed=0):
    """Rows of four kinds in 16 dimensions."""
    rng = np.random.default_rng(seed)
    X = np.eye(4, WIDTH)[np.arange(n) % 4] + 0.15 * rng.normal(size=(n, WIDTH))
    return X.astype(np.float32)


def write(folder, X, n_shards=3, name="img_emb_{}.npy"):
    """Write X to shards of different sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    bounds = np.sort(np.random.default_rng(1).integers(len(X), size=n_shards - 1))
    for i, part in enumerate(np.split(X, bounds)):
        np.save(folder / name.format(i), part)
    return folder


@pytest.fixture(scope="module", params=[np.float16, np.float32, np.float64])
def case(request, tmp_path_factory):
    """A folder of shards, and the matrix that they make."""
    X = embeddings().astype(request.param)
    return write(tmp_path_factory.mktemp("case") / "img_emb", X, 12), X


NOUNS = Vocabulary(["cat", "dog", "car", "ship", "tree"], embeddings=np.eye(5, WIDTH))
ESTIMATORS = {
    "MCA": lambda: MCAClustering(4, semantic_space=NOUNS, max_iter=2, random_state=0),
    "rate reduction": lambda: RateReductionClustering(4, max_iter=2, random_state=0),
    "contrastive": lambda: ContrastiveMaskedClustering(
        4, pretrain_epochs=1, train_epochs=1, boost_epochs=1, random_state=0
    ),
    "generative": lambda: GenerativeCalibrationClustering(
        4,
        contrast_epochs=1,
        generator_epochs=1,
        n_rounds=1,
        calibration_epochs=1,
        refinement_epochs=0,
        generator_width=16,
        sampling_steps=2,
        random_state=0,
    ),
    "selector": lambda: CodingLengthKSelector(k_range=(2, 6), random_state=0),
}
METHODS = ["predict", "predict_proba", "transform", "score"]


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("held", [True, False], ids=["rows held", "rows on disk"])
def test_results_are_those_of_the_matrix(case, name, held, monkeypatch):
    folder, X = case
    if not held:
        monkeypatch.setattr(rows.UnitRows.__init__, "__defaults__", (0, False))
    X = X.astype(np.float32) if X.dtype == np.float16 else X
    expected, found = (ESTIMATORS[name]().fit(x) for x in (X, str(folder)))
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    assert found.n_features_in_ == WIDTH
    for method in METHODS:
        if hasattr(found, method):
            result = getattr(found, method)(folder)
            wanted = getattr(expected, method)(X)
            np.testing.assert_array_equal(result, wanted)
            assert np.asarray(result).dtype == np.asarray(wanted).dtype


def test_words_and_search(case):
    folder, X = case
    X = X.astype(np.float32) if X.dtype == np.float16 else X
    labels = np.arange(len(X)) % 4
    both = X, folder
    spaces = [SemanticSpace(NOUNS, n_clusters=4, gamma_h=0).fit(x) for x in both]
    for method in ("transform", "mixture"):
        expected, found = (getattr(space, method)(x) for space, x in zip(spaces, both))
        np.testing.assert_array_equal(found, expected)
    expected, found = (space.kneighbors(x, k=2) for space, x in zip(spaces, both))
    np.testing.assert_array_equal(found, expected)
    captions = [ClusterCaptioner(NOUNS).fit(x, labels).captions_ for x in both]
    np.testing.assert_array_equal(*captions)
    for limit in (0, 1000):
        searches = [ImageSearch(exact_limit=limit, random_state=0).fit(x) for x in both]
        expected, found = (s.kneighbors(x) for s, x in zip(searches, both))
        np.testing.assert_array_equal(found, expected)
    again = pickle.loads(pickle.dumps(searches[1]))
    np.testing.assert_array_equal(again.kneighbors()[1], searches[1].kneighbors()[1])


def test_scores_search_and_other_clusterers(case):
    folder, X = case
    rows = open_shards(folder)
    X = X.astype(rows.dtype)
    scores = [
        neighbor_consistency_score(KMeans(4, n_init=1, random_state=0).fit(x), x)
        for x in (X, rows)
    ]
    assert scores[0] == scores[1]
    search = GridSearchCV(
        MCAClustering(semantic_space=None, max_iter=1, random_state=0),
        {"n_clusters": [2, 4]},
        cv=2,
    )
    expected = search.fit(X).cv_results_["mean_test_score"]
    found = search.fit(rows).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(found, expected)


@given(
    sizes=st.lists(st.integers(0, 6), min_size=1, max_size=6).filter(sum),
    data=st.data(),
)
def test_indexing_is_that_of_an_array(tmp_path_factory, sizes, data):
    folder = tmp_path_factory.mktemp("shards")
    n = sum(sizes)
    X = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float16)
    for i, part in enumerate(np.split(X, np.cumsum(sizes)[:-1])):
        np.save(folder / f"part_{i}.npy", part)
    rows, X = open_shards(folder), X.astype(np.float32)
    assert rows.shape == X.shape and len(rows) == n and rows.nbytes == X.nbytes
    number = st.integers(-n, n - 1)
    bound = st.one_of(st.none(), st.integers(-n - 2, n + 2))
    step = st.sampled_from([None, 1, 2, -1])
    index = data.draw(
        st.one_of(
            number,
            st.builds(slice, bound, bound, step),
            st.lists(number, max_size=8),
            st.lists(number, max_size=8).map(lambda i: np.array(i, dtype=np.int64)),
            st.lists(st.booleans(), min_size=n, max_size=n).map(np.array),
            st.tuples(number, number).map(lambda pair: np.array([pair, pair])),
        )
    )
    none = isinstance(index, list) and not index  # NumPy takes it for floats
    expected = X[np.array([], np.intp) if none else index]
    np.testing.assert_array_equal(rows[index], expected)
    np.testing.assert_array_equal(rows[index, ...], expected)
    np.testing.assert_array_equal(rows[:, 1], X[:, 1])
    np.testing.assert_array_equal(np.asarray(rows), X)
    shutil.rmtree(folder)


@pytest.mark.parametrize("index", [7, [-8], np.array([0, 7]), "a", [0.5], [True], 1.0])
def test_a_wrong_index(tmp_path, index):
    rows = open_shards(write(tmp_path, np.ones((7, 2), np.float32)))
    with pytest.raises(IndexError):
        rows[index]


def test_order_is_that_of_the_numbers(tmp_path):
    for i in range(12):
        np.save(tmp_path / f"img_emb_{i}.npy", np.full((1, 2), i, np.float16))
    np.testing.assert_array_equal(open_shards(tmp_path)[:, 0], np.arange(12))
    listed = open_shards([tmp_path / f"img_emb_{i}.npy" for i in (10, 2)])
    np.testing.assert_array_equal(listed[:, 0], [10, 2])


def test_folder_that_clip_retrieval_writes(tmp_path):
    X = embeddings(20).astype(np.float16)
    write(tmp_path / "img_emb", X, name="img_emb_{:02d}.npy")
    write(tmp_path / "text_emb", X[::-1], name="text_emb_{:02d}.npy")
    (tmp_path / "metadata").mkdir()
    assert not is_images(tmp_path)
    np.testing.assert_array_equal(open_shards(tmp_path)[:], X.astype(np.float32))
    np.testing.assert_array_equal(
        open_shards(tmp_path / "text_emb")[:], X[::-1].astype(np.float32)
    )


def test_one_file_is_embeddings_too(tmp_path):
    X = embeddings()
    np.save(tmp_path / "X.npy", X)
    model = ESTIMATORS["rate reduction"]()
    labels = model.fit_predict(tmp_path / "X.npy")
    np.testing.assert_array_equal(labels, model.fit_predict(X))


@pytest.mark.parametrize("dtype", [np.float16, np.uint8])
def test_memmap_is_not_converted_as_a_whole(tmp_path, dtype, monkeypatch):
    X = (10 * embeddings()).clip(0).round().astype(dtype)
    X[3] = 0 if dtype == np.uint8 else 1  # of whole numbers, rows may be zero
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")

    def fail(self, *args, **kwargs):
        raise AssertionError("was read as a whole")

    model = ESTIMATORS["MCA"]().fit(X)
    monkeypatch.setattr(ShardedRows, "__array__", fail)
    found = ESTIMATORS["MCA"]().fit(mapped)
    np.testing.assert_array_equal(found.labels_, model.labels_)
    np.testing.assert_array_equal(found.transform(mapped), model.transform(X))


def test_never_read_as_a_whole(tmp_path, monkeypatch):
    """Most rows at a time are those of a block, however many there are."""
    folder, most = write(tmp_path, embeddings(400)), []
    for name in ("_read_range", "_read_rows"):
        read = getattr(ShardedRows, name)

        def watched(self, *args, read=read):
            rows = read(self, *args)
            most.append(len(rows))
            return rows

        monkeypatch.setattr(ShardedRows, name, watched)
    blocks = (
        rows.row_blocks,
        rows.measured_blocks,
        rows.UnitRows.blocks,
    )
    for function in blocks:
        monkeypatch.setattr(function, "__defaults__", (50,))
    monkeypatch.setattr(rows.UnitRows.__init__, "__defaults__", (0, False))
    monkeypatch.setattr(joint_module, "DENSE_BYTES", 0)
    for limit in ("BLOCK_ROWS", "PROBED_ROWS"):
        monkeypatch.setattr(copies_module, limit, 12)
    monkeypatch.setattr(knn_module, "QUERY_ROWS", 50)
    monkeypatch.setattr(knn_module, "KEY_ROWS", 50)
    monkeypatch.setattr(MCAClustering, "_inference_rows", 50)
    mca = MCAClustering(4, semantic_space=None, max_iter=1, batch_size=50)
    with CommonRecipe.using(start_rows=50, start_rows_per_cluster=25):
        mca.fit(folder)
    assert max(most) == 100  # the sample that the start is found on
    most.clear()
    for method in METHODS[:-1]:  # a score is of 20,000 rows, read at once
        getattr(mca, method)(folder)
    assert max(most) == 50


@pytest.mark.parametrize(("value", "what"), [(np.nan, "NaN"), (0, "all zeros")])
@pytest.mark.parametrize(
    ("bad", "file", "row"), [(7, "b_1.npy", 1), (0, "b_0.npy", 0), (19, "b_2.npy", 3)]
)
def test_the_row_without_direction_is_named(tmp_path, value, what, bad, file, row):
    X = embeddings(20)
    mca = MCAClustering(2, semantic_space=None, max_iter=1).fit(X)
    space = SemanticSpace(NOUNS, n_clusters=2, gamma_h=0).fit(X)
    X[bad] = value
    for i, part in enumerate(np.split(X, [6, 16])):
        np.save(tmp_path / f"b_{i}.npy", part)
    message = rf"Row {bad} of X \(row {row} of '.*{file}'\).*{what}"
    for method in (ESTIMATORS["MCA"]().fit, mca.predict, mca.score, space.transform):
        with pytest.raises(ValueError, match=message):
            method(tmp_path)


def damage(folder, what):
    """Make something wrong with the second of three shards."""
    file = folder / "img_emb_1.npy"
    if isinstance(what, np.ndarray):
        np.save(file, what)
    elif what == "truncated":
        file.write_bytes(file.read_bytes()[:-7])
    elif what == "cut in the header":
        file.write_bytes(file.read_bytes()[:40])
    elif what == "empty":
        file.write_bytes(b"")
    elif what == "no array":
        file.write_bytes(b"<html>404</html>")
    elif what == "archive":
        np.savez(folder / "x.npz", a=np.ones(3))
        (folder / "x.npz").rename(file)
    elif what == "other name":
        file.rename(folder / "labels.npy")
    elif what == "same number":
        shutil.copy(file, folder / "img_emb_01.npy")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("truncated", "img_emb_1.npy' is not a whole .npy file, it may be truncated"),
        ("cut in the header", "img_emb_1.npy' is not a whole .npy file"),
        ("empty", "img_emb_1.npy' is not a whole .npy file"),
        ("no array", "img_emb_1.npy' is not a whole .npy file"),
        ("archive", "img_emb_1.npy' is an archive"),
        ("other name", "names of 2 kinds, img_emb_#, labels"),
        ("same number", "have the same number: they may be of two runs"),
        (np.ones((3, 5), np.float32), "img_emb_1.npy' has columns 5, but .* has 16"),
        (np.ones((3, WIDTH)), "img_emb_1.npy' has dtype float64, but .* float32"),
        (np.ones(WIDTH, np.float32), r"img_emb_1.npy' holds an array of shape \(16,\)"),
        (np.full((3, WIDTH), "a"), "img_emb_1.npy' holds an array .* dtype <U1"),
        (np.ones((3, WIDTH), complex), "img_emb_1.npy' holds an array .* complex"),
    ],
    ids=lambda x: None if isinstance(x, np.ndarray) else str(x)[:20],
)
def test_damaged_shards(tmp_path, what, message):
    damage(write(tmp_path, embeddings()), what)
    with pytest.raises(ValueError, match=message):
        ESTIMATORS["MCA"]().fit(tmp_path)


def test_a_missing_number_is_said(tmp_path, recwarn):
    write(tmp_path, embeddings(), 6)
    assert len(open_shards(tmp_path)) == 120 and not len(recwarn)
    (tmp_path / "img_emb_2.npy").unlink()
    (tmp_path / "img_emb_3.npy").unlink()
    with pytest.warns(UserWarning, match=r"2 numbers are missing .* first one 2: rows"):
        assert len(open_shards(tmp_path)) < 120


def test_numbers_of_first_rows_have_no_gaps(tmp_path, recwarn):
    X = embeddings()
    for start, stop in ((0, 40), (40, 90), (90, 120)):
        np.save(tmp_path / f"x-{start}.npy", X[start:stop])
    np.testing.assert_array_equal(open_shards(tmp_path)[:], X)
    assert not len(recwarn)


def test_folders_that_are_no_embeddings(tmp_path):
    assert is_images(tmp_path) and is_images("nowhere.npy")
    with pytest.raises(ValueError, match="holds no images"):
        ESTIMATORS["MCA"]().fit(str(tmp_path))
    for path in (tmp_path, "nowhere.npy", "nowhere"):
        with pytest.raises(ValueError, match=r"is no .npy file or folder of them"):
            open_shards(path)
    with pytest.raises(ValueError, match="empty list"):
        open_shards([])


def test_what_is_said_of_too_few_rows_and_of_other_widths(tmp_path):
    write(tmp_path / "one", embeddings(1), 2)
    with pytest.raises(ValueError, match=r"1 sample\(s\).* minimum of 2 is required"):
        ESTIMATORS["MCA"]().fit(tmp_path / "one")
    model = ESTIMATORS["MCA"]().fit(embeddings())
    write(tmp_path / "narrow", embeddings()[:, :5])
    with pytest.raises(ValueError, match=r"X has 5 features.*expecting 16 features"):
        model.predict(tmp_path / "narrow")
    with pytest.raises(TypeError, match="there is nothing to embed"):
        OfflineEmbedder().transform(tmp_path / "narrow")


def test_shards_are_sent_by_name(tmp_path):
    write(tmp_path, embeddings(5000))
    rows = open_shards(tmp_path)
    sent = pickle.dumps(rows)
    assert len(sent) < 3000 < rows.nbytes and str(tmp_path) in repr(rows)
    np.testing.assert_array_equal(pickle.loads(sent)[:], rows[:])
    np.save(tmp_path / "img_emb_0.npy", embeddings(7))
    with pytest.raises(ValueError, match="have changed"):
        pickle.loads(sent)
