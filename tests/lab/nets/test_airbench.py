"""The networks of airbench: sizes, initial filters, what is trained."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from lab.config.loading import load_preset
from lab.errors import UserError
from lab.nets.airbench import Airbench
from lab.supervised.backbones import AirbenchConfig
from lab.supervised.config import SupervisedConfig
from lab.supervised.transfer import build_network


def trained(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


@pytest.mark.parametrize(("preset", "convolutions"), [("supervised/cifar10", 2), ("supervised/cifar10_96", 3)])
def test_parameters_of_the_presets_are_the_closed_form(preset: str, convolutions: int) -> None:
    config = load_preset(preset)
    assert isinstance(config, SupervisedConfig) and isinstance(config.network, AirbenchConfig)
    with torch.device("meta"):
        network = build_network(config, (3, 32, 32), 10)
    widths = [24, *config.network.channels]
    filters = sum(9 * (a * b + (convolutions - 1) * b * b) for a, b in pairwise(widths))
    biases = 24 + convolutions * sum(widths[1:])
    assert trained(network) == filters + biases + 10 * widths[-1]  # no scales, no bias of the output layer


def test_stages_halve_the_resolution_after_the_whitening_layer() -> None:
    assert Airbench(1, [4, 6, 5])(torch.zeros(2, 1, 32, 32)).shape == (2, 5, 3, 3)


def test_the_first_filters_pass_their_channel_through() -> None:
    convolution = Airbench(3, [32]).get_submodule("stage0.first.conv")
    x = torch.randn(2, 24, 5, 5)
    torch.testing.assert_close(convolution(x)[:, :24], x)


@pytest.mark.parametrize("convolutions", [2, 3])
def test_the_skip_connection_belongs_to_three_convolutions(convolutions: int) -> None:
    network = Airbench(3, [8], convolutions=convolutions).eval()
    stage = network.get_submodule("stage0")
    x = torch.randn(2, 24, 6, 6)

    def block(name: str, value: Tensor) -> Tensor:
        found = stage.get_submodule(f"{name}.conv")(value)
        pooled = nn.functional.max_pool2d(found, 2) if name == "first" else found
        return stage.get_submodule(f"{name}.norm")(pooled)

    gelu = nn.functional.gelu
    first = gelu(block("first", x))
    second = gelu(block("second", first))
    expected = second if convolutions == 2 else gelu(first + block("third", second))
    torch.testing.assert_close(stage(x), expected)


def test_small_images_are_refused() -> None:
    with pytest.raises(UserError, match="at least 9 pixels"):
        AirbenchConfig().build((3, 8, 8))


@pytest.mark.parametrize("progress", [0.0, 0.2, 0.25, 0.9])
def test_the_bias_of_the_whitening_layer_is_trained_as_the_progress_says(progress: float) -> None:
    config = AirbenchConfig(channels=(4,), whitening_bias_fraction=0.25)
    network = config.build((3, 8, 8)).with_output(nn.Identity())
    bias = network.get_parameter("trunk.whitening.bias")
    for before in (0.9, 0.1):
        config.set_trainable(network, before)
        config.set_trainable(network, progress)
        assert bias.requires_grad == (progress < 0.25)
