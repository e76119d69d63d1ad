import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from sdc.methods import linear as module
from sdc.methods.linear import Linear, linear


def results(product, rows, weight, bias):
    """The product and all gradients."""
    given = [tensor.clone().requires_grad_() for tensor in (rows, weight, bias) if tensor is not None]
    out = product(*given)
    out.backward(torch.linspace(-1, 1, out.numel()).reshape(out.shape).to(out.dtype))
    return [out.detach(), *(tensor.grad for tensor in given)]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.booleans(), st.booleans(), st.integers(0, 99))
def test_as_torch_has_it(count, dim, width, biased, turned, seed):
    generator = torch.Generator().manual_seed(seed)
    shape = (dim, count) if turned else (count, dim)
    rows = torch.randn(shape, generator=generator)
    rows = rows.T if turned else rows  # not contiguous
    weight = torch.randn(width, dim, generator=generator)
    bias = torch.randn(width, generator=generator) if biased else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WORTH", 0)
        patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
        ours = results(linear, rows, weight, bias)
    for found, expected in zip(ours, results(F.linear, rows, weight, bias), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here")
def test_large_products_of_float32_take_onednn_with_avx_512(monkeypatch):
    taken = []
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.Tensor, "to_mkldnn", lambda rows: taken.append(rows.dtype) or rows)
    monkeypatch.setattr(torch.Tensor, "to_dense", lambda rows: rows)
    layer = Linear(512, 256)
    layer(torch.zeros(64, 512))
    assert taken == [torch.float32]
    layer(torch.zeros(63, 512))  # small
    layer.double()(torch.zeros(64, 512, dtype=torch.float64))
    with torch.autocast("cpu", torch.bfloat16):
        layer.float()(torch.zeros(64, 512))
    assert len(taken) == 1
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    layer(torch.zeros(64, 512))
    assert len(taken) == 1
