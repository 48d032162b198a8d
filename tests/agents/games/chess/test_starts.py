"""First positions: FEN, and random endings, which are legal, running and a function of seed and game."""

import copy

import pytest
import torch

from agents.alphazero.selfplay import SelfPlay, random_opening
from agents.alphazero.selfplay_config import SelfPlayConfig
from agents.arena.openings import openings
from agents.games import make, select
from agents.games.chess import Chess
from agents.games.testing import same
from agents.search import GumbelSearch
from agents.search.dynamics import GameDynamics
from lab.errors import UserError

CPU = torch.device("cpu")
ENDINGS = "KQvK; KRvKP; KvKPP"
FIRST = "4k3/8/8/8/8/8/4P3/4K3 w - - 12 40"


def fens(game: Chess, seed: int, ids: list[int]) -> list[str]:
    state = game.sample_initial(seed, torch.tensor(ids))
    return [game.fen(state, index) for index in range(len(ids))]


def material(fen: str) -> str:
    letters = sorted(letter for letter in fen.split()[0] if letter.isalpha())
    return "".join(letters)


def endings() -> Chess:
    game = make("chess", start=ENDINGS)
    assert isinstance(game, Chess)
    return game


def test_endings_are_legal_running_and_of_the_material() -> None:
    game = endings()
    found = fens(game, 1, list(range(200)))
    game.from_fen(found, CPU)  # raises where a position breaks the rules
    state = game.sample_initial(1, torch.arange(200))
    assert not game.done(state).any() and not game.plies(state).any()
    counts = {name: sum(material(fen) == name for fen in found) for name in ("KQk", "KRkp", "Kkpp")}
    assert sum(counts.values()) == 200 and min(counts.values()) > 40
    assert len(set(found)) > 190


def test_a_first_position_depends_on_seed_and_game_alone() -> None:
    game = endings()
    alone, together = fens(game, 3, [7]), fens(game, 3, [5, 7, 9])
    assert alone[0] == together[1]
    assert fens(game, 4, [7]) != alone


def test_every_square_is_drawn() -> None:
    game = make("chess", start="KQvK")
    planes = game.observe(game.sample_initial(0, torch.arange(600)))
    assert (planes[:, [4, 5, 11]].sum(0) > 0).all()


def test_positions_of_fens_are_drawn() -> None:
    other = "8/8/8/8/4k3/8/8/K6R w - - 0 1"
    game = make("chess", start=f"{FIRST};{other}")
    assert isinstance(game, Chess)
    assert {fen.split()[0] for fen in fens(game, 0, list(range(40)))} == {FIRST.split()[0], other.split()[0]}
    assert game.fen(game.initial(2, CPU), 1) == "4k3/8/8/8/8/8/4P3/4K3 w - - 12 1"


def test_the_initial_state_is_the_only_first_position_of_other_games() -> None:
    for game in (make("chess"), make("tic_tac_toe"), make("chess", start=FIRST)):
        assert same(game.sample_initial(5, torch.arange(3)), game.initial(3, CPU))


def test_sampling_reads_no_value() -> None:
    game = endings()
    state = game.sample_initial(0, torch.zeros(4, dtype=torch.int64, device="meta"))
    assert state.words.device.type == "meta"


def test_self_play_and_matches_begin_at_sampled_positions() -> None:
    game = endings()
    state, plies = random_opening(game, torch.arange(20), 2, 0)
    assert same(state, game.sample_initial(2, torch.arange(20)))
    assert not plies.any()
    assert openings(game, 30, seed=1).distinct == 30


def test_self_play_from_endings_resumes_exactly() -> None:
    game = make("chess", start="KQvK", max_plies=6)

    def uniform(observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(len(observation), game.num_actions), torch.zeros(len(observation))

    def selfplay() -> SelfPlay:
        config = SelfPlayConfig(boards=3, cache_slots=0)
        dynamics = GameDynamics(game, uniform)
        return SelfPlay(game, search=GumbelSearch(simulations=3), dynamics=dynamics, config=config, seed=1, device=CPU)

    one, two = selfplay(), selfplay()
    for _ in range(4):
        one.move(0)
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    for _ in range(5):  # past the end of every game, so that both draw new positions
        a, b = one.move(0), two.move(0)
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert torch.equal(a.positions.planes, b.positions.planes)
            assert torch.equal(a.game_id, b.game_id)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("KvK", "too few placements of the ending KvK are legal"),
        ("KQQQQvKQQQQQ", "has 11 pieces, more than 10"),
        ("QvK", "FEN 'QvK'"),
        (" ; ", "give a FEN or an ending's material"),
        (f"KQvK;{FIRST.replace(' w ', ' b ')}", "White is to move in the position `start`"),
        (f"KQvK;{FIRST.replace(' 12 ', ' 100 ')}", "the game is over .*moves without progress"),
    ],
)
def test_a_start_that_cannot_be_says_why(start: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make("chess", start=start)


def test_a_board_of_a_batch_is_the_board_alone() -> None:
    game = endings()
    state = game.sample_initial(1, torch.arange(6))
    assert same(select(state, torch.tensor([4])), game.sample_initial(1, torch.tensor([4])))
