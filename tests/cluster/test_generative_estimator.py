"""GCC as an estimator: stages, resume, generated samples. Quality is measured apart."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import normalized_mutual_info_score

from sklearn_vlclust import GenerativeCalibrationClustering
from sklearn_vlclust.cluster.generative.generator import EmbeddingGenerator
from sklearn_vlclust.metrics import clustering_accuracy
from sklearn_vlclust.plotting import GeneratedImagesDisplay

pytest.importorskip("diffusers", reason="needs the extra 'generative'")

QUICK = {
    "n_clusters": 3,
    "width": 8,
    "contrast_epochs": 2,
    "head_epochs": 2,
    "generator_epochs": 2,
    "n_rounds": 2,
    "calibration_epochs": 1,
    "refinement_epochs": 1,
    "sampling_steps": 3,
    "batch_size": 40,
    "random_state": 0,
}


def make(**params):
    return GenerativeCalibrationClustering(**{**QUICK, **params})


@pytest.fixture(scope="module")
def digits():
    data = load_digits(n_class=3)
    X = (data.images * 255 / 16).round().astype(np.uint8)[..., None]
    return X[:120], data.target[:120]


@pytest.fixture(scope="module")
def rows(small):
    return small[0]


@pytest.mark.smoke
@pytest.mark.parametrize("kind", ["digits", "rows"])
def test_fitted_attributes(kind, request, tmp_path):
    X = request.getfixturevalue(kind)
    X = X[0] if kind == "digits" else X
    model = make().fit(X)
    assert model.n_iter_ == 10
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    assert model.transform(X).shape == (len(X), len(model.get_feature_names_out()))
    terms = [set(row) - {"epoch", "phase", "loss"} for row in model.history_]
    losses = {"kernel_matching", "class_wise_matching", "metric_learning"}
    calibration = {*losses, "confirmed"}
    assert terms == [*[set()] * 6, calibration, set(), calibration, set()]
    samples = model.generate(4, cluster=0, random_state=0)
    assert samples.shape == (4, *X.shape[1:])
    assert samples.dtype == (np.uint8 if kind == "digits" else np.float32)
    np.testing.assert_array_equal(samples, model.generate(4, 0, random_state=0))
    model.save(tmp_path / "model")
    loaded = GenerativeCalibrationClustering.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(X), model.labels_)
    np.testing.assert_array_equal(loaded.generate(4, 0, random_state=0), samples)


@pytest.mark.parametrize(
    ("n", "batch_size", "epochs"), [(120, 30, 40), (60, 60, 160), (120, 12, 20)]
)
def test_few_images_have_as_many_steps(digits, n, batch_size, epochs):
    """Eight batches per epoch, or so many more epochs: 20 of them are 160 steps."""
    stages = {"contrast_epochs": 0, "head_epochs": "auto", "generator_epochs": 0}
    model = make(n_rounds=0, batch_size=batch_size, **stages).fit(digits[0][:n])
    assert model.n_iter_ == epochs


def test_embeddings_start_well(rows):
    stages = {"contrast_epochs": 0, "head_epochs": "auto", "generator_epochs": 0}
    assert make(n_rounds=0, **stages).fit(rows).n_iter_ == 10


@pytest.mark.parametrize("epoch", [1, 3, 5, 7, 8])
def test_fit_that_broke_off_goes_on(rows, tmp_path, epoch):
    class Stop:
        def on_epoch_end(self, estimator, number, losses):
            return number == epoch

    path = tmp_path / "checkpoint"
    whole = make().fit(rows)
    make(checkpoint=path, callbacks=[Stop()]).fit(rows)
    resumed = make(checkpoint=path).fit(rows)
    np.testing.assert_array_equal(resumed.transform(rows), whole.transform(rows))
    np.testing.assert_array_equal(
        resumed.generate(3, 1, random_state=0), whole.generate(3, 1, random_state=0)
    )


def test_callback_that_predicts_changes_nothing(digits):
    """Networks in training take statistics of the batch, and keep them."""
    X, found = digits[0], []

    class Predict:
        def on_epoch_end(self, estimator, epoch, losses):
            few, all_ = estimator.transform(X[:5]), estimator.transform(X)[:5]
            found.append(np.abs(few - all_).max())

    whole, watched = make().fit(X), make(callbacks=[Predict()]).fit(X)
    np.testing.assert_array_equal(watched.transform(X), whole.transform(X))
    assert len(found) == whole.n_iter_ and max(found) < 1e-5


@pytest.fixture(scope="module")
def shapes():
    """120 pictures of 8 pixels: stripes that lie, stripes that stand, and spots."""
    shape = np.zeros((3, 8, 8))
    shape[0, ::2] = shape[1, :, ::2] = shape[2, 2:6, 2:6] = 190
    kinds = np.repeat(np.arange(3), 40)
    noise = np.random.default_rng(0).integers(60, size=(120, 8, 8))
    return (shape[kinds] + noise).astype(np.uint8)[..., None]


def check_it_travels(model, X, path):
    """Saved, pickled or copied, it predicts and generates the same."""
    model.save(path)
    expected, samples = model.transform(X), model.generate(2, 0, random_state=0)
    for other in (
        GenerativeCalibrationClustering.load(path),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
    ):
        np.testing.assert_array_equal(other.predict(X), model.labels_)
        np.testing.assert_allclose(other.transform(X), expected, atol=1e-5)
        np.testing.assert_array_equal(other.generate(2, 0, random_state=0), samples)
    assert clone(model).get_params() == model.get_params()


@pytest.mark.parametrize("kind", ["shapes", "rows"])
def test_mixed_precision_gives_the_same_labels(kind, request, tmp_path):
    X = request.getfixturevalue(kind)
    enough = {"contrast_epochs": 8, "head_epochs": 8, "n_rounds": 1, "lr": 3e-3}
    k = 3 if kind == "shapes" else 5
    plain, mixed = (
        make(n_clusters=k, amp=amp, **enough).fit(X) for amp in (False, True)
    )
    assert normalized_mutual_info_score(plain.labels_, mixed.labels_) > 0.99
    assert mixed.transform(X).dtype == np.float32
    for a, b in zip(plain.history_, mixed.history_):
        assert a["loss"] != b["loss"]  # each stage runs in bfloat16
    first, same = (model.history_[0]["loss"] for model in (plain, mixed))
    assert same == pytest.approx(first, rel=0.02)
    check_it_travels(mixed, X, tmp_path / "model")


@pytest.mark.parametrize(("kind", "epoch"), [("shapes", 7), ("rows", 3), ("rows", 8)])
def test_mixed_precision_goes_on_where_it_broke_off(kind, epoch, request, tmp_path):
    class Stop:
        def on_epoch_end(self, estimator, number, losses):
            return number == epoch

    X, path = request.getfixturevalue(kind), tmp_path / "checkpoint"
    whole = make(amp=True).fit(X)
    make(amp=True, checkpoint=path, callbacks=[Stop()]).fit(X)
    with pytest.raises(ValueError, match="amp: True in the file, False now"):
        make(checkpoint=path).fit(X)
    resumed = make(amp=True, checkpoint=path).fit(X)
    np.testing.assert_array_equal(resumed.transform(X), whole.transform(X))
    assert resumed.history_ == whole.history_


def test_compiled_networks_give_the_same_labels(shapes, tmp_path, monkeypatch):
    translated, compile_module = [], torch.nn.Module.compile

    def backend(graph, inputs):
        translated.append(graph)
        return graph.forward

    monkeypatch.setattr(
        torch.nn.Module,
        "compile",
        lambda module: compile_module(module, backend=backend),
    )
    short = {"contrast_epochs": 1, "generator_epochs": 1, "n_rounds": 0}
    plain, compiled = (
        make(compile=compile, **short).fit(shapes) for compile in (False, True)
    )
    n_trained = len(translated)
    assert n_trained >= 2  # of features, of the denoiser
    for a, b in zip(plain.history_, compiled.history_):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-3)
    np.testing.assert_array_equal(compiled.labels_, plain.labels_)
    check_it_travels(compiled, shapes, tmp_path / "model")
    assert len(translated) > n_trained  # the average generates


def test_embeddings_leave_nothing_to_compile(rows, monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "compile", None)
    labels = make(n_rounds=0, compile=True).fit(rows).labels_
    np.testing.assert_array_equal(labels, make(n_rounds=0).fit(rows).labels_)


def test_clusters_of_embeddings(small):
    X, y, _ = small
    model = make(n_clusters=5, contrast_epochs=5).fit(X)
    assert clustering_accuracy(y, model.labels_) > 0.95


@pytest.mark.parametrize(
    "off", ["kernel_matching", "class_wise_matching", "metric_learning"]
)
def test_terms_switch_off(rows, off):
    model = make(**{off: False}, n_rounds=1).fit(rows)
    assert off not in {name for row in model.history_ for name in row}


def test_bad_parameters(rows):
    off = {"kernel_matching": False, "class_wise_matching": False}
    with pytest.raises(ValueError, match="All terms of the calibration are off"):
        make(**off, metric_learning=False).fit(rows)
    assert make(**off, metric_learning=False, n_rounds=0).fit(rows).n_iter_ == 6
    model = make(n_rounds=0).fit(rows)
    for cluster in (3, -1, 0.5):
        with pytest.raises(ValueError, match=f"cluster={cluster} is none of the .* 2"):
            model.generate(2, cluster)
    for n in (0, -1, 2.5):
        with pytest.raises(ValueError, match=f"n={n} is no number of samples"):
            model.generate(n, cluster=0)


def test_one_cluster_and_clusters_that_lose_all_images(rows):
    assert make(n_clusters=1, n_rounds=1).fit(rows).n_clusters_ == 1
    X = np.repeat(rows[:2], 30, axis=0)
    with pytest.warns(UserWarning, match="clusters have"):
        model = make(n_rounds=1).fit(X)
    assert np.isfinite(model.transform(X)).all()


def test_real_and_generated_images_in_one_picture(digits, tmp_path):
    pytest.importorskip("matplotlib").use("Agg")
    X = digits[0]
    model = make(n_rounds=0).fit(X)
    shown = GeneratedImagesDisplay.from_estimator(model, X, n_columns=3, random_state=0)
    assert [len(row) for row in shown.pictures] == [7] * model.n_clusters_
    # The last three of a row are what `generate` gives.
    rng = np.random.RandomState(0)
    for cluster, row in zip(np.unique(model.labels_), shown.pictures):
        made = model.generate(3, cluster, random_state=rng)
        for picture, image in zip(row[-3:], made):
            middle = np.asarray(picture, dtype=float)[..., 0].mean()
            assert middle == pytest.approx(image.mean(), abs=12)
    texts = [text.get_text() for text in shown.texts_]
    assert texts[-2:] == ["real", "generated"]
    shown.figure_.savefig(tmp_path / "generated.png")


def test_what_generates_no_images_has_no_picture_of_them(rows):
    with pytest.raises(ValueError, match="generates no images"):
        GeneratedImagesDisplay.from_estimator(make(n_rounds=0).fit(rows), rows)


def test_images_that_are_not_square(digits):
    wide = np.repeat(digits[0], 2, axis=2)  # 8 x 16
    model = make(n_rounds=1).fit(wide)
    assert model.image_shape_ == (1, 8, 8)
    assert model.generate(2, cluster=0).shape == (2, 8, 8, 1)
    np.testing.assert_array_equal(model.predict(wide), model.labels_)


def test_fewer_images_than_clusters(digits, rows):
    for X in (digits[0][:2], rows[:2]):
        with pytest.raises(ValueError, match=r"n_samples=2.*n_clusters=3"):
            make().fit(X)


def test_calibration_has_its_learning_rate(rows):
    """Without any, the features of stage I stay."""
    one = make(n_rounds=0).fit(rows).transform(rows)
    stays = make(calibration_lr=1e-12).fit(rows).transform(rows)
    moves = make(calibration_lr=1e-2).fit(rows).transform(rows)
    np.testing.assert_allclose(stays, one, atol=1e-5)
    assert np.abs(moves - one).max() > 1e-2


def test_samples_of_no_cluster_calibrate_nothing(rows, monkeypatch):
    """A generator that makes the same for all clusters has nothing to teach."""
    enough = {"n_rounds": 1, "n_generated": 60, "calibration_lr": 1e-2}
    one = make(n_rounds=0).fit(rows).transform(rows)
    moved = make(**enough).fit(rows)
    assert np.abs(moved.transform(rows) - one).max() > 1e-2
    monkeypatch.setattr(
        EmbeddingGenerator,
        "sample",
        lambda self, labels, *_, **__: torch.from_numpy(rows[:1]).expand(60, -1),
    )
    with pytest.warns(ConvergenceWarning, match="takes 33% of the generated samples"):
        stays = make(**enough).fit(rows)
    np.testing.assert_allclose(stays.transform(rows), one, atol=1e-5)
    (share,) = {row["confirmed"] for row in stays.history_ if "confirmed" in row}
    assert share == pytest.approx(1 / 3)
