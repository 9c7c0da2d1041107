"""VLClustering: what its users are promised."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score

from sklearn_vlclust import VLClustering, Vocabulary
from sklearn_vlclust.cluster.recipe import CommonRecipe
from sklearn_vlclust.cluster.spectral.averaged_cuts import (
    AveragedCuts,
    principal_components,
)
from sklearn_vlclust.metrics import clustering_accuracy


@pytest.fixture(scope="module")
def pets(images, lvis_imagenet):
    X, y = images("oxford_pets", "val")
    model = VLClustering(37, semantic_space=lvis_imagenet, random_state=0).fit(X)
    return model, X, y


@pytest.mark.smoke
def test_nothing_has_to_be_decided(small):
    X, y, words = small
    model = VLClustering(semantic_space=words, random_state=0).fit(X)
    assert model.n_clusters_ == 5 == model.k_candidates_[0][0]
    assert clustering_accuracy(y, model.labels_) > 0.95
    assert len(model.cluster_names_) == 5
    assert len(model.get_params()) <= 12


def test_real_images(pets):
    model, X, y = pets
    assert model.n_clusters_ == 37 and model.semantic_weight_ > 0.5
    assert clustering_accuracy(y, model.labels_) > 0.74  # k-means: 0.48
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-4)
    np.testing.assert_array_equal(proba.argmax(axis=1), model.labels_)
    assert model.transform(X).shape == (len(X), 37)
    assert model.cluster_centers_.shape == (37, 512)
    assert 0 < model.score(X) < np.log(37)  # nats


def test_same_seed_same_labels(pets, lvis_imagenet):
    model, X, _ = pets
    again = clone(model).fit(X)
    np.testing.assert_array_equal(again.labels_, model.labels_)


class Interrupt:
    """Break off after a round, and remember what the estimator predicted by then."""

    def __init__(self, X, last, stop=False):
        self.X, self.last, self.stop, self.seen = X, last, stop, []

    def on_epoch_end(self, estimator, epoch, losses):
        self.seen.append((epoch, losses["loss"], estimator.predict(self.X)))
        if epoch == self.last and not self.stop:
            raise RuntimeError("interrupted")
        return self.stop and epoch == self.last


def test_rounds_go_on_from_a_checkpoint(pets, tmp_path):
    model, X, _ = pets
    assert model.n_iter_ == len(model.history_) > 1
    assert 0 < model.history_[0]["loss"] < 0.5  # share of images that changed
    path = tmp_path / "checkpoint"
    callback = Interrupt(X, 1)
    again = clone(model).set_params(checkpoint=path, callbacks=[callback])
    with pytest.raises(RuntimeError, match="interrupted"):
        again.fit(X)
    assert path.exists() and len(callback.seen) == 1
    again.set_params(callbacks=None).fit(X)
    np.testing.assert_array_equal(again.labels_, model.labels_)
    assert again.history_ == model.history_
    with pytest.raises(ValueError, match="another fit"):
        again.set_params(n_clusters=12).fit(X)


def test_a_callback_ends_the_rounds(pets):
    model, X, _ = pets
    callback = Interrupt(X, 1, stop=True)
    stopped = clone(model).set_params(callbacks=[callback]).fit(X)
    assert stopped.n_iter_ == 1
    assert adjusted_rand_score(stopped.labels_, callback.seen[0][2]) == 1


def test_unseen_images(images, lvis_imagenet):
    X, y = images("oxford_pets", "test")
    X, y = X[y < 12], y[y < 12]
    half = np.arange(len(X)) % 2 == 0
    model = VLClustering(12, semantic_space=lvis_imagenet, random_state=0).fit(X[half])
    seen = clustering_accuracy(y[half], model.labels_)
    unseen = clustering_accuracy(y[~half], model.predict(X[~half]))
    assert seen > 0.6 and unseen > seen - 0.03


def test_another_number_of_clusters(pets, tmp_path):
    model, X, _ = pets
    model.save(tmp_path / "model")
    again = VLClustering.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(X), model.labels_)
    again.set_n_clusters(12)
    assert again.n_clusters_ == 12 == len(again.cluster_names_)
    assert again.n_clusters == 37  # the parameter
    assert np.bincount(again.labels_).min() > 0 and len(again.labels_) == len(X)
    np.testing.assert_array_equal(again.predict(X), again.labels_)
    for bad in (0, len(X) + 1, 2.5):
        with pytest.raises(ValueError, match="n_clusters"):
            again.set_n_clusters(bad)


def test_many_rows_are_clustered_by_a_sample(small):
    X, y, words = small
    with CommonRecipe.using(start_rows=60, start_rows_per_cluster=5):
        model = VLClustering(5, semantic_space=words, random_state=0).fit(X)
    assert len(model.samples_) == 60 and len(model.labels_) == len(X)
    assert clustering_accuracy(y, model.labels_) > 0.95
    with pytest.raises(ValueError, match="give all of them as X"):
        model.set_n_clusters(3)
    assert model.set_n_clusters(3, X).n_clusters_ == 3
    assert len(model.labels_) == len(X)


def test_copies_do_no_harm(images, lvis_imagenet):
    X, y = images("oxford_pets", "val")
    some = np.isin(y, np.arange(5))
    X, y = X[some], y[some]
    copies = np.repeat(np.arange(len(X)), 20)
    model = VLClustering(5, semantic_space=lvis_imagenet, random_state=0)
    labels = clone(model).fit(X).labels_
    many = model.fit(X[copies])
    assert adjusted_rand_score(many.labels_[::20], labels) > 0.95
    many.set_n_clusters(4)
    assert len(many.labels_) == len(copies) and many.n_clusters_ == 4


def test_embeddings_of_an_unknown_encoder_have_no_words(small):
    X, y, _ = small
    with pytest.warns(UserWarning, match="no words"):
        model = VLClustering(5, random_state=0).fit(X)
    assert model.semantic_space_ is None and not hasattr(model, "cluster_names_")
    assert clustering_accuracy(y, model.labels_) > 0.95
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        VLClustering(5, semantic_space=None, random_state=0).fit(X)


@pytest.mark.parametrize("sizes", [(500, 5, 5), (500, 1), (60, 60, 3)])
def test_uneven_groups_are_not_cut_even(sizes):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(len(sizes)), sizes)
    X = np.eye(64)[y] + 0.01 * rng.normal(size=(len(y), 64))
    model = VLClustering(len(sizes), semantic_space=None, random_state=0).fit(X)
    assert adjusted_rand_score(y, model.labels_) == 1


@pytest.mark.parametrize("n", [2, 3, 5, 12])
@pytest.mark.parametrize("k", [1, 2, "n"])
def test_few_rows(n, k):
    X = np.random.default_rng(0).normal(size=(n, 6))
    k = n if k == "n" else k
    model = VLClustering(k, semantic_space=None, random_state=0).fit(X)
    assert model.n_clusters_ == k and sorted(set(model.labels_)) == list(range(k))


def test_classifier_is_linear_discriminant_analysis():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), [40, 30, 20, 10])
    X = (rng.normal(size=(4, 12))[y] + 0.3 * rng.normal(size=(100, 12))).astype("f4")
    components, mean, axes = principal_components(X)
    np.testing.assert_allclose((X - mean) @ axes.T, components, atol=1e-5)
    weight, bias = AveragedCuts(components, 12, 8).discriminant(y, 4)
    # The covariance of scikit-learn is shrunk towards the same flat one.
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3)
    posteriors = lda.fit(components, y).predict_log_proba(components)
    ours = components @ weight.T + bias
    ours -= np.log(np.exp(ours - ours.max(1, keepdims=True)).sum(1, keepdims=True))
    ours -= ours.max(1, keepdims=True)
    theirs = posteriors - posteriors.max(1, keepdims=True)
    kept = theirs > -20
    np.testing.assert_allclose(
        (ours - ours.max(1, keepdims=True))[kept], theirs[kept], atol=0.35
    )


def test_a_cluster_between_others_is_told():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), [30, 40, 50])
    X = (3.0 * (y - 1)[:, None] + 0.3 * rng.normal(size=(120, 12))).astype("f4")
    components, _, _ = principal_components(X)
    cuts = AveragedCuts(components, 12, 8)
    for labels in (y, np.where(y == 2, 3, y)):  # the latter without a cluster
        weight, bias = cuts.classifier(labels, 5)
        np.testing.assert_array_equal((components @ weight.T + bias).argmax(1), labels)


def test_words_that_do_not_fit_are_refused():
    words = Vocabulary(["cat", "dog"], embeddings=np.eye(2, 5))
    with pytest.raises(ValueError, match="columns"):
        VLClustering(2, semantic_space=words).fit(np.eye(6, 8))
