"""`lab engine` as a process: what it prints, how it ends, and whole games with other programs as its clients."""

import importlib.util
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.agents.engines.clients import run_of
from tests.command_line import ROOT, lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
needs_python_chess = pytest.mark.skipif(not importlib.util.find_spec("chess"), reason="python-chess is not installed")
GNUGO = shutil.which("gnugo") or next((str(p) for p in [Path("/usr/games/gnugo")] if p.exists()), "")
needs_gnugo = pytest.mark.skipif(not GNUGO, reason="gnugo is not installed")


def command(run: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "lab", "engine", str(run), *options]


class Process:
    """A GTP engine in a process of its own."""

    def __init__(self, words: list[str]) -> None:
        pipe = subprocess.PIPE
        self.popen = subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def gtp(self, line: str) -> str:
        """The answer to a command, which must not be an error."""
        assert self.popen.stdin is not None and self.popen.stdout is not None
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()
        lines = list[str]()
        while (found := self.popen.stdout.readline()).strip():
            lines.append(found)
        answer = "".join(lines).strip()
        assert answer.startswith("="), f"{line}: {answer}"
        return answer[1:].strip()


@contextmanager
def engines(*commands: list[str]) -> Iterator[list[Process]]:
    """Processes that end with `quit` and exit code 0."""
    processes = [Process(words) for words in commands]
    try:
        yield processes
        for process in processes:
            process.gtp("quit")
            assert process.popen.wait(60) == 0
    finally:
        for process in processes:
            process.popen.kill()
            process.popen.communicate()


def play(black: Process, white: Process, referee: Process, size: int, komi: float) -> list[str]:
    """A game of Go by `genmove`; the referee, another program, must find every move legal."""
    moves = list[str]()
    for process in (black, white, referee):
        for line in (f"boardsize {size}", "clear_board", f"komi {komi}"):
            process.gtp(line)
    while moves[-2:] != ["pass", "pass"] and len(moves) < 2 * size**2:
        colour = ("black", "white")[len(moves) % 2]
        mover = (black, white)[len(moves) % 2]
        move = mover.gtp(f"genmove {colour}").lower()
        if move == "resign":
            break
        for process in {black, white, referee} - {mover}:
            process.gtp(f"play {colour} {move}")
        moves.append(move)
    return moves


@pytest.fixture
def go(tmp_path: Path) -> Path:
    return run_of(tmp_path, "go", size=5, ko="simple", max_plies=60)


