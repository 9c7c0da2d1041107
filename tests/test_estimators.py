"""scikit-learn's checks: all that `check_estimator` runs, and those it leaves out."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_vlclust import (
    CodingLengthKSelector,
    ContrastiveMaskedClustering,
    GenerativeCalibrationClustering,
    MCAClustering,
    RateReductionClustering,
    SemanticSpace,
    VLClustering,
    cluster,
)


class AnyWidthSpace(SemanticSpace):
    """Nouns with vectors as wide as X, whatever that is: the checks use many widths."""

    def _noun_classes(self, vocabulary, n_features):
        return None

    def _noun_vectors(self, vocabulary, n_features):
        vectors = np.random.RandomState(0).normal(size=(len(vocabulary), n_features))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors.astype(np.float32)


NOUNS = [f"noun {i}" for i in range(12)]
# In one dimension all cosines are 1 or -1: no noun may count as not unique.
CLUSTERERS = [
    VLClustering(3, semantic_space=None),
    VLClustering(semantic_space=AnyWidthSpace(NOUNS, gamma_u=0)),
    MCAClustering(semantic_space=None, max_iter=5),
    MCAClustering(semantic_space=AnyWidthSpace(NOUNS, gamma_u=0), max_iter=5),
    ContrastiveMaskedClustering(3, pretrain_epochs=1, train_epochs=3, boost_epochs=2),
    GenerativeCalibrationClustering(
        3,
        contrast_epochs=2,
        generator_epochs=1,
        n_rounds=1,
        calibration_epochs=1,
        refinement_epochs=1,
        generator_width=16,
        sampling_steps=2,
    ),
    RateReductionClustering(3, max_iter=3),
    RateReductionClustering(max_iter=2),
]
# Public checks of scikit-learn that `check_estimator` does not call.
MORE_CHECKS = [
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_get_feature_names_out_error",
    "check_dataframe_column_names_consistency",
    "check_inplace_ensure_writeable",
    "check_global_output_transform_pandas",
]


def test_all_clusterers_are_checked():
    checked = {type(estimator).__name__ for estimator in CLUSTERERS}
    assert checked == set(cluster.__all__)


@parametrize_with_checks([*CLUSTERERS, CodingLengthKSelector()])
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", CLUSTERERS, ids=repr)
@pytest.mark.parametrize("name", MORE_CHECKS)
def test_more_checks(name, estimator):
    getattr(estimator_checks, name)(type(estimator).__name__, estimator)


@pytest.mark.parametrize(
    "name",
    [
        "check_param_validation",
        "check_dataframe_column_names_consistency",
        "check_inplace_ensure_writeable",
    ],
)
def test_more_checks_of_the_selector(name):
    # It is no transformer: the others are not for it.
    getattr(estimator_checks, name)("CodingLengthKSelector", CodingLengthKSelector())


@pytest.mark.parametrize("length", [1e-14, 1e14])
@pytest.mark.parametrize("estimator", CLUSTERERS, ids=repr)
def test_length_of_a_row_does_not_count(estimator, length):
    X = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    fitted = clone(estimator).set_params(random_state=0).fit(X)
    for method in ("predict_proba", "transform"):
        function = getattr(fitted, method)
        np.testing.assert_allclose(function(X * length), function(X), atol=1e-4)
