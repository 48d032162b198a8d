"""The same cores wherever they are used: multilayer perceptron, convolutions and recurrence, learning from labels, in
agents and in generators. Every use has its shape and its parameters, learns one batch by heart and can be exported."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agents.alphazero.network import PolicyValueNet
from gans.progressive.config import NetworkConfig as GANNetworkConfig
from gans.progressive.network import Discriminator, Generator
from gans.series.config import NetworkConfig as SeriesNetworkConfig
from gans.series.network import Discriminator as SeriesDiscriminator
from gans.series.network import Generator as SeriesGenerator
from lab.cli.main import main
from lab.nets.export import TOLERANCE, export
from lab.nets.layers import scaled
from lab.sequences.config import NetworkConfig as SequencesNetworkConfig
from lab.sequences.network import DataSizes
from lab.sequences.shapes import build_network as build_sequence_network
from lab.supervised.transfer import build_network, load_trunk
from tests.lab.small_classifier import other, written

Shapes = tuple[tuple[int, ...], ...]


def linear(inputs: int, outputs: int, *, bias: bool = True) -> int:
    return inputs * outputs + bias * outputs


def conv(inputs: int, outputs: int, kernel: int = 3, *, bias: bool = False) -> int:
    return inputs * outputs * kernel**2 + bias * outputs


def block(inputs: int, outputs: int, kernel: int = 3) -> int:
    """Convolution without bias, and a norm."""
    return conv(inputs, outputs, kernel) + 2 * outputs


def recurrent(gates: int, inputs: int, hidden: int) -> int:
    """One layer with torch's two biases."""
    return gates * hidden * (inputs + hidden + 2)


@dataclass(frozen=True)
class Use:
    """A network, its inputs for a batch of so many, the shapes of its outputs without the batch, its parameters."""

    make: Callable[[], nn.Module]
    inputs: Callable[[int], tuple[Tensor, ...]]
    outputs: Shapes
    parameters: int
    rate: float = 0.02


class _Called(nn.Module):
    """A network whose forward takes more than the one tensor."""

    def __init__(self, network: nn.Module, *more: Any) -> None:
        super().__init__()
        self.network, self.more = network, more

    def forward(self, inputs: Tensor) -> Any:
        return self.network(inputs, *self.more)


def supervised(shape: tuple[int, ...], **network: Any) -> Callable[[], nn.Module]:
    data = {} if len(shape) == 3 else {"data": {"source": "iris"}}
    return lambda: build_network(other(network=network, **data), shape, 3)


def normal(*shape: int) -> Callable[[int], tuple[Tensor, ...]]:
    return lambda batch: (torch.randn(batch, *shape),)


GAN = GANNetworkConfig(resolution=8, channels=1, fmap_base=32, fmap_max=6, latent=4, mapping_layers=2)
SERIES = SeriesNetworkConfig(cell="gru", layers=1, hidden=6, latent=2, series_latent=3, discriminator_hidden=6)
W4, W8 = 6, 6  # channels of the GAN at 4 and 8 pixels: min(2 * 32 / resolution, 6)
PLANES, BOARD = 2, 6 * 7

