import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

from sklearn_vlclust import ClusterCaptioner, Vocabulary


def test_duplicates_are_merged():
    vocabulary = Vocabulary(
        ["hot_dog", "dog", "hot dog", "Dog"],
        [[3, 0], [0, 1], [0, 4], [0, -2]],
        [None, "n02084071", "hotdog.n.02", None],
    )
    assert list(vocabulary) == ["hot dog", "dog", "Dog"]
    assert list(vocabulary.synsets) == ["hotdog.n.02", "dog.n.01", None]
    half = np.sqrt(0.5)
    np.testing.assert_allclose(vocabulary.embeddings, [[half, half], [0, 1], [0, -1]])


@given(
    st.lists(st.sampled_from(["a", "b_c", "b c", "D", "d"]), min_size=1, max_size=20),
    st.integers(0, 99),
)
def test_nouns_are_unique_and_vectors_have_unit_length(nouns, seed):
    vectors = np.random.RandomState(seed).standard_normal((len(nouns), 3))
    vocabulary = Vocabulary(nouns, vectors)
    expected = list(dict.fromkeys(noun.replace("_", " ") for noun in nouns))
    assert list(vocabulary) == expected
    np.testing.assert_allclose(
        np.linalg.norm(vocabulary.embeddings, axis=1), 1, rtol=1e-5
    )
    for noun, vector in zip(vocabulary.nouns, vocabulary.embeddings, strict=True):
        rows = [
            v / np.linalg.norm(v)
            for n, v in zip(nouns, vectors, strict=True)
            if n.replace("_", " ") == noun
        ]
        mean = np.mean(rows, axis=0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_is_a_value():
    a = Vocabulary(["dog", "cat", "gizmo"], np.eye(3), ["dog.n.01", None, None])
    b = Vocabulary(["dog", "cat", "gizmo"], 2 * np.eye(3), ["n02084071", None, None])
    assert a == b
    assert a == pickle.loads(pickle.dumps(a))
    assert a != Vocabulary(["dog", "cat", "gizmo"])
    assert a != Vocabulary(["dog", "cat", "gizmo"], np.eye(3))
    assert a != "wordnet"
    assert repr(a) == (
        "Vocabulary(3 nouns: 'dog', 'cat', 'gizmo'; 3-d embeddings; 1 synset)"
    )
    assert a[1] == "cat"
    assert a[[2, 0]] == Vocabulary(
        ["gizmo", "dog"], np.eye(3)[[2, 0]], [None, "dog.n.01"]
    )
    assert a[np.array([False, True, False])] == a[1:2]
    assert len(a[:2]) == 2


def test_wordnet_has_one_noun_for_each_synset():
    vocabulary = Vocabulary.from_wordnet()
    assert len(vocabulary) == len(set(vocabulary)) == len(set(vocabulary.synsets))
    assert len(vocabulary) == 82_115
    noun = dict(zip(vocabulary.synsets, vocabulary.nouns, strict=True))
    assert noun["dog.n.01"] == "dog"
    assert noun["crane.n.04"] == "crane"  # the lifting device, the more frequent
    assert noun["crane.n.05"] == "crane (wading bird)"
    assert noun["frank.n.02"] == "frank"  # its word "dog" is taken
    assert not any("_" in n for n in vocabulary)


def test_lvis_and_imagenet(lvis_imagenet):
    assert len(lvis_imagenet) == 2069
    assert lvis_imagenet.embeddings.shape == (2069, 512)
    assert sum(s is None for s in lvis_imagenet.synsets) == 1


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"nouns": "dog"}, TypeError, "strings, not 'dog'"),
        ({"nouns": []}, ValueError, "nouns is empty"),
        ({"nouns": ["dog", 3]}, TypeError, r"nouns\[1\] is 3 \(int\)"),
        ({"nouns": ["dog", "_"]}, ValueError, r"nouns\[1\] is empty"),
        ({"nouns": ["dog"], "synsets": []}, ValueError, "synsets has 0 entries for 1"),
        ({"nouns": ["dog"], "synsets": [2084071]}, TypeError, r"synsets\[0\] is 2084"),
        ({"nouns": ["dog"], "embeddings": [[1], [2]]}, ValueError, "2 entries for 1"),
        ({"nouns": ["dog"], "embeddings": [1.0]}, ValueError, r"got \(1,\)"),
        ({"nouns": ["dog"], "embeddings": [[0, 0]]}, ValueError, "'dog', is all zeros"),
        ({"nouns": ["dog"], "embeddings": [[1, np.nan]]}, ValueError, "not finite"),
        (
            {"nouns": ["dog", "dog"], "embeddings": [[1, 0], [-1, 0]]},
            ValueError,
            "'dog', is all zeros",
        ),
    ],
)
def test_bad_input(kwargs, error, match):
    with pytest.raises(error, match=match):
        Vocabulary(**kwargs)


@pytest.mark.parametrize("synset", ["dgo.n.01", "stop_sign.n.01", "n00000000", ""])
def test_unknown_synset_is_named_and_taken_as_unknown(synset):
    with pytest.warns(UserWarning, match=f"1 of 2 synsets .*'{synset}'"):
        vocabulary = Vocabulary(["x", "dog"], synsets=[synset, "dog.n.01"])
    assert list(vocabulary.synsets) == [None, "dog.n.01"]


class Reader(BaseEstimator):
    """An encoder that keeps the last text it was asked to read."""

    read: list = []

    def encode_texts(self, texts):
        Reader.read = list(texts)
        return np.ones((len(texts), 2))


def prompted(prompt, noun):
    """Return what an encoder reads for a noun."""
    captioner = ClusterCaptioner([noun], embedder=Reader(), prompt=prompt)
    captioner.fit(np.eye(2), [0, 0])
    (text,) = Reader.read
    return text


@pytest.mark.parametrize(
    ("noun", "text"),
    [
        ("dog", "a dog"),
        ("elephant", "an elephant"),
        ("unicorn", "a unicorn"),
        ("umbrella", "an umbrella"),
        ("hourglass", "an hourglass"),
        ("one-way street", "a one-way street"),
        ("onion", "an onion"),
        ("X-ray film", "an X-ray film"),
        ("U-boat", "a U-boat"),
        ("{} brace", "a {} brace"),
    ],
)
def test_article_follows_the_sound(noun, text):
    assert prompted("a photo of a {}, small", noun) == f"a photo of {text}, small"
    assert prompted("a photo of an {}, small", noun) == f"a photo of {text}, small"
    assert prompted("{}", noun) == noun
    assert prompted("pizza {}", noun) == f"pizza {noun}"
