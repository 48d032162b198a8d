"""Playout cap randomization: which moves are searched fully, and that only these train the policy."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from agents.alphazero.agent import make_network
from agents.alphazero.learner import Learner
from agents.alphazero.network import PolicyValueNet
from agents.alphazero.playout_cap import CappedSearch, is_full_search
from agents.alphazero.records import FinishedGames, Samples, concatenate
from agents.alphazero.search import make_search, make_selfplay_search
from agents.games import make
from agents.search import GumbelSearch, PuctSearch
from agents.search.dynamics import GameDynamics
from lab.errors import UserError
from tests.agents.small_alphazero import CPU, DEVICE, config, hashed, play_games, selfplay
from tests.same_run import assert_same_bits

TIC_TAC_TOE = make("tic_tac_toe")
FRACTION = 0.4
FULL = GumbelSearch(simulations=8, max_considered_actions=4)
CAPPED = CappedSearch(full=FULL, cheap=replace(FULL, simulations=2), fraction=FRACTION)


def played(boards: int = 8, first_game_id: int = 0, search: Any = CAPPED, **settings: Any) -> FinishedGames:
    settings = {"full_search_fraction": FRACTION, "recorded_boards": boards, "opening_plies": 3} | settings
    player = selfplay(TIC_TAC_TOE, boards=boards, first_game_id=first_game_id, stride=16, search=search, **settings)
    return concatenate(play_games(player, 9))


def test_the_share_of_full_searches_is_the_configured_one() -> None:
    ids, plies = torch.arange(2000)[:, None], torch.arange(20)
    assert is_full_search(0.25, 7, ids, plies).float().mean() == pytest.approx(0.25, abs=0.01)
    assert bool(is_full_search(1.0, 7, ids, plies).all())


def test_a_move_marked_cheap_had_the_cheap_number_of_simulations() -> None:
    games = played()
    moves = games.moves
    full = is_full_search(FRACTION, 3, moves.game_id, moves.ply.long())
    assert 0 < int(full.sum()) < len(full)
    assert moves.visits.sum(1).tolist() == torch.where(full, 8, 2).tolist()
    assert games.positions.cheap[:, 0].bool().tolist() == (~full).tolist()


@pytest.mark.parametrize("full", [FULL, PuctSearch(simulations=6)], ids=["gumbel", "puct"])
@pytest.mark.parametrize("name", ["tic_tac_toe", "go"])
def test_each_root_gets_what_its_own_search_finds_alone(full: Any, name: str) -> None:
    game = make(name, size=3) if name == "go" else make(name)  # go has slots of its own and a history
    dynamics = GameDynamics(game, hashed(game.num_actions))
    ids = torch.arange(12)
    root = dynamics.root(game.initial(12, CPU), game_id=ids, ply=ids * 0 + 2)
    temperature = torch.linspace(0.1, 1.0, 12)
    cheap = replace(full, simulations=2)
    capped = CappedSearch(full=full, cheap=cheap, fraction=0.5, cheap_temperature=0.5)
    mixed = capped(root, dynamics=dynamics, seed=1, temperature=temperature)
    everywhere = full(root, dynamics=dynamics, seed=1, temperature=temperature)
    quick = cheap(root, dynamics=dynamics, seed=1, temperature=temperature * 0.5)
    chosen = is_full_search(0.5, 1, ids, root.ply)
    assert 0 < int(chosen.sum()) < 12
    for field, one, other in zip(mixed, everywhere, quick, strict=True):
        assert_same_bits(field, torch.where(chosen.view(-1, *[1] * (field.dim() - 1)), one, other))


def test_a_game_does_not_depend_on_its_batch() -> None:
    alone, among = played(boards=1, first_game_id=16), played(boards=4)
    rows = among.moves.game_id == 16
    assert int(rows.sum()) == int((alone.moves.game_id == 16).sum()) > 0
    count = int(rows.sum())
    assert_same_bits([f[:count] for f in alone.moves], [f[rows] for f in among.moves])
    assert_same_bits([f[:count] for f in alone.positions], [f[rows] for f in among.positions])


def test_cheap_positions_can_be_dropped() -> None:
    everything, full = played(), played(record_cheap=False)
    kept = everything.positions.cheap[:, 0] == 0
    assert_same_bits([f[kept] for f in everything.positions], list(full.positions))
    assert_same_bits(list(everything.game_id), list(full.game_id))


def test_cheap_positions_train_the_value_alone() -> None:
    settings = config()
    net = make_network(settings, TIC_TAC_TOE)
    games = played(full_search_fraction=1.0, search=FULL)
    marked = Samples(**games.positions._asdict() | {"cheap": torch.ones(len(games.positions), 1, dtype=torch.uint8)})

    def step(positions: Any) -> tuple[dict[str, float], PolicyValueNet]:
        torch.manual_seed(0)
        learner = Learner(make_network(settings, TIC_TAC_TOE), TIC_TAC_TOE, settings.learner, DEVICE, 0)
        learner.net.load_state_dict(net.state_dict())
        result = learner.step(positions, 0)
        return {name: float(value) for name, value in result.items()}, learner.net

    whole, _ = step(games.positions)
    value_only, trained = step(marked)
    assert whole["loss/policy"] > 0 and value_only["loss/policy"] == 0
    assert value_only["loss/value"] == whole["loss/value"]
    gradients = {name: weight.grad for name, weight in trained.named_parameters() if name.startswith("policy")}
    assert gradients and all(grad is None or not bool(grad.any()) for grad in gradients.values())


def test_by_default_self_play_has_the_configured_search() -> None:
    settings = config()
    assert make_selfplay_search(settings, game=TIC_TAC_TOE, device=CPU) == make_search(
        settings.search, game=TIC_TAC_TOE, device=CPU
    )


def test_a_device_of_fixed_shapes_is_refused_in_one_line() -> None:
    settings = config(selfplay={"full_search_fraction": 0.5, "cheap_simulations": 2})
    with pytest.raises(UserError, match=r"full_search_fraction 0\.5 .* set it to 1, or device=cpu"):
        make_selfplay_search(settings, game=TIC_TAC_TOE, device=torch.device("cuda"))


def test_cheap_searches_must_be_cheaper() -> None:
    with pytest.raises(ValidationError, match=r"cheap_simulations 4 must be below search\.simulations 4"):
        config(selfplay={"full_search_fraction": 0.5, "cheap_simulations": 4})
