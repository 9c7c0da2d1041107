"""Vectors of nouns from an encoder: read once, kept on disk, and checked early."""

import hashlib
import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from sklearn_vlclust import (
    CLIPEmbedder,
    ClusterCaptioner,
    SemanticSpace,
    Vocabulary,
)
from tests._open_clip import save_random_clip

# As many as are kept on disk.
NOUNS = Vocabulary([f"dog {i}" for i in range(10_000)])
SHOWN = [0, 511, 512, 5_000, 9_999]


class Counting(BaseEstimator):
    """An encoder that keeps a list of what it was asked to read."""

    encoder_id = "counting/1"
    read: list = []

    def encode_texts(self, texts):
        Counting.read += list(texts)
        return vectors_of(texts)


def vectors_of(texts):
    digests = b"".join(hashlib.sha256(text.encode()).digest() for text in texts)
    return np.frombuffer(digests, np.uint8).reshape(len(texts), 32) - 127.5


def name(nouns, embedder, prompt="a photo of a {}"):
    """Name clusters of one image each, which are at nouns; check that these are found.

    Return the number of texts that were read for it.
    """
    before = len(Counting.read)
    shown = [noun for i, noun in enumerate(nouns) if i in SHOWN]
    images = vectors_of([prompt.format(noun) for noun in shown])
    captioner = ClusterCaptioner(
        nouns,
        1,
        embedder=embedder,
        method="votes",
        logit_scale=None,
        centering=0,
        prompt=prompt,
    ).fit(images, range(len(shown)))
    assert captioner.captions_.tolist() == shown
    np.testing.assert_allclose(captioner.scores_, 1, atol=1e-5)
    return len(Counting.read) - before


@pytest.fixture
def embedder(monkeypatch, tmp_path):
    monkeypatch.setenv("SKLEARN_VLCLUST_DATA", str(tmp_path))
    Counting.read = []
    return Counting()


def cache_files(tmp_path):
    return sorted((tmp_path / "nouns").iterdir())


def test_prompts_are_encoded_once(embedder, tmp_path):
    assert name(NOUNS, embedder) == 10_000
    assert Counting.read == [f"a photo of a {noun}" for noun in NOUNS]
    assert name(NOUNS, embedder) == 0
    assert [path.suffixes for path in cache_files(tmp_path)] == [[".npy"]]
    assert name(NOUNS, embedder, "a drawing of a {}") == 10_000


def test_few_nouns_leave_no_file(embedder, tmp_path):
    assert name(NOUNS[:600], embedder) == 600
    assert not list(tmp_path.iterdir())


def test_ready_vectors_need_no_encoder():
    nouns = Vocabulary(["dog", "cat"], [[3, 4], [0, 2]])
    captioner = ClusterCaptioner(nouns, method="votes", logit_scale=None, centering=0)
    captioner.fit([[0.6, 0.8]], [0])
    assert captioner.captions_ == ["dog"]
    np.testing.assert_allclose(captioner.candidate_scores_, [[1, 0.8]])


def test_a_stopped_run_goes_on(embedder, monkeypatch):
    def stop(self, texts):
        if "a photo of a dog 7000" in texts:
            raise KeyboardInterrupt
        return vectors_of(texts)

    with monkeypatch.context() as patch:
        patch.setattr(Counting, "encode_texts", stop)
        with pytest.raises(KeyboardInterrupt):
            name(NOUNS, embedder)
    assert 3_000 <= name(NOUNS, embedder) < 4_000


@pytest.mark.parametrize("keep", [0, 100, 300])
def test_a_damaged_file_is_made_anew(embedder, tmp_path, keep):
    name(NOUNS, embedder)
    (file,) = cache_files(tmp_path)
    file.write_bytes(file.read_bytes()[:keep])
    assert name(NOUNS, embedder) == 10_000


def test_no_place_for_the_file(embedder, tmp_path):
    (tmp_path / "nouns").write_text("in the way")
    with pytest.warns(UserWarning, match="vectors of 10,000 nouns cannot be kept"):
        assert name(NOUNS, embedder) == 10_000


def test_another_width_is_found_before_all_nouns_are_read(embedder):
    space = SemanticSpace(NOUNS, embedder, n_clusters=1)
    with pytest.raises(ValueError, match=r"32 columns \(counting.*has 512.*ViT-B-32"):
        space.fit(np.eye(3, 512))
    assert len(Counting.read) < 1_000


def test_images_and_words(tmp_path):
    images = np.random.RandomState(0).randint(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    embedder = CLIPEmbedder(save_random_clip(tmp_path), device="cpu")
    nouns = Vocabulary(["dog", "elephant", "cat", "hour", "car"])
    space = SemanticSpace(nouns, embedder, n_clusters=2, gamma_u=0, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        space.fit(images)
    cosines = space.transform(images)
    direct = (
        embedder.transform(images)
        @ embedder.encode_texts(
            [f"a photo of {'an' if n[0] in 'eh' else 'a'} {n}" for n in space.nouns_]
        ).T
    )
    np.testing.assert_allclose(cosines, direct, atol=1e-5)


def test_vectors_on_disk_serve_space_and_captioner():
    assert SemanticSpace().prompt == ClusterCaptioner().prompt
