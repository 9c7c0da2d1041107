"""What estimators look like in a notebook."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import make_pipeline

import sklearn_vlclust
from sklearn_vlclust import (
    CLIPEmbedder,
    ClusterCaptioner,
    CodingLengthKSelector,
    ImageSearch,
    MCAClustering,
    OfflineEmbedder,
    RateReductionClustering,
    SemanticSpace,
    Vocabulary,
    _compat,
)

INDEX = Path(sklearn_vlclust.__file__).parents[1] / "docs" / "api" / "index.rst"
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


def pages_of_the_build():
    """Pages that autosummary generates from the lists of the API reference."""
    pages, module, folder = set(), "", ""
    for line in INDEX.read_text().splitlines():
        if found := re.match(r"\.\. currentmodule:: (\S+)", line):
            module = found[1]
        elif found := re.match(r"   :toctree: (\S+)", line):
            folder = found[1]
        elif found := re.fullmatch(r"   ([A-Za-z_][\w.]+)", line):
            pages.add(f"api/{folder}/{module}.{found[1]}.html")
    return pages


def test_all_estimators_are_looked_at():
    assert len(ESTIMATORS) >= 10


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_the_link_is_a_page_of_the_documentation(cls, monkeypatch):
    monkeypatch.setattr(_compat, "DOCS_URL", "https://docs.example/latest/")
    page = cls()._get_doc_link().removeprefix("https://docs.example/latest/")
    assert page in pages_of_the_build()
    assert f'href="https://docs.example/latest/{page}"' in cls()._repr_html_()


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_parameters_link_to_their_description(cls):
    html = cls()._repr_html_()
    link = f'href="{cls()._get_doc_link()}#:~:text='
    # Of parameters that are described together scikit-learn finds none.
    assert html.count(link) >= len(cls._get_param_names()) / 2


def test_a_subclass_elsewhere_has_no_link():
    class Mine(SemanticSpace):
        """Of a user."""

    assert Mine()._get_doc_link() == ""
    assert "api/generated" not in Mine()._repr_html_()


@pytest.mark.parametrize(
    ("estimator", "caption"),
    [
        (MCAClustering(3, semantic_space=None, max_iter=2), "3 clusters, 60 samples"),
        (RateReductionClustering(3, max_iter=2), "3 clusters, 60 samples"),
        (CodingLengthKSelector(k_range=(2, 5)), "3 clusters, 60 samples"),
        (SemanticSpace(NOUNS, n_clusters=3), "3 nouns"),
        (ImageSearch(), "60 images"),
        (ClusterCaptioner(NOUNS), "3 clusters"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_fitted_and_not(X, estimator, caption):
    estimator = clone(estimator)
    before = estimator._repr_html_()
    assert "<span>Not fitted</span>" in before
    assert "Fitted attributes" not in before and '<div class="caption">' not in before
    estimator.fit(X, np.repeat([0, 1, 2], 20))
    after = estimator._repr_html_()
    assert "<span>Fitted</span>" in after and "Fitted attributes" in after
    assert f'<div class="caption">{caption}</div>' in after
    own = {n for n in vars(estimator) if n.endswith("_") and not n.startswith("_")}
    table = set(estimator._get_fitted_attr_html())
    assert table == own


def test_inside_a_pipeline(X):
    model = make_pipeline(RateReductionClustering(3, max_iter=2)).fit(X)
    html = model._repr_html_()
    assert "3 clusters, 60 samples" in html
    assert "sklearn_vlclust.RateReductionClustering.html" in html


def test_what_it_is_made_of_is_shown(X):
    # scikit-learn draws the parts, and then has no line for a result.
    model = MCAClustering(3, semantic_space=SemanticSpace(NOUNS), max_iter=2).fit(X)
    html = model._repr_html_()
    assert "sklearn_vlclust.SemanticSpace.html" in html
    assert "sklearn_vlclust.MCAClustering.html" in html


@pytest.mark.parametrize("cls", [CLIPEmbedder, OfflineEmbedder])
def test_nothing_is_loaded_to_look_at_an_encoder(cls, monkeypatch):
    def load(self):
        raise AssertionError("loaded")

    monkeypatch.setattr(cls, "_load", load)
    monkeypatch.setattr(cls, "encoder_id", property(load))
    embedder = cls()
    assert cls.__name__ in embedder._repr_html_()
    assert {"transform", "encode_texts", "encoder_id"} <= set(dir(embedder))


def test_names_are_escaped():
    html = SemanticSpace(["<script>alert(1)</script>"])._repr_html_()
    assert "<script>alert" not in html


def test_text_where_diagrams_are_off():
    with sklearn.config_context(display="text"):
        assert not hasattr(SemanticSpace(), "_repr_html_")
    assert repr(SemanticSpace(gamma_h=2)) == "SemanticSpace(gamma_h=2)"
