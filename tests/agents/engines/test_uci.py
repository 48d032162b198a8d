"""UCI engines: one `bestmove` for every `go`, positions as clients send them, limits and options."""

import re
from typing import Any

import pytest

from agents.engines import thinking
from agents.engines.clock import Budget, Clock, expected_moves
from agents.engines.thinking import Thinker
from agents.engines.uci_go import GoArguments, parse_go, parse_option, whole
from agents.engines.uci_positions import UciBreakthrough
from agents.engines.uci_score import MOST_CENTIPAWNS, outcomes, score
from agents.engines.uci_server import UciServer
from agents.games import make
from agents.games.breakthrough import Breakthrough, BreakthroughState
from agents.search.growing import Line
from tests.agents.engines.clients import Client, agent, served, uci
from tests.agents.small_alphazero import CPU

MATE_IN_ONE = "6k1/5ppp/8/8/8/8/8/R3K3 w Q - 0 1"
MOVE = r"bestmove [a-h][1-8][a-h][1-8][qrbn]?( ponder [a-h][1-8][a-h][1-8][qrbn]?)?"


def small() -> Any:
    """`served` a UCI engine whose searches are cheap, for what does not depend on the game."""
    return uci("breakthrough", rows=4, columns=4)


def best(client: Client, *lines: str) -> str:
    client.send(*lines)
    return client.until("bestmove")[-1]


def test_introduction_and_readiness() -> None:
    with uci() as client:
        client.send("uci", "isready", "quit")
        lines = client.rest()
        assert lines[0].startswith("id name Rivals") and lines[1] == "id author the Rivals authors"
        assert lines[-2:] == ["uciok", "readyok"]
        kinds = r"(spin default \d+ min \d+ max \d+|check default false|button)"
        for line in lines[2:-2]:
            assert re.fullmatch(rf"option name [\w ]+ type {kinds}", line)


def test_a_bare_go_searches_the_simulations_of_the_run() -> None:
    with uci(simulations=5) as client:
        client.send("position startpos moves e2e4", "go")
        *infos, last = client.until("bestmove")
        assert re.fullmatch(MOVE, last)
        assert re.search(r"depth \d+ seldepth \d+ multipv 1 score (cp -?\d+|mate 1) nodes 5 ", infos[-1])


def test_search_goes_on_until_stop_and_answers_isready_meanwhile() -> None:
    with small() as client:
        client.send("go infinite", "isready")
        assert client.line() == "readyok"
        assert re.fullmatch(MOVE, best(client, "stop"))
        client.send("stop", "isready")
        assert client.line() == "readyok"


def test_a_mate_in_one_is_found_and_reported() -> None:
    with uci() as client:
        client.send(f"position fen {MATE_IN_ONE}", "go nodes 5 searchmoves a1a8")
        *infos, last = client.until("bestmove")
        assert last.startswith("bestmove a1a8") and "score mate 1" in infos[-1]


def test_search_of_given_moves_only_and_several_lines_with_outcomes() -> None:
    with uci() as client:
        client.send("setoption name MultiPV value 3", "setoption name UCI_ShowWDL value true")
        client.send("go nodes 5 searchmoves e2e4 g1f3")
        *_, first, second, last = client.until("bestmove")  # a slow machine has reported once before
        infos = [first, second]
        assert last.split()[1] in ("e2e4", "g1f3")
        assert [re.findall(r"multipv (\d)", line)[0] for line in infos] == ["1", "2"]
        for line in infos:
            wins, draws, losses = map(int, re.findall(r"wdl (\d+) (\d+) (\d+)", line)[0])
            assert wins + draws + losses == 1000 and draws > 0


def test_pondering_ends_with_ponderhit_or_stop_and_not_before() -> None:
    with uci(simulations=1) as client:
        client.send("position startpos moves e2e4 e7e5", "go ponder nodes 1", "isready")
        assert client.line() == "readyok"  # and no move yet, although the limit is reached
        assert re.fullmatch(MOVE, best(client, "ponderhit"))
        assert re.fullmatch(MOVE, best(client, "go ponder wtime 1000 btime 1000", "stop"))


@pytest.mark.parametrize(
    "limit",
    [
        "movetime 1",
        "movetime 0",
        "wtime 0 btime 0",
        "wtime -5 btime -5",
        "wtime 100 btime 100 winc 10 binc 10 movestogo 1",
        "depth 0",
        "depth 2",
        "mate 2",
        "nodes 0",
    ],
)
def test_every_limit_ends_with_a_move(limit: str) -> None:
    with small() as client:
        assert re.fullmatch(MOVE, best(client, f"go {limit}"))


def test_commands_that_need_another_position_end_a_search_first() -> None:
    with uci() as client:
        client.send("go infinite", "setoption name MultiPV value 2", f"position fen {MATE_IN_ONE}")
        client.send("go nodes 5 searchmoves a1a8 a1a7")
        first = client.until("bestmove")
        second = client.until("bestmove")
        assert not any("multipv 2" in line for line in first) and any("multipv 2" in line for line in second)
        assert second[-1].startswith(("bestmove a1a8", "bestmove a1a7"))


