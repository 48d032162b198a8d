"""Finished games on their way from a worker."""

import pytest

from agents.alphazero.records import concatenate
from agents.games import Game, make
from cluster.workers.processes import pack, unpack
from tests.agents.games.patrol import Patrol
from tests.agents.small_alphazero import play_games, selfplay
from tests.same_run import assert_same_bits


@pytest.mark.parametrize("game", [make("tic_tac_toe"), Patrol()], ids=lambda game: game.name)
def test_records_arrive_as_they_were_played(game: Game) -> None:
    """Those of a game of movement have actions, numbers and states, which are empty in one of cells."""
    finished = play_games(selfplay(game, record_states=isinstance(game, Patrol), opening_plies=2), 20)
    arrays = pack(finished)
    assert arrays is not None
    assert_same_bits(tuple(unpack(arrays)), tuple(concatenate(finished)))
