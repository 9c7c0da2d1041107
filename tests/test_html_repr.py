"""What estimators look like in a notebook."""

import inspect

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import make_pipeline

import sklearn_vlclust
from sklearn_vlclust import (
    CLIPEmbedder,
    ClusterCaptioner,
    CodingLengthKSelector,
    ContrastiveMaskedClustering,
    ImageSearch,
    MCAClustering,
    OfflineEmbedder,
    RateReductionClustering,
    SemanticSpace,
    TorchEmbedder,
    VLClustering,
    Vocabulary,
)

PUBLIC = {name: getattr(sklearn_vlclust, name) for name in sklearn_vlclust.__all__}
ESTIMATORS = [
    thing
    for thing in PUBLIC.values()
    if inspect.isclass(thing) and issubclass(thing, BaseEstimator)
]
NOUNS = Vocabulary(["cat", "dog", "car"], embeddings=np.eye(3, 8))


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return np.repeat(np.eye(3, 8), 20, axis=0) + 0.1 * rng.normal(size=(60, 8))


def test_all_estimators_are_looked_at():
    assert len(ESTIMATORS) >= 10


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_no_link_leads_nowhere(cls):
    required = (torch.nn.Flatten(), np.asarray) if cls is TorchEmbedder else ()
    html = cls(*required)._repr_html_()
    assert cls.__name__ in html and "href=" not in html
    assert "random_state" not in cls._get_param_names() or "random_state" in html


@pytest.mark.smoke
@pytest.mark.parametrize(
    "estimator",
    [
        VLClustering(3, semantic_space=None),
        MCAClustering(3, semantic_space=NOUNS, max_iter=2),
        RateReductionClustering(3, max_iter=2),
        ContrastiveMaskedClustering(3, pretrain_epochs=1, train_epochs=1),
        CodingLengthKSelector(k_range=(2, 5)),
        SemanticSpace(NOUNS, n_clusters=3),
        ImageSearch(),
        ClusterCaptioner(NOUNS),
    ],
    ids=lambda value: type(value).__name__,
)
def test_fitted_and_not(X, estimator):
    estimator = clone(estimator)
    before = estimator._repr_html_()
    assert "<span>Not fitted</span>" in before and "Fitted attributes" not in before
    assert "labels_" not in dir(estimator) and "fit" in dir(estimator)
    estimator.fit(X, np.repeat([0, 1, 2], 20))
    after = estimator._repr_html_()
    assert "<span>Fitted</span>" in after
    stored = {name for name in vars(estimator) if not name.startswith("_")}
    assert stored <= set(dir(estimator))


def test_inside_a_pipeline(X):
    html = make_pipeline(RateReductionClustering(3, max_iter=2)).fit(X)._repr_html_()
    assert "RateReductionClustering" in html and "<span>Fitted</span>" in html


def test_what_it_is_made_of_is_shown(X):
    model = MCAClustering(3, semantic_space=SemanticSpace(NOUNS), max_iter=2).fit(X)
    html = model._repr_html_()
    assert "SemanticSpace" in html and "MCAClustering" in html


@pytest.mark.parametrize("cls", [CLIPEmbedder, OfflineEmbedder])
def test_nothing_is_loaded_to_look_at_an_encoder(cls, monkeypatch):
    def load(self):
        raise AssertionError("loaded")

    monkeypatch.setattr(cls, "_load", load)
    monkeypatch.setattr(cls, "encoder_id", property(load))
    embedder = cls()
    assert cls.__name__ in embedder._repr_html_()
    assert {"transform", "encode_texts", "cache"} <= set(dir(embedder))


def test_names_are_escaped():
    html = SemanticSpace(["<script>alert(1)</script>"])._repr_html_()
    assert "<script>alert" not in html


def test_text_where_diagrams_are_off():
    with sklearn.config_context(display="text"):
        assert not hasattr(SemanticSpace(), "_repr_html_")
    assert repr(SemanticSpace(gamma_h=2)) == "SemanticSpace(gamma_h=2)"