def test_commands_that_need_another_position_wait_for_a_search_with_a_limit() -> None:
    with uci() as client:
        client.send("go nodes 30", f"position fen {MATE_IN_ONE}", "go nodes 20")
        assert " nodes 30 " in client.until("bestmove")[-2]
        assert " nodes 20 " in client.until("bestmove")[-2]
        # A client that sends `stop` after two searches means both.
        client.send("go nodes 1000000", "go infinite", "stop", "isready")
        assert client.until("bestmove") and client.until("bestmove") and client.until("readyok")


@pytest.mark.parametrize("end", ["quit", None])
def test_the_end_of_the_input_ends_a_search_with_a_move(end: str | None) -> None:
    with small() as client:
        client.send("go infinite", *([end] if end else []))
        assert sum(line.startswith("bestmove") for line in client.rest()) == 1


def test_mistakes_in_positions_keep_what_is_known() -> None:
    with uci(simulations=1) as client:
        client.send("position fen 8/8/8 w - - 0 1", "position", "position startpos moves e2e4 e2e4 d7d5")
        assert [client.line(), client.line(), client.line()] == [
            "info string FEN '8/8/8 w - - 0 1': it has 3 ranks instead of 8",
            "info string position takes startpos or fen; ignored",
            "info string move 2, e2e4, is illegal; it and what follows are ignored",
        ]
        # Black is to move after e2e4.
        assert best(client, "go")[10] in "78" and "1" not in best(client, "go")[9:11]


def test_a_position_may_share_the_beginning_of_the_one_before() -> None:
    with uci(simulations=0) as client:
        for moves, ranks in (("e2e4 e7e5", "124"), ("e2e4", "78"), ("e2e4 a7a6 h2h3", "678"), ("e2e4 a7a6", "124")):
            assert best(client, f"position startpos moves {moves}", "go").split()[1][1] in ranks
        fen = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR b KQkq - 0 1"
        assert best(client, f"position fen {fen}", "go").split()[1][1] in "78"


def test_a_game_that_is_sent_move_by_move_is_played_once() -> None:
    class Counting(UciBreakthrough):
        steps = 0

        def step(self, state: BreakthroughState, action: int) -> BreakthroughState:
            self.steps += 1
            return super().step(state, action)

    thinker = Thinker(agent("breakthrough", rows=6, columns=6), 1)
    game = Counting(Breakthrough(rows=6, columns=6), CPU)
    moves = ["a2a3", "a5a4", "b2b3", "b5b4", "c2c3", "c5c4"]
    with served(lambda channel: UciServer(thinker, game, channel)) as client:
        for count in range(len(moves) + 1):
            client.send(f"position startpos moves {' '.join(moves[:count])}")
        client.send("isready")
        assert client.until("readyok") == ["readyok"] and game.steps == len(moves)


def test_unknown_words_before_a_command_are_skipped() -> None:
    with small() as client:
        client.send("joho debug on", "joho isready", "nonsense")
        assert client.line() == "readyok"
        assert client.line() == "info string unknown command: nonsense"


def test_wrong_options_are_named_and_ignored() -> None:
    with small() as client:
        client.send("setoption name Hash value many", "setoption name Nothing value 1", "setoption", "isready")
        assert client.until("readyok")[0] == "info string option 'Hash' takes no 'many'; ignored"


@pytest.mark.parametrize(
    ("position", "answer"),
    [
        ("position startpos moves f2f3 e7e5 g2g4 d8h4", r"bestmove \(none\)"),  # mated
        ("position fen 7k/5Q2/6K1/8/8/8/8/8 b - - 0 1", r"bestmove \(none\)"),  # stalemate
        ("position fen 8/8/8/8/8/4k3/8/4K3 w - - 0 1", r"bestmove e1[df]1"),  # two kings: drawn, but there are moves
    ],
)
def test_positions_that_are_over(position: str, answer: str) -> None:
    with uci() as client:
        assert re.fullmatch(answer, best(client, position, "go nodes 5"))
        client.send("go infinite", "isready")
        assert client.until("readyok")[-1] == "readyok"
        assert re.fullmatch(answer, best(client, "stop"))


def test_a_client_may_play_on_where_the_run_counts_a_draw() -> None:
    knights = "g1f3 g8f6 f3g1 f6g8 " * 3  # the first position occurs for the third time after 8 plies
    with uci(max_plies=14) as client:
        client.send(f"position startpos moves {knights}e2e4")
        assert re.fullmatch(MOVE, best(client, "go nodes 5"))
        assert best(client, "go nodes 5").split()[1][1] in "78"  # black answers e2e4
        fifteen_plies = f"{knights}g1f3 g8f6 f3g1"
        assert re.fullmatch(MOVE, best(client, f"position startpos moves {fifteen_plies}", "go nodes 5"))
        assert re.fullmatch(MOVE, best(client, "position fen 7k/8/8/8/8/8/R7/K7 w - - 99 400", "go nodes 5"))


