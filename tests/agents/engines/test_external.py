"""Engines of other programs as players: whole games, and engines that break down or cheat."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from torch import Tensor

from agents.arena.match import Pairing, play_pairings
from agents.arena.openings import openings
from agents.arena.players import RandomPlayer
from agents.engines.external import EnginePlayer
from agents.engines.specs import parse_engine
from agents.games import Game, make
from lab.errors import UserError

FOLDER = Path(__file__).parent
GAME = make("tic_tac_toe")
BREAKTHROUGH = make("breakthrough")


def command(engine: str, *arguments: str) -> str:
    return " ".join([sys.executable, "-I", "-S", str(FOLDER / f"{engine}.py"), *arguments])


def gtp(*arguments: str, settings: str = "timeout=1", game: Game = GAME) -> EnginePlayer:
    return hasty(f"gtp:{settings} {command('fake_gtp', *arguments)}", game)


def uci(*arguments: str, settings: str = "timeout=1", game: Game = BREAKTHROUGH) -> EnginePlayer:
    return hasty(f"uci:{settings} {command('fake_uci', *arguments)}", game)


def hasty(word: str, game: Game) -> EnginePlayer:
    """The player of a word that is waited for less than a second."""
    spec = parse_engine(word, game)
    return replace(spec, limits=replace(spec.limits, timeout_s=0.4)).player(game, seed=0)


def played(player: EnginePlayer, games: int, game: Game = GAME, concurrency: int = 1) -> Pairing:
    """A match of an engine against random moves."""
    starts = openings(game, games // 2, seed=0)
    return play_pairings(game, [player, RandomPlayer(game)], [(0, 1)], starts, concurrency=concurrency)[0]


def ended(numbers: list[int]) -> bool:
    """Whether all processes end soon: a signal takes a moment."""
    deadline = time.monotonic() + 5
    while any(map(alive, numbers)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(map(alive, numbers))


def alive(number: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_an_engine_plays_whole_games_with_both_colours() -> None:
    with gtp("chatter") as player:
        alone = played(player, 6)
        assert alone.total.games == 6 and alone.faults == []
        # Its moves are those of the games: the first empty cell from below, which is action 6, 7, 8, 3, ...
        order = [6, 7, 8, 3, 4, 5, 0, 1, 2]
        for number, game in enumerate(alone.games):
            for ply in range(game.opening_plies, len(game.actions)):
                if ply % 2 == number % 2:
                    free = [cell for cell in order if cell not in game.actions[:ply]]
                    assert game.actions[ply] == free[0]
        assert played(player, 6, concurrency=3) == alone


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("hang=2", "no move in time"),
        pytest.param("silent=2", "no end of the move in time", marks=pytest.mark.slow),
        pytest.param("flood=1", "no move in time", marks=pytest.mark.slow),
        ("crash=2", "it ended with exit code 3 before move, its last words: 'out of ideas'"),
        ("illegal=2", "it plays a1, which is illegal"),
        ("wrong-number=2", "it answers command 7777 where command"),
        pytest.param("refuse=1", "it gives no move: 'I do not want to'", marks=pytest.mark.slow),
    ],
)
def test_an_engine_that_breaks_down_loses_the_game_and_the_match_goes_on(fault: str, reason: str) -> None:
    with gtp(fault) as player:
        started = time.monotonic()
        pairing = played(player, 2)
        assert time.monotonic() - started < 5
        assert pairing.total.games == 2 and pairing.faults
        for found in pairing.faults:
            assert reason in found.reason and found.player == player.name
            assert pairing.results[found.game] == -1


def test_a_resignation_is_a_loss_without_a_fault() -> None:
    with gtp("resign=1") as player:
        pairing = played(player, 2)
    assert pairing.results[0] == -1 and pairing.games[0].forfeit is not None and pairing.faults == []


def test_an_engine_that_cannot_be_started_again_loses_all_further_games(tmp_path: Path) -> None:
    script = tmp_path / "engine.py"
    script.write_text((FOLDER / "fake_gtp.py").read_text())
    with parse_engine(f"gtp:{sys.executable} -I -S {script} crash=1", GAME).player(GAME, 0) as player:
        script.unlink()
        pairing = played(player, 12)
    assert pairing.total.lost == 12 and len(pairing.faults) == 12
    assert "it cannot be started again" in pairing.faults[1].reason
    assert pairing.faults[-1].reason == "it could not be started 3 times in succession"


def test_only_new_moves_are_sent(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with gtp(f"log={log}") as player:
        played(player, 2)
    words = [line.split()[0] for line in log.read_text().splitlines()]
    games = " ".join(words).split("clear_board")[2:]
    for game in games:
        # Two moves of the opening, then one of the opponent before each of its own.
        assert game.split()[:3] == ["play", "play", "genmove"] or game.split()[:4] == ["play"] * 3 + ["genmove"]
        assert game.count("play") <= 2 + 4 and "play play" not in game[20:]


def test_no_process_is_left_behind(tmp_path: Path) -> None:
    file = tmp_path / "processes"
    with gtp("stubborn", "hang=3", f"child={file}") as player:
        played(player, 2, concurrency=2)
        numbers = [int(word) for word in file.read_text().split()]
        assert len(numbers) >= 4 and any(alive(number) for number in numbers)
    assert ended(numbers)


def test_an_interrupted_match_ends_its_engines(tmp_path: Path) -> None:
    file = tmp_path / "processes"

    class Stopping:
        name = "stopping"

        def choose(self, state: object, game_ids: Tensor, plies: Tensor) -> Tensor:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), gtp(f"child={file}") as player:
        play_pairings(GAME, [player, Stopping()], [(0, 1)], openings(GAME, 2, seed=0), concurrency=4)
    assert ended([int(word) for word in file.read_text().split()])


def test_breakthrough_is_played_over_uci(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with uci(f"log={log}", settings="nodes=7 Skill_Level=3 UCI_Elo=5") as player:
        pairing = played(player, 2, BREAKTHROUGH)
    assert pairing.faults == [] and pairing.total.games == 2
    sent = log.read_text().splitlines()
    for line in (
        "setoption name UCI_Variant value breakthrough",
        "setoption name Skill Level value 3",
        "setoption name UCI_LimitStrength value true",
        "setoption name UCI_Elo value 5",
        "go nodes 7",
    ):
        assert line in sent
    assert sent.count("ucinewgame") == 2
    assert not any("x" in line for line in sent if line.startswith("position"))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param("crash", "it ended with exit code 1 before move", marks=pytest.mark.slow),
        ("none", "it plays (none), which is illegal"),
        ("illegal", "it plays a1h8, which is illegal: "),
        pytest.param("mute", "no move in time", marks=pytest.mark.slow),
    ],
)
def test_an_engine_of_uci_that_breaks_down_loses(fault: str, reason: str) -> None:
    with uci(fault) as player:
        pairing = played(player, 2, BREAKTHROUGH)
    assert pairing.total.lost == 2 and all(reason in fault.reason for fault in pairing.faults)


def test_an_error_to_a_command_between_moves_loses_the_game() -> None:
    with gtp("no-clear=2") as player:
        pairing = played(player, 6)
    assert {fault.reason for fault in pairing.faults} == {"the answer to clear_board is an error: 'I keep it'"}
    assert pairing.total.games == 6


@pytest.mark.parametrize(
    ("make_player", "message"),
    [
        (lambda: gtp(game=make("connect_four", rows=4, columns=4, length=3)), "unacceptable size"),
        (lambda: gtp(game=make("chess")), "no engine protocol has the game chess"),
        (lambda: gtp(settings="nodes=5"), "GTP has no limit of nodes"),
        (lambda: gtp(settings="skill=5"), "skill' is no setting of GTP"),
        (lambda: gtp(settings="coordinates=up"), "coordinates are gtp or game"),
        (lambda: uci(settings="Skil_Level=3"), "did you mean 'Skill Level'?"),
        (lambda: uci(settings="Skill_Level=21"), "Skill Level is from 0 to 20, not '21'"),
        (lambda: uci(settings="Skill_Level=x"), "Skill Level is a whole number"),
        (lambda: uci(settings="Use_Book=yes"), "Use Book is true or false"),
        (lambda: uci(game=make("breakthrough", rows=6, columns=6)), "on 8x8 cells, not on 6x6"),
        (lambda: uci(game=GAME), "UCI is for chess and breakthrough"),
        (lambda: uci("crash", settings="timeout=0"), "timeout is a whole number from 1"),
        (lambda: parse_engine("gtp:/no/such/program", GAME).player(GAME, 0), "cannot be started: No such file"),
        (lambda: parse_engine("gtp:", GAME), "the command is missing"),
        (lambda: parse_engine("uci:'a", GAME), "No closing quotation"),
        (lambda: parse_engine("gtp:false", GAME).player(GAME, 0), "it ended with exit code 1 before answer"),
        (lambda: parse_engine("stockfish:skill=0", GAME), "stockfish plays chess, and the run plays tic_tac_toe"),
        (lambda: parse_engine("gnugo:--level=1", GAME), "gnugo plays go"),
    ],
)
def test_mistakes_are_named_before_the_first_game(make_player: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        make_player()
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_word_becomes_a_command_without_a_shell() -> None:
    spec = parse_engine("uci:movetime=50 /bin/engine --net='a b' $HOME;ls", make("chess"))
    assert spec.command == ("/bin/engine", "--net=a b", "$HOME;ls")
    assert spec.limits.movetime_ms == 50 and spec.options == {}
    assert parse_engine("uci:/bin/engine", make("chess")).limits.movetime_ms == 100


def test_known_programs_get_the_rules_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gnugo", "stockfish"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.environ["PATH"])
    simple = parse_engine("gnugo:level=1,--never-resign timeout=9", make("go", size=5, ko="simple"))
    assert simple.command[-3:] == ("--simple-ko", "--level=1", "--never-resign") and simple.limits.timeout_s == 9
    assert "--positional-superko" in parse_engine("gnugo", make("go", size=5)).command
    chess = parse_engine("stockfish:skill=0,elo=1500,nodes=10", make("chess"))
    assert chess.options == {"Skill Level": "0", "UCI_Elo": "1500"}
    assert (chess.limits.nodes, chess.limits.movetime_ms) == (10, None)
