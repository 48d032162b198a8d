"""Recorded self-play games, and their searches rebuilt from checkpoints: the same visit counts, bit for bit."""

import json
import shutil
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.alphazero import experiment as alphazero
from agents.alphazero.game_records import read_record, recorded_ids, records_folder, write_records
from agents.alphazero.rebuilt_game import kept_versions, rebuild
from agents.alphazero.records import concatenate
from agents.games import make
from lab.cli.main import main
from lab.config.loading import load_run_config
from lab.errors import UserError
from lab.run import checkpoint
from lab.run.load import load_run
from tests.agents.small_alphazero import DEVICE, config, play_games, preset, selfplay

NO_PROGRESS = lambda count: None  # noqa: E731
TIC_TAC_TOE = make("tic_tac_toe")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    assert main(["train", str(preset(folder, budget=120)), "--runs-dir", str(folder), "--name", "small"]) == 0
    return folder / "small"


def test_the_games_of_the_first_boards_are_recorded_with_all_moves(tmp_path: Path) -> None:
    player = selfplay(TIC_TAC_TOE, boards=6, recorded_boards=2, opening_plies=2)
    games = concatenate([*play_games(player, 12, version=1), *play_games(player, 12, version=2)])
    write_records(tmp_path, games)
    ids = recorded_ids(tmp_path)
    assert 4 <= len(ids) < len(games.game_id) and ids[:2] == [0, 1]
    rewards = dict(zip(games.game_id.tolist(), games.first_reward.tolist(), strict=True))
    plies = dict(zip(games.game_id.tolist(), games.plies.tolist(), strict=True))
    for game_id in ids:
        record = read_record(tmp_path, game_id)
        assert record.first_reward == rewards[game_id] and record.moves[-1].ply + 1 == plies[game_id]
        # Eight simulations, and the move is one of those that were visited most.
        assert all(sum(move.visits.values()) == 8 for move in record.moves)
        assert all(move.visits[move.action] == max(move.visits.values()) for move in record.moves)
        assert {move.version for move in record.moves} <= {1, 2}


def test_no_games_are_recorded_without_boards(tmp_path: Path) -> None:
    games = concatenate(play_games(selfplay(TIC_TAC_TOE, boards=4, recorded_boards=0), 9))
    write_records(tmp_path, games)
    assert recorded_ids(tmp_path) == []
    with pytest.raises(UserError, match="has recorded no self-play games"):
        read_record(tmp_path, 3)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["gumbel", "puct"])
def test_every_search_of_which_weights_are_kept_is_rebuilt_bit_for_bit(algorithm: str, tmp_path: Path) -> None:
    settings = preset(tmp_path, budget=250, search={"algorithm": algorithm}, checkpoint={"keep": 2})
    assert main(["train", str(settings), "--runs-dir", str(tmp_path), "--name", "small"]) == 0
    run = tmp_path / "small"
    settings_of_run: Any = load_run_config(run / "config.yaml")
    kept, searched, total = kept_versions(run), 0, 0
    for game_id in recorded_ids(run):
        rebuilt = rebuild(run, read_record(run, game_id), settings_of_run, DEVICE, NO_PROGRESS)
        for move, search in zip(rebuilt.record.moves, rebuilt.searches, strict=True):
            assert (search is None) == (move.version not in kept)
            if search is not None:
                assert search.equals(move) and not search.alone
                assert sum(search.prior.values()) == pytest.approx(1.0, abs=1e-5)
                searched += 1
            total += 1
    assert 0 < searched < total


