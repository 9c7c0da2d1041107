"""The cache gives back what was put, and no mishap changes what a caller gets."""

import multiprocessing
import os
import resource
import signal
import sqlite3
import subprocess
import time
import warnings
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_vlclust.embedding import CLIPEmbedder
from sklearn_vlclust.embedding._cache import EmbeddingCache, cached_rows


class Counting(CLIPEmbedder):
    """Counts what goes through the network."""

    n_images = n_texts = 0

    def _encode_image_batch(self, batch):
        self.n_images += len(batch)
        return super()._encode_image_batch(batch)

    def _encode_text_batch(self, texts):
        self.n_texts += len(texts)
        return super()._encode_text_batch(texts)


def database(folder):
    (path,) = Path(folder).glob("*.sqlite")
    return path


def n_stored(folder):
    with closing(sqlite3.connect(database(folder))) as db:
        return db.execute("SELECT count(*) FROM rows").fetchone()[0]


def in_process(function, *arguments):
    """Start `function` in another process, which is forked: imports take long."""

    def target():
        torch.set_num_threads(1)  # OpenMP's pool does not survive the fork
        function(*arguments)

    process = multiprocessing.get_context("fork").Process(target=target)
    process.start()
    return process


def embed(model, cache, paths, out=None):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = CLIPEmbedder(model, cache=cache, batch_size=2).transform(paths)
    if out is not None:
        np.save(out, rows)


def rows_of(keys, width=6):
    """Rows that depend on the key alone."""
    seeds = [int.from_bytes(key[:4], "little") for key in keys]
    return np.stack(
        [np.random.default_rng(s).normal(size=width) for s in seeds]
    ).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(
    stored=st.lists(st.binary(min_size=4, max_size=8), unique=True, max_size=30),
    asked=st.lists(st.binary(min_size=4, max_size=8), min_size=1, max_size=30),
    batch_size=st.integers(1, 7),
)
def test_rows_are_found_or_computed(tmp_path_factory, stored, asked, batch_size):
    asked = asked + stored[::2] + asked[:3]
    computed = []

    def compute(chunk):
        assert 0 < len(chunk) <= batch_size
        computed.extend(asked[i] for i in chunk)
        return rows_of([asked[i] for i in chunk])

    with EmbeddingCache(tmp_path_factory.mktemp("cache")) as cache:
        if stored:
            cache.put(stored, rows_of(stored))
        for _ in range(2):
            rows = cached_rows(cache, asked, compute, batch_size=batch_size)
            np.testing.assert_array_equal(rows, rows_of(asked))
    assert sorted(computed) == sorted(set(asked) - set(stored))


def test_second_run_needs_no_weights(clip_folder, photos, tmp_path):
    first = Counting(clip_folder, cache=tmp_path, batch_size=16)
    rows = first.transform(photos)
    assert first.n_images == len(photos)
    second = CLIPEmbedder(clip_folder, cache=tmp_path)
    np.testing.assert_array_equal(second.transform(photos[::-1]), rows[::-1])
    assert "_held_network" not in vars(second)
    # Content counts, not the name.
    renamed = tmp_path / "renamed"
    renamed.write_bytes(Path(photos[3]).read_bytes())
    np.testing.assert_array_equal(second.transform([renamed]), rows[3:4])
    assert "_held_network" not in vars(second)


def test_texts_are_cached_and_duplicates_computed_once(clip_folder, tmp_path):
    words = ["dog", "cat", "dog", "bird", "cat"]
    expected = CLIPEmbedder(clip_folder).encode_texts(words)
    embedder = Counting(clip_folder, cache=tmp_path, batch_size=2)
    np.testing.assert_allclose(embedder.encode_texts(words), expected, atol=1e-6)
    assert embedder.n_texts == 3
    np.testing.assert_allclose(embedder.encode_texts(words), expected, atol=1e-6)
    assert embedder.n_texts == 3


def test_models_do_not_share_rows(clip_folder, photos, tmp_path):
    from tests._open_clip import save_random_clip

    other_folder = save_random_clip(tmp_path / "other", seed=1)
    cache = tmp_path / "cache"
    a = CLIPEmbedder(clip_folder, cache=cache).transform(photos[:3])
    b = CLIPEmbedder(other_folder, cache=cache).transform(photos[:3])
    assert not np.allclose(a, b)
    # The same weights in another place are the same model.
    copy = save_random_clip(tmp_path / "copy")
    embedder = Counting(copy, cache=cache)
    embedder.encoder_id  # noqa: B018
    key = CLIPEmbedder(clip_folder).encoder_id.split("/")[-1]
    assert embedder.encoder_id.split("/")[-1] == key


