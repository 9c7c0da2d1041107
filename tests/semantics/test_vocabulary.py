import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

from sklearn_vlclust import ClusterCaptioner, SemanticSpace, Vocabulary


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
        (
            {"nouns": ["dog"], "synonyms": []},
            ValueError,
            "synonyms has 0 entries for 1",
        ),
        ({"nouns": ["dog"], "synonyms": ["pup"]}, TypeError, r"synonyms\[0\] is 'pup'"),
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
        return np.eye(len(texts), 9) + 0.1


def prompted(prompt, noun):
    """Return what an encoder reads for a noun."""
    captioner = ClusterCaptioner([noun], embedder=Reader(), prompt=prompt)
    captioner.fit(np.eye(2, 9), [0, 0])
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


@pytest.mark.parametrize(
    ("noun", "text"),
    [
        ("a man playing a guitar", "a photo of a man playing a guitar"),
        ("A man on an elephant", "a photo of a man on an elephant"),
        ("man playing a guitar", "a photo of a man playing a guitar"),
        ("men playing cards", "a photo of men playing cards"),
        ("an old house", "a photo of an old house"),
        ("my dog", "a photo of my dog"),
        ("two dogs", "a photo of two dogs"),
        ("The Hague", "a photo of the Hague"),
        ("two dollar bill", "a photo of a two dollar bill"),
        ("dogs", "a photo of dogs"),
        ("red shoes", "a photo of red shoes"),
        ("dogs in the snow", "a photo of dogs in the snow"),
        ("scissors", "a photo of scissors"),
        ("bus", "a photo of a bus"),
        ("striped", "a photo of a striped texture"),
        ("zigzagged", "a photo of a zigzagged texture"),
        ("polka-dotted", "a photo of a polka-dotted texture"),
        ("a striped texture", "a photo of a striped texture"),
        ("Äpfel", "a photo of an Äpfel"),
        ("כלב", "a photo of a כלב"),
    ],
)
def test_phrases_plurals_and_adjectives_make_sentences(noun, text):
    pytest.importorskip("nltk")
    assert prompted("a photo of a {}", noun) == text
    assert prompted("{}", noun) == noun


def test_adjectives_before_a_noun_of_the_prompt():
    assert prompted("a photo of a {} surface", "striped") == (
        "a photo of a striped surface"
    )


def test_prompts_need_no_wordnet(monkeypatch):
    def fail(*args, **kwargs):
        raise LookupError("WordNet 3.0 is not on this machine.")

    monkeypatch.setattr("sklearn_vlclust.datasets.nouns.fetch_wordnet", fail)
    assert prompted("a photo of a {}", "an old house") == "a photo of an old house"
    assert prompted("a photo of a {}", "scissors") == "a photo of scissors"
    assert prompted("a photo of a {}", "zebra") == "a photo of a zebra"


def test_synonyms_make_one_vector():
    nouns = Vocabulary(["dog", "cat"], synonyms=[["hound", "dog", "hound"], []])
    assert nouns.synonyms == {"dog": ("hound",)}
    assert nouns[:1].synonyms == nouns.synonyms and nouns[1:].synonyms == {}
    assert nouns != Vocabulary(["dog", "cat"])
    assert pickle.loads(pickle.dumps(nouns)) == nouns
    space = SemanticSpace(nouns, embedder=Reader(), prompt="{}", n_clusters=1)
    space.set_params(gamma_u=0, gamma_h=0).fit(np.eye(3, 9))
    assert Reader.read == ["dog", "hound", "cat"]
    dog, hound, _ = Reader().encode_texts([0, 0, 0]).astype(float)
    expected = dog / np.linalg.norm(dog) + hound / np.linalg.norm(hound)
    (row,) = space.embeddings_[space.nouns_ == "dog"]
    np.testing.assert_allclose(row, expected / np.linalg.norm(expected), atol=1e-6)


def test_unicode_is_composed():
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    vocabulary = Vocabulary([decomposed, composed, "\ufeff dog\u00a0house\u200f"])
    assert list(vocabulary) == [composed, "dog house"]


def write(path, content, encoding="utf-8"):
    path.write_bytes(content.encode(encoding))
    return path


def test_a_list_in_a_file(tmp_path):
    content = "# pets\r\n\r\nhot_dog\r\n  mug, cup \r\n_\r\nכלב\r\n#end\r\n犬"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path = write(tmp_path / "words.txt", content, encoding)
        assert list(Vocabulary.from_file(path)) == ["hot dog", "mug, cup", "כלב", "犬"]
    path = write(tmp_path / "latin.txt", "chien\nchâteau\n", "latin-1")
    assert list(Vocabulary.from_file(path, encoding="latin-1"))[1] == "château"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_in_a_file(tmp_path, delimiter):
    rows = [
        ["synset", "noun", "synonyms"],
        ["dog.n.01", "dog", '"hound, domestic_dog"'],
        [],
        ["", "cat", "kitty|pussy cat"],
        ["n02958343", "car"],
    ]
    path = write(tmp_path / "words.csv", "\n".join(delimiter.join(row) for row in rows))
    vocabulary = Vocabulary.from_file(path)
    assert list(vocabulary) == ["dog", "cat", "car"]
    assert list(vocabulary.synsets) == ["dog.n.01", None, "car.n.01"]
    assert vocabulary.synonyms == {
        "dog": ("hound", "domestic dog"),
        "cat": ("kitty", "pussy cat"),
    }


