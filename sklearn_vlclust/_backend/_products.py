"""Matrix products by the fastest library on a CPU."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from .._compat import find_one_dnn_linear

# Number of multiplications above which oneDNN was measured to be faster.
ONE_DNN_SIZE = 2**21
# Inference has any number of rows. oneDNN caches compiled code for the last thousand
# shapes, 0.6 MB each: it gets only multiples of this.
INFERENCE_ROWS = 1024
_one_dnn: Any = find_one_dnn_linear()


def linear(x, weight, bias=None):
    """Return ``x @ weight.T + bias`` of (m, d), (n, d) and (n,), with gradients.

    The same as :func:`torch.nn.functional.linear`, which multiplies by MKL on a CPU. On
    an AMD processor MKL was measured at half the speed of oneDNN, which torch contains
    for compiled networks. A transposed `weight` is not copied. What oneDNN computed
    cannot be differentiated twice.
    """
    if not _is_for_one_dnn(x, weight):
        return F.linear(x, weight, bias)
    given = [x, weight] if bias is None else [x, weight, bias]
    if torch.is_grad_enabled() and any(operand.requires_grad for operand in given):
        return _Linear.apply(x, weight, bias)
    return _by_one_dnn(x, weight, bias)


def linear_of_directions(x, norms, weight, bias):
    """Return :func:`linear` of rows scaled to unit length; `norms` are their lengths.

    Products are divided, not rows, which are wider. If None, the rows have unit length.
    """
    if norms is None:
        return linear(x, weight, bias)
    return linear(x, weight).div_(norms[:, None]).add_(bias)


class Linear(nn.Linear):
    """A torch layer that multiplies by :func:`linear`; it takes matrices only.

    Its weights are uninitialized, as by ``torch.nn.utils.skip_init``, so the global
    seed is left alone. That function would import torch's compiler, which takes 0.3 s.
    """

    def reset_parameters(self):
        """Leave the initialization to the caller."""

    def forward(self, x):
        return linear(x, self.weight, self.bias)


@torch.no_grad()
def pick_outputs(layer, order):
    """Let output i of a linear layer, or entry i of an embedding, be ``order[i]``.

    Outputs that are not in `order` are left out.
    """
    for name, values in layer.named_parameters(recurse=False):
        picked = nn.Parameter(values[order], requires_grad=values.requires_grad)
        setattr(layer, name, picked)
    size = "num_embeddings" if isinstance(layer, nn.Embedding) else "out_features"
    setattr(layer, size, len(order))


def _is_for_one_dnn(x, weight):
    return (
        x.device.type == "cpu"
        and x.dtype is torch.float32
        and x.numel() * len(weight) >= ONE_DNN_SIZE
        and not (torch.is_inference_mode_enabled() and len(x) % INFERENCE_ROWS)
        and not torch.is_autocast_enabled("cpu")
        and _one_dnn is not None
        and torch.backends.mkldnn.is_available()
    )


def _by_one_dnn(x, weight, bias):
    return _one_dnn(x, weight, bias, "none", [], "")


class _Linear(torch.autograd.Function):
    """`linear` by oneDNN: the operator of torch has no gradient."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return _by_one_dnn(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        grad_weight = None
        if needs_weight and weight.is_contiguous():
            grad_weight = linear(grad.T, x.T)
        elif needs_weight:  # ordered as a transposed weight, it is not copied later
            grad_weight = linear(x.T, grad.T).T
        return (
            linear(grad, weight.T) if needs_x else None,
            grad_weight,
            grad.sum(dim=0) if needs_bias else None,
        )