@pytest.mark.parametrize("seed", range(3))
def test_killed_run_goes_on(clip_folder, photos, tmp_path, seed):
    # The same file again and again is looked up, which makes the run long.
    rng = np.random.default_rng(seed)
    many = list(np.array(photos)[rng.integers(0, len(photos), 20_000)])
    process = in_process(embed, clip_folder, tmp_path, many)
    wanted = rng.integers(1, 25)
    while True:
        with suppress(ValueError, sqlite3.OperationalError):  # no file, no table yet
            if n_stored(tmp_path) >= wanted:
                break
        assert process.is_alive()
        time.sleep(0.001)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    stored = n_stored(tmp_path)

    embedder = Counting(clip_folder, cache=tmp_path)
    rows = embedder.transform(photos)
    assert embedder.n_images == len(photos) - stored
    expected = CLIPEmbedder(clip_folder).transform(photos)
    np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_two_processes_share_a_cache(clip_folder, photos, tmp_path):
    cache = tmp_path / "cache"
    orders = [photos, photos[::-1]]
    processes = [
        in_process(embed, clip_folder, cache, paths, tmp_path / f"{i}.npy")
        for i, paths in enumerate(orders)
    ]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    expected = CLIPEmbedder(clip_folder).transform(photos)
    np.testing.assert_allclose(np.load(tmp_path / "0.npy"), expected, atol=1e-6)
    np.testing.assert_allclose(np.load(tmp_path / "1.npy"), expected[::-1], atol=1e-6)
    assert n_stored(cache) == len(photos)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_file_is_replaced(tmp_path, share):
    keys = [b"key%d" % i for i in range(500)]
    with EmbeddingCache(tmp_path) as cache:
        cache.put(keys, rows_of(keys, 200))
    path = database(tmp_path)
    os.truncate(path, int(path.stat().st_size * share))
    with (
        pytest.warns(UserWarning, match=rf"cache.*{tmp_path}.*damaged"),
        EmbeddingCache(tmp_path) as cache,
    ):
        rows = cached_rows(
            cache, keys, lambda c: rows_of([keys[i] for i in c], 200), batch_size=64
        )
    np.testing.assert_array_equal(rows, rows_of(keys, 200))
    assert n_stored(tmp_path) == len(keys)  # the damaged file is gone as well
    with warnings.catch_warnings(), EmbeddingCache(tmp_path) as cache:
        warnings.simplefilter("error")
        np.testing.assert_array_equal(cache.get(keys[7]), rows_of(keys[7:8], 200)[0])


@pytest.mark.parametrize("content", [b"", b"not a database" * 999])
def test_file_of_something_else(tmp_path, content):
    (tmp_path / "embeddings-0000.sqlite").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with EmbeddingCache(tmp_path) as cache:
            cache.put([b"a"], np.ones((1, 3), np.float32))
            np.testing.assert_array_equal(cache.get(b"a"), np.ones(3))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
@pytest.mark.filterwarnings("ignore:.*cache:UserWarning")
def test_flipped_bytes_never_give_wrong_rows(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cache")
    keys = [b"key%d" % i for i in range(60)]
    with EmbeddingCache(folder) as cache:
        cache.put(keys, rows_of(keys, 200))
    path = database(folder)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(
            st.integers(0, 7)
        )
    path.write_bytes(content)
    for _ in range(2):
        with EmbeddingCache(folder) as cache:
            rows = cached_rows(
                cache, keys, lambda c: rows_of([keys[i] for i in c], 200), batch_size=9
            )
        np.testing.assert_array_equal(rows, rows_of(keys, 200))


def test_damaged_row_is_computed_again(tmp_path):
    keys = [b"key%d" % i for i in range(9)]
    with EmbeddingCache(tmp_path) as cache:
        cache.put(keys, rows_of(keys))
    with closing(sqlite3.connect(database(tmp_path), isolation_level=None)) as db:
        db.execute("UPDATE rows SET value = zeroblob(24) WHERE key = ?", [keys[4]])
    computed = []

    def compute(chunk):
        computed.extend(chunk)
        return rows_of([keys[i] for i in chunk])

    with (
        EmbeddingCache(tmp_path) as cache,
        pytest.warns(UserWarning, match="has 1 damaged row, computed again"),
    ):
        rows = cached_rows(cache, keys, compute, batch_size=4)
    np.testing.assert_array_equal(rows, rows_of(keys))
    assert computed == [4]


def noise(n=400):
    """Images whose rows fill more than 100 kB."""
    return np.random.default_rng(0).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)