def test_breakthrough_is_a_variant() -> None:
    with small() as client:
        client.send("uci")
        assert "option name UCI_Variant type combo default breakthrough var breakthrough" in client.until("uciok")
        move = best(client, "position startpos moves a1a2", "go nodes 5").split()[1]
        assert re.fullmatch(r"[a-d]4[a-d]3", move)
        answer = best(client, "position fen 3p/P3/4/3P w", "go nodes 50")
        assert answer.startswith("bestmove a3") and answer.split()[1][2:] in ("a4", "b4")
        client.send(
            "position fen 4/4/4/PPPP w", "position fen pppp/4/4/PPPX w", "position fen pppp/4/4/PPPP", "isready"
        )
        answers = client.until("readyok")
        for line, reason in zip(answers[:3], ("the game is over", "'X' is no pawn", "side to move"), strict=True):
            assert reason in line


def test_breakthrough_fen_with_black_to_move_is_the_position_after_the_move() -> None:
    with uci("breakthrough", rows=4, columns=4, simulations=1) as client:
        after = best(client, "position startpos moves a1a2", "go nodes 20")
        assert best(client, "position fen pppp/4/P3/1PPP b", "go nodes 20") == after


def test_a_full_tree_waits_for_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinking, "node_bytes", lambda game, solver: 2**16)
    with uci("breakthrough", rows=4, columns=4, memory_mb=1) as client:
        client.send("go infinite")
        assert any("hashfull 1000" in line for line in iter(client.line, None) if line and "hashfull 1000" in line)
        client.send("isready")
        assert client.until("readyok")
        assert re.fullmatch(MOVE, best(client, "stop"))


def test_arguments_of_go_and_setoption() -> None:
    text = "wtime 100 x btime y searchmoves e2e4 d2d4 infinite nodes 99999999999999999999"
    found, wrong = parse_go(text.split())
    assert found == GoArguments({"wtime": 100, "nodes": 10**9}, infinite=True, moves=("e2e4", "d2d4"))
    assert wrong == ["x", "btime", "y"]
    assert parse_option(["name", "Move", "Overhead", "value", "10"]) == ("Move Overhead", "10")
    assert parse_option(["name", "Clear", "Hash"]) == ("Clear Hash", "")
    assert whole("-12") == -12 and whole("1.5") is None and whole("") is None and whole("\u0663") is None


@pytest.mark.parametrize(("value", "draw"), [(0.0, 0.4), (1.0, 0.5), (-1.0, 0.0), (0.3, 1.0), (-0.999, 0.01)])
def test_outcomes_add_up_and_mean_the_value(value: float, draw: float) -> None:
    wins, draws, losses = map(int, outcomes(value, draw).split()[1:])
    assert wins + draws + losses == 1000 and min(wins, draws, losses) >= 0
    assert (wins - losses) / 1000 == pytest.approx(value, abs=0.002)
    assert draws / 1000 == pytest.approx(min(draw, 1 - abs(value)), abs=0.001)


def test_scores_in_centipawns() -> None:
    def line(value: float, wins: bool = False) -> Line:
        return Line(1, value, 0.5, (0,), wins)

    assert score(line(0.0)) == "cp 0" and score(line(1.0)) == f"cp {MOST_CENTIPAWNS}"
    assert score(line(0.5)) == "cp 89" and score(line(-0.5)) == "cp -89" and score(line(1.0, wins=True)) == "mate 1"


def test_time_of_a_move() -> None:
    assert Clock(60).allowance_s(30, 0) == 2.0
    assert Clock(60, increment_s=1).allowance_s(30, 0) == 2.75
    assert Clock(60, moves=1).allowance_s(30, 0.5) == 59.5
    assert Clock(1, increment_s=30).allowance_s(30, 0) == 0.5
    assert Clock(-3).allowance_s(30) == 0.0
    assert expected_moves(make("go", size=19), 0) == 60 and expected_moves(make("go", size=19), 350) == 8


class _Clockwork:
    """A tree whose first move leads by `lead` visits."""

    def __init__(self, simulations: int, lead: float) -> None:
        self.simulations, self.lead, self.full, self.choices = simulations, lead, False, 2

    def settled(self, left: float) -> bool:
        return self.lead > left


def test_a_budget_on_a_clock_ends_as_soon_as_the_answer_is_settled() -> None:
    time: list[float] = [0.0]
    budget = Budget(seconds=10, on_clock=True, now=lambda: time[0])
    tree: Any = _Clockwork(160, lead=100)
    time[0] = 5.0
    assert not budget.spent(tree)  # 160 more simulations fit into the other 5 seconds
    tree.lead = 161
    assert budget.spent(tree)
    time[0], tree.lead = 10.0, 0
    assert budget.spent(tree)
    held: Any = Budget(seconds=1, held=True, now=lambda: time[0])
    assert not held.spent(tree)
    held.release()
    assert not held.spent(tree)
    time[0] = 11.0
    assert held.spent(tree)
