"""Self-play: what leaves it are whole games by the rules, and each depends on its seed, id and weights alone."""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from agents.alphazero.records import FinishedGames, Samples, concatenate, unpack_bits
from agents.alphazero.selfplay import random_opening, root_temperature
from agents.alphazero.selfplay_config import TemperatureConfig
from agents.games import make, select
from agents.search import GumbelSearch, PuctSearch, Search
from lab.run import checkpoint
from tests.agents.small_alphazero import play_games, selfplay
from tests.same_run import assert_same_bits

QUICK = GumbelSearch(simulations=2, max_considered_actions=2)
BOTH = [GumbelSearch(simulations=6, max_considered_actions=4), PuctSearch(simulations=4)]
CONNECT_FOUR = make("connect_four", rows=4, columns=5, length=3)
TIC_TAC_TOE = make("tic_tac_toe")
GAMES = [TIC_TAC_TOE, CONNECT_FOUR]


def name(value: Any) -> str:
    return str(getattr(value, "name", type(value).__name__))


class Game(NamedTuple):
    """One finished game, taken apart: its positions in order of play."""

    id: int
    plies: int
    first_reward: int
    resigned: bool
    wrong_resignation: int
    positions: Samples


def split(game: Any, batches: list[FinishedGames]) -> dict[int, Game]:
    """Games by id. The stones on the board count the plies, which tells where a game's positions end."""
    games = concatenate(batches)
    stones = unpack_bits(games.positions.planes, planes_size(game)).sum(1)
    found, start = {}, 0
    for g, plies in enumerate(games.plies.tolist()):
        end = start + int((stones[start:] == plies - 1).nonzero()[0, 0]) + 1
        positions = Samples(*(field[start:end] for field in games.positions))
        header = [int(field[g]) for field in games[2:]]
        found[header[0]] = Game(header[0], header[1], header[2], bool(header[3]), header[4], positions)
        start = end
    assert start == len(games.positions)
    return found


def planes_size(game: Any) -> int:
    channels, height, width = game.observation_shape
    return int(channels * height * width)


def boards(game: Any, positions: Samples) -> Any:
    planes = unpack_bits(positions.planes, planes_size(game))
    return game.from_observation(planes.view(-1, *game.observation_shape))


def successors(game: Any, state: Any) -> Any:
    """Every position one legal move after a single one."""
    actions = game.legal(state)[0].nonzero()[:, 0]
    return game.step(select(state, torch.zeros_like(actions)), actions)


@pytest.mark.parametrize("search", BOTH, ids=name)
@pytest.mark.parametrize("game", GAMES, ids=name)
def test_recorded_positions_are_a_legal_game_whose_result_every_mover_is_told(game: Any, search: Search) -> None:
    games = split(game, play_games(selfplay(game, search=search, opening_plies=3), moves=14))
    assert len(games) > 16
    results = set()
    for played in games.values():
        states = boards(game, played.positions)
        count = len(played.positions)
        assert not game.done(states).any()
        assert states.plies.tolist() == list(range(played.plies - count, played.plies))
        for ply in range(count - 1):
            after = successors(game, select(states, torch.tensor([ply])))
            assert game.key(states)[ply + 1] in game.key(after)
        last = successors(game, select(states, torch.tensor([count - 1])))
        ended = game.reward(last)[game.done(last), 0].tolist()
        assert played.first_reward in ended
        sign = 1 - 2 * game.player(states)
        assert torch.equal(played.positions.outcome, (played.first_reward * sign).to(torch.int8))
        results.add(played.first_reward)
    assert results >= {-1, 1}


@pytest.mark.parametrize("search", BOTH, ids=name)
@pytest.mark.parametrize("game", GAMES, ids=name)
def test_policies_are_distributions_over_legal_actions(game: Any, search: Search) -> None:
    positions = concatenate(play_games(selfplay(game, search=search), moves=10)).positions
    policy = positions.policy.double()
    assert torch.allclose(policy.sum(1), torch.ones(len(policy), dtype=torch.float64), atol=2e-3)
    assert (policy[~game.legal(boards(game, positions))] == 0).all()
    assert (positions.search_value.abs() <= 1).all()


def test_every_position_knows_the_version_that_searched_it() -> None:
    player = selfplay(TIC_TAC_TOE, boards=4)
    batches = [ended for version in range(100, 120) if (ended := player.move(version)) is not None]
    games = split(TIC_TAC_TOE, batches)
    for played in games.values():
        first = int(played.positions.version[0])
        assert played.positions.version.tolist() == list(range(first, first + len(played.positions)))
    assert {int(played.positions.version[0]) for played in games.values()} > {100}


