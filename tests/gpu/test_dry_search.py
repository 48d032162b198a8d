"""Searches and self-play of every game on CUDA tensors without data: one device, no copies, no waiting."""

from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException

from agents import games
from agents.alphazero.agent import make_network
from agents.alphazero.network import InferenceNet
from agents.alphazero.search import make_dynamics, make_search
from agents.alphazero.search_config import SearchConfig
from agents.alphazero.selfplay import SelfPlay
from agents.alphazero.selfplay_config import SelfPlayConfig
from tests.agents.small_alphazero import config
from tests.gpu.fake_cuda import CUDA, NoTransfers, Transfer, fake_cuda

pytestmark = pytest.mark.gpu_dry

WAITS = DataDependentOutputException, DynamicOutputShapeException
BOARDS = 8
SIMULATIONS = 3


def selfplay(name: str, algorithm: str, **settings: Any) -> SelfPlay:
    game = games.make(name)
    evaluate = InferenceNet(make_network(config(game={"name": name}), game).to(CUDA), precision="bf16")
    search = SearchConfig.model_validate({"algorithm": algorithm, "simulations": SIMULATIONS})
    return SelfPlay(
        game,
        search=make_search(search, game=game, device=CUDA),
        dynamics=make_dynamics(game, evaluate, None, CUDA),
        config=SelfPlayConfig(boards=BOARDS, **settings),
        seed=1,
        device=CUDA,
    )


@pytest.mark.parametrize("algorithm", ["gumbel", "puct"])
@pytest.mark.parametrize("name", games.GAMES)
def test_a_move_of_self_play_neither_copies_nor_waits(name: str, algorithm: str) -> None:
    with fake_cuda():
        player = selfplay(name, algorithm, record_states=True, resign_below=-0.9)
        stored = [id(field) for field in player.state_dict()["state"]]
        with torch.inference_mode():
            player.play()  # fills the tables that are made once per device
            with NoTransfers():
                over, resigned = player.play()
        assert (over.shape, over.device, resigned.device) == ((BOARDS,), CUDA, CUDA)
        assert [id(field) for field in player.state_dict()["state"]] == stored


def test_games_begin_on_the_device() -> None:
    with fake_cuda():
        assert all(field.device == CUDA for field in selfplay("chess", "gumbel", opening_plies=2).state_dict()["state"])


def test_the_only_host_sync_of_a_move_is_that_of_ended_games() -> None:
    with fake_cuda():
        player = selfplay("tic_tac_toe", "gumbel")
        player._replay = None
        with pytest.raises(WAITS, match="nonzero"):
            player.move(version=0)


def test_devices_that_are_mixed_raise() -> None:
    with fake_cuda(), pytest.raises(RuntimeError, match="device"):
        torch.zeros(3, device=CUDA) + torch.zeros(3)


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.any()),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
    ],
    ids=["item", "bool", "nonzero", "mask"],
)
def test_what_waits_for_the_device_raises(wait: Any) -> None:
    with fake_cuda():
        x = torch.zeros(3, device=CUDA)
        with pytest.raises(WAITS):
            wait(x)


@pytest.mark.parametrize(
    "copy",
    [
        lambda x: x.cpu(),
        lambda x: x.copy_(torch.zeros(3)),
        lambda x: torch.tensor([1.0, 2.0], device=CUDA),
        lambda x: torch.zeros(3).to(CUDA),
        lambda x: x[torch.zeros(2, dtype=torch.int64)],
    ],
    ids=["to the host", "in place", "new tensor", "to the device", "index"],
)
def test_copies_between_host_and_device_raise(copy: Any) -> None:
    with fake_cuda():
        x = torch.zeros(3, device=CUDA)
        with NoTransfers(), pytest.raises(Transfer):
            copy(x)
