"""What every clusterer promises, seen on MCA."""

import io
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings

import joblib
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_vlclust import MCAClustering, SemanticSpace, Vocabulary
from sklearn_vlclust.metrics import clustering_accuracy
from sklearn_vlclust.training import save_model


@pytest.mark.smoke
def test_fitted_attributes(small, make_mca):
    X, y, _ = small
    mca = make_mca().fit(X)
    assert clustering_accuracy(y, mca.labels_) > 0.95
    assert mca.n_clusters_ == 5 and mca.n_features_in_ == 16 and mca.n_iter_ == 6
    assert sorted(set(mca.labels_)) == list(range(5))
    assert (np.diff(np.bincount(mca.labels_)) <= 0).all()  # largest first
    assert mca.cluster_centers_.shape == (5, 16)
    np.testing.assert_allclose(np.linalg.norm(mca.cluster_centers_, axis=1), 1, 1e-5)
    assert [row["epoch"] for row in mca.history_] == [1, 2, 3, 4, 5, 6]
    assert {"loss", "image_consistency", "balance"} <= set(mca.history_[0])
    np.testing.assert_array_equal(mca.predict(X), mca.labels_)
    proba = mca.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(proba.argmax(axis=1), mca.labels_)
    features = mca.transform(X)
    assert features.shape == (150, 5) == (150, len(mca.get_feature_names_out()))
    exp = np.exp(features - features.max(axis=1, keepdims=True))
    np.testing.assert_allclose(exp / exp.sum(axis=1, keepdims=True), proba, atol=1e-5)


@pytest.mark.parametrize(
    ("batch_size", "n_epochs"), [(512, 30), (30, 30), (25, 25), (10, 10), (5, 8)]
)
def test_small_sets_are_passed_more_often_than_large_ones(
    small, make_mca, batch_size, n_epochs
):
    mca = make_mca(max_iter="auto", batch_size=batch_size).fit(small[0])
    assert mca.n_iter_ == n_epochs  # of 150 rows: 150 steps, in 8 to 30 epochs


def test_same_seed_same_labels_and_global_state_untouched(small, make_mca):
    X = small[0]
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    first, second = make_mca(random_state=3).fit(X), make_mca(random_state=3).fit(X)
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    other = make_mca(random_state=4).fit(X)
    assert not np.array_equal(first.transform(X), other.transform(X))
    assert torch.equal(torch.get_rng_state(), state[0])
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])
    assert (torch.get_num_threads(), torch.get_default_dtype()) == (threads, dtype)


@pytest.mark.parametrize("kind", ["list", "float64", "tensor", "bfloat16", "memmap"])
def test_kinds_of_embeddings(small, make_mca, kind, tmp_path):
    X, y, _ = small
    if kind == "memmap":
        np.save(tmp_path / "X.npy", X)
        data = np.load(tmp_path / "X.npy", mmap_mode="r")
    else:
        data = {
            "list": X.tolist(),
            "float64": X.astype(np.float64),
            "tensor": torch.from_numpy(X),
            "bfloat16": torch.from_numpy(X).to(torch.bfloat16),
        }[kind]
    mca = make_mca().fit(data)
    assert clustering_accuracy(y, mca.labels_) > 0.95
    np.testing.assert_array_equal(mca.predict(data), mca.labels_)
    double = kind == "float64"
    assert mca.predict_proba(data).dtype == (np.float64 if double else np.float32)


def test_length_of_rows_does_not_count(small, make_mca):
    X = small[0]
    mca = make_mca().fit(X)
    scaled = X * np.linspace(0.1, 9, len(X), dtype=np.float32)[:, None]
    np.testing.assert_array_equal(mca.predict(scaled), mca.labels_)


@pytest.mark.smoke
def test_pipeline_and_grid_search_without_labels(small, make_mca):
    X = small[0]
    pipeline = make_pipeline(FunctionTransformer(), make_mca())
    assert len(pipeline.fit_predict(X)) == 150
    everything = [(np.arange(150), np.arange(150))]
    search = GridSearchCV(make_mca(), {"n_clusters": [2, 3, 5]}, cv=everything)
    assert search.fit(X).best_params_ == {"n_clusters": 5}


