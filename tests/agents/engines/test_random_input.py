"""Random lines neither hang nor crash an engine, and every `go` and every command gets its one answer."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from tests.agents.engines.clients import Client, gtp, uci

_UCI_WORDS = """
uci isready go stop ponderhit position startpos fen moves e2e4 e7e5 g1f3 setoption name value MultiPV Hash Clear
UCI_ShowWDL true false 1 2 0 -1 99999999999999999999 1e9 nan wtime btime winc binc movestogo movetime nodes depth mate
infinite ponder searchmoves ucinewgame debug on register later 8/8/8/8/8/4k3/8/4K3 w b - KQkq \u00e9 \U0001f600 \x00 =
rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR 6k1/5ppp/8/8/8/8/8/R3K3
"""
_UCI_LINES = """
go
go nodes 2
go infinite
go ponder
go movetime 5
go depth 1
stop
ponderhit
isready
position startpos moves e2e4
position startpos moves a1a2
position fen pppp/4/4/PPPP b
position fen 6k1/5ppp/8/8/8/8/8/R3K3 w Q - 0 1
"""
_UCI_COMMANDS = frozenset(
    ["uci", "isready", "setoption", "ucinewgame", "position", "go", "stop", "ponderhit", "debug", "register"]
)
_GTP_WORDS = """
boardsize clear_board komi play genmove reg_genmove undo gg-undo b w black white A1 C3 E5 pass resign I3 Z99 5 0.5 -1
nan inf 99999999999999999999 time_settings time_left final_score final_status_list alive dead showboard loadsgf 1 7 = ?
fixed_handicap place_free_handicap set_free_handicap known_command list_commands lz-analyze kata-analyze interval
maxmoves minmoves avoid allow rootInfo true lz-genmove_analyze gogui-rules_board gogui-rules_legal_moves
gogui-rules_final_result gogui-play_sequence rivals-policy clear_cache name # interrupt \u00e9 \x00 /etc/passwd
"""
_GTP_LINES = """
genmove b
genmove w
play b C3
play w D2
play b pass
play w pass
undo
clear_board
kata-analyze b 1
showboard
boardsize 5
komi 0.5
loadsgf /dev/zero
"""


def random_lines(seed: int, count: int, vocabulary: str, templates: str, never: Sequence[str]) -> list[str]:
    rng, words, lines = random.Random(seed), vocabulary.split(), templates.strip().split("\n")
    found = list[str]()
    while len(found) < count:
        kind = rng.random()
        if kind < 0.4:
            line = rng.choice(lines)
        elif kind < 0.9:
            line = " ".join(rng.choices(words, k=rng.randint(1, 8)))
        else:
            line = "".join(map(chr, rng.choices(range(1, 0x250), k=rng.randint(0, 60))))
        line = line.replace("\n", " ").replace("\r", " ")
        if not any(word in line.split() for word in never):
            found.append(line)
    return found


def check_uci(client: Client, lines: Sequence[str]) -> None:
    """Every `go` has its one `bestmove` by the time that the engine is ready after a `stop`."""
    for start in range(0, len(lines), 100):
        some = [*lines[start : start + 100], "stop", "isready"]
        commands = Counter(next((word for word in line.split() if word in _UCI_COMMANDS), "") for line in some)
        client.send(*some)
        received = list[str]()
        for _ in range(commands["isready"]):
            received += client.until("readyok")
        answers = Counter(line.split(" ")[0] for line in received)
        assert answers["bestmove"] == commands["go"] > 0
        assert answers.keys() <= {"bestmove", "info", "readyok", "id", "option", "uciok"}


def check_gtp(client: Client, lines: Sequence[str]) -> None:
    for number, line in enumerate(lines):
        client.send(line, f"{100_000 + number} protocol_version")
        answers = list[str]()
        while not answers or answers[-1] != f"={100_000 + number} 2":
            answers.append(client.answer())
        assert len(answers) <= 2, (line, answers)
        assert all(answer[0] in "=?" for answer in answers), (line, answers)


@pytest.mark.parametrize("seed", [1])
def test_random_uci(seed: int) -> None:
    with uci("breakthrough", rows=4, columns=4, simulations=1) as client:
        check_uci(client, random_lines(seed, 500, _UCI_WORDS, _UCI_LINES, ["quit"]))


@pytest.mark.parametrize("seed", [1])
def test_random_gtp(seed: int) -> None:
    with gtp(size=5, simulations=1) as client:
        check_gtp(client, random_lines(seed, 500, _GTP_WORDS, _GTP_LINES, ["quit", "time_settings", "time_left"]))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("kind", "settings"),
    [(uci, {}), (uci, {"name": "breakthrough"}), (gtp, {"size": 5}), (gtp, {"name": "othello", "size": 4})],
)
def test_ten_thousand_random_lines(kind: Any, settings: dict[str, Any]) -> None:
    with kind(simulations=1, **settings) as client:
        if kind is uci:
            check_uci(client, random_lines(2, 10_000, _UCI_WORDS, _UCI_LINES, ["quit"]))
        else:
            check_gtp(client, random_lines(2, 10_000, _GTP_WORDS, _GTP_LINES, ["quit", "time_settings", "time_left"]))
