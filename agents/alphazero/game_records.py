"""Records of self-play games in a run's folder, games/selfplay/0000000042.json: what `lab replay` shows again.

A record holds what cannot be computed from the seed and the game's id: each move, the version of the weights that
searched for it, the visit counts, and the value. A resumed run writes the games after its checkpoint once more, under
the same names with the same content.
"""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.alphazero.records import FinishedGames
from lab.config.suggestions import shortened
from lab.errors import UserError
from lab.files.plain import is_count, parse_json, read_regular

FORMAT = "rivals-selfplay-game"
_NAME = re.compile(r"(\d{10,19})\.json")
_LARGEST = 1 << 26  # bytes of a record


@dataclass(frozen=True)
class RecordedMove:
    """A move of self-play. ply: of the position before it. version: of the weights.

    value: float32, the root's value after search, for the player to move. visits: by action.
    """

    ply: int
    action: int
    version: int
    value: float
    visits: dict[int, int]


@dataclass(frozen=True)
class GameRecord:
    """A finished game of self-play; its random opening has the plies before the first of `moves`.

    first_reward: 1, 0 or -1 for player 0.
    """

    game_id: int
    first_reward: int
    resigned: bool
    moves: Sequence[RecordedMove]


def records_folder(run: Path) -> Path:
    """The folder of a run's records."""
    return run / "games" / "selfplay"


def write_records(run: Path, games: FinishedGames) -> None:
    """Write the recorded games among `games`. Raises OSError if the disk cannot be written."""
    if not len(games.moves):
        return
    folder = records_folder(run)
    folder.mkdir(parents=True, exist_ok=True)
    results = zip(games.game_id.tolist(), games.first_reward.tolist(), games.resigned.tolist(), strict=True)
    of_game = {game_id: (reward, resigned) for game_id, reward, resigned in results}
    ids = games.moves.game_id.tolist()
    for game_id in dict.fromkeys(ids):
        rows = [row for row, one in enumerate(ids) if one == game_id]
        reward, resigned = of_game[game_id]
        record = {
            "format": FORMAT,
            "game_id": game_id,
            "first_reward": reward,
            "resigned": resigned,
            "moves": [_move(games, row) for row in rows],
        }
        path = folder / f"{game_id:010d}.json"
        beside = path.with_suffix(".tmp")
        beside.write_text(json.dumps(record) + "\n", encoding="utf-8")
        os.replace(beside, path)


def _move(games: FinishedGames, row: int) -> dict[str, Any]:
    moves = games.moves
    counts, actions = moves.visits[row], moves.actions[row]
    visited = (counts > 0).nonzero()[:, 0]
    return {
        "ply": int(moves.ply[row]),
        "action": int(moves.action[row]),
        "version": int(moves.version[row]),
        "value": float(moves.value[row]),
        "visits": [[int(actions[slot]), int(counts[slot])] for slot in visited],
    }


def recorded_ids(run: Path) -> list[int]:
    """Ids of the games that a run has recorded, in ascending order."""
    folder = records_folder(run)
    names = [_NAME.fullmatch(path.name) for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(match[1]) for match in names if match)


def read_record(run: Path, game_id: int) -> GameRecord:
    """The record of a game. Raises UserError if there is none or it is damaged."""
    path = records_folder(run) / f"{game_id:010d}.json"
    try:
        value = parse_json(read_regular(path, _LARGEST))
    except FileNotFoundError:
        raise UserError(_no_record(run, game_id)) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    try:
        return _record(value, game_id)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged: {shortened(str(error), 80)}") from None


def _no_record(run: Path, game_id: int) -> str:
    ids = recorded_ids(run)
    if not ids:
        return (
            f"{run.name} has recorded no self-play games: selfplay.recorded_boards says on how many boards they are "
            "recorded from the start of a game on"
        )
    near = sorted(ids, key=lambda one: abs(one - game_id))[:5]
    return (
        f"{run.name} has not recorded game {game_id}; of its {len(ids):,} recorded games the nearest are "
        + ", ".join(map(str, sorted(near)))
    )


def _record(value: Any, game_id: int) -> GameRecord:
    """Raises KeyError, TypeError or ValueError for anything but a record of this game."""
    if value["format"] != FORMAT or value["game_id"] != game_id:
        raise ValueError(f"it is not the record of game {game_id}")
    if value["first_reward"] not in (-1, 0, 1) or not value["moves"]:
        raise ValueError("it has no result or no moves")
    moves = [
        RecordedMove(
            ply=_count(move["ply"]),
            action=_count(move["action"]),
            version=_count(move["version"]),
            value=float(np.float32(move["value"])),
            visits={_count(action): _count(visits) for action, visits in move["visits"]},
        )
        for move in value["moves"]
    ]
    first = moves[0].ply
    if [move.ply for move in moves] != list(range(first, first + len(moves))):
        raise ValueError("moves are missing")
    return GameRecord(game_id, int(value["first_reward"]), bool(value["resigned"]), moves)


def _count(value: Any) -> int:
    if not is_count(value):
        raise ValueError(f"{value!r} is not a whole number from 0")
    return int(value)
