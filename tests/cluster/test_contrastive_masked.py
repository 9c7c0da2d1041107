"""PICI as an estimator, on images."""

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from sklearn_vlclust import ContrastiveMaskedClustering
from sklearn_vlclust.cluster.contrastive_masked import presets
from sklearn_vlclust.cluster.contrastive_masked.images import (
    ImageNetwork,
    choose_patch,
)
from sklearn_vlclust.data.images import UnreadableImageError
from sklearn_vlclust.metrics import clustering_accuracy
from sklearn_vlclust.model_selection import (
    coding_rate_reduction_score,
    neighbor_consistency_score,
)
from sklearn_vlclust.plotting import ContactSheetDisplay

QUICK = {
    "n_clusters": 4,
    "backbone": (32, 2, 4),
    "pretrain_epochs": 1,
    "train_epochs": 2,
    "boost_epochs": 1,
    "batch_size": 64,
    "random_state": 0,
}


def make(**params):
    return ContrastiveMaskedClustering(**{**QUICK, **params})


@pytest.fixture(scope="module")
def digits():
    """240 digits of four kinds, 8 pixels wide, and their kinds."""
    data = load_digits(n_class=4)
    X = (data.images * 255 / 16).round().astype(np.uint8)[..., None]
    return X[:240], data.target[:240]


@pytest.fixture(scope="module")
def fitted(digits):
    return make().fit(digits[0])


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Paths of 24 color pictures of different sizes: stripes, or a bright middle."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    paths = []
    for i in range(24):
        height, width = rng.integers(20, 40, 2)
        pixels = rng.integers(0, 60, (height, width, 3))
        if i % 2:
            pixels[::3] += 150
        else:
            pixels[height // 4 : -height // 4, width // 4 : -width // 4] += 180
        paths.append(folder / f"{i}.png")
        Image.fromarray(pixels.astype(np.uint8)).save(paths[-1])
    return paths


def test_fitted_attributes(digits, fitted):
    X, _ = digits
    assert fitted.labels_.shape == (240,) and fitted.labels_.dtype == np.int64
    assert (np.diff(np.bincount(fitted.labels_)) <= 0).all()  # largest first
    assert fitted.image_shape_ == (1, 8, 8) and fitted.patch_size_ == 2
    assert fitted.n_features_in_ == 64 and fitted.n_iter_ == 4
    np.testing.assert_array_equal(fitted.predict(X), fitted.labels_)
    proba = fitted.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(proba.argmax(axis=1), fitted.labels_)
    Z = fitted.transform(X)
    assert Z.shape == (240, 128) == (240, len(fitted.get_feature_names_out()))
    np.testing.assert_allclose(np.linalg.norm(Z, axis=1), 1, rtol=1e-5)
    assert fitted.cluster_centers_.shape == (fitted.n_clusters_, 128)
    assert [set(row) - {"epoch", "phase", "loss"} for row in fitted.history_] == [
        {"reconstruction"},
        *[{"reconstruction", "instance_contrast", "cluster_contrast", "entropy"}] * 2,
        {"instance_contrast", "cluster_contrast", "entropy", "interaction"},
    ]
    assert 0 <= fitted.score(X) <= np.log(fitted.n_clusters_)


def test_prediction_masks_nothing(digits, fitted):
    X = digits[0]
    np.testing.assert_array_equal(fitted.transform(X), fitted.transform(X))
    np.testing.assert_allclose(
        fitted.transform(X[:7]), fitted.transform(X)[:7], atol=1e-5
    )


def test_learns_two_kinds_of_digits():
    data = load_digits(n_class=2)
    X = (data.images * 255 / 16).round().astype(np.uint8)[..., None]
    model = make(n_clusters=2, train_epochs=25, boost_epochs=5, lr=2e-3).fit(X)
    assert clustering_accuracy(data.target, model.labels_) > 0.95


def test_same_seed_same_labels_and_global_state_untouched(digits):
    X = digits[0]
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, second, other = (make(random_state=s).fit(X).transform(X) for s in (3, 3, 4))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)
    assert torch.equal(torch.get_rng_state(), state[0])
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])


def test_folder_of_any_sizes(photos):
    model = make(n_clusters=2).fit(photos)
    side = np.median([min(Image.open(path).size) for path in photos]) // 4 * 4
    assert model.image_shape_ == (3, side, side) and model.patch_size_ == 4
    np.testing.assert_array_equal(
        model.predict([Image.open(path) for path in photos]), model.labels_
    )
    assert model.set_params(image_size=16).fit(photos).image_shape_ == (3, 16, 16)


def test_memmap_and_large_arrays_are_read_batch_by_batch(digits, tmp_path, monkeypatch):
    X = digits[0]
    np.save(tmp_path / "X.npy", X)
    expected = make().fit(X).labels_
    data = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(make().fit(data).labels_, expected)
    monkeypatch.setattr("sklearn_vlclust.cluster.image_batches.HELD_BYTES", 100)
    np.testing.assert_array_equal(make().fit(data).labels_, expected)


