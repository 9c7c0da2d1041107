"""Rate reduction: what its equations, its cut and its features promise."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_vlclust import RateReductionClustering
from sklearn_vlclust.cluster.axes import half_whitening
from sklearn_vlclust.cluster.rate_reduction import membership as membership_module
from sklearn_vlclust.cluster.rate_reduction import presets
from sklearn_vlclust.cluster.rate_reduction.membership import sinkhorn_membership
from sklearn_vlclust.cluster.rate_reduction.network import RateReductionNetwork
from sklearn_vlclust.cluster.rate_reduction.objective import RateReductionObjective
from sklearn_vlclust.cluster.spectral.recipe import SpectralRecipe
from sklearn_vlclust.data.rows import UnitRows
from sklearn_vlclust.metrics import (
    cluster_coding_rate,
    clustering_accuracy,
    coding_rate,
)
from sklearn_vlclust.neighbors import group_copies, kneighbors


def subspaces(n_groups, n_each=40, width=32, dimension=3, seed=0):
    """Unit rows in random subspaces, shuffled, and their groups."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(n_groups), n_each))
    bases = np.linalg.qr(rng.normal(size=(n_groups, width, dimension)))[0]
    X = np.einsum("nwd,nd->nw", bases[y], rng.normal(size=(len(y), dimension)))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), y


@pytest.fixture
def make(small):
    """Return a function that makes a quick estimator."""

    def make(**params):
        defaults = {"n_clusters": 5, "max_iter": 3, "random_state": 0}
        return RateReductionClustering(**{**defaults, **params})

    return make


@pytest.fixture
def fitted(small, make):
    return make().fit(small[0])


def test_fitted_attributes(small, fitted):
    X, y, _ = small
    assert clustering_accuracy(y, fitted.labels_) > 0.95
    assert fitted.n_clusters_ == 5 and fitted.n_features_in_ == 16
    d = fitted.features_.shape[1]
    assert fitted.cluster_centers_.shape == (5, d)
    assert len(fitted.get_feature_names_out()) == d
    np.testing.assert_allclose(fitted.transform(X), fitted.features_, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(fitted.features_, axis=1), 1, rtol=1e-5)
    terms = {"loss", "coding_rate", "cluster_coding_rate", "membership_residual"}
    assert terms <= set(fitted.history_[-1])
    proba = fitted.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(proba.argmax(axis=1), fitted.labels_)


def test_membership_is_that_of_the_codes(small, fitted):
    X = small[0][::3]
    Pi = fitted.membership(X)
    np.testing.assert_allclose(Pi.sum(axis=0), 1, atol=1e-4)
    np.testing.assert_array_equal(Pi, Pi.T)
    with torch.inference_mode():
        codes = fitted.network_.codes(
            torch.from_numpy(X / np.linalg.norm(X, axis=1)[:, None])
        )
        expected = sinkhorn_membership(codes, fitted.gamma)
    np.testing.assert_allclose(Pi, expected.numpy(), atol=1e-5)


def test_membership_that_does_not_converge_says_so(small, fitted, make, monkeypatch):
    """A cosine is at most 1, so that few rounds always do; none do not."""
    monkeypatch.setattr(membership_module, "MAX_ROUNDS", 0)
    message = r"a row sum differs from 1 by .*\. A larger gamma than 0.5"
    with pytest.warns(ConvergenceWarning, match=message):
        model = make(gamma=0.5).fit(small[0])
    with pytest.warns(ConvergenceWarning, match=message):
        model.membership(small[0])


def test_a_sharp_cut_that_is_better_in_both_respects_is_taken(
    small, fitted, monkeypatch
):
    """The natural one, here with two groups joined and one halved, cuts more."""
    _, y, _ = small
    right = fitted.labels_.copy()
    wrong = np.where(right == 1, 0, right)
    wrong[np.flatnonzero(right == 2)[::2]] = 1
    natural, sharp, _ = fitted.cuts_
    with SpectralRecipe.using(trim_below=0, even_rate_below=0):  # for one of them
        monkeypatch.setattr(natural, "labels", lambda k, **options: wrong)
        assert clustering_accuracy(y, fitted.set_n_clusters(5).labels_) > 0.95
        monkeypatch.setattr(sharp, "labels", lambda k, **options: wrong)
        monkeypatch.setattr(fitted, "_lies_apart", False)
        assert clustering_accuracy(y, fitted.set_n_clusters(5).labels_) < 0.95


def test_set_n_clusters_cuts_again_without_training(small, make):
    X, y, _ = small
    model = make(n_clusters=2).fit(X)
    weights = model.network_.feature_head.weight.clone()
    assert model.set_n_clusters(5) is model
    assert model.n_clusters_ == 5 and model.n_clusters == 2
    assert clustering_accuracy(y, model.labels_) > 0.95
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    assert torch.equal(weights, model.network_.feature_head.weight)
    again = make(n_clusters=5).fit(X).labels_  # groups of equal sizes, in any order
    assert adjusted_rand_score(model.labels_, again) == 1
    assert model.set_n_clusters(1).predict(X).max() == 0


