import matplotlib as mpl
import nltk
import numpy as np
import pytest

from sklearn_vlclust import MCAClustering, SemanticSpace, Vocabulary
from sklearn_vlclust.datasets import fetch_wordnet
from sklearn_vlclust.plotting import SemanticTreeDisplay

mpl.use("Agg")

SYNSETS = ["dog.n.01", "cat.n.01", "oak.n.02", "car.n.01", "truth.n.01", None]


@pytest.fixture(scope="module", autouse=True)
def wordnet():
    try:
        fetch_wordnet()
    except OSError:
        pytest.skip("WordNet is not there and cannot be fetched")


@pytest.fixture
def display():
    return SemanticTreeDisplay.from_synsets(SYNSETS, min_depth=3)


def path(display, name):
    """Names from a node to the root."""
    node, names = display.names.index(name), []
    while node >= 0:
        names.append(display.names[node])
        node = display.parents[node]
    return names


def test_the_tree_is_wordnet_s(display):
    assert path(display, "dog")[-3:] == ["object", "physical entity", "entity"]
    assert display.names[0] == "entity" and display.parents[0] == -1
    assert (display.parents[1:] < np.arange(1, len(display.parents))).all()
    np.testing.assert_array_equal(
        display.depths[1:], display.depths[display.parents[1:]] + 1
    )
    kept = [name for name, own in zip(display.names, display.kept) if own]
    assert sorted(kept) == ["car", "cat", "dog", "oak", "truth"]
    for synset in SYNSETS[:-1]:
        node = display.names.index(synset.partition(".")[0])
        assert display.depths[node] == nltk.corpus.wordnet.synset(synset).min_depth()


def test_nouns_are_counted_once_each(display):
    assert display.n_nouns[0] == 5
    below = np.zeros(len(display.names), dtype=int)
    np.add.at(below, display.parents[1:], display.n_nouns[1:])
    np.testing.assert_array_equal(display.n_nouns, below + display.kept)


def test_names_given_go_before_those_of_wordnet():
    display = SemanticTreeDisplay.from_synsets(
        ["dog.n.01", "n02084071", "cat.n.01"], nouns=["hound", "mutt", "tom"]
    )
    assert "hound, mutt" in display.names and "tom" in display.names
    assert display.n_nouns[display.names.index("hound, mutt")] == 2
    assert "dog" not in display.names


def rows(display):
    return [text.get_text() for text in display.texts_]


@pytest.mark.smoke
def test_drawn(display):
    assert display.figure_ is display.ax_.figure
    assert rows(display)[:2] == ["entity (5 nouns)", "physical entity (4 nouns)"]
    assert "dog" in rows(display) and len(rows(display)) == len(display.names)
    red = {t.get_text() for t in display.texts_ if t.get_color() == "#e02b2b"}
    shallow = [n for n, d in zip(display.names, display.depths) if d < 3]
    assert {text.partition(" (")[0] for text in red} == set(shallow)
    assert len(display.markers_) == 3
    n_places = sum(len(marker.get_offsets()) for marker in display.markers_)
    assert n_places == len(display.names)
    assert len(display.lines_.get_segments()) == len(display.names) - 1


def test_all_nouns_of_wordnet_stay_readable():
    names = list(Vocabulary.from_wordnet().synsets)
    display = SemanticTreeDisplay.from_synsets(names, min_depth=3)
    assert display.n_nouns[0] == len(names) == 82_115
    shown = rows(display)
    assert 20 < len(shown) <= 40 and shown[0] == "entity (82,115 nouns)"
    assert any(" more (" in text for text in shown)
    assert display.figure_.get_size_inches()[1] < 10
    # What stands for most nouns is open.
    assert {"object (24,924 nouns)", "abstraction (36,192 nouns)"} <= set(shown)
    few = rows(display.plot(max_rows=12, max_children=2))
    assert len(few) <= 12
    levels = rows(display.plot(max_rows=400, max_children=100, max_depth=1))
    assert (
        levels[0].startswith("entity")
        and len(levels) == 1 + (display.depths == 1).sum()
    )
    assert len(rows(display.plot(max_rows=1))) == 1


def test_what_is_left_out_is_counted():
    nouns = Vocabulary.from_wordnet().synsets
    dogs = [noun for noun in nouns if noun.endswith("hound.n.01")]
    display = SemanticTreeDisplay.from_synsets(dogs)
    for n_children in (1, 2, 5, 50):
        display.plot(max_rows=1000, max_children=n_children)
        total = 0
        for text in display.texts_:
            label = text.get_text()
            if " more (" in label:
                total += int(label.partition("(")[2].split()[0])
        shown = sum(
            count
            for name, count, own in zip(display.names, display.kept, display.kept)
            if own
            and any(t.get_text().partition(" (")[0] == name for t in display.texts_)
        )
        assert total + shown == len(dogs)


@pytest.fixture(scope="module")
def space():
    nouns = ["dog", "cat", "oak", "car", "truth"]
    vocabulary = Vocabulary(nouns, embeddings=np.eye(5, 8), synsets=SYNSETS[:-1])
    rng = np.random.default_rng(0)
    X = np.repeat(np.eye(5, 8), 12, axis=0) + 0.05 * rng.normal(size=(60, 8))
    return SemanticSpace(vocabulary, n_clusters=5, gamma_h=4, random_state=0), X


def test_of_estimators(space):
    import matplotlib.pyplot as plt

    space, X = space
    fitted = space.fit(X)
    display = SemanticTreeDisplay.from_estimator(fitted)
    assert display.min_depth == 4 and display.kept.sum() == len(fitted.nouns_)
    mca = MCAClustering(5, semantic_space=space, max_iter=2, random_state=0).fit(X)
    _, ax = plt.subplots()
    display = SemanticTreeDisplay.from_estimator(mca, ax=ax)
    assert display.ax_ is ax
    assert display.kept.sum() == len(mca.semantic_space_.nouns_)
    plt.close("all")


def test_bad_input(space):
    space, X = space
    wordless = MCAClustering(3, semantic_space=None, max_iter=1).fit(X)
    with pytest.raises(ValueError, match="This MCAClustering has no semantic space"):
        SemanticTreeDisplay.from_estimator(wordless)
    with pytest.raises(ValueError, match="synset of no noun is known"):
        SemanticTreeDisplay.from_synsets([None, None])
    with pytest.raises(ValueError, match=r"Unknown synset 'dog\.n\.77'"):
        SemanticTreeDisplay.from_synsets(["dog.n.77"])
    with pytest.raises(ValueError, match="1 synset and 2 nouns"):
        SemanticTreeDisplay.from_synsets(["dog.n.01"], nouns=["a", "b"])
    with pytest.raises(ValueError, match="max_rows=0 should be at least 1"):
        SemanticTreeDisplay.from_synsets(["dog.n.01"], max_rows=0)
