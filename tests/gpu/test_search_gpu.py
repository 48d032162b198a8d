"""Searches and self-play on a GPU: the CPU's decisions, graphs that equal eager moves, no waiting."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from agents import games
from agents.alphazero.agent import make_network
from agents.alphazero.network import InferenceNet
from agents.alphazero.records import flattened
from agents.alphazero.search import make_dynamics, make_search
from agents.alphazero.search_config import SearchConfig
from agents.alphazero.selfplay import SelfPlay
from agents.alphazero.selfplay_config import SelfPlayConfig
from agents.search import simulation as trees
from agents.search import triton_kernels
from agents.search.device_kernels import has_triton
from tests.agents.small_alphazero import config
from tests.agents.small_games import small
from tests.gpu.random_trees import random_tree

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(100)]

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
BOARDS, SIMULATIONS = 64, 12


def inference(name: str, device: torch.device, seed: int = 0, precision: str = "fp32") -> InferenceNet:
    game = small(name)
    torch.manual_seed(seed)
    settings = config(game={"name": name}, network={"channels": 16, "blocks": 1})
    return InferenceNet(make_network(settings, game).to(device), precision=precision, form="plain")


def selfplay(name: str, algorithm: str, device: torch.device, evaluate: Any, **settings: Any) -> SelfPlay:
    game = small(name)
    search = SearchConfig.model_validate({"algorithm": algorithm, "simulations": SIMULATIONS})
    return SelfPlay(
        game,
        search=make_search(search, game=game, device=device),
        dynamics=make_dynamics(game, evaluate, 0, device),
        config=SelfPlayConfig(boards=BOARDS, **settings),
        seed=1,
        device=device,
    )


def tensors(player: SelfPlay) -> list[Tensor]:
    """State, ids and records of the games in progress."""
    saved = player.state_dict()
    return [*saved["state"], saved["ids"], saved["plies"], *saved["records"].values()]


@pytest.mark.parametrize("algorithm", ["gumbel", "puct"])
@pytest.mark.parametrize("name", games.GAMES)
def test_a_search_decides_as_on_the_cpu(name: str, algorithm: str) -> None:
    decisions = []
    for device in (CPU, GPU):
        player = selfplay(name, algorithm, device, inference(name, device), opening_plies=2)
        ids = torch.arange(BOARDS, device=device)
        with torch.inference_mode():
            root = player.dynamics.root(player._state, game_id=ids, ply=player._plies)
            result = player.search(root, dynamics=player.dynamics, seed=1, temperature=1.0)
        decisions.append((result.visits.cpu(), result.value.cpu()))
    (cpu_visits, cpu_value), (gpu_visits, gpu_value) = decisions
    same = (cpu_visits == gpu_visits).all(1)
    # Rounding decides between actions of almost equal worth.
    assert same.float().mean() > 0.9
    torch.testing.assert_close(cpu_value[same], gpu_value[same], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("algorithm", ["gumbel", "puct"])
@pytest.mark.parametrize("name", games.GAMES)
def test_replayed_moves_equal_eager_ones(name: str, algorithm: str) -> None:
    evaluate = inference(name, GPU)
    replayed = selfplay(name, algorithm, GPU, evaluate, resign_below=-0.9)
    eager = selfplay(name, algorithm, GPU, evaluate, resign_below=-0.9)
    eager._replay = None
    for move in range(8):
        ended = [player.move(version=move) for player in (replayed, eager)]
        assert (ended[0] is None) == (ended[1] is None)
        if ended[0] is not None and ended[1] is not None:
            assert all(map(torch.equal, flattened(ended[0]), flattened(ended[1])))
        assert all(map(torch.equal, tensors(replayed), tensors(eager)))
    assert replayed._replay is not None and replayed._replay.captured
    assert replayed.dynamics.counts == eager.dynamics.counts


def test_new_weights_are_played_without_a_new_capture() -> None:
    evaluate = inference("connect_four", GPU)
    player = selfplay("connect_four", "gumbel", GPU, evaluate)
    for _ in range(4):
        player.move(version=0)
    assert player._replay is not None
    graph = player._replay._graph
    saved = copy.deepcopy(player.state_dict())
    copies = [tensor.clone() for tensor in tensors(player)]
    other = make_network(config(game={"name": "connect_four"}, network={"channels": 16, "blocks": 1}), player.game)
    evaluate.update(other.to(GPU))
    fresh = selfplay("connect_four", "gumbel", GPU, evaluate)
    fresh.load_state_dict(saved)
    fresh._replay = None
    player.move(version=1)
    fresh.move(version=1)
    assert player._replay._graph is graph
    assert all(map(torch.equal, tensors(player), tensors(fresh)))
    assert not all(map(torch.equal, tensors(player), copies))


@pytest.mark.parametrize("name", games.GAMES)
def test_a_move_does_not_wait_for_the_device(name: str) -> None:
    player = selfplay(name, "gumbel", GPU, inference(name, GPU))
    with torch.inference_mode():
        player.play()
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            player.play()
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.skipif(triton_kernels.triton is None, reason="this torch comes without Triton")
def test_triton_kernels_equal_the_reference() -> None:
    assert has_triton(GPU)
    for seed in range(4):
        batch, depth = 1 + 67 * seed, 1 + 4 * seed
        reference = random_tree(batch, depth, seed)
        mine = random_tree(batch, depth, seed, GPU)
        first = torch.arange(batch) * mine.slots
        path = triton_kernels.descend(mine, first.to(GPU), depth)
        expected = trees.descend_fixed_length(reference, first, depth - 1)
        assert torch.equal(path.cpu(), expected)
        value = torch.linspace(-1, 1, batch)
        triton_kernels.back_up(mine, path, value.to(GPU))
        trees._back_up(reference, expected, value)
        assert torch.equal(mine.visits.cpu(), reference.visits)
        assert torch.equal(mine.value_sum.cpu(), reference.value_sum)


def test_bf16_evaluates_almost_as_fp32() -> None:
    game = small("connect_four")
    observation = torch.rand(64, *game.observation_shape, device=GPU).round()
    exact = inference("connect_four", GPU)(observation)
    rounded = inference("connect_four", GPU, precision="bf16")(observation)
    torch.testing.assert_close(exact[0].softmax(-1), rounded[0].softmax(-1), rtol=0.1, atol=0.02)
    torch.testing.assert_close(exact[1], rounded[1], rtol=0.1, atol=0.05)


def test_memory_does_not_grow_from_move_to_move() -> None:
    player = selfplay("connect_four", "gumbel", GPU, inference("connect_four", GPU))
    for _ in range(6):
        player.move(version=0)
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    for _ in range(20):
        player.move(version=0)
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() <= before + 2**20