def test_reconstruct_fills_masked_patches_only(digits, fitted):
    X = digits[0][:20]
    filled, seen = fitted.reconstruct(X, return_masked=True)
    assert filled.shape == seen.shape == X.shape and filled.dtype == np.uint8
    np.testing.assert_array_equal(filled, fitted.reconstruct(X))
    patches = (filled != X).reshape(20, 4, 2, 4, 2).any(axis=(2, 4)).reshape(20, 16)
    assert (patches.sum(axis=1) <= 8).all() and patches.any()
    hidden = (seen != X).reshape(20, 4, 2, 4, 2).any(axis=(2, 4)).reshape(20, 16)
    assert not (patches & ~hidden).any()


@pytest.mark.parametrize(
    ("off", "terms"),
    [
        ({"reconstruction": False}, {"reconstruction"}),
        ({"cluster_contrast": False}, {"cluster_contrast", "entropy"}),
        ({"interaction": False}, {"interaction"}),
        (
            {"instance_contrast": False, "interaction": False},
            {"instance_contrast", "interaction"},
        ),
    ],
)
def test_modules_switch_off(digits, off, terms):
    model = make(**off).fit(digits[0])
    assert not terms & {name for row in model.history_ for name in row}
    np.testing.assert_array_equal(model.predict(digits[0]), model.labels_)


def test_without_cluster_head_clusters_are_those_of_kmeans(digits, tmp_path):
    X, _ = digits
    model = make(cluster_contrast=False, interaction=False).fit(X)
    nearest = (model.transform(X) @ model.network_.centers.numpy().T).argmax(axis=1)
    np.testing.assert_array_equal(nearest, model.labels_)
    model.save(tmp_path / "model")
    loaded = ContrastiveMaskedClustering.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(X), model.labels_)


def test_save_and_load(digits, fitted, tmp_path):
    X = digits[0]
    fitted.save(tmp_path / "model")
    loaded = ContrastiveMaskedClustering.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))
    np.testing.assert_array_equal(loaded.reconstruct(X), fitted.reconstruct(X))
    assert clone(loaded).fit(X).n_iter_ == 4


class StopAfter:
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, estimator, epoch, losses):
        return epoch == self.epoch


@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_fit_that_broke_off_goes_on(digits, tmp_path, epoch):
    X, path = digits[0], tmp_path / "checkpoint"
    params = {"boost_epochs": 3}
    whole = make(**params).fit(X)
    make(**params, checkpoint=path, callbacks=[StopAfter(epoch)]).fit(X)
    resumed = make(**params, checkpoint=path).fit(X)
    np.testing.assert_array_equal(resumed.labels_, whole.labels_)
    np.testing.assert_array_equal(resumed.transform(X), whole.transform(X))


def test_warm_start_goes_on_from_the_last_fit(digits):
    X = digits[0]
    model = make(train_epochs=10, boost_epochs=0).fit(X)
    loss = model.history_[-1]["instance_contrast"]
    model.set_params(warm_start=True, pretrain_epochs=0, train_epochs=1).fit(X)
    assert model.history_[0]["instance_contrast"] < loss + 0.1
    assert model.set_params(n_clusters=3).fit(X).predict_proba(X).shape[1] == 3
    with pytest.raises(ValueError, match=r"warm_start=True, but depth was 2 .* is 1"):
        model.set_params(backbone=(32, 1, 4)).fit(X)


def test_weights_of_timm(photos, tmp_path):
    import timm
    from safetensors.torch import save_file

    vit = timm.create_model(
        "vit_tiny_patch16_224", img_size=24, patch_size=4, depth=2, num_classes=0
    ).eval()
    for suffix, write in ((".safetensors", save_file), (".pt", torch.save)):
        path = tmp_path / f"weights{suffix}"
        write(vit.state_dict(), path)
        model = make(
            n_clusters=2,
            image_size=24,
            backbone="auto",
            weights=path,
            pretrain_epochs=1,
            train_epochs=0,
            boost_epochs=0,
            interaction=False,
            lr=1e-12,
        ).fit(photos)
        assert model.network_.config["width"] == 192
        x = torch.rand(3, 3, 24, 24)
        network = model.network_
        tokens = network.standardize(network.tokens(x))
        images = network.tokens(x) - network.mean
        np.testing.assert_allclose(tokens, images / network.scale, rtol=1e-5)
        grid = (tokens * 1).reshape(3, 6, 6, 3, 4, 4).permute(0, 3, 1, 4, 2, 5)
        with torch.no_grad():
            expected = vit.forward_features(grid.reshape(3, 3, 24, 24))[:, 0]
            found = network.encode(tokens)[:, 0]
        np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"patch_size": 9}, r"patch_size=9 is more than the 8 pixels"),
        (
            {"image_size": 8, "patch_size": 3},
            r"image_size=8 is not a multiple of patch",
        ),
        ({"batch_size": 3}, r"batch_size=3 .* batches of 3, less than n_clusters=4"),
        ({"batch_size": 1}, r"'batch_size' parameter .* \[2, inf\)"),
        ({"instance_contrast": False}, r"interaction=True .* instance_contrast=False"),
        (
            {"pretrain_epochs": 0, "train_epochs": 0, "boost_epochs": 0},
            r"Nothing is to be trained",
        ),
        ({"backbone": (30, 2, 4)}, r"backbone=\(30, 2, 4\) is not .* multiple"),
        ({"decoder": (32, 2)}, r"decoder=\(32, 2\) is not \(width, depth, heads\)"),
        ({"weights": "no_such_model"}, r"weights='no_such_model' is neither a file"),
        ({"n_clusters": 241}, r"n_samples=240 should be >= n_clusters=241"),
    ],
)
def test_bad_parameters(digits, params, message):
    with pytest.raises(ValueError, match=message):
        make(**params).fit(digits[0])


