"""Displays keep scikit-learn's convention: what builds them draws them."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.cluster import KMeans

import sklearn_vlclust.plotting
from sklearn_vlclust import CodingLengthKSelector
from sklearn_vlclust.plotting import (
    ClusterGalleryDisplay,
    ClusterReport,
    ContactSheetDisplay,
    SimilarityDisplay,
)

DISPLAYS = [
    getattr(sklearn_vlclust.plotting, name)
    for name in sklearn_vlclust.plotting.__all__
    if name.endswith("Display")
]
BUILDERS = [
    getattr(display, name)
    for display in DISPLAYS
    for name in vars(display)
    if name.startswith("from_")
]


def keywords(function):
    """Keyword-only parameters and their defaults."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


@pytest.fixture(scope="module")
def clustered():
    rng = np.random.default_rng(0)
    X = np.eye(3, 8)[np.arange(30) % 3] + 0.1 * rng.normal(size=(30, 8))
    images = rng.integers(0, 255, (30, 8, 8, 3), dtype=np.uint8)
    return KMeans(3, n_init=1, random_state=0).fit(X), images, X


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__qualname__)
def test_builders_take_the_keywords_of_plot(build):
    own, drawing = keywords(build), keywords(build.__self__.plot)
    assert drawing["ax"] is None
    assert drawing.items() <= own.items()


def test_there_are_builders_of_all_displays():
    assert {build.__self__ for build in BUILDERS} == set(DISPLAYS)


def test_what_is_built_is_drawn_once_and_plot_draws_again(clustered):
    kmeans, images, X = clustered
    sheet = ContactSheetDisplay.from_estimator(kmeans, images, embeddings=X)
    assert plt.get_fignums() == [sheet.figure_.number]
    first = sheet.figure_
    assert sheet.plot() is sheet and sheet.figure_ is not first
    assert len(plt.get_fignums()) == 2


def test_keywords_reach_plot(clustered):
    kmeans, images, X = clustered
    shown = SimilarityDisplay.from_features(X, kmeans.labels_, cmap="magma")
    assert shown.image_.get_cmap().name == "magma"
    narrow, wide = (
        ClusterGalleryDisplay.from_estimator(
            kmeans, images, embeddings=X, n_columns=n
        ).images_[0]
        for n in (1, 5)
    )
    assert narrow.get_array().shape[1] < wide.get_array().shape[1]


def test_a_report_draws_no_figures(clustered):
    kmeans, images, X = clustered
    selector = CodingLengthKSelector(k_range=(2, 6), random_state=0).fit(X)
    report = ClusterReport.from_estimator(
        kmeans, images, embeddings=X, selector=selector
    )
    assert "<svg" in report.to_html() and plt.get_fignums() == []
