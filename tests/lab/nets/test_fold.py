"""Folding normalisation and runtime scales into weights, and the fused form on the CPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lab.nets.cnn import CNN, ResidualTower
from lab.nets.fold import fold, fold_into
from lab.nets.fused_cpu import FusedTower, PackedLinear, pixel_rows
from lab.nets.init import EQUALIZED, HE, Init
from lab.nets.layers import Linear
from lab.nets.mlp import MLP

BOARDS = (2, 6, 7)


def with_statistics(network: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Give every norm statistics and affine parameters far from their initial values."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.weight.uniform_(0.5, 2.0)
                module.bias.normal_()
    network.train()
    for _ in range(3):
        network(torch.randn(64, *shape) * 2 + 1)
    return network.eval()


def networks() -> list[tuple[nn.Module, tuple[int, ...]]]:
    slow = Init(runtime=True, lr_multiplier=0.1)
    return [
        (ResidualTower(2, 8, 2), BOARDS),
        (ResidualTower(2, 8, 2, init=EQUALIZED, squeeze_excitation=4), BOARDS),
        (ResidualTower(2, 8, 2, norm="group", init=EQUALIZED), BOARDS),
        (CNN(2, [8, 8], 3, init=EQUALIZED), BOARDS),
        (MLP(5, [16, 16], 3, norm="batch"), (5,)),
        (MLP(5, [16, 16], 3, norm="batch", init=slow), (5,)),
        (MLP(5, [16], 3, init=slow), (5,)),
        (nn.Sequential(Linear(5, 8), nn.BatchNorm1d(8)), (5,)),  # a bias before the norm
    ]


@pytest.mark.parametrize(("network", "shape"), networks())
def test_folded_network_computes_the_same(network: nn.Module, shape: tuple[int, ...]) -> None:
    with_statistics(network, shape)
    x = torch.randn(4, *shape)
    torch.testing.assert_close(fold(network)(x), network(x), rtol=1e-5, atol=1e-5)


def test_no_batch_norm_and_no_gradient_is_left() -> None:
    folded = fold(ResidualTower(2, 8, 2))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert not any(parameter.requires_grad for parameter in folded.parameters())


def test_the_source_is_untouched() -> None:
    network = ResidualTower(2, 8, 1, init=EQUALIZED).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fold(network)
    assert network.training and network.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_norm_after_activation_is_not_folded() -> None:
    network = nn.Sequential(Linear(5, 8), nn.ReLU(), nn.BatchNorm1d(8))
    with_statistics(network, (5,))
    x = torch.randn(4, 5)
    torch.testing.assert_close(fold(network)(x), network(x))


def test_fold_into_keeps_storage_and_memory_format() -> None:
    network = ResidualTower(2, 8, 2)
    folded = fold(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    layout = [(p.data_ptr(), p.stride()) for p in folded.parameters()]
    with_statistics(network, BOARDS)
    fold_into(network, folded)
    x = torch.randn(4, *BOARDS)
    torch.testing.assert_close(folded(x), network(x), rtol=1e-5, atol=1e-5)
    assert [(p.data_ptr(), p.stride()) for p in folded.parameters()] == layout


def test_fold_into_refuses_another_network() -> None:
    with pytest.raises(ValueError, match=r"blocks\.1"):
        fold_into(ResidualTower(2, 8, 2), fold(ResidualTower(2, 8, 1)))


@pytest.mark.parametrize("init", [HE, EQUALIZED])
@pytest.mark.parametrize("batch", [1, 7, 300])  # 300 boards of 16 channels take two chunks
def test_fused_tower_computes_the_same(batch: int, init: Init) -> None:
    tower = ResidualTower(2, 16, 2, init=init)
    with_statistics(tower, BOARDS)
    x = torch.randn(batch, *BOARDS)
    with torch.inference_mode():
        torch.testing.assert_close(FusedTower(fold(tower))(x), tower(x), rtol=1e-4, atol=1e-4)


def test_fused_tower_takes_new_weights_on_refresh() -> None:
    tower, x = ResidualTower(2, 8, 1), torch.randn(3, *BOARDS)
    folded = fold(tower)
    fused = FusedTower(folded)
    with_statistics(tower, BOARDS)
    fold_into(tower, folded)
    fused.refresh()
    with torch.inference_mode():
        torch.testing.assert_close(fused(x), tower(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tower", [ResidualTower(2, 8, 1, norm="group"), ResidualTower(2, 8, 1, squeeze_excitation=4)])
def test_fused_tower_refuses_what_it_has_no_operation_for(tower: ResidualTower) -> None:
    with pytest.raises(NotImplementedError):
        FusedTower(fold(tower))


def test_a_linear_map_of_pixel_rows_is_a_1x1_convolution() -> None:
    x, weight, bias = torch.randn(3, 8, 6, 7), torch.randn(4, 8), torch.randn(4)
    expected: Tensor = nn.functional.conv2d(x, weight[:, :, None, None], bias).permute(0, 2, 3, 1).reshape(-1, 4)
    rows, packed = pixel_rows(x.contiguous(memory_format=torch.channels_last)), PackedLinear(weight, bias)
    torch.testing.assert_close(packed(rows), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(packed.relu(rows), expected.relu(), rtol=1e-5, atol=1e-5)
