"""Products of matrices by oneDNN against those of torch."""

from importlib.util import module_from_spec, spec_from_file_location

import pytest
import torch
from torch.nn import functional as F

from sklearn_vlclust._backend import _products
from sklearn_vlclust._backend._products import Linear, linear

SHAPES = {"small": (5, 7, 3), "large": (160, 130, 150)}


@pytest.fixture
def by_one_dnn(monkeypatch):
    """Products that oneDNN made, as shapes; empty where torch does without it."""
    made, one_dnn = [], _products._one_dnn

    def counted(x, weight, *others):
        made.append((len(x), *weight.shape))
        return one_dnn(x, weight, *others)

    if one_dnn is None or not torch.backends.mkldnn.is_available():
        pytest.skip("this torch comes without oneDNN")
    monkeypatch.setattr(_products, "_one_dnn", counted)
    return made


def operands(m, n, d, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shapes = (m, d), (n, d), (n,)
    return [torch.randn(s, generator=generator).to(dtype) for s in shapes]


@pytest.mark.smoke
@pytest.mark.parametrize("size", SHAPES)
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("transposed", [(), (0,), (1,), (0, 1)])
def test_value_and_gradients_are_those_of_torch(
    size, with_bias, transposed, by_one_dnn
):
    given = operands(*SHAPES[size])
    for i in transposed:
        given[i] = given[i].T.contiguous().T
    if not with_bias:
        given.pop()
    runs = []
    for function, dtype in [(linear, torch.float32), (F.linear, torch.float64)]:
        leaves = [x.detach().to(dtype).requires_grad_() for x in given]
        product = function(*leaves)
        product.square().sum().backward()
        runs.append([product.detach(), *(x.grad for x in leaves)])
    for found, expected in zip(*runs):
        error = (found - expected).norm() / expected.norm()
        assert found.dtype == torch.float32 and error < 1e-5
    # One product of values and two of gradients.
    assert len(by_one_dnn) == (3 if size == "large" else 0)


def test_gradients_that_are_not_needed_are_not_made(by_one_dnn):
    x, weight, bias = operands(*SHAPES["large"])
    assert not linear(x, weight, bias).requires_grad
    linear(x, weight.requires_grad_(), bias).sum().backward()
    assert len(by_one_dnn) == 3 and x.grad is None
    linear(x, weight.detach(), bias.requires_grad_()).sum().backward()
    assert len(by_one_dnn) == 4 and (bias.grad == len(x)).all()
    with torch.no_grad():
        assert not linear(x, weight, bias).requires_grad


def test_a_gradient_lies_as_its_weight_does():
    """Else torch copies it."""
    x, weight, _ = operands(*SHAPES["large"])
    for leaf, used in [(weight, lambda w: w), (weight.T.contiguous(), lambda w: w.T)]:
        leaf = leaf.clone().requires_grad_()
        linear(x, used(leaf)).sum().backward()
        assert leaf.grad.is_contiguous()


@pytest.mark.parametrize("m", [1024, 1000])
def test_inference_on_any_number_of_rows_makes_no_new_shapes(m, by_one_dnn):
    x, weight, bias = operands(m, 100, 64)
    with torch.inference_mode():
        product = linear(x, weight, bias)
    torch.testing.assert_close(product, F.linear(x, weight, bias))
    assert len(by_one_dnn) == (m == 1024)


def test_double_precision_and_empty_matrices(by_one_dnn):
    given = operands(*SHAPES["large"], torch.float64)
    assert torch.equal(linear(*given), F.linear(*given))
    assert linear(torch.empty(0, 4), torch.ones(3, 4)).shape == (0, 3)
    assert by_one_dnn == []


def test_mixed_precision_is_left_to_torch(by_one_dnn):
    x, weight = torch.ones(256, 128), torch.ones(256, 128)
    with torch.autocast("cpu", torch.bfloat16):
        product = linear(x, weight)
    assert product.dtype is torch.bfloat16 and not by_one_dnn


def test_torch_without_one_dnn_multiplies_itself(monkeypatch):
    monkeypatch.setattr(_products, "_one_dnn", None)
    given = [x.requires_grad_() for x in operands(*SHAPES["large"])]
    product = linear(*given)
    assert torch.equal(product, F.linear(*given))
    product.sum().backward()
    assert all(x.grad is not None for x in given)


@pytest.mark.parametrize("change", ["gone", "TypeError", "another meaning"])
def test_another_torch_is_told_at_import(change, monkeypatch):
    def changed(*given):
        if change == "TypeError":
            raise TypeError("_linear_pointwise() takes 7 arguments")
        return torch.zeros(1, 2)

    operator = None if change == "gone" else changed
    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", operator)
    spec = spec_from_file_location(f"{_products.__name__}_again", _products.__file__)
    again = module_from_spec(spec)
    spec.loader.exec_module(again)
    assert again._one_dnn is None
    given = [x.requires_grad_() for x in operands(*SHAPES["large"])]
    product = again.linear(*given)
    assert torch.equal(product, F.linear(*given))
    product.sum().backward()
    assert all(x.grad is not None for x in given)


def test_layer_is_that_of_torch():
    x, weight, bias = operands(*SHAPES["large"])
    n, d = weight.shape
    ours, theirs = Linear(d, n), torch.nn.Linear(d, n)
    state = {"weight": weight, "bias": bias}
    for layer in (ours, theirs):
        layer.load_state_dict(state)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-4)
