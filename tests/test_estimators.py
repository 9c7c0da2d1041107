"""scikit-learn's checks: all that `check_estimator` runs, and those it leaves out."""

import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_vlclust import MCAClustering

# Vectors of words have one width and the checks many, so there are no words here; with
# words the estimator is tested in tests/cluster.
CLUSTERERS = [
    MCAClustering(semantic_space=None, max_iter=5),
    MCAClustering(semantic_space=None, max_iter=5, batch_size=16, k_i=3, n_init=1),
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


@parametrize_with_checks(CLUSTERERS)
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", MORE_CHECKS)
def test_more_checks(name):
    estimator = CLUSTERERS[0]
    getattr(estimator_checks, name)(type(estimator).__name__, estimator)
