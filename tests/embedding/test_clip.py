"""CLIPEmbedder on a small random model: the real path through open_clip."""

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from sklearn_vlclust.embedding import CLIPEmbedder
from tests._open_clip import CONFIG, save_random_clip


def as_array(paths):
    return np.stack([np.asarray(Image.open(path)) for path in paths])


@pytest.fixture(scope="module")
def rows(clip_folder, photos):
    return CLIPEmbedder(clip_folder).transform(photos)


@pytest.fixture(scope="module")
def named_model(tmp_path_factory, clip_folder):
    """A name that open_clip knows for the small architecture, and its weights."""
    import open_clip

    config = tmp_path_factory.mktemp("configs") / "tiny-test-clip.json"
    config.write_text(json.dumps(CONFIG))
    open_clip.add_model_config(config)
    return "tiny-test-clip", Path(clip_folder, "open_clip_model.safetensors")


@pytest.mark.smoke
def test_equals_open_clip(clip_folder, photos, rows):
    import open_clip

    model, preprocess = open_clip.create_model_from_pretrained(
        f"local-dir:{clip_folder}"
    )
    model.eval()
    texts = ["a photo of a dog", "an oak"]
    with torch.inference_mode():
        batch = torch.stack([preprocess(Image.open(path)) for path in photos])
        images = model.encode_image(batch, normalize=True)
        tokens = open_clip.get_tokenizer(f"local-dir:{clip_folder}")(texts)
        words = model.encode_text(tokens, normalize=True)
    np.testing.assert_allclose(rows, images, atol=1e-6)
    encoded = CLIPEmbedder(clip_folder).encode_texts(texts)
    np.testing.assert_allclose(encoded, words, atol=1e-6)
    for matrix in (rows, encoded):
        assert matrix.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    "convert",
    [
        lambda paths: [Path(path) for path in paths],
        np.array,
        lambda paths: pd.Series(paths, index=range(7, 7 + len(paths))),
        lambda paths: [Image.open(path) for path in paths],
        as_array,
        lambda paths: list(as_array(paths)),
        lambda paths: torch.from_numpy(as_array(paths)),
    ],
)
def test_kinds_of_input(clip_folder, photos, rows, convert):
    embedder = CLIPEmbedder(clip_folder)
    np.testing.assert_allclose(
        embedder.transform(convert(photos[:5])), rows[:5], atol=1e-6
    )


def test_read_only_memmap(clip_folder, photos, rows, tmp_path):
    np.save(tmp_path / "images.npy", as_array(photos))
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    embedder = CLIPEmbedder(clip_folder, batch_size=7)
    np.testing.assert_allclose(embedder.transform(images), rows, atol=1e-6)


@pytest.mark.parametrize(("batch_size", "n_jobs"), [(1, 1), (7, 2), (40, -1), (99, 3)])
def test_batches_and_threads_do_not_matter(
    clip_folder, photos, rows, batch_size, n_jobs
):
    embedder = CLIPEmbedder(clip_folder, batch_size=batch_size, n_jobs=n_jobs)
    np.testing.assert_allclose(embedder.transform(photos), rows, atol=1e-6)


