"""Convolutional networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.errors import UserError
from lab.nets.cnn import CNN, ConvBlock, GlobalPoolingBlock, ResidualTower, SqueezeExcitation
from lab.nets.init import EQUALIZED

NORMS = ["batch", "group", "layer", "none"]


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def overfit(network: nn.Module, x: Tensor, target: Tensor, steps: int) -> float:
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(steps):
        loss = functional.cross_entropy(network(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


@pytest.mark.parametrize("norm", NORMS)
def test_tower_parameter_count_is_the_closed_form(norm: str) -> None:
    planes, channels, blocks = 3, 8, 2
    tower = ResidualTower(planes, channels, blocks, norm=norm)
    per_conv = channels if norm == "none" else 2 * channels
    stem = planes * channels * 9 + per_conv
    assert parameters(tower) == stem + 2 * blocks * (channels * channels * 9 + per_conv)
    assert tower(torch.randn(2, planes, 6, 7)).shape == (2, channels, 6, 7)


def test_squeeze_excitation_adds_two_small_layers_per_block() -> None:
    plain, gated = ResidualTower(3, 8, 2), ResidualTower(3, 8, 2, squeeze_excitation=4)
    assert parameters(gated) - parameters(plain) == 2 * ((8 * 4 + 4) + (4 * 8 + 8))
    assert gated(torch.randn(2, 3, 6, 7)).shape == (2, 8, 6, 7)


def test_squeeze_excitation_scales_whole_channels_by_less_than_one() -> None:
    x = torch.rand(2, 8, 4, 4) + 0.5
    ratio = SqueezeExcitation(8, 4)(x) / x
    torch.testing.assert_close(ratio, ratio.mean((2, 3), keepdim=True).expand_as(ratio))
    assert ratio.min() > 0 and ratio.max() < 1


def test_a_convolution_has_a_bias_only_without_a_norm() -> None:
    assert ConvBlock(2, 4).conv.bias is None
    assert ConvBlock(2, 4, norm="none").conv.bias is not None


def test_residual_block_with_silent_branch_is_relu() -> None:
    tower, x = ResidualTower(4, 4, 1), torch.randn(2, 4, 5, 5)
    with torch.no_grad():
        tower.get_parameter("blocks.0.second.norm.weight").zero_()
        assert torch.equal(tower.blocks(x), x.relu())


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_rows_are_independent_where_statistics_are_per_sample(norm: str) -> None:
    tower, x = ResidualTower(2, 8, 1, norm=norm), torch.randn(3, 2, 4, 4)
    torch.testing.assert_close(tower(x)[:1], tower(x[:1]))


def test_plain_cnn_strides_shrink_the_map() -> None:
    network = CNN(1, [4, 8], None, strides=[2, 2])
    assert network(torch.randn(2, 1, 16, 16)).shape == (2, 8, 4, 4)


def test_plain_cnn_overfits_one_batch() -> None:
    torch.manual_seed(0)
    x, target = torch.randn(12, 2, 6, 6), torch.randint(3, (12,))
    assert overfit(CNN(2, [16, 16], 3), x, target, 80) < 0.05


@pytest.mark.parametrize("norm", NORMS)
def test_tower_overfits_one_batch(norm: str) -> None:
    torch.manual_seed(0)
    tower = ResidualTower(2, 16, 1, norm=norm, init=EQUALIZED)
    network = nn.Sequential(tower, nn.Flatten(), nn.Linear(16 * 36, 3))
    x, target = torch.randn(12, 2, 6, 6), torch.randint(3, (12,))
    assert overfit(network, x, target, 60) < 0.05


@pytest.mark.parametrize(
    "network", [CNN(2, [4], 3), ResidualTower(2, 4, 1), ResidualTower(2, 4, 1, squeeze_excitation=2)]
)
def test_exported_network_computes_the_same(network: nn.Module) -> None:
    network, x = network.eval(), torch.randn(3, 2, 5, 5)
    exported = torch.export.export(network, (x,)).module()
    torch.testing.assert_close(exported(x), network(x))


def test_mistakes_name_the_choices() -> None:
    with pytest.raises(UserError, match="batch, group, layer or none"):
        ConvBlock(2, 2, norm="instance")
    with pytest.raises(UserError, match="one per block"):
        CNN(2, [4, 4], 2, strides=[1])


# Global pooling


@pytest.mark.parametrize(
    ("blocks", "pooling", "expected"),
    [(6, 2, {2, 4}), (3, 1, {1}), (5, 5, {0, 1, 2, 3, 4}), (4, 0, set()), (1, 1, {0})],
)
def test_blocks_that_pool_are_spread_evenly(blocks: int, pooling: int, expected: set[int]) -> None:
    tower = ResidualTower(2, 6, blocks, global_pooling=pooling)
    assert {number for number, block in enumerate(tower.blocks) if isinstance(block, GlobalPoolingBlock)} == expected


def test_one_block_that_pools_sees_the_whole_map() -> None:
    """Two 3x3 convolutions reach two cells far; a pooling block reaches every cell."""
    block = GlobalPoolingBlock(6, norm="none").eval()
    plain = ResidualTower(2, 6, 1, norm="none").blocks[0]
    x = torch.rand(1, 6, 9, 9)
    other = x.clone()
    other[:, :, 0, 0] += 5.0
    assert not torch.equal(block(x)[:, :, 8, 8], block(other)[:, :, 8, 8])
    assert torch.equal(plain(x)[:, :, 8, 8], plain(other)[:, :, 8, 8])


def test_a_pooling_block_is_a_residual_block_with_biases_from_the_whole_map() -> None:
    block = GlobalPoolingBlock(6, norm="none")
    x = torch.rand(2, 6, 3, 4)
    inner = block.first(x)
    cells, pooled = inner[:, :4], inner[:, 4:].relu()
    mean, scale = pooled.mean((2, 3)), (12**0.5 - 14) / 10
    bias = block.bias(torch.cat([mean, mean * scale, pooled.amax((2, 3))], 1))
    expected = (x + block.second((cells + bias[:, :, None, None]).relu())).relu()
    torch.testing.assert_close(block(x), expected)