def test_pandas_output(small, make_mca):
    frame = make_mca().set_output(transform="pandas").fit(small[0]).transform(small[0])
    assert list(frame.columns) == [f"mcaclustering{i}" for i in range(5)]


@pytest.mark.parametrize("dump", [pickle, joblib], ids=["pickle", "joblib"])
def test_pickle(small, make_mca, dump):
    X = small[0]
    mca = make_mca().fit(X)
    file = io.BytesIO()
    dump.dump(mca, file)
    file.seek(0)
    np.testing.assert_array_equal(dump.load(file).transform(X), mca.transform(X))


@pytest.mark.smoke
def test_save_and_load(small, make_mca, tmp_path):
    X, _, nouns = small
    space = SemanticSpace(nouns, gamma_r=3, gamma_h=0)
    mca = make_mca(semantic_space=space, random_state=np.random.RandomState(0)).fit(X)
    mca.save(tmp_path / "model")
    loaded = MCAClustering.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.transform(X), mca.transform(X))
    np.testing.assert_array_equal(loaded.labels_, mca.labels_)
    for found, expected in zip(loaded.cluster_names_, mca.cluster_names_):
        assert list(found) == list(expected)
    assert loaded.history_ == mca.history_
    assert loaded.semantic_space.vocabulary == nouns
    np.testing.assert_array_equal(loaded.attention(X)[1], mca.attention(X)[1])
    assert len(clone(loaded).fit(X).labels_) == 150
    assert b"pickle" not in (tmp_path / "model").read_bytes()


def test_unfitted_estimator_can_be_saved(tmp_path):
    MCAClustering(7, semantic_space=None).save(tmp_path / "model")
    assert MCAClustering.load(tmp_path / "model").n_clusters == 7


def rewrite_header(path, change):
    """Apply `change` to the JSON header of a model file."""
    from safetensors.numpy import load_file, save_file

    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))["__metadata__"]
    inner = json.loads(header["sklearn_vlclust_model"])
    change(inner)
    header["sklearn_vlclust_model"] = json.dumps(inner)
    save_file(load_file(path), path, header)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:500]), "not a whole model"),
        (lambda path: path.write_bytes(b""), "not a whole model"),
        (
            lambda path: rewrite_header(path, lambda h: h.update(format=99)),
            "has format 99 .* reads formats 1 and 2",
        ),
        (
            lambda path: save_model(SemanticSpace(["cat"]), path),
            "holds a SemanticSpace, not a MCAClustering",
        ),
    ],
)
def test_model_file_that_cannot_be_read(small, make_mca, tmp_path, damage, message):
    path = tmp_path / "model"
    make_mca().fit(small[0]).save(path)
    damage(path)
    with pytest.raises(ValueError, match=message):
        MCAClustering.load(path)


def test_model_file_of_another_version_warns(small, make_mca, tmp_path):
    path = tmp_path / "model"
    make_mca().fit(small[0]).save(path)
    rewrite_header(path, lambda h: h.update(version="0.0.1"))
    with pytest.warns(UserWarning, match=r"version 0\.0\.1"):
        MCAClustering.load(path)


def test_no_model_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no model file"):
        MCAClustering.load(tmp_path / "nowhere")


class Recorder:
    def __init__(self, X=None, stop_after=None):
        self.X, self.stop_after, self.calls = X, stop_after, []

    def on_epoch_end(self, estimator, epoch, losses):
        self.calls.append((epoch, losses["loss"]))
        if self.X is not None:
            assert len(estimator.predict(self.X)) == len(self.X)
        return epoch == self.stop_after


