"""Games as files: PGN for chess, SGF for the games that have a form in it, JSON for any other game.

JSON is an object with `game`, `options`, `players`, `moves`, `values` and `result`; a file of several games is a list.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch

from agents.games.chess.fen import is_fen
from agents.games.chess.game import Chess
from agents.games.chess.pgn import is_pgn, read_pgn
from agents.games.chess.pgn_writing import write_pgn
from agents.games.game import Game
from agents.games.moves import CPU, Moves, read_moves
from agents.games.played import PlayedGame
from agents.games.sgf import has_sgf, read_sgf, write_sgf
from agents.games.sgf.tree import MARKS, contains_sgf, decoded, looks_like_sgf
from lab.config.suggestions import shortened
from lab.errors import UserError
from lab.files.plain import parse_json, read_regular

LARGEST = 1 << 26
"""Bytes of a file that is read, at most."""


def suffix_of(game: Game) -> str:
    """The suffix of a game's files: .pgn, .sgf or .json."""
    return ".pgn" if isinstance(game, Chess) else ".sgf" if has_sgf(game) else ".json"


def check_suffix(path: Path, game: Game) -> None:
    """Raise UserError unless a file has the suffix of the game's records."""
    if path.suffix.lower() != suffix_of(game):
        raise UserError(f"{path}: games of {game.name} are written as {suffix_of(game)}; give such a name")


def games_text(games: Sequence[PlayedGame]) -> str:
    """The text of a file with these games, which are of one kind."""
    if not games:
        return ""
    game = games[0].game
    if isinstance(game, Chess):
        return "".join(map(write_pgn, games))
    if has_sgf(game):
        return "".join(map(write_sgf, games))
    records = [_as_json(played) for played in games]
    return json.dumps(records[0] if len(records) == 1 else records, indent=1) + "\n"


class ReadGame(NamedTuple):
    """The first game of a file. left_out: moves after the end of the game by these rules."""

    played: PlayedGame
    left_out: int


def read_game(path: Path, game: Game) -> ReadGame:
    """The main line of the first game of a file, by the rules of `game`.

    Besides the formats of this module a file may hold names of moves, or a position such as a FEN. Raises UserError
    that names the file and the mistake.
    """
    try:
        data = read_regular(path, LARGEST)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    try:
        if path.suffix.lower() == ".sgf" and not data.strip():
            raise UserError("the file is empty")
        text = decoded(data) if has_sgf(game) else _plain_text(data)
        if path.suffix.lower() == ".sgf" and "(" not in text:
            raise UserError("this is no SGF: there is no parenthesis in it")
        return _read(text, game)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _plain_text(data: bytes) -> str:
    """The text of a file in the encoding of its byte order mark, else in UTF-8 or in Latin-1, that of PGN."""
    marked = next((name for mark, name in MARKS if data.startswith(mark)), None)
    for encoding in [marked] if marked else ["utf-8", "latin-1"]:
        with suppress(UnicodeError):
            return data.decode(encoding)
    raise UserError("it is no text")


def _read(text: str, game: Game) -> ReadGame:
    if has_sgf(game) and (looks_like_sgf(text) or contains_sgf(text)):
        record = read_sgf(text, game, beyond_end=True)
        players = (record.info("PB"), record.info("PW"))
        return ReadGame(PlayedGame(game, record.start, record.actions, players=players), record.left_out)
    text = text.removeprefix("\ufeff")
    if text.lstrip().startswith(("{", "[")) and not isinstance(game, Chess):
        return _from_json(text, game)
    players = ("", "")
    if isinstance(game, Chess) and not is_fen(text) and is_pgn(text):
        tags = read_pgn(text).tags
        players = (tags.get("White", ""), tags.get("Black", ""))
    return _from_moves(text, game, players)


def _from_moves(moves: Moves, game: Game, players: tuple[str, str]) -> ReadGame:
    read = read_moves(game, moves, CPU, beyond_end=True)
    return ReadGame(PlayedGame(game, read.start, read.actions, players=players), read.left_out)


def _from_json(text: str, game: Game) -> ReadGame:
    try:
        value = parse_json(text)
    except ValueError as error:
        raise UserError(f"this is no JSON: {error}") from None
    record = value[0] if isinstance(value, list) and value else value
    if not isinstance(record, dict) or not isinstance(record.get("moves"), list):
        raise UserError('a game is an object with a list of "moves"')
    name = record.get("game", game.name)
    if name != game.name:
        raise UserError(f"it is a game of {shortened(name, 40)}, and the run plays {game.name}")
    players = record.get("players")
    names = tuple(map(str, players)) if isinstance(players, list) and len(players) == 2 else ("", "")
    return _from_moves([str(move) for move in record["moves"]], game, (names[0], names[1]))


def _as_json(played: PlayedGame) -> dict[str, Any]:
    game, moves = played.game, []
    if not played.from_first_position():
        raise UserError(f"{game.name}: only games from the first position can be written")
    state = played.start
    for action in played.actions:
        moves.append(game.move_name(state, action))
        state = game.step(state, torch.tensor([action]))
    about = {"event": played.event, "date": played.date, "round": played.round, "ending": played.ending}
    return {
        "game": game.name,
        "options": dict(game.options),
        "players": list(played.players),
        **{name: value for name, value in about.items() if value},
        "result": played.result(state),
        "moves": moves,
        "values": [played.value(ply) for ply in range(len(moves))],
    }
