"""Recipes: constants that decide labels, and how an ablation changes them."""

import threading

import numpy as np
import pytest

from sklearn_vlclust import MCAClustering, RateReductionClustering, VLClustering
from sklearn_vlclust.cluster.recipe import CommonRecipe, WordRecipe, changed_fields
from sklearn_vlclust.cluster.spectral.recipe import NClustersRecipe, SpectralRecipe
from sklearn_vlclust.cluster.vl.recipe import VLRecipe


@pytest.fixture(scope="module")
def dtd(images):
    X, y = images("dtd", "val")
    return X[y < 12]


def cut(X, **changes):
    with SpectralRecipe.using(**changes):
        model = VLClustering(12, semantic_space=None, random_state=0).fit(X)
    return model.labels_


def test_an_ablation_changes_labels_and_ends_with_its_block(dtd):
    labels = cut(dtd)
    assert (cut(dtd, shrinkage=0.9, last_weight=0.9) != labels).any()
    np.testing.assert_array_equal(cut(dtd), labels)


@pytest.mark.parametrize(
    ("make", "recipe", "changes"),
    [
        (VLClustering, VLRecipe, {"n_rounds": 1}),
        (RateReductionClustering, SpectralRecipe, {"natural": (0.02, 1.0)}),
        (MCAClustering, CommonRecipe, {"ward_rows": 40}),
    ],
)
def test_recipes_reach_their_methods(dtd, make, recipe, changes):
    def fit():
        return make(12, semantic_space=None, random_state=0).fit(dtd)

    before = fit()
    with recipe.using(**changes):
        changed = fit()
    assert (
        len(changed.history_) != len(before.history_)
        or (changed.labels_ != before.labels_).any()
    )


def test_blocks_nest_and_end_with_errors():
    with SpectralRecipe.using(loose=0.1), SpectralRecipe.using(n_starts=1) as recipe:
        assert (recipe.loose, recipe.n_starts) == (0.1, 1)
        assert changed_fields() == {
            "SpectralRecipe.loose": "0.1",
            "SpectralRecipe.n_starts": "1",
        }
    with pytest.raises(ZeroDivisionError), NClustersRecipe.using(sure=0.0):
        1 / 0  # noqa: B018
    assert NClustersRecipe.in_use() == NClustersRecipe() and changed_fields() == {}


def test_other_threads_keep_their_recipe():
    found = []
    with WordRecipe.using(perplexity=9.0):
        thread = threading.Thread(
            target=lambda: found.append(WordRecipe.in_use().perplexity)
        )
        thread.start()
        thread.join()
    assert found == [WordRecipe().perplexity]


def test_fields_are_checked_and_cannot_be_set():
    with pytest.raises(TypeError, match="loos"), SpectralRecipe.using(loos=1):
        pass
    with pytest.raises(AttributeError):
        SpectralRecipe.in_use().loose = 1


def test_a_checkpoint_belongs_to_its_recipe(small, tmp_path):
    X, _, words = small

    def fit():
        VLClustering(
            5, semantic_space=words, checkpoint=tmp_path / "fit", random_state=0
        ).fit(X)

    fit()
    fit()
    with SpectralRecipe.using(shrinkage=0.5), pytest.raises(ValueError, match="shrink"):
        fit()
