"""Search over chess with a network that knows nothing: mates and repetitions are found by the rules."""

import pytest
import torch
from torch import Tensor

from agents.games.chess import Chess, chess
from agents.games.chess.state import ChessState
from agents.games.moves import state_after
from agents.search import GumbelSearch, PuctSearch, Search, SearchResult
from agents.search.dynamics import GameDynamics

CPU = torch.device("cpu")
GAME = chess()


def uniform(observations: Tensor) -> tuple[Tensor, Tensor]:
    """No preference for a move, and half a win for the player to move."""
    return torch.zeros(len(observations), GAME.num_actions), torch.full((len(observations),), 0.5)


def searched(game: Chess, state: ChessState, search: Search) -> SearchResult:
    dynamics = GameDynamics(game, uniform)
    ids = torch.arange(len(state.plies))
    result = search(dynamics.root(state, game_id=ids, ply=ids), dynamics=dynamics, seed=1)
    return result.over_actions(game.num_actions)


@pytest.mark.parametrize(
    "search",
    [PuctSearch(simulations=200), GumbelSearch(simulations=200, max_considered_actions=64)],
    ids=["puct", "gumbel"],
)
def test_mates_in_one_are_found(search: Search) -> None:
    fens = ["6k1/5ppp/8/8/8/8/8/R6K w - - 0 1", "k7/8/1K6/8/8/8/8/2Q5 w - - 0 1", "4r1k1/8/8/8/8/8/5PPP/6K1 b - - 0 1"]
    state = GAME.from_fen(fens, CPU)
    played = searched(GAME, state, search).policy.argmax(1).tolist()
    assert all(GAME.san(state, action, index=row).endswith("#") for row, action in enumerate(played))


def test_a_repetition_of_positions_before_the_search_is_a_draw_in_the_tree() -> None:
    state = state_after(GAME, ["Nf3", "Nf6", "Ng1", "Ng8"] * 2, CPU)
    assert bool(GAME.done(state))
    state = state_after(GAME, (["Nf3", "Nf6", "Ng1", "Ng8"] * 2)[:-1], CPU)
    result = searched(GAME, state, PuctSearch(simulations=120))
    back, other = (GAME.find_move(state, name) for name in ("Ng8", "a6"))
    assert float(result.visits[0, back]) > 0 and float(result.q[0, back]) == 0
    assert float(result.q[0, other]) < -0.2