def test_unreadable_images(clip_folder, photos, rows, tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(Path(photos[0]).read_bytes()[:70])
    bad = [str(tmp_path / name) for name in ("empty.jpg", "cut.png", "gone.jpg")]
    paths = [bad[0], photos[0], bad[1], *photos[1:4], bad[2]]
    with pytest.raises(ValueError, match=r"empty\.jpg.*0 bytes"):
        CLIPEmbedder(clip_folder).transform(paths)
    embedder = CLIPEmbedder(clip_folder, on_error="skip", batch_size=2)
    np.testing.assert_allclose(embedder.transform(paths), rows[:4], atol=1e-6)
    np.testing.assert_array_equal(embedder.kept_, [1, 3, 4, 5])
    assert [path for path, _ in embedder.errors_] == bad
    for (_, reason), word in zip(
        embedder.errors_, ["0 bytes", "truncated", "does not exist"], strict=True
    ):
        assert word in reason
    embedder.transform(photos)
    assert embedder.errors_ == []
    np.testing.assert_array_equal(embedder.kept_, np.arange(len(photos)))
    with pytest.raises(ValueError, match=r"None of 3 images.*empty\.jpg"):
        embedder.transform(bad)


@pytest.mark.parametrize("X", [np.zeros((5, 4)), [1.0, 2.0], [], None, "photo.jpg"])
def test_input_that_is_not_images(X):
    with pytest.raises((TypeError, ValueError), match="a list or 1-D array of paths"):
        CLIPEmbedder().transform(X)


def test_texts_that_are_not_texts(clip_folder):
    embedder = CLIPEmbedder(clip_folder)
    with pytest.raises(TypeError, match=r"single string, 'dog'"):
        embedder.encode_texts("dog")
    with pytest.raises(TypeError, match=r"texts\[1\] is 3"):
        embedder.encode_texts(["dog", 3])
    assert embedder.encode_texts([]).shape == (0, 64)


def test_copies_carry_no_weights(clip_folder, photos, rows, tmp_path):
    embedder = CLIPEmbedder(clip_folder).fit(photos)
    embedder.transform(photos[:3])
    assert len(pickle.dumps(embedder)) < 10_000
    joblib.dump(embedder, tmp_path / "embedder.joblib")
    for copy in (
        pickle.loads(pickle.dumps(embedder)),
        joblib.load(tmp_path / "embedder.joblib"),
        clone(embedder),
    ):
        np.testing.assert_allclose(copy.transform(photos), rows, atol=1e-6)
        # In one process the weights are in memory once.
        assert copy._network is embedder._network


def test_parameters_may_change_after_use(clip_folder, photos, rows, tmp_path):
    other = save_random_clip(tmp_path / "other", seed=3)
    embedder = CLIPEmbedder(other)
    assert not np.allclose(embedder.transform(photos), rows, atol=1e-3)
    embedder.set_params(model=clip_folder)
    np.testing.assert_allclose(embedder.transform(photos), rows, atol=1e-6)


def test_weights_replaced_on_disk_are_seen(clip_folder, photos, rows, tmp_path):
    folder = shutil.copytree(clip_folder, tmp_path / "model")
    embedder = CLIPEmbedder(folder, cache=tmp_path / "cache")
    np.testing.assert_allclose(embedder.transform(photos), rows, atol=1e-6)
    before = embedder.encoder_id
    save_random_clip(folder, seed=5)
    assert embedder.encoder_id != before
    assert not np.allclose(embedder.transform(photos), rows, atol=1e-3)


def test_file_of_weights(named_model, photos, rows):
    name, weights = named_model
    for pretrained in (weights, str(weights)):
        embedder = CLIPEmbedder(name, pretrained=pretrained)
        np.testing.assert_allclose(embedder.transform(photos), rows, atol=1e-6)


def test_torch_checkpoint(named_model, clip_folder, photos, rows, tmp_path):
    from safetensors.torch import load_file

    name, weights = named_model
    torch.save({"state_dict": load_file(weights)}, tmp_path / "epoch_1.pt")
    embedder = CLIPEmbedder(name, pretrained=tmp_path / "epoch_1.pt")
    np.testing.assert_allclose(embedder.transform(photos), rows, atol=1e-6)


def test_weights_that_do_not_load(named_model, photos, tmp_path):
    name, weights = named_model
    truncated = tmp_path / "truncated.safetensors"
    truncated.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"truncated\.safetensors.*cannot be loaded"):
        CLIPEmbedder(name, pretrained=truncated).transform(photos)
    with pytest.raises(ValueError, match=r"ViT-S-32.*cannot be loaded.*whole"):
        CLIPEmbedder("ViT-S-32", pretrained=weights).transform(photos)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"model": "ViT-B32"}, ValueError, "'ViT-B32' is not known.*'ViT-B-32'"),
        ({"model": "qqqq"}, ValueError, "'qqqq' is not known.*list_models"),
        ({"pretrained": "opnai"}, ValueError, "no tag.*'ViT-B-32'.*'openai'"),
        ({"pretrained": "no/such.pt"}, FileNotFoundError, r"no/such\.pt.*not exist"),
        ({"pretrained": os.curdir}, FileNotFoundError, "is a folder"),
        ({"model": "no/such"}, FileNotFoundError, "no/such.*does not exist"),
        ({"model": "local-dir:no"}, FileNotFoundError, "'no'.*does not exist"),
        ({"device": "abacus"}, ValueError, "device='abacus'"),
        ({"precision": "int4"}, ValueError, "'precision' parameter.*'int4'"),
        ({"batch_size": 0}, ValueError, "'batch_size' parameter"),
        ({"on_error": "ignore"}, ValueError, "'on_error' parameter.*'ignore'"),
        ({"n_jobs": 0}, ValueError, "n_jobs"),
        ({"n_jobs": 1.5}, ValueError, "'n_jobs' parameter"),
    ],
)
def test_bad_parameters(clip_folder, photos, parameters, error, message):
    if not {"model", "pretrained"} & parameters.keys():
        parameters = {"model": clip_folder, **parameters}
    with pytest.raises(error, match=message):
        CLIPEmbedder(**parameters).transform(photos)


