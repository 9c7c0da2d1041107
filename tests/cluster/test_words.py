"""Words beside images: mixtures of nouns, joint rows, and how far words are trusted."""

import numpy as np
import pytest
import torch

from sklearn_vlclust import (
    ContrastiveMaskedClustering,
    GenerativeCalibrationClustering,
    MCAClustering,
    RateReductionClustering,
    SemanticSpace,
    VLClustering,
)
from sklearn_vlclust.cluster import joint as joint_module
from sklearn_vlclust.cluster.words import Words, join
from sklearn_vlclust.data.rows import UnitRows
from sklearn_vlclust.metrics import clustering_accuracy
from sklearn_vlclust.semantics.mixture import NounMixture

QUICK = {
    ContrastiveMaskedClustering: {"pretrain_epochs": 2, "train_epochs": 5},
    GenerativeCalibrationClustering: {
        "contrast_epochs": 2,
        "generator_epochs": 2,
        "n_rounds": 1,
    },
    MCAClustering: {},
    RateReductionClustering: {},
    VLClustering: {},
}


def test_joint_rows_on_demand_equal_those_in_memory(small, monkeypatch):
    X, _, words = small
    rows = UnitRows(X)
    mixture = NounMixture(rows, words.embeddings, 3.0)
    parts = [joint_module.StandardRows(rows), joint_module.StandardRows(mixture)]
    dense = joint_module.JointRows(parts, [1.0, 0.5])
    monkeypatch.setattr(joint_module, "DENSE_BYTES", 0)
    lazy = joint_module.JointRows(parts, [1.0, 0.5])
    assert lazy._dense is None and dense._dense is not None
    index = np.array([3, 1, 149])
    np.testing.assert_allclose(lazy[index], dense[index], rtol=1e-5, atol=1e-6)
    unit = lazy.unit()[index]
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(unit, dense.unit()[index], rtol=1e-5, atol=1e-6)
    # Mean zero and mean squared length 1 + 0.5 ** 2.
    np.testing.assert_allclose(dense[:].mean(axis=0), 0, atol=1e-5)
    assert (dense[:] ** 2).sum(axis=1).mean() == pytest.approx(1.25, rel=1e-3)


def test_mixture_is_a_softmax_of_cosines(small):
    X, _, words = small
    rows = UnitRows(X)
    mixture = NounMixture(rows, words.embeddings, 2.5)
    weights = np.exp(rows[:] @ words.embeddings.T / mixture.temperature)
    weights /= weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(mixture[:], weights @ words.embeddings, atol=1e-4)
    perplexities = np.exp(-(weights * np.log(weights)).sum(axis=1))
    assert perplexities.mean() == pytest.approx(2.5, rel=1e-2)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_new_images_are_joined_as_those_of_the_fit(small, weight):
    X, _, words = small
    rows = UnitRows(X)
    mixture = NounMixture(rows, words.embeddings, 2.5)
    images, texts = joint_module.StandardRows(rows), joint_module.StandardRows(mixture)
    joint, embedding = join(Words(images, None, mixture, texts, weight))
    assert joint.shape[1] == embedding.width == (16 if weight == 0 else 32)
    x = torch.from_numpy(3 * rows[:])
    again = embedding(x, torch.full((len(X),), 3.0))
    np.testing.assert_allclose(again.numpy(), joint[:], atol=1e-5)


@pytest.mark.parametrize("method", QUICK)
def test_every_clusterer_takes_words_and_names_its_clusters(method, small):
    X, y, words = small
    model = method(5, semantic_space=words, random_state=0, **QUICK[method]).fit(X)
    assert isinstance(model.semantic_space_, SemanticSpace)
    assert 0 <= model.semantic_weight_ <= 1
    assert len(model.cluster_names_) == len(model.name_scores_) == model.n_clusters_
    for names, scores in zip(model.cluster_names_, model.name_scores_):
        assert set(names) <= set(words.nouns) and (np.diff(scores) <= 0).all()
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    assert clustering_accuracy(y, model.labels_) > 0.9


@pytest.mark.parametrize(
    "method", [m for m in QUICK if m not in (MCAClustering, VLClustering)]
)
def test_without_words_nothing_changes(method, small):
    X, _, _ = small
    model = method(5, random_state=0, **QUICK[method]).fit(X)
    assert model.semantic_space_ is None and model.semantic_weight_ == 0
    assert not hasattr(model, "cluster_names_")


def test_words_for_pixels_are_refused():
    images = np.random.default_rng(0).integers(0, 255, (12, 8, 8, 1), np.uint8)
    for method in (ContrastiveMaskedClustering, GenerativeCalibrationClustering):
        with pytest.raises(ValueError, match="semantic_space needs embeddings"):
            method(2, semantic_space=["a", "b"]).fit(images)


WEIGHED = [
    ("oxford_pets", "val", "all", 0.5, 1.0),
    ("oxford_pets", "val", "other than animals", 0.0, 0.0),
    ("dtd", "val", "all", 0.0, 0.2),
    ("stanford_cars", "val", "all", 0.0, 0.0),
]


@pytest.mark.parametrize(("data", "split", "nouns", "low", "high"), WEIGHED)
def test_words_are_trusted_where_they_cover_the_images(
    data, split, nouns, low, high, images, lvis_imagenet
):
    from benchmarks.shared_data import without_animals

    X, y = images(data, split)
    if nouns != "all":
        lvis_imagenet = without_animals(lvis_imagenet)
    k = len(np.unique(y))
    mca = MCAClustering(k, semantic_space=lvis_imagenet, max_iter=1, random_state=0)
    assert low <= mca.fit(X).semantic_weight_ <= high
