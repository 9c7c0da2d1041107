"""Files that are damaged: named in one error, or as they were, never anything else.

`VLCLUST_FUZZ=1000` mutates each kind of file that often, in place of 200 times.
"""

import json
import os
import shutil
import stat
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sklearn_vlclust import ImageSearch, RateReductionClustering
from sklearn_vlclust._backend._files import write_atomically, write_bytes_atomically
from sklearn_vlclust.data.shards import open_shards
from sklearn_vlclust.persistence import load_model
from sklearn_vlclust.persistence._tensor_files import read_tensors, write_tensors
from sklearn_vlclust.training._checkpoint import read_checkpoint

N_MUTATIONS = int(os.environ.get("VLCLUST_FUZZ", 200))
RNG = np.random.default_rng(0)
X = np.repeat(np.eye(3, 8, dtype=np.float32), 20, axis=0)
X += 0.1 * RNG.normal(size=X.shape).astype(np.float32)
KIND = "sklearn_vlclust_model"


def mutate(content, rng):
    """Return the bytes of a file with one of eight kinds of damage."""
    start, stop = np.sort(rng.integers(0, len(content) + 1, 2))
    # Half of the damage is in the header, where little is a number.
    if rng.random() < 0.5:
        start, stop = start % 3000, min(start % 3000 + rng.integers(1, 40), stop)
    whole = np.frombuffer(content, np.uint8).copy()
    kind = rng.integers(8)
    if kind == 0:  # a bit
        whole[start % len(whole)] ^= 1 << rng.integers(8)
    elif kind == 1:  # many bits
        where = rng.integers(0, len(whole), 80)
        whole[where] ^= (1 << rng.integers(0, 8, 80)).astype(np.uint8)
    elif kind == 2:
        whole = whole[:start]
    elif kind == 3:
        whole[start:stop] = 0
    elif kind == 4:
        whole[start:stop] = rng.integers(0, 256, max(stop - start, 0))
    elif kind == 5:
        whole = np.delete(whole, slice(start, stop))
    elif kind == 6:
        whole = np.insert(whole, start % len(whole), whole[start:stop])
    else:  # a digit or a letter for another one
        places = np.flatnonzero((whole > 47) & (whole < 123))
        whole[rng.choice(places)] = rng.integers(48, 123)
    return whole.tobytes()


def attempt(read, path):
    """Return what is read, or None for a ValueError that names `path`."""
    try:
        return read()
    except (ValueError, FileNotFoundError) as error:
        message = str(error)
    assert str(path) in message
    return None


def search_in(folder, mmap=True):
    search = ImageSearch.load(folder, mmap=mmap)
    return *search.kneighbors(X[::7], 4), search.paths_


def make_model(folder):
    model = RateReductionClustering(3, max_iter=2, random_state=0).fit(X)
    model.save(folder / "model")
    (folder / "model").chmod(0o644)

    def read():
        loaded = RateReductionClustering.load(folder / "model")
        return loaded.labels_, loaded.predict_proba(X), loaded.cluster_centers_

    return read


def make_search(folder):
    paths = [f"{i}.jpg" for i in range(len(X))]
    ImageSearch(exact_limit=10, random_state=0).fit(X, paths=paths).save(folder)
    return lambda: search_in(folder)


def make_checkpoint(folder):
    RateReductionClustering(
        3, max_iter=2, random_state=0, checkpoint=folder / "fit.ckpt"
    ).fit(X)

    def read():
        header, tensors = read_checkpoint(folder / "fit.ckpt")
        return json.dumps(header["identity"]), *tensors.values()

    return read


def make_shards(folder):
    for i in range(2):
        np.save(folder / f"rows_{i}.npy", X[30 * i : 30 * i + 30])
    return lambda: (np.asarray(open_shards(folder)).shape,)


@pytest.mark.parametrize("make", [make_model, make_search, make_checkpoint])
@pytest.mark.filterwarnings("ignore")
def test_a_mutation_is_an_error_that_names_the_file_or_nothing(make, tmp_path):
    read = make(tmp_path)
    expected = read()
    files = sorted(path for path in tmp_path.iterdir() if path.is_file())
    rng = np.random.default_rng(1)
    n_errors = 0
    for i in range(N_MUTATIONS):
        file = files[i % len(files)]
        content = file.read_bytes()
        file.write_bytes(mutate(content, rng))
        found = attempt(read, tmp_path)
        n_errors += found is None
        for a, b in zip(found or expected, expected, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"mutation {i}")
        file.write_bytes(content)
    assert n_errors > 0.8 * N_MUTATIONS


@pytest.mark.filterwarnings("ignore")
def test_mutated_shards_are_read_or_named(tmp_path):
    read = make_shards(tmp_path)
    rng = np.random.default_rng(2)
    file = tmp_path / "rows_1.npy"
    content = file.read_bytes()
    for _ in range(N_MUTATIONS):
        head = mutate(content[:128], rng)
        file.write_bytes(head + content[128:])
        attempt(read, tmp_path)


