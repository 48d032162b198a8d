"""eval, arena and play through the command line, with an agent that needs no training."""

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import agents
from agents.cli import arena
from agents.cli import eval as evaluation
from agents.cli import play as play_verb
from agents.cli import watch as watch_verb
from agents.cli.arena_players import opponents
from agents.games import make
from agents.search import GumbelSearch
from agents.search.dynamics import GameDynamics
from agents.search.root import SearchResult
from lab.cli import main
from lab.errors import UserError
from lab.train.device import Device
from tests.agents.games.patrol import Patrol

CPU = torch.device("cpu")
HEADER = "moves,c1,c2,c3,c4,c5,c6,c7\n"


@dataclass(frozen=True)
class Uniform:
    """Every move is as good as another to the network; the search is real."""

    name: str
    game: Any
    device: torch.device = CPU

    def evaluate(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros(len(observation), self.game.num_actions), torch.zeros(len(observation))

    def decide(self, state: Any, simulations: int) -> SearchResult:
        dynamics = GameDynamics(self.game, self.evaluate)
        ids = torch.arange(len(self.game.done(state)))
        root = dynamics.root(state, game_id=ids, ply=ids)
        if simulations == 0:
            nothing = torch.zeros_like(root.logits)
            policy, slots = root.logits.softmax(1), root.slot_actions()
            return SearchResult(root.logits.argmax(1), policy, root.value, nothing, nothing + torch.nan, slots)
        search = GumbelSearch(simulations=simulations, gumbel_scale=0.0)
        return search(root, dynamics=dynamics, seed=0)


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs named four, other, small and three, of the games their names say."""
    folder = tmp_path / "runs"
    games = {
        "text": Patrol(),
        "four": make("connect_four"),
        "other": make("connect_four"),
        "small": make("connect_four", rows=4, columns=4),
        "three": make("tic_tac_toe"),
    }
    for name in games:
        (folder / name).mkdir(parents=True)
        (folder / name / "config.yaml").write_text("kind: alphazero\n")

    def load(path: Path, device: Device, which: str = "best") -> Uniform:
        return Uniform(path.name if which == "best" else f"{path.name}:{which}", games[path.name])

    for module in (arena, evaluation, play_verb, watch_verb):
        monkeypatch.setattr(module, "load_agent", load)
    monkeypatch.setenv("LAB_RUNS", str(folder))
    return folder


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main.main([*arguments, "--json"]) == 0
    record: dict[str, Any] = json.loads(capsys.readouterr().out)
    return record


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main.main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("lab: ") and err.count("\n") == 1
    return err


def write(folder: Path, text: str) -> str:
    path = folder / "positions.csv"
    path.write_text(text)
    return str(path)


def test_eval_reports_a_file_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Uniform search at 16 simulations finds the win in column 4.
    path = write(tmp_path, HEADER + "112233,-1,-2,-3,18,-4,-4,-4\n")
    record = answer(capsys, "eval", "four", "--positions", path, "--simulations", "16")
    rates = {"optimal_outcome", "optimal_score", "nontrivial", "network_alone", "calibration"}
    assert set(record) == rates | {"positions", "simulations", "run", "checkpoint"}
    assert record["optimal_score"] == {"overall": 1.0, "by_phase": {"0-14": 1.0, "15-28": None, "29+": None}}
    assert record["network_alone"]["optimal_outcome"]["overall"] == 0.0
    assert (record["run"], record["checkpoint"], record["positions"]) == ("four", "best", 1)


def test_eval_names_the_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, HEADER + "44,0,0,0,0,0,0,0\n")
    record = answer(capsys, "eval", "four", "--positions", path, "--simulations", "0", "--checkpoint", "120")
    assert record["checkpoint"] == "120"


def test_eval_without_a_file_uses_the_shipped_positions(capsys: pytest.CaptureFixture[str]) -> None:
    record = answer(capsys, "eval", "four", "--simulations", "0")
    assert (record["positions"], record["part"]) == (500, "validation")


def test_a_part_that_the_package_lacks_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no test positions of connect_four" in complaint(capsys, "eval", "four", "--part", "test")
    assert "no validation positions of tic_tac_toe" in complaint(capsys, "eval", "three", "--part", "validation")


def test_shipped_positions_can_be_excluded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = (Path(agents.__file__).parent / "data" / "connect_four_positions.csv").read_text()
    path = write(tmp_path, shipped + "123,0,0,0,0,0,0,0\n")
    everything = ("eval", "four", "--positions", path, "--simulations", "0")
    assert answer(capsys, *everything)["positions"] == 501
    assert answer(capsys, *everything, "--exclude-shipped")["positions"] == 1
    assert "all its positions are shipped" in complaint(
        capsys, "eval", "four", "--positions", write(tmp_path, shipped), "--exclude-shipped"
    )
    assert "needs --positions" in complaint(capsys, "eval", "four", "--exclude-shipped")


def test_a_small_game_is_evaluated_on_all_its_positions_and_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    record = answer(capsys, "eval", "three", "--simulations", "0")
    assert record["positions"] == 4520
    assert set(record["optimal_outcome"]["by_phase"]) == {"0-3", "4-6", "7+"}
    # The first free cell as a policy: it loses some games, and none are left out.
    assert not record["every_line"]["never_loses"]
    assert record["every_line"]["second"]["lost"] > 0


def test_a_game_without_positions_asks_for_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert "give --positions FILE" in complaint(capsys, "eval", "small")


def test_a_bad_positions_file_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, HEADER + "4x,0,0,0,0,0,0,0\n")
    assert "line 2: move 2 is 'x'" in complaint(capsys, "eval", "four", "--positions", path)
    assert "the run plays tic_tac_toe" in complaint(capsys, "eval", "three", "--positions", path)


def test_eval_for_people_has_a_row_for_each_phase_and_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "set," + HEADER + "easy,44,0,0,0,0,0,0,0\n")
    assert main.main(["eval", "four", "--positions", path, "--simulations", "4"]) == 0
    out = capsys.readouterr().out
    for word in ("0-14", "15-28", "29+", "easy", "calibration error"):
        assert word in out
    assert main.main(["eval", "three", "--simulations", "0"]) == 0
    assert "every line of play" in capsys.readouterr().out


def test_arena_reports_both_colours_and_ratings(capsys: pytest.CaptureFixture[str]) -> None:
    record = answer(capsys, "arena", "four", "--games", "10", "--simulations", "8")
    (pairing,) = record["pairings"]
    assert (pairing["player"], pairing["opponent"], pairing["games"]) == ("random", "four@8", 10)
    for result in ("won", "drawn", "lost"):
        assert pairing["first"][result] + pairing["second"][result] == pairing["total"][result]
    assert [rating["player"] for rating in record["ratings"]] == ["random", "four@8"]
    assert record["ratings"][0]["elo"] == 0.0
    assert record["ratings"][1]["elo"] > 0
    assert record["distinct_openings"] == 5
    assert record == answer(capsys, "arena", "four", "--games", "10", "--simulations", "8")


def test_arena_says_when_openings_run_out(capsys: pytest.CaptureFixture[str]) -> None:
    for games, said in (("146", True), ("144", False)):
        assert main.main(["arena", "three", "--games", games, "--simulations", "0"]) == 0
        assert ("only 72 different openings" in " ".join(capsys.readouterr().out.split())) is said


@pytest.mark.slow
def test_arena_takes_checkpoints_and_rollouts(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (
        "arena",
        "three",
        "three:latest",
        "--against",
        "random,rollout:5",
        "--games",
        "2",
        "--simulations",
        "2",
    )
    record = answer(capsys, *arguments)
    assert [r["player"] for r in record["ratings"]] == ["random", "rollout:5", "three@2", "three:latest@2"]
    assert len(record["pairings"]) == 6
    assert main.main(list(arguments)) == 0
    assert "95% interval" in capsys.readouterr().out


def test_arena_takes_every_checkpoint_of_a_run(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for iteration in (1000, 20, 300):
        (runs / "three" / "checkpoints" / f"{iteration:06d}").mkdir(parents=True)
    (runs / "three" / "checkpoints" / "best").mkdir()
    record = answer(capsys, "arena", "three:all", "--against", "none", "--games", "2", "--simulations", "0")
    assert [r["player"] for r in record["ratings"]] == ["three:20@0", "three:300@0", "three:1000@0"]
    assert record["ratings"][0]["elo"] == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["four:all"], "run 'four' has no numbered checkpoints; checkpoint.keep"),
        (["fore:all"], "did you mean 'four'?"),
        (["four", "three"], "four plays connect_four (rows 6, columns 7, length 4) and three plays tic_tac_toe"),
        (["four", "small"], "give runs of one game"),
        (["four", "four"], "is given twice"),
        (["four", "--against", "none"], "the arena needs two players"),
        (["four", "--against", "rollout"], "unknown opponent 'rollout'"),
        (["four", "--against", "rollout:0"], "unknown opponent 'rollout:0'"),
        (["four", "--against", "stockfish"], "unknown opponent 'stockfish'"),
        (["fore"], "did you mean 'four'?"),
    ],
)
def test_arena_refuses_what_makes_no_match(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in complaint(capsys, "arena", *arguments)


def test_play_reads_its_moves_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("4\nhint\nquit\n"))
    assert main.main(["play", "four", "--side", "first", "--simulations", "4"]) == 0
    out = capsys.readouterr().out
    assert "●" in out and "expects" in out and out.rstrip().endswith("until next time")


def test_opponents_are_named_in_a_list() -> None:
    players = opponents("random, rollout:20", make("tic_tac_toe"), seed=0)
    assert [player.name for player in players] == ["random", "rollout:20"]
    with pytest.raises(UserError, match="unknown opponent"):
        opponents("rollout:²", make("tic_tac_toe"), seed=0)


def test_watch_shows_every_move_of_a_game(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["watch", "three", "51", "--simulations", "4"]) == 0
    out = capsys.readouterr().out
    moves = [line for line in out.splitlines() if " plays " in line]
    assert moves[0].startswith("3: X plays ") and "(value " in moves[0] and moves[1].startswith("4: O plays ")
    assert out.count("│") == 6 * len(moves)
    assert out.splitlines()[-1] in {"X wins", "O wins", "a draw"}


@pytest.mark.parametrize("run", ["small", "text"])
def test_watch_writes_a_clip(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = tmp_path / "game.gif"
    assert main.main(["watch", run, "--simulations", "0", "--out", str(clip)]) == 0
    out = capsys.readouterr().out
    frames = out.count(" plays ") + 5
    assert f"{frames} frames" in out
    with Image.open(clip) as shown:
        assert getattr(shown, "n_frames", 1) > out.count(" plays ") // 2 and min(shown.size) > 50
    assert "exists; --overwrite" in complaint(capsys, "watch", run, "--out", str(clip))


def test_watch_refuses_what_it_cannot_do_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "move 2, 5, is illegal in tic_tac_toe: the cell is taken" in complaint(capsys, "watch", "three", "55")
    assert "--out" in complaint(capsys, "watch", "three", "--out", str(tmp_path / "game.txt"))


def test_arena_seats_engines_of_other_programs(capsys: pytest.CaptureFixture[str]) -> None:
    engine = Path(__file__).parent.parent / "engines" / "fake_gtp.py"
    word = f"gtp:timeout=5 {sys.executable} -I -S {engine} crash=3"
    record = answer(capsys, "arena", "three", word, "--games", "6", "--simulations", "0", "--concurrency", "2")
    # Without --against random: the engine is the anchor.
    assert [rating["player"] for rating in record["ratings"]] == [word, "three@0"]
    (pairing,) = record["pairings"]
    assert pairing["player"] == word and sum(pairing["pairs"]) == 3 and pairing["faults"]
    assert "exit code 3" in pairing["faults"][0]["reason"]
    assert main.main(["arena", "three", word, "--games", "2", "--simulations", "0"]) == 0
    assert "lost game" in capsys.readouterr().out


def test_arena_stops_when_a_sequential_test_is_decided(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["arena", "three", "random", "--sprt", "0", "200", "--simulations", "8"]
    record = answer(capsys, *arguments)
    (pairing,) = record["pairings"]
    assert pairing["player"] == "three@8" and pairing["games"] < 200
    assert record["sprt"]["accepted"] == "H1" and record["sprt"]["llr"] >= record["sprt"]["upper"]
    assert [rating["elo"] > 0 for rating in record["ratings"]] == [False, True]
    assert main.main(arguments) == 0
    assert "H1 is accepted: +200 Elo" in " ".join(capsys.readouterr().out.split())


def test_arena_takes_the_exact_player_and_balanced_openings(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["arena", "three", "--against", "minimax", "--games", "20", "--simulations", "8", "--balance", "0.5"]
    record = answer(capsys, *arguments)
    assert record["ratings"][0]["player"] == "minimax" and record["pairings"][0]["score"] >= 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gtp:true"], "give at least one run"),
        (["four", "gtp:true"], "gtp:true: it ended with exit code 0 before answer to list_commands"),
        (["four", "stockfish:skill=0"], "stockfish plays chess, and the run plays connect_four"),
        (["four", "--sprt", "0", "5"], "the arena needs two players"),
        (["four", "random", "rollout:5", "--sprt", "0", "5"], "there are 3; give two"),
        (["four", "random", "--sprt", "5", "0"], "the smaller one first"),
    ],
)
def test_arena_names_mistakes_of_engines_and_tests(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in complaint(capsys, "arena", *arguments)