def test_bad_weights(photos, tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"weights=.*weights\.pt' cannot be read"):
        make(weights=path).fit(photos)
    torch.save({"layer.weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="not those of a plain vision transformer"):
        make(weights=path).fit(photos)


def test_bad_images(digits, fitted, photos):
    X = digits[0]
    color = np.repeat(X, 3, axis=3)
    with pytest.raises(ValueError, match=r"3 channels; the fit had 1"):
        fitted.predict(color)
    with pytest.raises(ValueError, match=r"1 channel; the fit had 3"):
        make(n_clusters=2).fit(color[:20]).predict(X)
    with pytest.raises(
        ValueError, match=r"X is not images .*64\)\); the fit had images"
    ):
        fitted.predict(np.zeros((3, 64)))
    with pytest.raises(ValueError, match="2 or more are needed"):
        make(n_clusters=1).fit(X[:1])
    broken = photos[0].with_name("broken.png")
    broken.write_bytes(b"no image")
    with pytest.raises(UnreadableImageError, match=r"broken\.png"):
        make(n_clusters=2).fit([*photos, broken])


def test_images_that_are_all_alike(digits):
    X = np.repeat(digits[0][:1], 40, axis=0)
    with pytest.warns(ConvergenceWarning, match="clusters has"):
        model = make().fit(X)
    assert model.n_clusters_ == 1 and np.isfinite(model.transform(X)).all()


def test_scores_and_pictures_of_images(digits, fitted):
    X = digits[0]
    for score in (neighbor_consistency_score, coding_rate_reduction_score):
        assert np.isfinite(score(fitted, X))
    sheet = ContactSheetDisplay.from_estimator(fitted, X, n_columns=4)
    assert len(sheet.pictures) == fitted.n_clusters_
    search = GridSearchCV(make(), {"tau_i": [0.2, 0.5]}, cv=2)
    assert np.isfinite(search.fit(X[:80]).cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(("kind", "tau"), [("images", 0.2), ("rows", 0.5)])
def test_the_temperature_follows_what_is_clustered(digits, kind, tau):
    X = digits[0] if kind == "images" else digits[0].reshape(240, -1) / 255
    auto, given, other = (
        make(tau_i=tau_i).fit(X).transform(X) for tau_i in ("auto", tau, 0.3)
    )
    np.testing.assert_array_equal(auto, given)
    assert not np.array_equal(auto, other)


@pytest.mark.parametrize(
    ("side", "patch"), [(1, 1), (2, 1), (8, 2), (28, 4), (32, 4), (64, 8), (224, 16)]
)
def test_patches_grow_with_images(side, patch):
    assert choose_patch(side) == patch


def test_mixed_precision_and_compiled_blocks_are_options(digits):
    X = digits[0]
    plain = make().fit(X)
    mixed = make(amp=True).fit(X)
    assert mixed.history_[0]["loss"] == pytest.approx(
        plain.history_[0]["loss"], rel=0.05
    )


def test_preset_is_the_network_of_the_paper():
    sizes = {k: v for k, v in presets.PICI.items() if k in ("image_size", "patch_size")}
    width, depth, n_heads = presets.BACKBONES[presets.PICI["backbone"]]
    network = ImageNetwork(
        (3, 224, 224),
        sizes["patch_size"],
        10,
        width=width,
        depth=depth,
        n_heads=n_heads,
        **dict(
            zip(
                ("decoder_width", "decoder_depth", "decoder_heads"),
                presets.PICI["decoder"],
            )
        ),
    )

    assert len(network.encoder) == 6 and len(network.decoder) == 8
    assert network.positions.shape == (196, 384)


def test_without_masks_there_is_nothing_to_reconstruct(digits):
    model = make(mask_ratio=0.0, backbone=[32, 1, 4]).fit(digits[0])
    assert model.n_iter_ == 3  # no pre-training
    assert all("reconstruction" not in row for row in model.history_)
    assert all(np.isfinite(row["loss"]) for row in model.history_)
