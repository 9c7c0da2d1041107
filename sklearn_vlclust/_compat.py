"""Private or version-dependent names of scikit-learn and torch, used here only."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import _check_feature_names_in

try:  # scikit-learn >= 1.9, experimental
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn 1.8 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in that gives estimators the same base class list."""


Method = TypeVar("Method", bound=Callable)

if TYPE_CHECKING:  # of scikit-learn's, which has no types, nothing would remain

    def _fit_context(
        *, prefer_skip_nested_validation: bool
    ) -> Callable[[Method], Method]: ...

else:
    from sklearn.base import _fit_context


def find_one_dnn_linear():
    """Return torch's private oneDNN product, or None where it does not work.

    Called as ``product(x, weight, bias or None, "none", [], "")``. It is tried once on
    two small products: torch may remove it or change its signature at any time.
    """
    product: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float32, device="cpu")
    weight = torch.tensor([[3.0, 4.0], [5.0, 6.0]], dtype=torch.float32, device="cpu")
    try:
        found = [product(x, weight, bias, "none", [], "") for bias in (None, x[0])]
        works = [row.tolist() for row in found] == [[[11.0, 17.0]], [[12.0, 19.0]]]
    except Exception:  # of any type: it depends on what changed
        return None
    return product if works else None


__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "Options",
    "StrOptions",
    "_check_feature_names_in",
    "_fit_context",
    "find_one_dnn_linear",
    "validate_parameter_constraints",
]