@pytest.mark.parametrize("search", BOTH, ids=name)
@pytest.mark.parametrize("game", GAMES, ids=name)
def test_a_game_is_a_function_of_its_id_whatever_the_batch_and_the_worker(game: Any, search: Search) -> None:
    settings: dict[str, Any] = {"search": search, "opening_plies": 3, "resign_below": -0.8, "resign_audit": 0.5}
    whole = split(game, play_games(selfplay(game, boards=16, **settings), moves=12))
    others = [
        selfplay(game, boards=7, **settings),
        selfplay(game, boards=16, cache_slots=64, **settings),
        selfplay(game, boards=5, first_game_id=1, stride=3, **settings),
        selfplay(game, boards=2, first_game_id=2, stride=3, **settings),
    ]
    for other in others:
        games = split(game, play_games(other, moves=14))
        shared = sorted(games.keys() & whole.keys())
        assert len(shared) >= 3
        for id in shared:
            assert_same_bits(games[id], whole[id], f"game {id}")


def test_another_seed_plays_other_games() -> None:
    one, other = (split(TIC_TAC_TOE, play_games(selfplay(TIC_TAC_TOE, seed=s), moves=9)) for s in (3, 4))
    shared = one.keys() & other.keys()
    assert any(not torch.equal(one[i].positions.planes, other[i].positions.planes) for i in shared)


def test_workers_with_strides_share_no_game_and_leave_none_out() -> None:
    workers = [selfplay(TIC_TAC_TOE, boards=4, first_game_id=w, stride=3) for w in range(3)]
    ids = [set(split(TIC_TAC_TOE, play_games(w, moves=18))) for w in workers]
    assert not (ids[0] & ids[1] or ids[1] & ids[2] or ids[0] & ids[2])
    assert ids[0] | ids[1] | ids[2] >= set(range(3 * 4))
    assert all(id % 3 == worker for worker in range(3) for id in ids[worker])


@pytest.mark.parametrize("moves", [1, 3, 10])
def test_saved_in_the_middle_of_games_it_continues_identically(tmp_path: Path, moves: int) -> None:
    settings: dict[str, Any] = {"opening_plies": 2, "resign_below": -0.7, "resign_audit": 0.5}
    straight = selfplay(CONNECT_FOUR, **settings)
    play_games(straight, moves)
    path = checkpoint.save(tmp_path, straight.state_dict(), iteration=1, counters={})
    other = selfplay(CONNECT_FOUR, **settings)
    play_games(other, 2)  # whatever it was doing is forgotten
    other.load_state_dict(checkpoint.load(path)[0])
    one, two = (play_games(player, 15, version=moves) for player in (straight, other))
    assert len(one) > 5
    assert_same_bits(one, two)


# Openings


def test_the_number_of_opening_plies_is_uniform_and_no_opening_ends_a_game() -> None:
    game, most = make("connect_four"), 6  # no game of Connect Four ends within six plies
    state, plies = random_opening(game, torch.arange(14_000), 0, most)
    assert torch.equal(plies, state.plies) and not game.done(state).any()
    count = torch.bincount(plies, minlength=most + 1).double()
    assert len(count) == most + 1
    chi_square = float(((count - 2000).square() / 2000).sum())
    assert chi_square < 22.5  # 6 degrees of freedom: once in a thousand


@pytest.mark.parametrize("game", GAMES, ids=name)
def test_openings_as_long_as_the_game_allows_are_still_running(game: Any) -> None:
    state, plies = random_opening(game, torch.arange(3000), 1, game.max_plies - 1)
    assert not game.done(state).any() and game.legal(state).any(1).all()
    assert plies.max() > game.max_plies // 2


def test_opening_moves_are_even_over_the_legal_actions() -> None:
    game = make("connect_four")
    state, plies = random_opening(game, torch.arange(40_000), 0, 1)
    column = state.cells[plies == 1].view(-1, 6, 7)[:, 5].abs().double().mean(0)
    assert torch.allclose(column, torch.full((7,), 1 / 7, dtype=torch.float64), atol=0.01)


def test_an_opening_depends_on_seed_and_id_alone() -> None:
    game = make("connect_four")
    whole, _ = random_opening(game, torch.arange(50), 0, 8)
    part, _ = random_opening(game, torch.arange(20, 30), 0, 8)
    other, _ = random_opening(game, torch.arange(50), 1, 8)
    assert_same_bits(tuple(part), tuple(field[20:30] for field in whole))
    assert not torch.equal(whole.cells, other.cells)


def test_opening_plies_are_not_recorded() -> None:
    player = selfplay(CONNECT_FOUR, boards=64, opening_plies=4, search=QUICK)
    games = split(player.game, play_games(player, moves=20))
    started = {played.plies - len(played.positions) for played in games.values()}
    assert started == set(range(5))


# Temperature


