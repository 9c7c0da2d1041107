"""Products of matrices, by the library that is fastest at them on a CPU."""

import torch
from torch import nn
from torch.nn import functional as F

# Multiplications from which on oneDNN was measured the faster one, 128 x 128 x 128.
ONE_DNN_SIZE = 2**21
_one_dnn = getattr(torch.ops.mkldnn, "_linear_pointwise", None)


def linear(x, weight, bias=None):
    """Return ``x @ weight.T + bias`` of matrices, with gradients.

    The same as :func:`torch.nn.functional.linear`, which multiplies by MKL on a CPU. On
    processors of AMD, MKL has half the speed of oneDNN, which torch brings along for
    the layers of compiled networks, and which was measured no slower on those of Intel.

    Parameters
    ----------
    x : float tensor of shape (m, d)
        Rows; transposed ones need not be copied.
    weight : float tensor of shape (n, d)
        Rows; likewise.
    bias : float tensor of shape (n,), default=None
        Added to each row of the product.

    Returns
    -------
    product : float tensor of shape (m, n)
        It cannot be differentiated twice where oneDNN made it.
    """
    if not _is_for_one_dnn(x, weight):
        return F.linear(x, weight, bias)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return _Linear.apply(x, weight, bias)
    return _multiply(x, weight, bias)


class Linear(nn.Linear):
    """A layer of torch that multiplies by :func:`linear`; it takes matrices alone."""

    def forward(self, x):
        return linear(x, self.weight, self.bias)


def _is_for_one_dnn(x, weight):
    return (
        x.device.type == "cpu"
        and x.dtype is torch.float32
        and x.numel() * len(weight) >= ONE_DNN_SIZE
        and _one_dnn is not None
        and torch.backends.mkldnn.is_available()
    )


def _multiply(x, weight, bias=None):
    if not _is_for_one_dnn(x, weight):
        return F.linear(x, weight, bias)
    return _one_dnn(x, weight, bias, "none", [], "")


class _Linear(torch.autograd.Function):
    """`linear` by oneDNN: the operator of torch has no gradient."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return _multiply(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        grad_weight = None
        if needs_weight and weight.is_contiguous():
            grad_weight = _multiply(grad.T, x.T)
        elif needs_weight:  # ordered as a transposed weight, it is not copied later
            grad_weight = _multiply(x.T, grad.T).T
        return (
            _multiply(grad, weight.T) if needs_x else None,
            grad_weight,
            grad.sum(dim=0) if needs_bias else None,
        )