FILES = Path(__file__).parents[1] / "data" / "model_files"


@pytest.mark.parametrize("name", ["mca", "vl", "generative", "contrastive_masked"])
@pytest.mark.filterwarnings("ignore")
def test_mutated_headers_of_version_0_1(name, tmp_path):
    """These files have no checksum: what is read may differ, errors are the same."""
    path = tmp_path / "model"
    content = (FILES / f"{name}.safetensors").read_bytes()
    rng = np.random.default_rng(3)
    for _ in range(N_MUTATIONS // 8):
        path.write_bytes(mutate(content, rng))
        attempt(partial(load_model, path), path)


def edit(tree, rng):
    """Change one value somewhere in a JSON tree."""
    values = [None, -1, 10**9, 10**30, 0.5, "x", "", [], {}, [[]], {"a": "b"}, True]
    while True:
        keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        key = keys[rng.integers(len(keys))]
        inner = tree[key]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.1:
            tree[key] = values[rng.integers(len(values))]
            return
        tree = inner


@pytest.mark.filterwarnings("ignore")
def test_headers_that_somebody_made(tmp_path):
    """With a checksum that is right: all that is declared is checked."""
    path = tmp_path / "model"
    make_model(tmp_path)
    header, tensors = read_tensors(path, KIND, "model", [2])
    text = json.dumps(header)
    rng = np.random.default_rng(4)
    for _ in range(N_MUTATIONS):
        hostile = json.loads(text)
        edit(hostile, rng)
        hostile.pop("checksum", None)
        write_tensors(path, KIND, hostile, tensors)
        attempt(partial(load_model, path), path)


def rewritten(path, change, **tensors):
    """Write the model file `path` anew, changed, with a checksum that is right."""
    header, held = read_tensors(path, KIND, "model", [2])
    del header["checksum"]
    change(header["estimator"])
    write_tensors(path, KIND, header, held | tensors)


def attribute(tree, name):
    return dict(tree["attributes"]["dict"])[name]


def huge(tree):
    pairs = attribute(tree, "network_")["config"]["dict"]
    pairs[:] = [[k, 10**9 if k == "n_features" else v] for k, v in pairs]


def other_k(tree):
    pairs = tree["attributes"]["dict"]
    pairs[:] = [[k, 5 if k == "n_clusters_" else v] for k, v in pairs]


def deep(tree):
    inner = []
    for _ in range(500):
        inner = [inner]
    tree["attributes"]["dict"].append(["x", {"list": inner}])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (huge, "other sizes than its weights"),
        (other_k, "clusters, n_clusters_ is 5"),
        (deep, "not a whole model file"),
    ],
)
def test_what_a_header_declares_is_checked(change, message, tmp_path):
    make_model(tmp_path)
    rewritten(tmp_path / "model", change)
    with pytest.raises(ValueError, match=rf"model' .*{message}"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize(
    ("clusters", "message"),
    [([0, 10**9], "IndexError"), ([1, 2], "labels_ are not those of the corrections")],
)
def test_corrections_that_do_not_fit_are_refused(clusters, message, tmp_path):
    def change(tree):
        (record,) = attribute(tree, "_corrections")["list"]
        record["dict"][:] = [["action", "merge"], ["clusters", {"list": clusters}]]

    model = RateReductionClustering(3, max_iter=1, random_state=0).fit(X)
    model.merge_clusters([0, 1]).save(tmp_path / "model")
    rewritten(tmp_path / "model", change)
    with pytest.raises(ValueError, match=rf"model' .*{message}"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value, tmp_path):
    model = RateReductionClustering(3, max_iter=1, random_state=0).fit(X)
    with torch.no_grad():
        next(model.network_.parameters())[:] = value
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"model'.* not finite"):
        RateReductionClustering.load(tmp_path / "model")


def test_a_checksum_covers_header_and_tensors(tmp_path):
    make_model(tmp_path)
    path = tmp_path / "model"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    for name, tensor in tensors.items():
        if tensor.dtype == torch.int64:
            save_file(tensors | {name: tensor.flip(0)}, path, metadata)
    with pytest.raises(ValueError, match=r"model' .*checksum"):
        load_model(path)
    header = json.loads(metadata[KIND])
    del header["checksum"]
    save_file(tensors, path, {KIND: json.dumps(header)})
    with pytest.raises(ValueError, match="checksum"):
        load_model(path)