@pytest.mark.parametrize(
    ("start", "end", "decay", "expected"),
    [
        (1.0, 1.0, 0, [1.0, 1.0, 1.0, 1.0, 1.0]),
        (1.0, 0.0, 4, [1.0, 0.75, 0.5, 0.25, 0.0]),
        (0.5, 1.5, 2, [0.5, 1.0, 1.5, 1.5, 1.5]),
        (1.0, 0.2, 0, [0.2, 0.2, 0.2, 0.2, 0.2]),
    ],
)
def test_root_temperature_falls_linearly_to_its_end(
    start: float, end: float, decay: int, expected: list[float]
) -> None:
    config = TemperatureConfig(start=start, end=end, decay_plies=decay)
    torch.testing.assert_close(root_temperature(config, torch.arange(5)), torch.tensor(expected))


@pytest.mark.parametrize(
    "search",
    [GumbelSearch(simulations=8, max_considered_actions=4), PuctSearch(simulations=8, dirichlet_fraction=0.0)],
    ids=name,
)
def test_games_differ_only_while_there_is_temperature(search: Search) -> None:
    def different(**temperature: float) -> list[int]:
        """How many different boards there are after each move of all games side by side."""
        player = selfplay(CONNECT_FOUR, boards=16, search=search, temperature=temperature)
        games = split(player.game, play_games(player, CONNECT_FOUR.max_plies))
        first = [games[i].positions.planes for i in range(16)]
        return [len({tuple(planes[ply].tolist()) for planes in first}) for ply in range(4)]

    assert different(start=0.0, end=0.0) == [1] * 4
    # Ply 0 alone has noise: the games part there and nowhere else.
    parted = different(start=1.0, end=0.0, decay_plies=1)
    assert parted[0] == 1 < parted[1] and all(count <= parted[1] for count in parted)


# Resignation

BELOW = -0.3


def first_below(played: Game) -> int | None:
    """The first position whose searched value gives a reason to resign."""
    below = (played.positions.search_value.float() < BELOW).nonzero()[:, 0]
    return int(below[0]) if len(below) else None


def resigning(
    audit: float, game: Any = CONNECT_FOUR, search: Any = QUICK, moves: int = 25, **settings: Any
) -> dict[int, Game]:
    player = selfplay(game, boards=64, search=search, resign_below=BELOW, resign_audit=audit, **settings)
    return split(game, play_games(player, moves))


@cache
def without_resignation() -> dict[int, Game]:
    return split(CONNECT_FOUR, play_games(selfplay(CONNECT_FOUR, boards=64, search=QUICK), 25))


def test_nobody_resigns_unless_told_to() -> None:
    games = without_resignation()
    assert any(first_below(played) is not None for played in games.values())
    assert not any(played.resigned for played in games.values())
    assert {played.wrong_resignation for played in games.values()} == {-1}


def test_who_resigns_loses_at_the_first_reason_and_the_moves_before_are_those_of_the_whole_game() -> None:
    whole, games = without_resignation(), resigning(audit=0.0)
    resigned = [played for played in games.values() if played.resigned]
    assert len(resigned) > 20
    for played in resigned:
        assert first_below(played) == len(played.positions) - 1
        assert int(played.positions.outcome[-1]) == -1 and played.first_reward in (-1, 1)
        if played.id in whole:
            planes = whole[played.id].positions.planes
            assert torch.equal(played.positions.planes, planes[: len(played.positions)])


def test_without_audits_no_resignation_counts_as_right_or_wrong() -> None:
    games = resigning(audit=0.0, game=TIC_TAC_TOE, search=PuctSearch(simulations=1), opening_plies=8)
    # A move can end the game although its mover would have given up: nobody was audited there.
    assert any(not p.resigned and first_below(p) is not None for p in games.values())
    assert {played.wrong_resignation for played in games.values()} == {-1}


def test_audited_games_go_on_and_say_whether_resigning_would_have_been_wrong() -> None:
    whole, games = without_resignation(), resigning(audit=1.0)
    assert games.keys() == whole.keys()
    seen: dict[int, int] = {-1: 0, 0: 0, 1: 0}
    for id, played in games.items():
        assert not played.resigned
        assert_same_bits(played.positions, whole[id].positions, f"game {id}")
        reason = first_below(played)
        expected = -1 if reason is None else int(played.positions.outcome[reason] > -1)
        assert played.wrong_resignation == expected
        seen[expected] += 1
    assert min(seen.values()) > 0


def test_the_share_of_audited_games_is_as_configured() -> None:
    games = resigning(audit=0.25, moves=40).values()
    resigned = sum(played.resigned for played in games)
    audited = sum(played.wrong_resignation >= 0 for played in games)
    assert resigned + audited > 120
    assert abs(audited / (resigned + audited) - 0.25) < 0.1
