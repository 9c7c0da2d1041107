"""Settings of torch and scikit-learn that the caller has made, and ours inside."""

import threading
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, TypeVar, cast

import sklearn
import torch

F = TypeVar("F", bound=Callable[..., Any])

_inside = threading.local()
_LOCK = threading.Lock()
# Calls that run under our default dtype, and the caller's own.
_calls = 0
_dtype = torch.float32


def own_settings(function: F) -> F:
    """Run a function or method under torch's and scikit-learn's own defaults.

    With gradients, without autocast, in single precision on the CPU unless told
    otherwise, and with arrays from `transform`, whatever the caller has set; it is as
    before afterwards.
    """

    @wraps(function)
    def call(*args, **kwargs):
        if getattr(_inside, "held", False):
            return function(*args, **kwargs)
        with _defaults():
            return function(*args, **kwargs)

    return cast(F, call)


@contextmanager
def _defaults():
    with ExitStack() as stack:
        enter = stack.enter_context
        enter(
            sklearn.config_context(transform_output="default", array_api_dispatch=False)
        )
        if torch.is_inference_mode_enabled():
            enter(torch.inference_mode(False))
        enter(torch.enable_grad())
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                enter(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            enter(torch.device("cpu"))
        enter(_single_precision())
        _inside.held = True
        try:
            yield
        finally:
            _inside.held = False


@contextmanager
def _single_precision():
    """Set the default dtype, which all threads share, while any call needs it."""
    global _calls, _dtype
    with _LOCK:
        if not _calls:
            _dtype = torch.get_default_dtype()
            if _dtype is not torch.float32:
                torch.set_default_dtype(torch.float32)
        _calls += 1
    try:
        yield
    finally:
        with _LOCK:
            _calls -= 1
            if not _calls and _dtype is not torch.float32:
                torch.set_default_dtype(_dtype)
