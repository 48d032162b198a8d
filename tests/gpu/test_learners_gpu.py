"""Training steps on a GPU: the CPU's losses in fp32, finite ones in bf16."""

import pytest
import torch

from agents import games
from agents.alphazero.agent import make_network
from agents.alphazero.config import LearnerConfig
from agents.alphazero.learner import Learner
from agents.alphazero.records import Samples, blank
from gans.progressive.trainer import GrowingTrainer
from lab.train import device as devices
from lab.train.device import Device
from tests.agents.small_alphazero import config
from tests.gans.small_gan import config as gan_config

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(100)]

FP32 = {name: Device(torch.device(name), "fp32", 1) for name in ("cpu", "cuda")}
ROWS = 32


def samples(game: games.Game) -> Samples:
    random = torch.Generator().manual_seed(0)
    empty = blank(ROWS, game)
    planes = torch.randint(0, 256, empty.planes.shape, dtype=torch.uint8, generator=random)
    policy = torch.softmax(torch.randn(empty.policy.shape, generator=random), -1).to(torch.float16)
    outcome = torch.randint(-1, 2, (ROWS,), dtype=torch.int8, generator=random)
    return empty._replace(planes=planes, policy=policy, outcome=outcome)


def alphazero_losses(device: Device, steps: int = 3) -> list[float]:
    devices.apply(device)
    game = games.make("connect_four")
    torch.manual_seed(0)
    network = make_network(config(game={"name": "connect_four"}), game)
    learner = Learner(network, game, LearnerConfig(batch_size=ROWS, decay_positions=1000), device, seed=0)
    return [float(learner.step(samples(game), 0)["loss/total"]) for _ in range(steps)]


def gan_losses(device: Device, loss: str, steps: int = 3) -> list[float]:
    devices.apply(device)
    torch.manual_seed(0)
    trainer = GrowingTrainer(gan_config(loss={"name": loss}), device)
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (8, 1, 16, 16), dtype=torch.uint8, generator=random).to(device.device)
    return [float(trainer.step(images)["loss/discriminator"]) for _ in range(steps)]


def test_an_alphazero_learner_has_the_losses_of_the_cpu() -> None:
    assert alphazero_losses(FP32["cuda"]) == pytest.approx(alphazero_losses(FP32["cpu"]), rel=1e-3)


@pytest.mark.parametrize("loss", ["wgan-gp", "non-saturating", "relativistic"])
def test_a_gan_has_the_losses_of_the_cpu(loss: str) -> None:
    assert gan_losses(FP32["cuda"], loss) == pytest.approx(gan_losses(FP32["cpu"], loss), rel=1e-2, abs=1e-3)


def test_bf16_steps_are_close_to_fp32() -> None:
    half = devices.resolve("cuda", "auto")
    if half.precision != "bf16":
        pytest.skip("this GPU has no bfloat16 arithmetic")
    assert alphazero_losses(half) == pytest.approx(alphazero_losses(FP32["cpu"]), rel=0.05)
    assert gan_losses(half, "wgan-gp") == pytest.approx(gan_losses(FP32["cpu"], "wgan-gp"), rel=0.2, abs=0.05)