def test_a_table_without_names_of_columns(tmp_path):
    path = write(
        tmp_path / "words.csv",
        '# "mine"\ndog,hound,hot_dog.n.02\n"mug, cup"\nname,word\n',
    )
    vocabulary = Vocabulary.from_file(path)
    assert list(vocabulary) == ["dog", "mug, cup", "name"]
    assert vocabulary.synonyms == {"dog": ("hound",), "name": ("word",)}
    assert vocabulary.synsets[0] == "hotdog.n.02"


def test_spellings_of_one_noun_in_a_file_are_told(tmp_path):
    path = write(tmp_path / "words.txt", "dog\ncafé\nDogs\nCAFE\u0301\nglass\nglasses")
    with pytest.warns(UserWarning, match="2 words repeat a noun") as caught:
        vocabulary = Vocabulary.from_file(path)
    assert list(vocabulary) == ["dog", "café", "glass", "glasses"]
    (warning,) = caught
    assert warning.filename == __file__
    told = str(warning.message)
    assert str(path) in told and "'Dogs' in line 3 ('dog' in line 1)" in told
    assert "in line 4 ('café' in line 2)" in told


def test_two_senses_in_a_file_stay_apart(tmp_path):
    rows = ["noun,synonyms,synset", "crane,,crane.n.04", "crane,bird,crane.n.05"]
    rows += ["bird,,bird.n.01", "Turkey,,turkey.n.04", "turkey,,turkey.n.01"]
    path = write(tmp_path / "words.csv", "\n".join(rows))
    with pytest.warns(UserWarning, match=r"'bird' in line 3 \('bird' in line 4\)"):
        vocabulary = Vocabulary.from_file(path)
    assert list(vocabulary)[:2] == ["crane (lifting device)", "crane (wading bird)"]
    assert list(vocabulary)[2:] == ["bird", "Turkey", "turkey"]
    assert vocabulary.synonyms == {}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"dog\ncaf\xe9\n", "line 2: not text in UTF-8 .byte 0xe9.*UTF-8"),
        ("a.txt", b"dog\n\0\0\n", "line 2: a zero byte"),
        ("a.txt", b"# dog\n\n _ \n", "holds no words; expected one noun per line"),
        ("a.csv", b"", "holds no words"),
        ("a.csv", b"noun,synset\n", "holds no words"),
        ("a.csv", b'dog\n"cat\ncar\n', "line 2: unexpected end of data"),
        ("a.csv", b"noun,synonyms\ndog,a,b\n", "line 2: 3 cells, but the header has 2"),
        ("a.csv", b"noun,synonyms\n\n,pup\n", "line 3: no noun beside 'pup'"),
    ],
)
def test_errors_name_file_and_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}'.*{message}"):
        Vocabulary.from_file(path)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        Vocabulary.from_file(tmp_path / "nothing.txt")


def test_doubtful_columns_and_synsets_of_a_file_are_told(tmp_path):
    path = write(tmp_path / "a.csv", "noun,sinonyms,synset\ndog,pup,dgo.n.01\n")
    with pytest.warns(UserWarning, match="not used|unknown") as caught:
        vocabulary = Vocabulary.from_file(path)
    told = [str(warning.message) for warning in caught]
    assert "'sinonyms' are not used" in told[0] and "a.csv'" in told[0]
    assert "'dgo.n.01' in line 2" in told[1] and "a.csv'" in told[1]
    assert vocabulary == Vocabulary(["dog"])


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=9))
@pytest.mark.filterwarnings("ignore:.*repeat a noun|.*not used")
def test_every_list_can_be_read_or_is_refused_in_words(tmp_path_factory, lines):
    folder = tmp_path_factory.mktemp("any")
    for name in ("words.txt", "words.csv"):
        file = write(folder / name, "\n".join(lines))
        try:
            nouns = list(Vocabulary.from_file(file))
        except ValueError as error:
            if name not in str(error):
                raise
        else:
            assert nouns == list(Vocabulary(nouns))


def test_the_sense_is_in_brackets_where_two_are_in_play():
    vectors = np.eye(3)
    nouns = ["crane", "crane (wading bird)", "dog"]
    synsets = ["crane.n.04", "crane.n.05", "dog.n.01"]
    words = Vocabulary(nouns, vectors, synsets)
    captioner = ClusterCaptioner(words, top=1)
    assert list(captioner.fit(vectors[1:], [0, 1]).captions_) == ["crane", "dog"]
    named = list(captioner.fit(vectors, [0, 1, 2]).captions_)
    assert named == ["crane (lifting device)", "crane (wading bird)", "dog"]
    own = Vocabulary(["crane (mine)", "dog"], vectors[1:])
    captioner.set_params(vocabulary=own).fit(vectors[1:], [0, 1])
    assert captioner.captions_[0] == "crane (mine)"