def test_folders_that_are_no_model(clip_folder, photos, tmp_path):
    embedder = CLIPEmbedder(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no open_clip_config\.json"):
        embedder.transform(photos)
    (tmp_path / "open_clip_config.json").write_text('{"model_cfg": {')
    with pytest.raises(ValueError, match=r"open_clip_config\.json is damaged"):
        embedder.transform(photos)
    shutil.copy(Path(clip_folder, "open_clip_config.json"), tmp_path)
    with pytest.raises(FileNotFoundError, match="no weights"):
        embedder.transform(photos)


@pytest.mark.parametrize(
    ("parameters", "ways_out"),
    [
        ({}, "'openai'.*ViT-B-32-quickgelu', pretrained=PATH.*embedder='offline'"),
        ({"pretrained": "datacomp_xl_s13b_b90k"}, r"model='ViT-B-32', pretrained=PATH"),
        ({"model": "hf-hub:some/model"}, "'hf-hub:some/model'.*model=PATH"),
    ],
)
def test_no_weights_and_no_network(photos, tmp_path, monkeypatch, parameters, ways_out):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(OSError, match=ways_out):
        CLIPEmbedder(**parameters).transform(photos)


def test_in_a_pipeline(clip_folder, photos, rows):
    embedder = CLIPEmbedder(clip_folder)
    pipeline = make_pipeline(embedder, KMeans(3, n_init=1, random_state=0))
    labels = pipeline.fit_predict(photos)
    expected = KMeans(3, n_init=1, random_state=0).fit_predict(rows)
    np.testing.assert_array_equal(labels, expected)


def test_feature_names_and_frames(clip_folder, photos, rows):
    embedder = CLIPEmbedder(clip_folder)
    names = embedder.get_feature_names_out()
    assert list(names[:2]) == ["clipembedder0", "clipembedder1"]
    assert len(names) == rows.shape[1]
    assert "_held_network" not in vars(embedder)
    series = pd.Series(photos, index=[f"photo {i}" for i in range(len(photos))])
    frame = embedder.set_output(transform="pandas").transform(series)
    assert list(frame.columns) == list(names)
    assert list(frame.index) == list(series.index)
    np.testing.assert_allclose(frame, rows, atol=1e-6)


def test_a_compiled_encoder_gives_the_same_rows(clip_folder, photos, rows, monkeypatch):
    translated, compile_module = [], torch.nn.Module.compile

    def backend(graph, inputs):
        translated.append(graph)
        return graph.forward

    monkeypatch.setattr(
        torch.nn.Module,
        "compile",
        lambda module: compile_module(module, backend=backend),
    )
    embedder = CLIPEmbedder(clip_folder, compile=True)
    np.testing.assert_allclose(embedder.transform(photos), rows, atol=1e-6)
    assert translated
    assert embedder.encoder_id == CLIPEmbedder(clip_folder).encoder_id


def test_half_precision_is_close(clip_folder, photos, rows):
    embedder = CLIPEmbedder(clip_folder, precision="bf16")
    half = embedder.transform(photos)
    assert half.dtype == np.float32
    assert (half * rows).sum(axis=1).min() > 0.999
    assert embedder.encoder_id != CLIPEmbedder(clip_folder).encoder_id


def test_damaged_weights_give_no_nan(clip_folder, photos, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(clip_folder, tmp_path / "model")
    weights = load_file(folder / "open_clip_model.safetensors")
    weights["visual.proj"][:] = torch.nan
    save_file(weights, folder / "open_clip_model.safetensors")
    with pytest.raises(ValueError, match="zero or not finite"):
        CLIPEmbedder(folder).transform(photos)


def test_globals_are_left_alone(photos, tmp_path):
    folder = save_random_clip(tmp_path, seed=9)
    torch.manual_seed(7)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    random_state = np.random.get_state()[1].copy()
    # open_clip draws initial weights before it loads the real ones.
    CLIPEmbedder(folder).transform(photos)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(np.random.get_state()[1], random_state)


def test_progress(clip_folder, photos, capsys):
    CLIPEmbedder(clip_folder, verbose=0).transform(photos)
    assert capsys.readouterr().err == ""
    CLIPEmbedder(clip_folder, verbose=1).transform(photos)
    assert "40/40" in capsys.readouterr().err


def test_import_is_light():
    code = (
        "import sys; import sklearn_vlclust.embedding\n"
        "heavy = {'open_clip', 'torchvision', 'timm', 'nltk', 'huggingface_hub'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr


def test_repr_and_fit_load_nothing(photos):
    embedder = CLIPEmbedder(model="no such model")
    assert "no such model" in repr(embedder)
    assert embedder.fit() is embedder
    assert embedder.fit(photos) is embedder
    buffer = io.BytesIO()
    joblib.dump(embedder, buffer)


# Checks of scikit-learn that need no 2-D table of numbers as input; check_estimator
# leaves them out together with all that do.
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
def test_estimator_checks(check):
    check("CLIPEmbedder", CLIPEmbedder())


def test_check_estimator():
    with pytest.warns(UserWarning, match="requires input"):  # of another kind than 2-D
        estimator_checks.check_estimator(CLIPEmbedder())
