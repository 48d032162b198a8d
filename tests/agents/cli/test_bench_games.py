"""`lab bench games` prints one JSON object with the speed and the memory of each game."""

import json
from typing import Any

import pytest

from agents.alphazero.records import RecordFormat, row_bytes
from agents.games import GAMES, make
from agents.search.memory import node_bytes
from lab.cli.main import main

QUICK = ["--batch", "8", "--simulations", "2", "--device", "cpu", "--threads", "1", "--seconds", "0.01"]


def measured(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["bench", "games", *options, *QUICK, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)  # one object and nothing else
    assert isinstance(result, dict)
    return result


def test_one_game_with_options(capsys: pytest.CaptureFixture[str]) -> None:
    found = measured(capsys, "--game", "go", "size=5", "komi=0.5")
    assert (found["batch"], found["simulations"], found["device"], found["threads"]) == (8, 2, "cpu", 1)
    (go,) = found["games"]
    assert go["game"] == "go" and go["options"]["size"] == 5 and go["options"]["komi"] == 0.5
    assert go["random_plies_per_s"] > 0 and go["search_plies_per_s"] > 0
    game = make("go", size=5, komi=0.5)
    sizes = (node_bytes(game), row_bytes(game), row_bytes(game, RecordFormat(states=True)))
    assert (go["node_bytes"], go["position_bytes"], go["position_bytes_with_state"]) == sizes


def test_all_games_are_measured_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert [game["game"] for game in measured(capsys)["games"]] == list(GAMES)


def test_without_json_it_is_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "games", "--game", "tic_tac_toe", *QUICK]) == 0
    output = capsys.readouterr().out
    assert "random plies/s" in output and "tic_tac_toe" in output and "{" not in output


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--game", "ches"], "did you mean 'chess'"),
        (["--game", "go", "size=50"], "go: size must be from 2 to 19, not 50"),
        (["--game", "go", "size=big"], "option size must be int, not 'big'"),
        (["--game", "go", "size"], "'size' is no option of a game; write OPTION=VALUE"),
        (["--game", "go", "komi=[1"], "option komi: "),
        (["size=9"], "size=9 is an option of a game; name the game with --game"),
        (["--game", "chess", "--batch", "1000000"], "lower --batch or --simulations"),
        (["--device", "abacus"], "abacus"),
    ],
)
def test_a_mistake_is_one_line(options: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "games", *QUICK, *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and expected in captured.err
    assert captured.err.startswith("lab: ") and captured.err.count("\n") == 1