def test_a_number_of_clusters_from_numpy(small, make):
    assert make(n_clusters=np.int64(5)).fit(small[0]).n_clusters_ == 5


@pytest.mark.parametrize("k", [0, 151, 2.0, "5", None])
def test_set_n_clusters_explains_what_it_accepts(fitted, k):
    before = fitted.labels_.copy()
    with pytest.raises(
        ValueError, match=r"n_clusters=.* between 1 and the 150 samples"
    ):
        fitted.set_n_clusters(k)
    np.testing.assert_array_equal(fitted.labels_, before)


def test_saved_model_cuts_as_the_original(fitted, small, tmp_path):
    fitted.save(tmp_path / "model.safetensors")
    loaded = RateReductionClustering.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(small[0]), fitted.labels_)
    np.testing.assert_array_equal(
        loaded.set_n_clusters(9).labels_, fitted.set_n_clusters(9).labels_
    )


def test_objective_is_mlc(small):
    """Terms of a batch are the public coding rates of its features and membership."""
    X = torch.from_numpy(UnitRows(small[0])[:])
    network = RateReductionNetwork(16, 8, n_axes=16)
    mean, axes = half_whitening(UnitRows(small[0]), 8)
    network.start_at_axes(torch.from_numpy(mean), torch.from_numpy(axes))
    objective = RateReductionObjective(
        eps=0.2,
        gamma=0.1,
        n_columns=None,
        membership_penalty=0.5,
        warm_up=1,
        generator=torch.Generator(),
    )
    Z, C = network(X)
    Pi = sinkhorn_membership(C, 0.1)
    objective.start_epoch(network, 0)
    warm = objective(network, X)
    assert warm["loss"] == -coding_rate(Z, 0.2) and set(warm) == {"loss", "coding_rate"}
    objective.start_epoch(network, 1)
    terms = objective(network, X)
    expected = cluster_coding_rate(Z, Pi, 0.2) - coding_rate(Z, 0.2)
    expected += 0.5 * Pi.square().sum() / 2
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    # A sample that is its own neighbor changes nothing but the count of samples.
    twice = objective(network, X, X)
    assert twice["loss"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_warm_up_spreads_features_and_starts_the_codes(small, make):
    model = make(warm_up=4, max_iter=4, view_neighbors=0).fit(small[0])
    rates = [row["coding_rate"] for row in model.history_]
    assert rates == sorted(rates) and "cluster_coding_rate" not in model.history_[-1]
    model = make(warm_up=3, max_iter=4, lr=1e-12).fit(small[0])
    head, copy = model.network_.feature_head, model.network_.cluster_head
    torch.testing.assert_close(head.weight, copy.weight)


def test_start_is_half_white():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 4)) * [8, 4, 2, 1] + 20
    rows = UnitRows(X)
    mean, axes = half_whitening(rows, 2)
    projected = (rows[:] - mean) @ axes.T
    covariance = np.cov(projected.T, bias=True)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-3)
    plain = np.linalg.eigvalsh(np.cov(rows[:].T, bias=True))[::-1]
    np.testing.assert_allclose(
        np.diag(covariance) / covariance[0, 0], np.sqrt(plain / plain[0]), rtol=1e-2
    )
    assert np.square(projected[:, :2]).sum(axis=1).mean() == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("name", presets.CPP)
def test_presets_fit_at_their_sizes(name):
    """The recipe of the paper runs as printed, on less data and fewer epochs."""
    preset = {**presets.CPP[name], "hidden_dim": 64, "n_components": 32}
    X, _ = subspaces(4)
    model = RateReductionClustering(
        **{**preset, "n_clusters": 4, "max_iter": 3, "random_state": 0}
    ).fit(X)
    assert model.features_.shape == (160, 32) and model.n_clusters_ == 4
    assert isinstance(model.network_.pre_feature[1], torch.nn.BatchNorm1d)
    # One row is mapped as in a batch: the running means are used.
    np.testing.assert_allclose(model.transform(X[:1]), model.features_[:1], atol=1e-5)
    assert presets.CPP[name]["n_components"] <= presets.CPP[name]["batch_size"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"gamma": 0}, "'gamma'"),
        ({"n_components": 64, "batch_size": 32}, "batch_size=32 .* n_components=64"),
        ({"optimizer": "lbfgs"}, "'optimizer'"),
        ({"n_clusters": 151}, "n_samples=150 should be >= n_clusters=151"),
    ],
)
def test_bad_parameters(small, make, params, message):
    with pytest.raises(ValueError, match=message):
        make(**params).fit(small[0])


def test_rows_that_are_all_alike(make):
    with pytest.warns(ConvergenceWarning, match="1 of n_clusters=|fewer groups"):
        model = make(n_clusters=3).fit(np.ones((20, 4)))
    assert model.n_clusters_ == len(set(model.labels_))
    assert np.isfinite(model.features_).all()


def test_any_width_and_scale(small, make, fitted):
    # Groups far apart: rounding must not decide.
    np.testing.assert_array_equal(make().fit(small[0] * 1e20).labels_, fitted.labels_)
    X, _ = subspaces(4, width=7)
    pipeline = make_pipeline(FunctionTransformer(), make(n_clusters=4))
    assert pipeline.fit_predict(X).max() == 3


