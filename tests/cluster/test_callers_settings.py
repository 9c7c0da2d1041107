"""What the caller has set in torch, scikit-learn and the process: unread and kept."""

import os
import threading
import warnings

import numpy as np
import polars  # noqa: F401  (its import sets an environment variable)
import pytest
import sklearn
import torch

from sklearn_vlclust import (
    ImageSearch,
    MCAClustering,
    RateReductionClustering,
    VLClustering,
    Vocabulary,
)

RNG = np.random.default_rng(0)
X = np.repeat(np.eye(3, 16, dtype=np.float32), 20, axis=0)
X += 0.1 * RNG.normal(size=X.shape).astype(np.float32)
NOUNS = Vocabulary(list("abcdefgh"), embeddings=RNG.normal(size=(8, 16)))
MODELS = [
    VLClustering(3, random_state=0),
    RateReductionClustering(3, max_iter=2, random_state=0),
    MCAClustering(3, semantic_space=NOUNS, max_iter=2, random_state=0),
]


def default_dtype():
    class Default:
        def __enter__(self):
            torch.set_default_dtype(torch.float64)

        def __exit__(self, *exception):
            assert torch.get_default_dtype() is torch.float64
            torch.set_default_dtype(torch.float32)

    return Default()


WORLDS = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "float64": default_dtype,
    "device": lambda: torch.device("meta"),
    "pandas": lambda: sklearn.config_context(transform_output="pandas"),
    "polars": lambda: sklearn.config_context(transform_output="polars"),
    "routing": lambda: sklearn.config_context(enable_metadata_routing=True),
    "array api": lambda: sklearn.config_context(array_api_dispatch=True),
}


def results(model, folder):
    fitted = sklearn.base.clone(model).fit(X)
    fitted.save(folder / "model")
    loaded = type(model).load(folder / "model")
    search = ImageSearch(transformer=fitted).fit(X)
    return [
        fitted.labels_,
        fitted.predict_proba(X),
        loaded.predict(X),
        np.asarray(loaded.transform(X)),
        fitted.score(X),
        search.kneighbors(X[:5], 3)[1],
    ]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return [results(model, tmp_path_factory.mktemp("model")) for model in MODELS]


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.filterwarnings("ignore")
def test_results_are_the_same_in_every_world(expected, world, tmp_path):
    for model, wanted in zip(MODELS, expected):
        before = dict(os.environ)
        with WORLDS[world]():
            found = results(model, tmp_path)
            state = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        inference = world == "inference_mode"
        assert state == (world != "no_grad" and not inference, inference)
        for a, b in zip(found, wanted):
            np.testing.assert_allclose(a, b, atol=1e-6)
        assert dict(os.environ) == before


@pytest.mark.filterwarnings("ignore")
def test_threads_leave_filters_and_dtype_as_they_were():
    warnings.simplefilter("default")
    before, seen = list(warnings.filters), []
    torch.set_default_dtype(torch.float64)

    def fit():
        model = RateReductionClustering(3, max_iter=2, random_state=0)
        seen.append(model.fit(X).labels_)

    threads = [threading.Thread(target=fit) for _ in range(4)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert warnings.filters == before
    for labels in seen:
        np.testing.assert_array_equal(labels, seen[0])
