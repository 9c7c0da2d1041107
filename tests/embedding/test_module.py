"""TimmEmbedder on a small random model of timm, TorchEmbedder on small modules."""

import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from torch import nn

from sklearn_vlclust import (
    ImageSearch,
    MCAClustering,
    SemanticSpace,
    VLClustering,
    Vocabulary,
)
from sklearn_vlclust.embedding import CLIPEmbedder, TimmEmbedder, TorchEmbedder
from tests._timm import PREPROCESSING, make_random_timm, save_random_timm

timm = pytest.importorskip("timm")


@pytest.fixture(scope="module")
def timm_folder(tmp_path_factory):
    return save_random_timm(tmp_path_factory.mktemp("timm"))


class Colors(nn.Module):
    """Mean colors of a grid, through a layer with dropout."""

    def __init__(self, seed=0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layer = nn.Linear(48, 12)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        return self.layer(self.dropout(nn.functional.avg_pool2d(x, 4).flatten(1)))


def shrink(image):
    pixels = np.asarray(image.resize((16, 16)), dtype=np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1) / 255


@pytest.fixture(params=["timm", "torch"])
def embedder(request):
    if request.param == "torch":
        return TorchEmbedder(Colors(), shrink, device="cpu", n_jobs=1)
    folder = request.getfixturevalue("timm_folder")
    return TimmEmbedder(folder, device="cpu", n_jobs=1)


@pytest.mark.smoke
def test_equals_timm(timm_folder, photos):
    model = make_random_timm().eval()
    transform = timm.data.create_transform(**PREPROCESSING)
    with torch.inference_mode():
        batch = torch.stack([transform(Image.open(path)) for path in photos])
        expected = nn.functional.normalize(
            model.forward_head(model.forward_features(batch), pre_logits=True)
        )
    rows = TimmEmbedder(timm_folder, device="cpu").transform(photos)
    assert rows.shape == (40, 48) and rows.dtype == np.float32
    np.testing.assert_allclose(rows, expected, atol=1e-5)


@pytest.mark.parametrize("save", [save_file, torch.save], ids=["safetensors", "torch"])
def test_file_of_weights(timm_folder, photos, tmp_path, save):
    file = tmp_path / ("w.safetensors" if save is save_file else "w.pth")
    weights = make_random_timm(3).state_dict()
    save(weights if save is save_file else {"state_dict": weights}, file)
    embedder = TimmEmbedder(timm_folder, weights=file, device="cpu")
    rows, first = embedder.transform(photos), TimmEmbedder(timm_folder)
    assert np.abs(rows - first.transform(photos)).max() > 0.01
    assert embedder.encoder_id != first.encoder_id
    shutil.copytree(timm_folder, folder := tmp_path / "model")
    save_file(weights, folder / "model.safetensors")
    np.testing.assert_array_equal(TimmEmbedder(folder).transform(photos), rows)


def test_named_model(photos, tmp_path):
    with torch.random.fork_rng(devices=[]):
        model = timm.create_model("test_convnext", num_classes=0)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    embedder = TimmEmbedder("test_convnext", tmp_path / "w.safetensors")
    assert embedder.transform(photos[:3]).shape == (3, model.num_features)


def test_equals_the_module(photos):
    module = Colors()
    rows = TorchEmbedder(module, shrink, batch_size=7, device="cpu").transform(photos)
    assert module.training and module.layer.weight.requires_grad  # the user's own
    with torch.inference_mode():
        batch = torch.stack([shrink(Image.open(path)) for path in photos])
        expected = nn.functional.normalize(module.eval()(batch))
    np.testing.assert_allclose(rows, expected, atol=1e-5)


def test_copies(embedder, photos):
    rows = embedder.transform(photos)
    for copied in (clone(embedder), pickle.loads(pickle.dumps(embedder))):
        assert "_held_network" not in vars(copied)
        np.testing.assert_array_equal(copied.transform(photos), rows)
        assert copied.encoder_id == embedder.encoder_id
        assert copied._network is embedder._network  # loaded once
    for known in (embedder, clone(embedder)):  # with and without a network
        assert len(known.get_feature_names_out()) == rows.shape[1]
    labels = make_pipeline(embedder, KMeans(3, random_state=0)).fit_predict(photos)
    assert len(set(labels)) == 3


def test_cache_belongs_to_the_weights(timm_folder, photos, tmp_path):
    cache = tmp_path / "cache"
    module = Colors()
    embedder = TorchEmbedder(module, shrink, device="cpu", cache=cache)
    rows = embedder.transform(photos)
    first = embedder.encoder_id
    with torch.no_grad():
        module.layer.weight.mul_(-1)  # while the embedder holds its network
    changed = embedder.transform(photos)
    assert embedder.encoder_id != first and np.abs(rows - changed).max() > 0.1
    np.testing.assert_array_equal(
        TorchEmbedder(Colors(), shrink, device="cpu", cache=cache).transform(photos),
        rows,
    )
    mirrored = TorchEmbedder(Colors(), lambda x: shrink(x).flip(2), device="cpu")
    assert mirrored.encoder_id != first
    ids = {mirrored.set_params(precision=p).encoder_id for p in ("fp32", "bf16")}
    assert len(ids) == 2

    folder = shutil.copytree(timm_folder, tmp_path / "model")
    embedder = TimmEmbedder(folder, device="cpu", cache=cache)
    rows, first = embedder.transform(photos), embedder.encoder_id
    save_file(make_random_timm(5).state_dict(), folder / "model.safetensors")
    assert np.abs(embedder.transform(photos) - rows).max() > 0.01
    second = embedder.encoder_id
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"]["crop_pct"] = 0.5
    (folder / "config.json").write_text(json.dumps(config))
    assert len({first, second, embedder.encoder_id}) == 3


def test_half_precision_is_close(embedder, photos):
    half = clone(embedder).set_params(precision="bf16").transform(photos)
    assert (half * embedder.transform(photos)).sum(axis=1).min() > 0.999


def test_globals_are_left_alone(embedder, photos):
    torch.manual_seed(7)
    state = torch.get_rng_state()
    embedder.transform(photos[:2])
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_that_do_not_fit(timm_folder, photos, tmp_path):
    folder = shutil.copytree(timm_folder, tmp_path / "model")
    file = folder / "model.safetensors"
    weights = load_file(file)
    save_file({k: v for k, v in weights.items() if "blocks.1" not in k}, file)
    with pytest.raises(ValueError, match=r"lacks 4 of the tensors .* 'blocks\.1"):
        TimmEmbedder(folder).transform(photos)
    save_file({k: v[..., :-1].contiguous() for k, v in weights.items()}, file)
    with pytest.raises(ValueError, match=r"cannot be loaded.*this very model"):
        TimmEmbedder(folder).transform(photos)
    file.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"model.safetensors' cannot be read as weigh"):
        TimmEmbedder(folder).transform(photos)
    file.unlink()
    with pytest.raises(FileNotFoundError, match="the folder has no weights"):
        TimmEmbedder(folder).transform(photos)
    (folder / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="needs architecture and pretrained_cfg"):
        TimmEmbedder(folder, timm_folder + "/model.safetensors").transform(photos)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"model": "vit_smal_patch14_dinov2"}, ValueError, "Did you mean 'vit_small"),
        ({"model": "no/folder"}, FileNotFoundError, "the folder does not exist"),
        ({"weights": "no.safetensors"}, FileNotFoundError, "is no file"),
        ({"precision": "fp8"}, ValueError, "'precision' parameter of TimmEmbedder"),
    ],
)
def test_bad_parameters(photos, params, error, message):
    with pytest.raises(error, match=message):
        TimmEmbedder(**params).transform(photos)


