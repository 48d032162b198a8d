"""Games that the verbs write and read, with an agent that needs no training."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from agents.cli import analyse as analyse_verb
from agents.cli import arena
from agents.cli import play as play_verb
from agents.games import make
from agents.games.game_files import read_game
from lab.cli import main
from lab.train.device import Device
from tests.agents.cli.test_verbs import Uniform

CPU = torch.device("cpu")
GAMES = {
    "four": make("connect_four", rows=4, columns=4),
    "other": make("connect_four", rows=4, columns=4),
    "three": make("tic_tac_toe"),
    "chess": make("chess", max_plies=8),
}


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "runs"
    for name in GAMES:
        (folder / name).mkdir(parents=True)
        (folder / name / "config.yaml").write_text("kind: alphazero\n")

    def load(path: Path, device: Device, which: str = "best") -> Uniform:
        return Uniform(path.name, GAMES[path.name])

    for module in (analyse_verb, arena, play_verb):
        monkeypatch.setattr(module, "load_agent", load)
    monkeypatch.setenv("LAB_RUNS", str(folder))
    monkeypatch.chdir(tmp_path)


def shown(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    capsys.readouterr()
    assert main.main([str(argument) for argument in arguments]) == code
    streams = capsys.readouterr()
    return streams.err if code else streams.out


def test_the_arena_writes_every_game_with_its_opening(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("arena", "four", "other", "--games", 4, "--simulations", 0, "--save-games", "games", "--json")
    results = json.loads(shown(capsys, *arguments))
    files = sorted((tmp_path / "games").iterdir())
    assert len(files) == 3 * 4 and all(path.suffix == ".sgf" for path in files)
    game: Any = GAMES["four"]
    number = 0
    for pairing in results["pairings"]:
        points = 0.0
        for second in range(4):
            played, left_out = read_game(files[number], game)
            *_, last = played.states()
            assert bool(game.done(last)[0]) and left_out == 0
            # Games begin at the empty board: the moves of the opening are in the file.
            assert int(game.plies(played.start)[0]) == 0
            names = (pairing["player"], pairing["opponent"])
            assert played.players == (names if second % 2 == 0 else (names[1], names[0]))
            # An agent says what it expects of its moves; the random player and the opening do not.
            evaluated = ["V[" in node for node in files[number].read_text().split(";")[2:]]
            is_agent = [name != "random" for name in played.players]
            assert evaluated == [ply >= 2 and is_agent[ply % 2] for ply in range(len(played.actions))]
            points += (1 + float(game.reward(last)[0, second % 2])) / 2
            number += 1
        assert points / 4 == pairing["score"]
    openings = [read_game(path, game).played.actions[:2] for path in files[:2]]
    assert openings[0] == openings[1], "both games of an opening begin with its moves"
    assert "games exists; give a new folder" in shown(capsys, *arguments, code=2)


@pytest.mark.slow
def test_games_of_chess_are_one_file_and_others_are_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown(capsys, "arena", "chess", "--games", 2, "--simulations", 2, "--save-games", "pgn", "--json")
    (path,) = (tmp_path / "pgn").iterdir()
    assert path.suffix == ".pgn" and path.read_text().count('[White "') == 2
    shown(capsys, "arena", "three", "--games", 2, "--simulations", 0, "--save-games", "json", "--json")
    assert sorted(p.suffix for p in (tmp_path / "json").iterdir()) == [".json", ".json"]


def test_played_games_are_written_when_the_person_leaves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = iter(["1", "undo", "2", "new", "3", "side", "quit"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    out = shown(capsys, "play", "four", "--strength", "easy", "--save", "mine.sgf")
    text = (tmp_path / "mine.sgf").read_text()
    assert "wrote mine.sgf" in out and text.count("(;") == 2
    # What was taken back is not written; the agent's moves have values.
    first, second = text.splitlines()
    assert "PB[person]PW[four]" in first and ";B[bd]" in first and ";B[ad]" not in first and first.count("value ") == 1
    assert "PB[four]PW[person]" in second
    assert "mine.sgf exists; --overwrite replaces it" in shown(capsys, "play", "four", "--save", "mine.sgf", code=2)
    assert "games of connect_four are written as .sgf" in shown(capsys, "play", "four", "--save", "a.pgn", code=2)


def test_nothing_is_written_without_a_move(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda prompt: "quit")
    shown(capsys, "play", "three", "--save", "mine.json")
    assert not (tmp_path / "mine.json").exists()


def test_a_record_is_analysed_with_a_table_a_graph_and_comments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The third disc of X is not answered, and X completes its column.
    (tmp_path / "game.sgf").write_text("(;SZ[4]PB[one]PW[two];B[ad];W[bd];B[ac];W[bc];B[ab];W[dd];B[aa])")
    arguments = ("analyse", "four", "game.sgf", "--simulations", 64)
    record = json.loads(shown(capsys, *arguments, "--json"))
    losses = {row["ply"]: row["loss"] for row in record["moves"]}
    assert record["worst"][0] == 5 and losses[5] > 0.3 and losses[6] == 0.0
    assert record["moves"][5]["best_move"] == "1" and record["moves"][5]["move"] == "4"
    out = shown(capsys, *arguments, "--graph", "graph.png", "--save", "notes.sgf")
    assert "O (two): mean loss" in out and "worst moves:" in out and "wrote graph.png" in out
    assert Image.open(tmp_path / "graph.png").size == (720, 440)
    assert "best 1, loss" in (tmp_path / "notes.sgf").read_text()
    assert read_game(tmp_path / "notes.sgf", GAMES["four"]).played.actions == [0, 1, 0, 1, 0, 3, 0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("game.sgf", "(;SZ[9];B[aa])", "game.sgf: SGF: its board is 9x9, and 4x4 is wanted"),
        ("game.sgf", "(;SZ[4])", "game.sgf: the game has no moves"),
        ("game.sgf", "", "game.sgf: the file is empty"),
        ("game.sgf", "\0\0", "game.sgf: this is no SGF: there is no parenthesis in it"),
        ("game.sgf", "(;B[aa];W[c", "(a ] is missing)"),
        ("moves.txt", "1 2 9", "moves.txt: move 3 is '9', which is no move"),
        ("", "", "there is no such file"),
    ],
)
def test_a_record_that_cannot_be_analysed_is_named(
    name: str, content: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if name:
        (tmp_path / name).write_text(content)
    error = shown(capsys, "analyse", "four", name or "none.sgf", code=2)
    assert message in error and sum(line.startswith("lab: ") for line in error.splitlines()) == 1
    (tmp_path / "g.png").write_text("")
    assert "g.png exists" in shown(capsys, "analyse", "four", name or "none", "--graph", "g.png", code=2)