def test_callbacks_see_epochs_and_may_predict_and_stop(small, make_mca):
    recorder = Recorder(small[0], stop_after=3)
    mca = make_mca(callbacks=[recorder]).fit(small[0])
    assert [epoch for epoch, _ in recorder.calls] == [1, 2, 3]
    assert mca.n_iter_ == 3
    assert [row["loss"] for row in mca.history_] == [loss for _, loss in recorder.calls]


@pytest.mark.smoke
def test_sklearn_callbacks_watch_labels_without_training_on_them(small, make_mca):
    callback = pytest.importorskip("sklearn.callback")
    X, y, _ = small
    monitor = callback.ScoringMonitor(scoring="normalized_mutual_info_score")
    watched = make_mca().set_callbacks(monitor).fit(X, y)
    time.sleep(0.5)
    scores = monitor.get_logs().data
    assert len(scores) >= 6
    np.testing.assert_array_equal(watched.labels_, make_mca().fit(X).labels_)


def test_progress_only_when_asked_for(small, make_mca, capsys):
    make_mca().fit(small[0])
    assert capsys.readouterr() == ("", "")
    make_mca(verbose=1).fit(small[0])
    assert "MCAClustering: 100%" in capsys.readouterr().err


class CtrlC:
    def on_epoch_end(self, estimator, epoch, losses):
        if epoch == 2:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def ctrl_c_interrupts():
    """As in a terminal: a job in the background may have been started without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_ctrl_c_leaves_a_fitted_estimator(small, make_mca):
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        mca = make_mca(callbacks=[CtrlC()]).fit(small[0])
    assert mca.n_iter_ == 2
    np.testing.assert_array_equal(mca.predict(small[0]), mca.labels_)
    assert len(mca.cluster_names_) == mca.n_clusters_


def test_empty_clusters_are_reported(make_mca):
    X = np.repeat(np.eye(3, 16), 10, axis=0)
    with pytest.warns(ConvergenceWarning, match="X has only 3 distinct rows"):
        mca = make_mca(semantic_space=None).fit(X)
    assert mca.n_clusters_ <= 3
    assert sorted(set(mca.labels_)) == list(range(mca.n_clusters_))
    assert len(mca.cluster_centers_) == mca.n_clusters_


KILLED_FITS = """
import os, signal, sys, time
import numpy as np
import skorch
import torch
from sklearn_vlclust import MCAClustering, Vocabulary

rng = np.random.default_rng(0)
directions = np.eye(5, 16)
X = directions[np.repeat(np.arange(5), 60)] + 0.3 * rng.normal(size=(300, 16))
nouns = Vocabulary(["a", "b", "c", "d", "e"], embeddings=directions)
torch.optim.Adam([torch.zeros(1)])  # seconds of imports, before any fork

def start_fit(out, checkpoint=None):
    # The parent only imports, and forks before anything has started threads.
    pid = os.fork()
    if pid == 0:
        mca = MCAClustering(
            5, semantic_space=nouns, max_iter=30, batch_size=32,
            checkpoint=checkpoint, random_state=7,
        ).fit(X)
        np.save(out, np.c_[mca.labels_, mca.transform(X)])
        os._exit(0)
    return pid

began = time.monotonic()
os.waitpid(start_fit("expected.npy"), 0)
duration = time.monotonic() - began
kills = 0
while kills < 20:
    pid = start_fit("out.npy", "run.safetensors")
    time.sleep(rng.uniform(0.2, 0.6) * duration)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        kills += 1
    else:  # it was done: begin anew
        os.unlink("run.safetensors")
os.waitpid(start_fit("out.npy", "run.safetensors"), 0)
same = np.array_equal(np.load("out.npy"), np.load("expected.npy"))
print("killed", kills, "same" if same else "different")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_fit_killed_twenty_times_ends_with_the_same_labels(tmp_path):
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", KILLED_FITS]
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout == "killed 20 same\n", done.stderr