def test_no_weights_and_no_network(photos, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for model in ("vit_small_patch14_dinov2.lvd142m", "hf-hub:some/model"):
        with pytest.raises(OSError, match=r"model=PATH, or do without a download"):
            TimmEmbedder(model).transform(photos)


def random_flip(image):
    return shrink(image) + torch.rand(())


@pytest.mark.parametrize(
    ("module", "preprocess", "message"),
    [
        (nn.Flatten(), lambda image: torch.ones(3), "gave a tensor of shape"),
        (nn.Flatten(), random_flip, "is random"),
        (
            nn.Flatten(),
            lambda image: torch.zeros(3, *image.size),
            "for images of different sizes",
        ),
        (nn.Identity(), shrink, r"of shape \(1, 3, 16, 16\) for 1 image"),
        ("resnet", shrink, "'module' parameter of TorchEmbedder"),
        (nn.Flatten(), None, "'preprocess' parameter of TorchEmbedder"),
    ],
)
def test_modules_that_do_not_fit(photos, module, preprocess, message):
    with pytest.raises(ValueError, match=message):
        TorchEmbedder(module, preprocess, device="cpu").transform(photos)


@pytest.mark.parametrize(
    "clusterer",
    [
        VLClustering(3, random_state=0),
        VLClustering(3, semantic_space="wordnet", random_state=0),
        VLClustering(3, semantic_space=["dog", "cat"], random_state=0),
        MCAClustering(3, max_iter=1, random_state=0),
    ],
    ids=["auto", "wordnet", "list", "MCA"],
)
def test_an_encoder_without_words(embedder, photos, clusterer):
    model = clone(clusterer).set_params(embedder=embedder)
    with pytest.warns(UserWarning, match="knows no words") as warned:
        model.fit(photos)
    name = type(embedder).__name__
    assert [str(w.message).split(":")[0] for w in warned] == [f"{name} knows no words"]
    assert model.semantic_space_ is None and not hasattr(model, "cluster_names_")
    plain = clone(model).set_params(semantic_space=None).fit(photos)
    np.testing.assert_array_equal(model.labels_, plain.labels_)
    np.testing.assert_array_equal(model.predict(photos), plain.predict(photos))


def test_words_of_another_kind(embedder, photos, recwarn):
    """Vectors of nouns need no encoder of words."""
    width = embedder.transform(photos[:2]).shape[1]
    vectors = np.random.default_rng(0).normal(size=(9, width)).astype(np.float32)
    words = Vocabulary([f"word {i}" for i in range(9)], embeddings=vectors)
    for space in (words, SemanticSpace(words, gamma_u=0)):
        model = VLClustering(3, semantic_space=space, embedder=embedder, random_state=0)
        assert model.fit(photos).semantic_space_ is not None
    assert not [w for w in recwarn if "knows no words" in str(w.message)]


def test_only_encoders_of_words_encode_texts(embedder):
    assert not hasattr(embedder, "encode_texts")
    assert hasattr(CLIPEmbedder(), "encode_texts")
    with pytest.raises(ValueError, match="encode_texts"):
        SemanticSpace(["dog"], embedder=embedder).fit(np.eye(12))


def test_search(embedder, photos):
    search = ImageSearch(embedder).fit(photos)
    assert search.kneighbors(photos[:3])[1][:, 0].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="knows no words: for search by text"):
        search.kneighbors_text(["dog"])


def test_repr_and_fit_load_nothing(photos):
    embedder = TimmEmbedder(model="no such model")
    assert "no such model" in repr(embedder) and "no such" in embedder._repr_html_()
    assert embedder.fit(photos) is embedder


@pytest.mark.parametrize("model", ["vit_small_patch14_dinov2.lvd142m", "test_vit"])
def test_looking_at_an_encoder_loads_no_weights(model, monkeypatch):
    monkeypatch.setattr(TimmEmbedder, "_load", None)
    embedder = TimmEmbedder(model)
    assert model in embedder._repr_html_()
    width = {"test_vit": 64}.get(model, 384)
    assert embedder.get_feature_names_out()[-1] == f"timmembedder{width - 1}"


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_mixin_order,
        estimator_checks.check_param_validation,
    ],
)
def test_estimator_checks(check, embedder):
    check(type(embedder).__name__, embedder)


def test_check_estimator(embedder):
    with pytest.warns(UserWarning, match="requires input"):  # of another kind than 2-D
        estimator_checks.check_estimator(embedder)