def embed_with_limit(model, cache, out, limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = CLIPEmbedder(model, cache=cache, batch_size=2).transform(noise())
    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
    (message,) = [str(warning.message) for warning in caught]
    assert str(cache) in message
    assert "without storing" in message
    np.save(out, rows)


def test_limit_of_file_size_ends_storing_not_the_run(clip_folder, tmp_path):
    cache, out = tmp_path / "cache", tmp_path / "out.npy"
    process = in_process(embed_with_limit, clip_folder, cache, out, 100_000)
    process.join()
    assert process.exitcode == 0
    expected = CLIPEmbedder(clip_folder).transform(noise())
    np.testing.assert_allclose(np.load(out), expected, atol=1e-6)
    # What was stored before is good.
    stored = n_stored(cache)
    assert 0 < stored < len(expected)
    embedder = Counting(clip_folder, cache=cache)
    np.testing.assert_allclose(embedder.transform(noise()), expected, atol=1e-6)
    assert embedder.n_images == len(expected) - stored


@pytest.mark.parametrize("size", ["16k", "100k"])
def test_full_disk_ends_storing_not_the_run(clip_folder, tmp_path, size):
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", tmp_path]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        embedder = CLIPEmbedder(clip_folder, cache=tmp_path / "cache", batch_size=2)
        with pytest.warns(UserWarning, match=rf"{tmp_path}.*without storing") as caught:
            rows = embedder.transform(noise())
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert len(caught) == 1
    expected = CLIPEmbedder(clip_folder).transform(noise())
    np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_cache_that_is_no_folder(clip_folder, photos, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    embedder = CLIPEmbedder(clip_folder, cache=file)
    with pytest.raises(OSError, match=r"cache=.*file.* cannot be used as a folder"):
        embedder.transform(photos[:1])


def unit_rows(keys, width):
    rows = rows_of(keys, width)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


VALUE = "UPDATE rows SET value = "
LOOP = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n)"


@pytest.mark.parametrize(
    "statements",
    [
        [VALUE + "NULL"],
        [VALUE + "5"],
        [VALUE + "2.5"],
        [VALUE + "CAST(x'ff00fffe' AS TEXT)"],
        [VALUE + "zeroblob(3)"],
        [VALUE + "zeroblob(100000000)"],
        ["UPDATE rows SET crc = 'x'"],
        ["UPDATE rows SET key = CAST(key AS TEXT)"],
        ["ALTER TABLE rows RENAME COLUMN value TO values_"],
        ["DROP TABLE rows", "CREATE TABLE rows (key, crc)"],
        ["DROP TABLE rows", f"CREATE VIEW rows AS {LOOP} SELECT i key, i crc, i value"
         " FROM n"],
        ["CREATE TRIGGER t AFTER INSERT ON rows BEGIN DELETE FROM rows; END"],
        ["CREATE TABLE other (a)"],
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*cache:UserWarning")
def test_values_and_tables_of_another_kind(tmp_path, statements):
    keys = [b"key%d" % i for i in range(9)]
    with EmbeddingCache(tmp_path, 6) as cache:
        cache.put(keys, unit_rows(keys, 6))
    with closing(sqlite3.connect(database(tmp_path), isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)
    for _ in range(2):
        with EmbeddingCache(tmp_path, 6) as cache:
            rows = cached_rows(
                cache, keys, lambda c: unit_rows([keys[i] for i in c], 6), batch_size=4
            )
        np.testing.assert_array_equal(rows, unit_rows(keys, 6))
    with EmbeddingCache(tmp_path, 6) as cache:  # they are kept again
        assert cache.get(keys[3]) is not None


@pytest.mark.parametrize(
    "poison",
    [np.full(6, np.nan), np.full(6, np.inf), np.ones(1), 7 * np.eye(6)[0], np.zeros(6)],
)
def test_rows_that_no_encoder_gives_are_computed_again(tmp_path, poison):
    keys = [b"key%d" % i for i in range(9)]
    with EmbeddingCache(tmp_path) as cache:  # with a checksum that is right
        cache.put(keys, np.tile(poison.astype(np.float32), (9, 1)))
    with (
        EmbeddingCache(tmp_path, 6) as cache,
        pytest.warns(UserWarning, match="9 damaged rows"),
    ):
        rows = cached_rows(
            cache, keys, lambda c: unit_rows([keys[i] for i in c], 6), batch_size=4
        )
    np.testing.assert_array_equal(rows, unit_rows(keys, 6))


def test_names_that_are_like_those_of_the_cache(tmp_path):
    for name in ("embeddings-0x.sqlite", "embeddings-²².sqlite", "embeddings-.sqlite"):
        (tmp_path / name).write_text("mine")
    os.mkfifo(tmp_path / "embeddings-0007.sqlite")
    with warnings.catch_warnings(), EmbeddingCache(tmp_path) as cache:
        warnings.simplefilter("error")
        cache.put([b"a"], np.ones((1, 3), np.float32))
        assert cache.get(b"a") is not None
    assert (tmp_path / "embeddings-0x.sqlite").read_text() == "mine"


@pytest.mark.parametrize("place", [0, 16, 18, 19, 20, 24, 28, 44, 56, 100, 103, 105])
@pytest.mark.filterwarnings("ignore:.*cache:UserWarning")
def test_a_header_that_is_damaged(tmp_path, place):
    keys = [b"key%d" % i for i in range(60)]
    with EmbeddingCache(tmp_path, 6) as cache:
        cache.put(keys, unit_rows(keys, 6))
    content = bytearray(database(tmp_path).read_bytes())
    content[place] ^= 0xFF
    database(tmp_path).write_bytes(content)
    with EmbeddingCache(tmp_path, 6) as cache:
        rows = cached_rows(
            cache, keys, lambda c: unit_rows([keys[i] for i in c], 6), batch_size=9
        )
    np.testing.assert_array_equal(rows, unit_rows(keys, 6))