def test_checkpoint_of_another_format_is_refused(small, make_mca, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "run.safetensors"
    metadata = {"sklearn_vlclust_checkpoint": json.dumps({"format": 99})}
    save_file({"generator": torch.zeros(1)}, path, metadata)
    with pytest.raises(ValueError, match="has format 99, this version reads format 1"):
        make_mca(checkpoint=path).fit(small[0])


def test_checkpoint_without_seed_resumes_its_own(small, make_mca, tmp_path):
    path = tmp_path / "run.safetensors"
    first = make_mca(random_state=None, checkpoint=path).fit(small[0])
    again = make_mca(random_state=None, checkpoint=str(path)).fit(small[0])
    np.testing.assert_array_equal(again.transform(small[0]), first.transform(small[0]))


@pytest.mark.parametrize(
    ("params", "rows", "message"),
    [
        ({"lr": 0.5}, slice(None), "lr: 0.001 in the file, 0.5 now"),
        ({}, slice(1, None), "X"),
        ({"random_state": 1}, slice(None), "seed"),
        ({"semantic_space": "another"}, slice(None), r"semantic_space \(hash\)"),
    ],
)
def test_checkpoint_of_another_fit_is_refused(
    small, make_mca, tmp_path, params, rows, message
):
    path = tmp_path / "run.safetensors"
    lr = {"lr": 0.001}
    make_mca(checkpoint=path, **lr).fit(small[0])
    if "semantic_space" in params:
        params = {"semantic_space": Vocabulary(["a", "b"], embeddings=np.eye(2, 16))}
    with pytest.raises(ValueError, match=f"written by another fit .*{message}"):
        make_mca(checkpoint=path, **{**lr, **params}).fit(small[0][rows])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones(16), "1D array|Expected 2D"),
        (np.full((20, 16), np.nan), "NaN"),
        (np.full((20, 16), np.inf), "infinity"),
        (np.zeros((0, 16)), "0 sample"),
        (np.ones((1, 16)), "1 sample"),
        (np.eye(4, 16), "n_samples=4 should be >= n_clusters=5"),
        (np.r_[np.eye(15, 16), np.zeros((1, 16))], "Row 15 of X is all zeros"),
        (np.ones((20, 12)), "have 16 columns but X has 12"),
        ([["a", "b"]] * 9, "could not convert string|dtype"),
    ],
)
def test_bad_embeddings(make_mca, X, message):
    with pytest.raises(ValueError, match=message):
        make_mca().fit(X)


def test_bad_input_at_predict(small, make_mca):
    with pytest.raises(NotFittedError):
        make_mca().predict(small[0])
    mca = make_mca().fit(small[0])
    with pytest.raises(ValueError, match=r"X has 3 features.*expecting 16"):
        mca.predict(np.ones((2, 3)))
    bad = small[0].copy()
    bad[7] = 0
    for method in (mca.predict, mca.transform, mca.predict_proba, mca.score):
        with pytest.raises(ValueError, match="Row 7 of X is all zeros"):
            method(bad)


def test_read_only_input_is_accepted_and_unchanged(small, make_mca):
    X = small[0].copy()
    X.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_mca().fit(X).predict(X)
    np.testing.assert_array_equal(X, small[0])


class ColorEmbedder(FunctionTransformer):
    """The mean color of an image, which tells these images apart."""

    def transform(self, X):
        return np.array([np.asarray(Image.open(p)).mean(axis=(0, 1)) for p in X])


def test_images_in_labels_out(tmp_path):
    paths = []
    for i in range(24):
        color = [0, 0, 0]
        color[i % 3] = 200 + i
        Image.new("RGB", (8, 8), tuple(color)).save(tmp_path / f"{i:02}.png")
        paths.append(str(tmp_path / f"{i:02}.png"))
    mca = MCAClustering(
        3, semantic_space=None, embedder=ColorEmbedder(), max_iter=3, random_state=0
    ).fit(paths)
    assert clustering_accuracy(np.arange(24) % 3, mca.labels_) == 1
    np.testing.assert_array_equal(mca.predict(np.array(paths)), mca.labels_)