@pytest.mark.parametrize("size", [50, 70])
def test_a_search_with_other_numbers_of_rows(size, tmp_path):
    """Each file is sound, but they are of two searches."""
    for name, n in (("a", size), ("b", 60)):
        rows = np.resize(X, (n, 8))
        paths = ["x"] * n
        ImageSearch(exact_limit=9).fit(rows, paths=paths).save(tmp_path / name)
    for part in ("rows", "cells", "paths"):
        (mine,) = (tmp_path / "a").glob(f"{part}-*")
        (other,) = (tmp_path / "b").glob(f"{part}-*")
        shutil.copytree(tmp_path / "a", tmp_path / part)
        (tmp_path / part / mine.name).unlink()
        shutil.copy(other, tmp_path / part)

        def change(tree, part=part, other=other):
            pairs = attribute(tree, "_saved")["dict"]
            pairs[:] = [[k, other.name if k == part else v] for k, v in pairs]

        rewritten(tmp_path / part / "search.safetensors", change)
        with pytest.raises(ValueError, match=rf"{part}"):
            ImageSearch.load(tmp_path / part)


def test_parts_are_named_from_the_folder_alone(tmp_path):
    make_search(tmp_path / "a")
    outside = tmp_path / "rows-b.npy"
    np.save(outside, X)

    def change(tree):
        pairs = attribute(tree, "_saved")["dict"]
        pairs[:] = [[k, "../rows-b.npy" if k == "rows" else v] for k, v in pairs]

    rewritten(tmp_path / "a" / "search.safetensors", change)
    with pytest.raises(ValueError, match=r"names '\.\./rows-b\.npy'"):
        ImageSearch.load(tmp_path / "a")
    make_search(tmp_path / "a")  # saved over it: what it names is not removed
    assert outside.exists()


def test_a_search_removes_only_what_it_wrote(tmp_path):
    mine = tmp_path / f"rows-{'0' * 32}.npy"
    for path in (mine, tmp_path / "rows-mine.npy", tmp_path / "paths-1.json"):
        path.write_bytes(b"mine")
    kept = set(tmp_path.iterdir())
    make_search(tmp_path)
    before = set(tmp_path.iterdir())
    # As a save that is killed leaves it: whole, but nothing names it.
    orphan = next(tmp_path.glob("cells-*"))
    ImageSearch().fit(X[:20]).save(tmp_path)
    assert not orphan.exists() and kept < set(tmp_path.iterdir())
    (tmp_path / "search.safetensors").unlink()
    assert len(before & set(tmp_path.iterdir())) == len(kept)
    ImageSearch().fit(X[:30]).save(tmp_path)
    assert len(set(tmp_path.iterdir())) == len(kept) + 2


def run_as_another_user(action):
    """Return the class and message of what `action` raises as nobody."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgid(65534)
            os.setuid(65534)
            action()
            text = "fine"
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
        os.write(write, text.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as pipe:
        return pipe.read()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_others_may_read_or_are_told_that_they_may_not(tmp_path):
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.name.startswith(("test_", "popen-", "pytest-")):
            break
        folder.chmod(0o755)
    before = os.umask(0o022)
    try:
        reads = []
        for make in (make_model, make_search, make_checkpoint):
            folder = tmp_path / make.__name__
            folder.mkdir()
            reads.append((folder, make(folder)))
    finally:
        os.umask(before)
    torch.set_num_threads(1)
    for folder, read in reads:
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o644, path
        assert run_as_another_user(read) == "fine"
        for path in folder.iterdir():
            path.chmod(0o600)
        found = run_as_another_user(read)
        assert found.startswith("PermissionError: ") and str(folder) in found
        assert "Delete" not in found


def test_shards_that_are_truncated_after_they_were_opened(tmp_path):
    rows = np.ones((5000, 64), np.float32)
    np.save(tmp_path / "rows.npy", rows)
    opened = open_shards(tmp_path / "rows.npy")
    os.truncate(tmp_path / "rows.npy", 4096)
    for index in (slice(None), [4999], slice(4000, 4100, 2)):
        with pytest.raises(ValueError, match=r"rows\.npy' was truncated after"):
            opened[index]


def test_shards_of_objects(tmp_path):
    np.save(tmp_path / "rows.npy", np.array([[None]]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"rows\.npy' holds objects, not"):
        open_shards(tmp_path / "rows.npy")


def write(text):
    def function(name):
        with open(name, "w") as file:
            file.write(text)

    return function


def test_others_may_read_what_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        write_atomically(tmp_path / "new" / "file", write("a"))
    finally:
        os.umask(before)
    path = tmp_path / "new" / "file"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert path.read_text() == "a"


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127, "\udcff" * 200])
def test_longest_names(tmp_path, name):
    write_atomically(tmp_path / name, write("a"))
    write_atomically(tmp_path / name, write("b"))
    assert (tmp_path / name).read_text() == "b"
    assert len(os.listdir(tmp_path)) == 1


def test_the_old_file_stays_where_writing_fails(tmp_path):
    path = tmp_path / "file"
    write_bytes_atomically(path, b"old")

    def fail(name):
        write("half")(name)
        raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        write_atomically(path, fail)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]