USES = {
    "MLP, supervised": Use(
        supervised((4,), name="mlp", hidden=[8, 6]),
        normal(4),
        ((3,),),
        linear(4, 8) + linear(8, 6) + linear(6, 3),
    ),
    "MLP, agent's value head": Use(
        lambda: PolicyValueNet((PLANES, 6, 7), 7, channels=4, blocks=1, value_hidden=8).value,
        normal(BOARD),
        ((3,),),
        linear(BOARD, 8) + linear(8, 3),
    ),
    "MLP, generator's mapping": Use(
        lambda: _module(Generator(GAN.model_copy(update={"latent": 16})).mapping),
        normal(16),
        ((16,),),
        2 * linear(16, 16),
        rate=1.0,  # its weights move at a hundredth of it
    ),
    "CNN, supervised": Use(
        supervised((1, 16, 16), name="cnn", channels=[4, 6], features=8),
        normal(1, 16, 16),
        ((3,),),
        block(1, 4) + block(4, 6) + linear(6 * 16, 8, bias=False) + 2 * 8 + linear(8, 3),
    ),
    "CNN, supervised by stages": Use(
        supervised((3, 16, 16), name="resnet", channels=[4, 6], blocks=[0, 1], logit_scale=1.0),
        normal(3, 16, 16),
        ((3,),),
        block(3, 4) + block(4, 6) + 2 * block(6, 6) + linear(6, 3),
    ),
    "CNN, supervised in AlphaZero's tower": Use(
        supervised((2, 8, 8), name="tower", channels=4, blocks=2),
        normal(2, 8, 8),
        ((3,),),
        block(2, 4) + 4 * block(4, 4) + linear(4, 3),
    ),
    "CNN, supervised AlexNet": Use(
        supervised((3, 32, 32), name="alexnet", width=1 / 32, dropout=0.0),
        normal(3, 32, 32),
        ((3,),),
        block(3, 3, 5)
        + block(3, 8, 5)
        + block(8, 12)
        + block(12, 12)
        + block(12, 8)
        + linear(8 * 9, 128)
        + linear(128, 128)
        + linear(128, 3),
    ),
    "CNN, agent": Use(
        lambda: PolicyValueNet((PLANES, 6, 7), 7, channels=4, blocks=2, value_hidden=8),
        normal(PLANES, 6, 7),
        ((7,), (3,)),
        block(PLANES, 4)
        + 4 * block(4, 4)
        + block(4, 2, 1)
        + linear(2 * BOARD, 7)
        + block(4, 1, 1)
        + linear(BOARD, 8)
        + linear(8, 3),
    ),
    "CNN, generator": Use(
        lambda: _Called(Generator(GAN), 1, 1.0),
        normal(4),
        ((1, 8, 8),),
        2 * linear(4, 4)  # the mapping
        + linear(4, W4 * 16)
        + conv(W4, W4, bias=True)
        + conv(W4, W8, bias=True)
        + conv(W8, W8, bias=True)
        + conv(W4, 1, 1, bias=True)
        + conv(W8, 1, 1, bias=True),
    ),
    "CNN, discriminator": Use(
        lambda: _Called(Discriminator(GAN.model_copy(update={"minibatch_group": 1})), 1, 1.0),
        normal(1, 8, 8),
        ((),),
        conv(1, W4, 1, bias=True)
        + conv(1, W8, 1, bias=True)
        + conv(W8, W8, bias=True)
        + conv(W8, W4, bias=True)
        + conv(W4, W4, bias=True)
        + linear(W4 * 16, 6)
        + linear(6, 1),
    ),
    "RNN, supervised": Use(
        lambda: _Called(
            build_sequence_network(SequencesNetworkConfig(shape="language_model", hidden=8), DataSizes(6, 4)), None
        ),
        lambda batch: (torch.randint(6, (batch, 5)),),
        ((5, 4),),
        6 * 8 + recurrent(4, 8, 8) + linear(8, 4),
    ),
    "RNN, agent": Use(
        lambda: PolicyValueNet((PLANES, 3, 3), 9, trunk="recurrent", channels=8, blocks=2, value_hidden=8),
        normal(PLANES, 3, 3),
        ((9,), (3,)),
        2 * (recurrent(3, PLANES, 4) + 3 * recurrent(3, 8, 4))  # along rows, then columns, twice, both ways
        + block(8, 2, 1)
        + linear(2 * 9, 9)
        + block(8, 1, 1)
        + linear(9, 8)
        + linear(8, 3),
    ),
    "RNN, generator": Use(
        lambda: SeriesGenerator(SERIES, 2),
        lambda batch: (torch.randn(batch, 7, 2), torch.randn(batch, 3)),
        ((7, 2),),
        recurrent(3, 5, 6) + linear(6, 2),
    ),
}


@pytest.fixture(params=USES)
def use(request: pytest.FixtureRequest) -> Use:
    torch.manual_seed(0)
    return USES[request.param]


def test_shapes(use: Use) -> None:
    network = use.make().eval()
    for batch in (1, 3):
        outputs = _outputs(network, use.inputs(batch))
        assert tuple(tuple(output.shape) for output in outputs) == tuple((batch, *shape) for shape in use.outputs)


def test_parameter_count(use: Use) -> None:
    assert sum(parameter.numel() for parameter in use.make().parameters()) == use.parameters