def test_same_seed_same_fit_and_global_state_untouched(small, make):
    X = small[0]
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, second = make(random_state=3).fit(X), make(random_state=3).fit(X)
    np.testing.assert_array_equal(first.features_, second.features_)
    np.testing.assert_array_equal(first.labels_, second.labels_)
    assert not np.array_equal(first.features_, make(random_state=4).fit(X).features_)
    assert torch.equal(torch.get_rng_state(), state[0])
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])


@pytest.mark.parametrize("kind", ["float64", "tensor", "memmap"])
def test_kinds_of_embeddings(small, make, fitted, kind, tmp_path):
    np.save(tmp_path / "X.npy", small[0])
    data = {
        "float64": small[0].astype(np.float64),
        "tensor": torch.from_numpy(small[0]),
        "memmap": np.load(tmp_path / "X.npy", mmap_mode="r"),
    }[kind]
    model = make().fit(data)
    np.testing.assert_array_equal(model.labels_, fitted.labels_)
    np.testing.assert_array_equal(model.predict(data), model.labels_)
    assert model.transform(data).dtype == (
        np.float64 if kind == "float64" else np.float32
    )


@pytest.mark.parametrize("warm_up", [0, 2, 3])
def test_fit_that_broke_off_goes_on(small, make, tmp_path, warm_up):
    """In the warm-up, at its end and after it: the same as without a break."""

    class Break:
        def on_epoch_end(self, estimator, epoch, losses):
            assert len(estimator.transform(small[0])) == 150
            if epoch == 2:
                raise RuntimeError("power cut")

    params = {"warm_up": warm_up, "max_iter": 5, "batch_size": 40}
    expected = make(**params).fit(small[0])
    params["checkpoint"] = tmp_path / "run.safetensors"
    with pytest.raises(RuntimeError, match="power cut"):
        make(**params, callbacks=[Break()]).fit(small[0])
    resumed = make(**params).fit(small[0])
    assert resumed.history_ == expected.history_
    np.testing.assert_array_equal(resumed.features_, expected.features_)
    np.testing.assert_array_equal(resumed.labels_, expected.labels_)


def test_training_that_is_ended_in_the_warm_up_still_cuts(small, make):
    class Stop:
        def on_epoch_end(self, estimator, epoch, losses):
            return True

    model = make(warm_up=2, callbacks=[Stop()]).fit(small[0])
    assert model.n_iter_ == 1 and model.n_clusters_ == 5


def test_grid_search_without_labels(small, make):
    everything = [(np.arange(150), np.arange(150))]
    search = GridSearchCV(make(), {"n_clusters": [2, 5], "gamma": [0.2]}, cv=everything)
    assert search.fit(small[0]).best_params_["n_clusters"] == 5


@pytest.fixture(scope="session")
def dtd(clip_data):
    data = clip_data("images_dtd.npz")
    _, y = np.unique(data["label_test"], return_inverse=True)
    return data["emb_test"].astype(np.float32), y


def test_textures(dtd):
    """Above k-means, and features that keep more near images of one kind together."""
    X, y = dtd
    model = RateReductionClustering(47, random_state=0).fit(X)
    kmeans = KMeans(47, n_init=3, random_state=0).fit_predict(X)
    accuracy = clustering_accuracy(y, model.labels_)
    assert accuracy > clustering_accuracy(y, kmeans) + 0.02
    assert (model.predict(X) == model.labels_).mean() > 0.99

    def purity(rows):
        return (y[kneighbors(rows, 10)[0]] == y[:, None]).mean()

    assert purity(model.features_) > purity(UnitRows(X))
    rates = model.history_[0], model.history_[-1]
    assert rates[1]["loss"] < rates[0]["loss"]


def test_large_groups_stay_whole_beside_small_ones(clip_data):
    """Two classes of Caltech-101 have 240 images, most have about 15."""
    data = clip_data("images_caltech101.npz")
    X, y = data["emb_test"].astype(np.float32), data["label_test"]
    kept = np.isin(y, np.unique(y)[np.argsort(-np.bincount(y))[np.r_[:3, 20:45]]])
    X, y = X[kept], np.unique(y[kept], return_inverse=True)[1]
    model = RateReductionClustering(28, max_iter=2, random_state=0).fit(X)
    natural = model.cuts_[0].labels(28, ward=True)
    natural = natural[group_copies(UnitRows(X)).group]  # a burst of faces is one row
    gain = clustering_accuracy(y, model.labels_) - clustering_accuracy(y, natural)
    assert gain > 0.05
    sizes = np.bincount(model.labels_)
    assert len(sizes) == 28 and sizes[1] > 190


def test_curves_of_an_earlier_fit_are_gone(small, make):
    model = make(n_clusters="auto").fit(small[0])
    assert len(model.k_values_) == len(model.k_scores_["reproducibility"])
    model.set_params(n_clusters=5).fit(small[0])
    for name in ("k_values_", "k_scores_", "k_candidates_"):
        assert not hasattr(model, name)
