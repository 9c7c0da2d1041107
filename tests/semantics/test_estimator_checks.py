"""scikit-learn's contract."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_get_feature_names_out_error,
    check_global_output_transform_pandas,
    check_global_set_output_transform_polars,
    check_inplace_ensure_writeable,
    check_param_validation,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_set_output_transform_polars,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    estimator_checks_generator,
)

from sklearn_vlclust import SemanticSpace


class AnyWidthSpace(SemanticSpace):
    """Nouns with vectors as wide as X, whatever that is: the checks use many widths."""

    def _noun_vectors(self, vocabulary, n_features):
        vectors = np.random.RandomState(0).standard_normal(
            (len(vocabulary), n_features)
        )
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors.astype(np.float32)


def make_space():
    nouns = [f"noun {i}" for i in range(12)]
    # In one dimension all cosines are 1 or -1: no noun may count as not unique.
    return AnyWidthSpace(nouns, n_clusters=2, gamma_u=0, random_state=0)


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=check.func.__name__)
        for estimator, check in estimator_checks_generator(make_space())
    ],
)
def test_estimator_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [
        check_param_validation,
        check_set_output_transform,
        check_set_output_transform_pandas,
        check_set_output_transform_polars,
        check_global_output_transform_pandas,
        check_global_set_output_transform_polars,
        check_transformer_get_feature_names_out,
        check_transformer_get_feature_names_out_pandas,
        check_get_feature_names_out_error,
        check_dataframe_column_names_consistency,
        check_inplace_ensure_writeable,
    ],
)
def test_check_that_check_estimator_leaves_out(check):
    check("AnyWidthSpace", make_space())
