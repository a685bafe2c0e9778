import pytest
import torch

from ddpzero.evaluators import fused
from ddpzero.networks.layers import ACTIVATIONS, Convolution

pytestmark = pytest.mark.skipif(not fused.is_available(), reason="torch without oneDNN")


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("has_residual", [False, True])
def test_a_fused_convolution_equals_the_plain_one(activation, kernel_size, has_residual):
    plain = Convolution(12, 20, kernel_size, activation)
    torch.nn.init.normal_(plain.bias)
    one = fused.FusedConvolution(plain, torch.float32, (6, 7))
    planes = torch.randn(5, 12, 6, 7).contiguous(memory_format=torch.channels_last)
    residual = torch.randn(5, 20, 6, 7) if has_residual else None
    with torch.inference_mode():
        wanted = plain(planes, residual)
        if residual is not None:
            residual = residual.clone(memory_format=torch.channels_last)
        torch.testing.assert_close(one(planes, residual), wanted, rtol=1e-4, atol=1e-4)


def test_convolutions_are_replaced_at_any_depth():
    module = torch.nn.Sequential(
        Convolution(3, 8, 3, "relu"), torch.nn.Sequential(Convolution(8, 8, 1, "silu"))
    )
    fused.fuse_convolutions(module, torch.float32, (5, 5))
    assert not [part for part in module.modules() if isinstance(part, Convolution)]
    assert module(torch.rand(1, 3, 5, 5)).shape == (1, 8, 5, 5)