@pytest.mark.slow
def test_a_position_of_a_workers_game_is_searched_alone(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_workers(*arguments: Any) -> Any:
        loaded = load_run(*arguments)
        state = dict(loaded.state) | {"actors": {"results": {}, "counts": {}}}
        return replace(loaded, state=state)

    monkeypatch.setattr("agents.alphazero.rebuilt_game.load_run", of_workers)
    settings: Any = load_run_config(run / "config.yaml")
    found = [
        search
        for game_id in recorded_ids(run)[-3:]
        for search in rebuild(run, read_record(run, game_id), settings, DEVICE, NO_PROGRESS).searches
        if search is not None
    ]
    assert found and all(search.alone and sum(search.visits.values()) == 4 for search in found)


@pytest.mark.slow
def test_a_resumed_run_records_the_same_games(tmp_path: Path) -> None:
    settings = config(evaluate={"every": 0})
    whole = alphazero.build(settings, tmp_path / "whole", DEVICE)
    half = alphazero.build(settings, tmp_path / "half", DEVICE)
    half.load_state_dict(deepcopy(whole.state_dict()))
    for experiment in (whole, half):
        for _ in range(3):
            experiment.iterate()
    rest = alphazero.build(settings, tmp_path / "half", DEVICE)
    rest.load_state_dict(deepcopy(half.state_dict()))
    for _ in range(3):
        whole.iterate()
        rest.iterate()

    def contents(name: str) -> dict[str, str]:
        return {path.name: path.read_text() for path in records_folder(tmp_path / name).iterdir()}

    assert contents("whole") == contents("half") and len(contents("whole")) >= 8


def test_games_continued_from_a_state_without_their_moves_are_not_recorded(tmp_path: Path) -> None:
    player, again = (selfplay(TIC_TAC_TOE, boards=4, recorded_boards=4) for _ in range(2))
    play_games(player, 3)
    state = player.state_dict()
    del state["moves"]
    again.load_state_dict(state)
    games = concatenate(play_games(again, 20))
    write_records(tmp_path, games)
    # The games in progress were 0 to 3; those that began later are whole.
    assert set(games.game_id.tolist()) >= {0, 1, 2, 3} and min(recorded_ids(tmp_path)) >= 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "is damaged"),
        ({"game_id": 7}, "is damaged"),
        ({"moves": []}, "is damaged"),
        ({"moves": [{"ply": 0}]}, "is damaged"),
        ({"first_reward": 5}, "is damaged"),
    ],
)
def test_a_damaged_record_is_refused(change: Mapping[str, Any], message: str, tmp_path: Path) -> None:
    games = concatenate(play_games(selfplay(TIC_TAC_TOE, boards=4), 9))
    write_records(tmp_path, games)
    path = records_folder(tmp_path) / "0000000001.json"
    assert read_record(tmp_path, 1).game_id == 1
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=message):
        read_record(tmp_path, 1)
    path.write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        read_record(tmp_path, 1)


def shown(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == code
    streams = capsys.readouterr()
    return streams.err if code else streams.out


def kept_game(run: Path) -> int:
    """A recorded game of which some moves have weights and others have not."""
    kept = kept_versions(run)
    for game_id in recorded_ids(run):
        versions = [move.version in kept for move in read_record(run, game_id).moves]
        if any(versions) and not all(versions):
            return game_id
    raise AssertionError("no such game")


def test_replay_shows_a_game_and_says_what_was_compared(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    game_id = kept_game(run)
    text = shown(capsys, "replay", run, game_id, "--save", tmp_path / "game.json")
    record = read_record(run, game_id)
    kept = [move.version in kept_versions(run) for move in record.moves]
    assert text.count("the recorded search, bit for bit") == sum(kept)
    assert text.count("not kept; from the record") == len(kept) - sum(kept)
    assert f"{sum(kept)} of {len(kept)} searches were rebuilt" in text and "are no longer kept" in text
    assert len(json.loads((tmp_path / "game.json").read_text())["moves"]) == len(kept)
    rows = json.loads(shown(capsys, "replay", run, game_id, "--json"))["moves"]
    assert [row["rebuilt"] is not None for row in rows] == kept
    assert all(row["rebuilt"]["equal"] and row["rebuilt"]["visits"] == row["visits"] for row in rows if row["rebuilt"])
    listed = json.loads(shown(capsys, "replay", run, "--json"))
    assert [row["kept"] for row in listed["games"] if row["game_id"] == game_id] == [sum(kept)]
    assert f"{len(listed['games'])} games are recorded" in shown(capsys, "replay", run)


@pytest.mark.slow
def test_a_record_that_differs_from_the_search_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    game_id = kept_game(run)
    path = records_folder(run) / f"{game_id:010d}.json"
    before = path.read_text()
    changed = json.loads(before)
    for move in changed["moves"]:
        move["visits"][0][1] += 1
    path.write_text(json.dumps(changed))
    try:
        text = shown(capsys, "replay", run, game_id)
    finally:
        path.write_text(before)
    assert "differs from the recorded search" in text and "another processor" in text


@pytest.mark.slow
def test_mistakes_of_replay_are_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "has not recorded game 99999; of its" in shown(capsys, "replay", run, 99999, code=2)
    assert "has the searched moves" in shown(capsys, "replay", run, kept_game(run), "--move", 40, code=2)
    name = shown(capsys, "replay", run, kept_game(run), "--save", "game.sgf", code=2)
    assert "games of tic_tac_toe are written as .json" in name


@pytest.mark.slow
def test_without_checkpoints_the_record_is_shown(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "small"))
    for path in [copy / "checkpoints" / checkpoint.BEST, *checkpoint.numbered(copy / "checkpoints")]:
        shutil.rmtree(path, ignore_errors=True)
    text = shown(capsys, "replay", copy, recorded_ids(copy)[0])
    assert "0 of" in text and "kept: none" in text


def test_the_state_of_the_recorder_is_checked() -> None:
    player = selfplay(TIC_TAC_TOE, boards=4)
    play_games(player, 2)
    for change in ({"action": torch.full((4, 9), 9, dtype=torch.int16)}, {"value": torch.zeros(1)}):
        state = player.state_dict()
        state["moves"] = state["moves"] | change
        with pytest.raises(ValueError, match="moves"):
            selfplay(TIC_TAC_TOE, boards=4).load_state_dict(state)
