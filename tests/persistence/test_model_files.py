"""Files name classes by names that stay, and no others.

The files in `data/model_files` were written by version 0.1.0, which named classes by
the modules they were in. `predictions.npz` holds the samples, 36 rows and 12 images of
three kinds, and what was predicted of them.
"""

import inspect
import json
import pkgutil
import shutil
import sys
import types
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import sklearn_vlclust
from sklearn_vlclust import (
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
from sklearn_vlclust.persistence import load_model, save_model
from sklearn_vlclust.persistence._registry import CLASSES, find_class, stable_hash

FILES = Path(__file__).parents[1] / "data" / "model_files"
PREDICTIONS = np.load(FILES / "predictions.npz")
NOUNS = Vocabulary(
    ["cat", "dog", "car"],
    embeddings=np.eye(3, 8) + 0.5 * np.eye(8)[7],
    synsets=["cat.n.01", None, None],
)
CLUSTERERS = {
    "mca": MCAClustering,
    "rate_reduction": RateReductionClustering,
    "contrastive_masked": ContrastiveMaskedClustering,
    "contrastive_masked_images": ContrastiveMaskedClustering,
    "generative": GenerativeCalibrationClustering,
    "vl": VLClustering,
}
PACKAGE = "sklearn_vlclust"


def samples(name):
    return PREDICTIONS["images" if name.endswith("images") else "X"]


def named_classes(path):
    """Return the names of all classes in a model file."""
    names = []
    with safe_open(path, framework="pt") as file:
        header = file.metadata()["sklearn_vlclust_model"]
    json.loads(header, object_hook=lambda node: names.append(node.get("class")))
    return set(names) - {None}


@pytest.mark.parametrize("name", CLUSTERERS)
def test_a_file_of_version_0_1_predicts_as_it_did(name, tmp_path):
    path = FILES / f"{name}.safetensors"
    assert all(name.startswith(f"{PACKAGE}.") for name in named_classes(path))
    model = CLUSTERERS[name].load(path)
    np.testing.assert_array_equal(model.predict(samples(name)), PREDICTIONS[name])
    model.save(tmp_path / "again")
    assert named_classes(tmp_path / "again") <= set(CLASSES)
    again = load_model(tmp_path / "again")
    np.testing.assert_array_equal(again.predict(samples(name)), PREDICTIONS[name])


def test_other_files_of_version_0_1(tmp_path):
    selector = load_model(FILES / "k_selector.safetensors", CodingLengthKSelector)
    assert selector.n_clusters_ == PREDICTIONS["k_selector"]
    captioner = load_model(FILES / "captioner.safetensors", ClusterCaptioner)
    assert captioner.captions_.tolist() == ["cat", "dog", "car"]
    search = ImageSearch.load(FILES / "search")
    search.save(tmp_path)
    assert named_classes(tmp_path / "search.safetensors") <= set(CLASSES)
    for loaded in (search, ImageSearch.load(tmp_path)):
        found = loaded.kneighbors(PREDICTIONS["X"], return_distance=False)
        np.testing.assert_array_equal(found, PREDICTIONS["search"])


def test_a_checkpoint_of_version_0_1_is_resumed(tmp_path):
    path = tmp_path / "mca.ckpt"
    shutil.copy(FILES / "mca.ckpt", path)
    written = path.read_bytes()
    space = SemanticSpace(NOUNS, gamma_r=2, gamma_h=0)
    mca = MCAClustering(
        3, semantic_space=space, max_iter=2, checkpoint=path, random_state=0
    ).fit(PREDICTIONS["X"])
    np.testing.assert_array_equal(mca.labels_, PREDICTIONS["mca"])
    assert path.read_bytes() == written  # it was finished: no epoch was run


def test_a_class_that_moves_keeps_its_files_and_checkpoints(tmp_path, monkeypatch):
    space = SemanticSpace(NOUNS)
    save_model(space, tmp_path / "before")
    before = stable_hash(space)
    for cls in (SemanticSpace, Vocabulary):
        monkeypatch.setattr(cls, "__module__", "somewhere.else")
    save_model(space, tmp_path / "after")
    assert (tmp_path / "before").read_bytes() == (tmp_path / "after").read_bytes()
    assert stable_hash(space) == before
    assert stable_hash(SemanticSpace(NOUNS, gamma_r=1)) != before


def write(path, estimator):
    header = {"format": 2, "version": sklearn_vlclust.__version__}
    metadata = json.dumps(header | {"estimator": estimator})
    save_file({"a": torch.zeros(1)}, path, {"sklearn_vlclust_model": metadata})


def nested(name):
    """Return the tree of an MCAClustering that holds an object of class `name`."""
    inner = {"class": name, "attributes": {"dict": []}}
    return {"class": "MCAClustering", "attributes": {"dict": [["x", inner]]}}


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "subprocess.Popen",
        "imported_by_nobody.Thing",
        "sklearn_vlclust.cli.__main__.X",
        "sklearn_vlclust.datasets.__main__.X",
        "sklearn_vlclust.cluster.mca.MCAClustering",  # it never was called so
        "sklearn_vlclust.training.Checkpoint",
        "MCAClusterer",
        "",
        None,
        ["MCAClustering"],
    ],
)
def test_other_classes_are_refused_and_nothing_is_imported(
    name, tmp_path, monkeypatch, capsys
):
    (tmp_path / "imported_by_nobody.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "argv", ["vlclust", "doctor"])
    path = tmp_path / "model.safetensors"
    for tree in (nested(name), {"class": name, "attributes": {"dict": []}}):
        write(path, tree)
        loaded = set(sys.modules)
        with pytest.raises(ValueError) as error:
            load_model(path)
        text = str(error.value)
        assert repr(str(path)) in text and repr(name) in text
        assert "MCAClustering, MCANetwork," in text  # what is accepted
        ours = {m for m in set(sys.modules) - loaded if m.startswith(PACKAGE)}
        assert "imported_by_nobody" not in sys.modules
        assert not any("__main__" in m for m in ours)
    assert capsys.readouterr() == ("", "")


def test_the_command_line_runs_only_when_it_is_run(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["vlclust", "doctor"])
    monkeypatch.delitem(sys.modules, "sklearn_vlclust.cli.__main__", raising=False)
    import_module("sklearn_vlclust.cli.__main__")
    assert capsys.readouterr() == ("", "")


def test_classes_of_users_are_refused_when_saving(tmp_path):
    mine = types.new_class("MCAClustering", (MCAClustering,))  # of the same name
    with pytest.raises(TypeError, match="MCAClustering, which cannot be saved"):
        save_model(mine(), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def may_be_saved(cls):
    """Whether this is an estimator, an encoder, or a network that can be rebuilt."""
    if issubclass(cls, torch.nn.Module):
        return "self.config = {" in inspect.getsource(cls)
    return hasattr(cls, "get_params") and cls.__name__ in dir(sklearn_vlclust)


def test_every_class_that_may_be_saved_has_a_name():
    # Neither networks nor estimators
    found = {"Vocabulary", "SpectralCut", "Copies"}
    for module in pkgutil.walk_packages(sklearn_vlclust.__path__, f"{PACKAGE}."):
        if not module.name.endswith("__main__"):
            for name, cls in vars(import_module(module.name)).items():
                if inspect.isclass(cls) and cls.__module__ == module.name:
                    found |= {name} if may_be_saved(cls) else set()
    assert found == set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_names_are_of_classes(name):
    assert inspect.isclass(find_class(name)) and find_class(name).__name__ == name


def test_a_model_of_one_cluster(tmp_path):
    X = np.eye(3, 16)
    with pytest.warns(UserWarning, match="No groups were found in 3 distinct rows"):
        model = VLClustering(semantic_space=None, random_state=0).fit(X)
    model.save(tmp_path / "model.safetensors")
    loaded = VLClustering.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(X), [0, 0, 0])
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
