"""Pictures of a network: its filters are its own weights, in their places."""

from typing import Any

import numpy as np
import pytest
import torch

from lab.nets.layers import Conv2d, Linear
from lab.supervised.figures import filters
from lab.supervised.network import Network
from lab.supervised.tasks.classification import short_names
from lab.supervised.transfer import build_network
from tests.lab.small_classifier import other


def network(shape: tuple[int, ...], **settings: Any) -> Network:
    return build_network(other(network=settings), shape, 2)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_filters_of_an_mlp_are_the_weights_of_its_first_units_as_pictures(channels: int) -> None:
    net = network((channels, 32, 32), name="mlp", hidden=[3])
    layer = next(module for module in net.trunk.modules() if isinstance(module, Linear))
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[1].view(channels, 32, 32)[0, 2, 5] = -4.0
        layer.weight[2].view(channels, 32, 32)[0, 9, 31] = 0.5
    found = filters(net, (channels, 32, 32))
    assert found is not None and found.pixels.shape == (32, 3 * 33 - 1, channels)
    grey, odd = 128, {(2, 33 + 5): 0, (9, 66 + 31): 255}
    places = {
        (int(y), int(x)): int(found.pixels[y, x, 0])
        for y, x in zip(*np.nonzero(found.pixels[..., 0] != grey), strict=True)
    }
    gaps = {(y, x): 0 for y in range(32) for x in (32, 65)}
    assert places == odd | gaps


def test_the_filters_of_a_convolution_are_its_kernels_enlarged() -> None:
    net = network((1, 16, 16), name="cnn", channels=[3])
    layer = next(module for module in net.trunk.modules() if isinstance(module, Conv2d))
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0, 1, 2] = 2.0
    found = filters(net, (1, 16, 16))
    assert found is not None
    white = np.argwhere(found.pixels[..., 0] == 255)
    factor = found.pixels.shape[0] // 3
    assert white.min(0).tolist() == [factor, 2 * factor] and white.max(0).tolist() == [2 * factor - 1, 3 * factor - 1]


def test_long_names_of_classes_are_shortened_and_stay_different() -> None:
    names = ["b", "a" * 60 + "1", "a" * 60 + "2", "a" * 20 + "x" * 40 + "a" * 20, "a" * 20 + "y" * 40 + "a" * 20]
    short = short_names(names)
    assert short[0] == "b" and len(set(short)) == len(names) and max(map(len, short)) <= 28