def test_it_learns_one_batch_by_heart(use: Use) -> None:
    network, inputs = use.make().train(), use.inputs(6)
    targets = [torch.randn(6, *shape) for shape in use.outputs]
    optimizer = torch.optim.Adam(network.parameters(), use.rate)
    losses = []
    for _ in range(250):
        loss = sum(
            (F.mse_loss(*pair) for pair in zip(_outputs(network, inputs), targets, strict=True)), start=torch.zeros(())
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert min(losses) < 0.1 * losses[0]


@pytest.mark.slow
def test_onnxruntime_agrees(use: Use, tmp_path: Path) -> None:
    network = use.make().eval()
    if len(use.outputs) == 1:
        parts: list[nn.Module] = [network]
    else:
        parts = [_Part(network, index) for index in range(len(use.outputs))]
    for index, part in enumerate(parts):
        difference = export(part, use.inputs(2), use.inputs(5), tmp_path / f"{index}.onnx")
        assert difference <= TOLERANCE


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that learned from labels: `tower`, `cnn` without norms."""
    folder = tmp_path_factory.mktemp("trunks")
    networks = {
        "tower": {"name": "tower", "channels": 4, "blocks": 1},
        "cnn": {"name": "cnn", "channels": [W8, W8, W4], "features": 8, "norm": "none", "activation": "leaky_relu"},
    }
    for name, network in networks.items():
        settings = other(network=network, data={"held_out": 0.02}, budget=500)
        assert main(["train", str(written(folder, settings)), "--runs-dir", str(folder), "--name", name]) == 0
    return folder


def test_a_trunk_trained_with_labels_is_a_tower_of_alphazero(runs: Path) -> None:
    trunk = load_trunk(runs / "tower")
    net = PolicyValueNet((1, 6, 7), 7, channels=4, blocks=1)
    net.tower.load_state_dict(trunk)
    net.eval()
    boards = torch.randn(2, 1, 6, 7)
    features = build_network(other(network={"name": "tower", "channels": 4, "blocks": 1}), (1, 32, 32), 10).trunk
    features.load_state_dict(trunk)
    assert torch.equal(net.tower(boards), features.eval()(boards))
    assert net(boards)[0].shape == (2, 7)
    with pytest.raises(RuntimeError, match="size mismatch for stem"):
        PolicyValueNet((2, 6, 7), 7, channels=4, blocks=1).tower.load_state_dict(trunk)


def test_a_trunk_trained_with_labels_is_a_block_of_a_discriminator(runs: Path) -> None:
    trunk, discriminator = load_trunk(runs / "cnn"), Discriminator(GAN)
    grown = discriminator.blocks[1]
    for layer, source in ((grown.conv.conv, "block1.conv"), (grown.reduced.conv, "block2.conv")):  # type: ignore[union-attr]
        # The discriminator multiplies its weights by a constant when it computes with them.
        with torch.no_grad():
            layer.weight.copy_(trunk[f"{source}.weight"] / layer.weight_scale)  # type: ignore[operator, union-attr]
            layer.bias.copy_(trunk[f"{source}.bias"])  # type: ignore[operator, union-attr]
        torch.testing.assert_close(scaled(layer)[0], trunk[f"{source}.weight"])  # type: ignore[arg-type]
    x = torch.randn(2, W8, 8, 8)
    expected = x
    for source in ("block1.conv", "block2.conv"):
        expected = F.leaky_relu(F.conv2d(expected, trunk[f"{source}.weight"], trunk[f"{source}.bias"], padding=1), 0.2)
    torch.testing.assert_close(grown(x), F.avg_pool2d(expected, 2))


def test_a_trunk_trained_with_labels_is_the_discriminator_of_series(runs: Path) -> None:
    config = SERIES.model_copy(update={"discriminator": "cnn", "discriminator_layers": 3})
    discriminator = SeriesDiscriminator(config, channels=1)
    assert discriminator.cnn is not None
    missing, unexpected = discriminator.cnn.load_state_dict(load_trunk(runs / "cnn"), strict=False)
    assert not unexpected and missing == ["out.weight", "out.bias"]
    assert discriminator(torch.randn(2, 16, 1)).shape == (2,)


class _Part(nn.Module):
    """One of several outputs."""

    def __init__(self, network: nn.Module, index: int) -> None:
        super().__init__()
        self.network, self.index = network, index

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network(inputs)[self.index]


def _outputs(network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    found = network(*inputs)
    return found if isinstance(found, tuple) else (found,)


def _module(found: Any) -> nn.Module:
    assert isinstance(found, nn.Module)
    return found
