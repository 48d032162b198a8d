"""Several ranks compute what one process computes on the same global batches, but for rounding."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from agents.alphazero.agent import make_network
from agents.alphazero.config import LearnerConfig
from agents.alphazero.learner import Learner
from agents.alphazero.records import Samples, blank, pack_bits
from agents.games import make
from gans.progressive.experiment import ProgressiveGAN
from lab.supervised.config import SupervisedConfig
from lab.supervised.experiment import Supervised
from lab.train.collectives import Ranks, ranks
from lab.train.sync_batch_norm import convert_batch_norms
from tests.agents.small_alphazero import config as alphazero
from tests.gans.small_gan import DEVICE, config
from tests.ranked import alone_and_in_ranks

GANS: dict[str, dict[str, Any]] = {
    "wgan-gp, accumulated": {"training": {"micro_batch": 4, "batch_size": 16}},
    "non-saturating, lazy, augmented, labels": {
        "loss": {"name": "non-saturating", "lazy": 3},
        "augment": {"mode": "ada", "initial": 0.4},
        "network": {"classes": 10},
    },
    "relativistic, flipped": {"loss": {"name": "relativistic"}, "data": {"flip": True}},
}
ALPHAZERO: dict[str, dict[str, Any]] = {
    "alphazero, adamw": {},
    "alphazero, sgd, clipped": {"optimizer": "sgd", "gradient_clip": 0.05},
}
_INTO_A_FADE = 5  # iterations


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize(("count", "group"), [(16, 4), (18, 4), (20, 1), (4, 4)])
def test_shares_are_neighbours_of_whole_groups_and_all_of_the_batch(size: int, count: int, group: int) -> None:
    shares = [Ranks(rank, size).rows(count, group) for rank in range(size)]
    assert [index for share in shares for index in range(count)[share]] == list(range(count))
    assert all(share.start % group == 0 or share.start == count for share in shares)
    sizes = [-(-(share.stop - share.start) // group) for share in shares]
    assert max(sizes) - min(sizes) <= 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every experiment has become by itself and in two ranks."""
    folder = tmp_path_factory.mktemp("trained")
    alone_and_in_ranks(2, _train_all, folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", [*GANS, *ALPHAZERO, "classifier"])
def test_two_ranks_train_what_one_process_trains(name: str, trained: Path) -> None:
    alone, first, second = (load_file(trained / f"{name} {of}") for of in ("0 of 1", "0 of 2", "1 of 2"))
    if name in GANS:
        assert 0.0 < alone["alpha"] < 1.0, "not in a fade"
    else:
        assert any("running_var" in key for key in alone)
    assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)
    if "relativistic" in name:
        # The loss is of differences of scores, in which the last bias cancels: its gradient is rounding alone.
        del alone["discriminator.out.bias"], first["discriminator.out.bias"]
    # Adam divides by the gradient's size: where that is near zero, rounding moves a weight by a part of a step.
    torch.testing.assert_close(alone, first, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("shape", [(6, 3), (6, 3, 4, 5)])
def test_global_norm_alone_is_batch_norm(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    plain: nn.Module = nn.BatchNorm1d(3) if len(shape) == 2 else nn.BatchNorm2d(3)
    ours = convert_batch_norms(nn.Sequential(type(plain)(3)))
    x = (torch.randn(shape) * 0.1 + 30.0).requires_grad_()  # a spread that is small beside the mean
    y = x.detach().clone().requires_grad_()
    weight = torch.randn(shape)
    (plain(x) * weight).sum().backward()
    (ours(y) * weight).sum().backward()
    torch.testing.assert_close(x.grad, y.grad, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(plain.state_dict(), {k.removeprefix("0."): v for k, v in ours.state_dict().items()})
    torch.testing.assert_close(plain.eval()(x), ours.eval()(x))


def _train_all(folder: Path) -> None:
    _train_gans(folder)
    _train_alphazero(folder)
    _train_classifier(folder)


def _train_gans(folder: Path) -> None:
    for name, changes in GANS.items():
        torch.manual_seed(0)
        experiment = ProgressiveGAN(config(**changes), folder, DEVICE)
        for _ in range(_INTO_A_FADE):
            metrics = experiment.iterate()
        trainer = experiment.trainer
        nets = {
            "generator": trainer.generator,
            "discriminator": trainer.discriminator,
            "average": trainer.average.module,
        }
        state = {f"{net}.{key}": value for net in nets for key, value in nets[net].state_dict().items()}
        numbers = {"alpha": metrics["stage/alpha"], "p": trainer.augmentation.probability} | {
            key: value for key, value in metrics.items() if "loss" in key or "norm" in key
        }
        _keep(folder / name, state | {key: torch.tensor(value) for key, value in numbers.items()})


def _train_alphazero(folder: Path) -> None:
    game = make("tic_tac_toe")
    for name, changes in ALPHAZERO.items():
        torch.manual_seed(0)
        settings = LearnerConfig(**({"batch_size": 33, "warmup_steps": 0, "learning_rate": 0.01} | changes))
        learner = Learner(make_network(alphazero(), game), game, settings, DEVICE, 0)
        for step in range(8):
            # Only the leading rank has positions.
            positions = _positions(step) if ranks().is_rank_zero else blank(33, game)
            losses = learner.step(positions, 0)
        state = {f"{of}.{key}": value for of in ("net", "average") for key, value in _weights(learner, of).items()}
        _keep(folder / name, state | losses)


def _weights(learner: Learner, of: str) -> dict[str, Tensor]:
    net = learner.net if of == "net" else learner.average.module
    return dict(net.state_dict())


def _positions(step: int) -> Samples:
    """Of any content: a learner does not ask whether they can come up."""
    draw = torch.Generator().manual_seed(step)
    content = {
        "planes": pack_bits(torch.randint(0, 2, (33, 18), generator=draw)),
        "policy": torch.rand(33, 9, generator=draw).softmax(-1).half(),
        "outcome": torch.randint(-1, 2, (33,), generator=draw).to(torch.int8),
        "search_value": (torch.rand(33, generator=draw) * 2 - 1).half(),
    }
    return Samples(**blank(33, make("tic_tac_toe"))._asdict() | content)


def _train_classifier(folder: Path) -> None:
    torch.manual_seed(0)
    training = {"batch_size": 33, "images_per_iteration": 330}
    settings = SupervisedConfig.model_validate(
        {"budget": 660, "training": training, "network": {"channels": (4, 8), "features": 8}}
    )
    experiment = Supervised(settings, folder, DEVICE)
    for _ in range(2):
        loss = experiment.iterate()["loss/classification"]
    _keep(folder / "classifier", dict(experiment.network.state_dict()) | {"loss": torch.tensor(loss)})


def _keep(path: Path, state: dict[str, Tensor]) -> None:
    mine = ranks()
    contiguous = {name: value.detach().contiguous().clone() for name, value in state.items()}
    save_file(contiguous, f"{path} {mine.rank} of {mine.size}")