def test_standard_output_carries_the_protocol_alone_and_the_end_of_the_input_ends_the_engine(go: Path) -> None:
    done = subprocess.run(
        command(go, "--simulations", "2"), input="1 name\n2 genmove b\n", capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0
    first, second, *rest = done.stdout.split("\n\n")
    assert first.startswith("=1 Rivals small") and second.startswith("=2 ") and rest == [""]


def test_what_else_is_printed_goes_to_standard_error(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from agents.engines.channel import Channel\n"
        "channel = Channel.standard()\n"
        "print('printed'); os.system('echo from a child'); sys.stdout.flush()\n"
        "channel.send('protocol\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "protocol\n"
    assert sorted(done.stderr.split("\n")) == ["", "from a child", "printed"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("busy", [False, True])
def test_signals_end_the_engine(go: Path, number: signal.Signals, code: int, busy: bool) -> None:
    process = Process(command(go, "--simulations", "100000"))
    assert process.gtp("protocol_version") == "2"
    assert process.popen.stdin is not None
    if busy:
        process.popen.stdin.write("genmove b\n")
        process.popen.stdin.flush()
        time.sleep(0.5)
    process.popen.send_signal(number)
    output, errors = process.popen.communicate(timeout=60)
    assert process.popen.returncode == code and output == ""
    assert errors.strip() == f"lab: stopped by {number.name}"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_an_engine_whose_client_was_killed_ends_in_the_middle_of_a_move(go: Path) -> None:
    popen = Process(command(go, "--simulations", "100000")).popen
    assert popen.stdin is not None and popen.stdout is not None and popen.stderr is not None
    popen.stdin.write("name\ngenmove b\nname\n")
    popen.stdin.flush()
    assert popen.stdout.readline().startswith("= Rivals")
    popen.stdin.close()
    popen.stdout.close()
    errors = popen.stderr.read()
    assert popen.wait(60) == 1 and "Traceback" not in errors


@pytest.mark.parametrize(
    ("game", "options", "words", "text"),
    [
        ("breakthrough", {"rows": 4, "columns": 4}, ["--resign-below", "-0.9"], "UCI engines do not resign"),
        ("connect_four", {"rows": 4, "columns": 26}, [], "GTP has letters for 25 columns"),
        (None, {}, [], "no run"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_standard_output_empty(
    game: str | None, options: dict[str, int], words: list[str], text: str, tmp_path: Path
) -> None:
    run = run_of(tmp_path, game, **options) if game else tmp_path / "nowhere"
    done = subprocess.run(command(run, *words), capture_output=True, text=True, cwd=ROOT, input="")
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr and done.stderr.count("\n") == 1


def test_a_closed_output_ends_the_engine(go: Path) -> None:
    words = [*command(go), "--simulations", "2"]
    shell = " ".join(f"'{word}'" for word in words)
    done = subprocess.run(
        ["sh", "-c", f"echo name | ( {shell}; echo $? >&2 ) | true"],
        capture_output=True, text=True, cwd=ROOT, timeout=120,
    )  # fmt: skip
    assert "Traceback" not in done.stderr and done.stderr.strip().endswith("1")


@needs_gnugo
def test_whole_games_of_go_against_itself_and_gnu_go_with_gnu_go_as_referee(go: Path) -> None:
    ours, gnugo = command(go, "--simulations", "8"), [GNUGO, "--mode", "gtp", "--chinese-rules", "--level", "1"]
    with engines(ours, ours, gnugo, gnugo) as (one, other, opponent, referee):
        for black, white in ((one, other), (one, opponent), (opponent, one)):
            moves = play(black, white, referee, 5, 7.5)
            assert len(moves) > 4
            assert one.gtp("final_score")[0] in "BW"


@needs_python_chess
def test_python_chess_plays_whole_games_analyses_and_stops(tmp_path: Path) -> None:
    import chess
    import chess.engine

    run = run_of(tmp_path, "chess", max_plies=20)
    with chess.engine.SimpleEngine.popen_uci(command(run), cwd=ROOT, timeout=60) as engine:
        assert "Rivals" in engine.id["name"]
        engine.configure({"Hash": 64, "Move Overhead": 10})
        board = chess.Board()
        while not board.is_game_over(claim_draw=True):  # long after the run's rules have ended the game
            limit: Any = chess.engine.Limit(nodes=4) if board.turn else chess.engine.Limit(time=0.02)
            played = engine.play(board, limit, info=chess.engine.INFO_ALL, ponder=bool(len(board.move_stack) % 2))
            assert played.move is not None and played.move in board.legal_moves
            board.push(played.move)
        assert len(board.move_stack) > 20
        for fen in (chess.STARTING_FEN, "r3k2r/8/8/8/8/8/8/R3K2R b KQkq - 7 60", "8/P6k/8/8/8/8/8/K7 w - - 0 1"):
            board = chess.Board(fen)
            infos = engine.analyse(board, chess.engine.Limit(nodes=30), multipv=3)
            assert len(infos) == 3 and all(info["pv"][0] in board.legal_moves for info in infos)
            assert infos[0]["nodes"] == 30 and infos[0]["score"].pov(board.turn).score(mate_score=20_000) is not None
        engine.configure({"UCI_ShowWDL": True})
        with engine.analysis(chess.Board()) as analysis:
            for info in analysis:
                if info.get("nodes", 0) > 50:
                    break
            analysis.stop()
            best = analysis.wait()
        assert best.move is not None and best.move in chess.Board().legal_moves and "wdl" in analysis.info
        assert engine.play(chess.Board(), chess.engine.Limit(white_clock=1, black_clock=1)).move is not None


def test_help_names_both_protocols(tmp_path: Path) -> None:
    run = run_of(tmp_path, "tic_tac_toe")
    assert "GTP" in lab("engine", run, "--help")
