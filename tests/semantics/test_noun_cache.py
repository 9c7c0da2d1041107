"""Vectors of many nouns on disk: whole or computed again, whoever writes or kills."""

import os
import signal
import time

import numpy as np
import pytest

from sklearn_vlclust import Vocabulary
from sklearn_vlclust.semantics import _encoding
from sklearn_vlclust.semantics._encoding import vocabulary_embeddings

N = 40
NOUNS = Vocabulary([f"w{i}" for i in range(N)])
TRUE = np.random.default_rng(0).normal(size=(N, 8)).astype(np.float32)
TRUE /= np.linalg.norm(TRUE, axis=1, keepdims=True)


class Encoder:
    """Counts the nouns that it encodes, `seconds` for each chunk."""

    encoder_id = "test"

    def __init__(self, seconds=0.0):
        self.seconds, self.n = seconds, 0

    def encode_texts(self, texts):
        time.sleep(self.seconds)
        self.n += len(texts)
        return TRUE[[int(text.split("w")[-1]) for text in texts]]


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(_encoding, "CACHED_NOUNS", 3)
    monkeypatch.setattr(_encoding, "CHUNK", 4)
    monkeypatch.setenv("SKLEARN_VLCLUST_DATA", str(tmp_path))
    return tmp_path / "nouns"


def encode(encoder=None):
    vectors = vocabulary_embeddings(NOUNS, encoder or Encoder(), "a {}")
    np.testing.assert_allclose(vectors, TRUE, atol=1e-6)
    return vectors


def in_fork(function):
    child = os.fork()
    if not child:
        try:
            function()
            os._exit(0)
        except BaseException:
            os._exit(3)
    return child


def wait(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_processes_at_once_share_the_work(folder):
    def run():
        encoder = Encoder(0.01)
        encode(encoder)
        (folder / f"{os.getpid()}.count").write_text(str(encoder.n))

    assert [wait(child) for child in [in_fork(run) for _ in range(4)]] == [0] * 4
    counts = [int(file.read_text()) for file in folder.glob("*.count")]
    assert sorted(counts) == [0, 0, 0, N]
    assert len(list(folder.glob("*.npy"))) == 1


def test_a_killed_run_is_gone_on_with(folder):
    child = in_fork(lambda: encode(Encoder(0.05)))
    while not any(file.stat().st_size > 300 for file in folder.glob("*.partial.npy")):
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    wait(child)
    encoder = Encoder()
    encode(encoder)
    assert 0 < encoder.n < N
    assert [file.suffixes for file in folder.iterdir()] == [[".npy"]]


def poke(place, value):
    def damage(content):
        content = bytearray(content)
        content[place] = value
        return bytes(content)

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[:500],
        lambda content: content + b"\0",
        lambda content: content[:-32],
        lambda content: content[:128] + bytes(len(content) - 128),
        lambda content: content[:128] + content[160:192] + content[128:160]
        + content[192:],
        lambda content: content.replace(b"(40, 8)", b"(8, 40)"),
        lambda content: content.replace(b"(40, 8)", b"(40,99)"),
        lambda content: content.replace(b"<f4", b"|O "),
        poke(9, 255),
        poke(700, 0),
    ],
)  # fmt: skip
def test_a_damaged_file_is_computed_again(folder, damage):
    encode()
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    encoder = Encoder()
    with pytest.warns(UserWarning, match=rf"{file.name}.*are computed again"):
        encode(encoder)
    assert encoder.n == N and file.read_bytes() == whole


def test_vectors_of_something_else_are_computed_again(folder):
    encode()
    (file,) = folder.iterdir()
    np.save(file, np.roll(TRUE, 1, axis=0))  # unit rows, of other nouns
    with pytest.warns(UserWarning, match="computed again"):
        encode()
    other = Vocabulary([f"w{i}" for i in range(N)][::-1])
    vocabulary_embeddings(other, Encoder(), "a {}")
    (second,) = set(folder.iterdir()) - {file}
    second.replace(file)  # a sound file with the name of another
    with pytest.warns(UserWarning, match="computed again"):
        encode()


@pytest.mark.parametrize("damage", ["zeros", "nan", "cut", "garbage"])
@pytest.mark.filterwarnings("error")
def test_a_damaged_part_of_a_killed_run(folder, damage):
    class Stops(Encoder):
        def encode_texts(self, texts):
            if self.n == 20:
                raise KeyboardInterrupt
            return super().encode_texts(texts)

    with pytest.raises(KeyboardInterrupt):
        encode(Stops())
    (file,) = folder.glob("*.partial.npy")
    content = file.read_bytes()
    file.write_bytes(
        {
            "zeros": content[:300] + bytes(len(content) - 300),
            "nan": content[:400] + b"\xff" * 64 + content[464:],
            "cut": content[:403],
            "garbage": b"garbage",
        }[damage]
    )
    encode()
    encode()


def test_a_file_that_is_truncated_later_ends_nothing(folder):
    encode()
    vectors = encode()
    (file,) = folder.iterdir()
    os.truncate(file, 10)
    np.testing.assert_allclose(vectors, TRUE, atol=1e-6)


def test_a_process_that_is_stopped_is_not_waited_for(folder, monkeypatch):
    child = in_fork(lambda: encode(Encoder(0.05)))
    while not any(file.stat().st_size > 300 for file in folder.glob("*.partial.npy")):
        time.sleep(0.005)
    os.kill(child, signal.SIGSTOP)
    monkeypatch.setattr(_encoding, "STALLED", 0.2)
    try:
        with pytest.warns(UserWarning, match="does not go on"):
            encode()
    finally:
        os.kill(child, signal.SIGKILL)
        wait(child)
