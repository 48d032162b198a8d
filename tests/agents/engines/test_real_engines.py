"""Games with engines of other people, where they are installed."""

import os
import shutil

import pytest

from agents.arena.match import Pairing, play_pairings
from agents.arena.openings import openings
from agents.arena.players import RandomPlayer
from agents.engines.specs import parse_engine
from agents.games import Game, make
from lab.errors import UserError

PATHS = os.pathsep.join(["/usr/games", os.environ["PATH"]])


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program, path=PATHS) is None, reason=f"{program} is not installed")


def played(word: str, game: Game, games: int, seed: int = 0) -> Pairing:
    with parse_engine(word, game).player(game, seed) as player:
        starts = openings(game, games // 2, seed=seed)
        return play_pairings(game, [player, RandomPlayer(game)], [(0, 1)], starts, concurrency=2)[0]


@pytest.mark.slow
@needs("gnugo")
def test_gnu_go_plays_by_the_rules_of_the_run_on_a_small_board() -> None:
    pairing = played("gnugo:--level=1", make("go", size=4, komi=0.5), 2)
    assert pairing.total.games == 2 and pairing.faults == []


@pytest.mark.slow
@needs("gnugo")
def test_a_match_of_gnu_go_repeats_itself() -> None:
    game = make("go", size=5, komi=0.5)
    pairing = played("gnugo:--level=1", game, 4)
    # It captures what is dead: all stones on the board count. One of these openings is lost for it.
    assert pairing.total.won >= 3 and pairing.faults == []
    assert [one.actions for one in played("gnugo:--level=1", game, 4).games] == [one.actions for one in pairing.games]


@needs("gnugo")
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"size": 9, "komi": 5.5}, marks=pytest.mark.slow),
        pytest.param({"size": 7, "ko": "simple"}, marks=pytest.mark.slow),
        # To capture all that is dead takes hundreds of moves.
        pytest.param({"size": 19}, marks=[pytest.mark.long, pytest.mark.timeout(2000)]),
    ],
)
def test_gnu_go_plays_by_the_rules_of_the_run(options: dict[str, object]) -> None:
    pairing = played("gnugo:--level=1", make("go", **options), 4)
    assert pairing.total.won == 4 and pairing.faults == []


@pytest.mark.slow
@needs("gtp-rhino")
def test_rhino_beats_random_moves_in_othello() -> None:
    pairing = played("gtp-rhino:level=1", make("othello"), 4)
    assert pairing.total.won == 4 and pairing.faults == []


@needs("gtp-rhino")
def test_rhino_refuses_a_board_of_36_cells() -> None:
    with pytest.raises(UserError, match="does not play othello on 6 rows and 6 columns"):
        parse_engine("gtp-rhino", make("othello", size=6)).player(make("othello", size=6), 0)


@pytest.mark.slow
@needs("stockfish")
def test_stockfish_beats_random_moves() -> None:
    pairing = played("stockfish:skill=0,nodes=50", make("chess"), 2)
    assert pairing.total.won == 2 and pairing.faults == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "program", [pytest.param(name, marks=needs(name)) for name in ("stockfish", "fairy-stockfish")]
)
def test_chess_is_played_from_the_first_position_of_the_run(program: str) -> None:
    ending = make("chess", start="8/8/8/4k3/8/8/4P3/4K3 w - - 0 1", max_plies=30)
    assert played(f"{program}:depth=1", ending, 2).faults == []


@needs("fairy-stockfish")
def test_fairy_stockfish_beats_random_moves_in_breakthrough() -> None:
    pairing = played("fairy-stockfish:nodes=200", make("breakthrough"), 2)
    assert pairing.total.won == 2 and pairing.faults == []


@needs("stockfish")
def test_an_option_of_stockfish_is_checked() -> None:
    with pytest.raises(UserError, match="Skill Level is from 0 to 20, not '21'"):
        parse_engine("stockfish:skill=21", make("chess")).player(make("chess"), 0)
