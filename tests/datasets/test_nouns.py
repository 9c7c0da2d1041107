"""The hierarchy against nltk's reader and against paths followed by hand."""

import random

import pytest
from nltk.corpus.reader import WordNetCorpusReader

from sklearn_vlclust.datasets import fetch_wordnet
from sklearn_vlclust.datasets.nouns import noun_hierarchy


@pytest.fixture(scope="module")
def wordnet():
    return WordNetCorpusReader(str(fetch_wordnet()), None)


@pytest.fixture(scope="module")
def hierarchy():
    return noun_hierarchy()


@pytest.mark.parametrize(
    ("path", "synset"),
    [
        ("", "entity.n.01"),
        ("entity", "abstraction.n.06"),
        # Two paths lead to person; the other goes by organism and has 6 steps.
        ("entity physical_entity causal_agent", "person.n.01"),
        (
            "entity physical_entity object whole living_thing organism animal "
            "domestic_animal",
            "dog.n.01",
        ),
        (
            "entity physical_entity object whole artifact instrumentality device "
            "musical_instrument stringed_instrument",
            "guitar.n.01",
        ),
    ],
)
def test_depth_is_the_shortest_path_to_entity(hierarchy, path, synset):
    assert hierarchy.depths[hierarchy.position(synset)] == len(path.split())


@pytest.mark.smoke
def test_agrees_with_nltk(hierarchy, wordnet):
    assert len(hierarchy) == 82_115
    for i in random.Random(0).sample(range(len(hierarchy)), 300):
        synset = wordnet.synset_from_pos_and_offset(
            "n", wordnet.synset(hierarchy.names[i]).offset()
        )
        assert hierarchy.names[i] == synset.name()
        assert hierarchy.depths[i] == synset.min_depth()
        assert hierarchy.position(f"n{synset.offset():08d}") == i
        names = {hierarchy.names[a] for a in hierarchy.ancestors(i)}
        assert names == {s.name() for path in synset.hypernym_paths() for s in path}
        assert hierarchy.lemmas[i] == [
            lemma.replace("_", " ") for lemma in synset.lemma_names()
        ]
        for lemma in synset.lemmas():
            own = [
                n for n in synset.lemmas() if n.name().lower() == lemma.name().lower()
            ]
            count = max(n.count() for n in own)
            assert hierarchy.frequency(i, lemma.name()) == count
        most = max(lemma.count() for lemma in synset.lemmas())
        assert hierarchy.frequency(i, "no word of it") == most


WORDS = """
dog Dogs sheep houses cherries men women oxen glass glasses knives wolves boxes churches
dishes mice geese quizzes data xyzzy bus buses gas children firemen axes feet teeth s es
aircraft_carriers ice_cream new_york gizmos stop_signs
"""


@pytest.mark.parametrize("word", WORDS.split())
def test_senses_of_a_word_agree_with_nltk(hierarchy, wordnet, word):
    expected = dict.fromkeys(s.name() for s in wordnet.synsets(word, pos="n"))
    assert list(expected) == [hierarchy.names[i] for i in hierarchy.senses(word)]


def test_a_noun_is_a_bare_word_where_one_is_left(hierarchy):
    nouns = hierarchy.distinct_nouns
    taken = set(nouns)
    for words, noun in zip(hierarchy.lemmas, nouns, strict=True):
        assert noun in words or taken.issuperset(words)


def test_instances_have_hypernyms_too(hierarchy):
    einstein = hierarchy.position("einstein.n.01")
    names = [hierarchy.names[a] for a in hierarchy.ancestors(einstein)]
    assert {"physicist.n.01", "person.n.01", "entity.n.01"} < set(names)


@pytest.mark.parametrize(
    "synset", ["gizmo.n.99", "dog.n.00", "dog", "run.v.01", "n99999999", "n02084", ""]
)
def test_unknown_synset_is_named(hierarchy, synset):
    with pytest.raises(ValueError, match=f"Unknown synset '{synset}'.*dog.n.01"):
        hierarchy.position(synset)
