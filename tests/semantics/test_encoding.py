"""Vectors of nouns from a real, small CLIP model, and their cache."""

import warnings

import numpy as np
import pytest

from sklearn_vlclust import (
    CLIPEmbedder,
    ClusterCaptioner,
    SemanticSpace,
    Vocabulary,
)
from sklearn_vlclust.semantics import _encoding
from sklearn_vlclust.semantics._encoding import vocabulary_embeddings
from tests._open_clip import save_random_clip

PROMPT = "a photo of a {}"
NOUNS = Vocabulary(["dog", "elephant", "cat", "hour", "car"])


class Counting(CLIPEmbedder):
    """The real encoder, which keeps a list of what it was asked to read."""

    read: list = []

    def encode_texts(self, texts):
        Counting.read += list(texts)
        return super().encode_texts(texts)


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    return save_random_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def embedder(clip_folder, monkeypatch, tmp_path):
    """A small CLIP; three nouns are many, two of them are a chunk."""
    monkeypatch.setattr(_encoding, "CACHED_NOUNS", 3)
    monkeypatch.setattr(_encoding, "CHUNK", 2)
    monkeypatch.setenv("SKLEARN_VLCLUST_DATA", str(tmp_path))
    Counting.read = []
    return Counting(clip_folder, device="cpu")


def cache_files(tmp_path):
    return sorted((tmp_path / "nouns").iterdir())


def test_prompts_are_encoded_once(embedder, tmp_path):
    vectors = vocabulary_embeddings(NOUNS, embedder, PROMPT)
    assert Counting.read == [
        "a photo of a dog",
        "a photo of an elephant",
        "a photo of a cat",
        "a photo of an hour",
        "a photo of a car",
    ]
    direct = CLIPEmbedder.encode_texts(embedder, Counting.read)
    np.testing.assert_allclose(vectors, direct, atol=1e-6)
    again = vocabulary_embeddings(NOUNS, embedder, PROMPT)
    np.testing.assert_array_equal(again, vectors)
    assert len(Counting.read) == 5
    assert [path.suffixes for path in cache_files(tmp_path)] == [[".npy"]]
    vocabulary_embeddings(NOUNS, embedder, "a drawing of a {}")
    assert len(Counting.read) == 10


def test_few_nouns_leave_no_file(embedder, tmp_path):
    vocabulary_embeddings(NOUNS[:2], embedder, PROMPT)
    assert not list(tmp_path.iterdir())


def test_ready_vectors_need_no_encoder():
    nouns = Vocabulary(["dog", "cat"], [[3, 4], [0, 2]])
    vectors = vocabulary_embeddings(nouns, None, PROMPT)
    np.testing.assert_allclose(vectors, [[0.6, 0.8], [0, 1]])


def test_a_stopped_run_goes_on(embedder, monkeypatch):
    def stop_at_cat(self, texts):
        if "a photo of a cat" in texts:
            raise KeyboardInterrupt
        return CLIPEmbedder.encode_texts(self, texts)

    with monkeypatch.context() as patch:
        patch.setattr(Counting, "encode_texts", stop_at_cat)
        with pytest.raises(KeyboardInterrupt):
            vocabulary_embeddings(NOUNS, embedder, PROMPT)
    vectors = vocabulary_embeddings(NOUNS, embedder, PROMPT)
    assert Counting.read[0] == "a photo of a cat"
    direct = CLIPEmbedder.encode_texts(
        embedder, ["a photo of a dog", "a photo of an elephant", *Counting.read]
    )
    np.testing.assert_allclose(vectors, direct, atol=1e-6)


@pytest.mark.parametrize("keep", [0, 100, 300])
def test_a_damaged_file_is_made_anew(embedder, tmp_path, keep):
    expected = np.array(vocabulary_embeddings(NOUNS, embedder, PROMPT))
    (file,) = cache_files(tmp_path)
    file.write_bytes(file.read_bytes()[:keep])
    vectors = vocabulary_embeddings(NOUNS, embedder, PROMPT)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert len(Counting.read) == 10


def test_no_place_for_the_file(embedder, tmp_path):
    (tmp_path / "nouns").write_text("in the way")
    with pytest.warns(UserWarning, match="vectors of 5 nouns cannot be kept"):
        vectors = vocabulary_embeddings(NOUNS, embedder, PROMPT)
    assert vectors.shape == (5, 64)


def test_another_width_is_found_before_all_nouns_are_read(embedder):
    space = SemanticSpace(NOUNS, embedder, n_clusters=1)
    with pytest.raises(ValueError, match=r"64 columns \(.*\) but X has 512.*ViT-B-32"):
        space.fit(np.eye(3, 512))
    assert len(Counting.read) == 2


def test_images_and_words(clip_folder):
    images = np.random.RandomState(0).randint(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    embedder = CLIPEmbedder(clip_folder, device="cpu")
    space = SemanticSpace(NOUNS, embedder, n_clusters=2, gamma_u=0, random_state=0)
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
