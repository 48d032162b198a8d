"""A folder with the games of matches."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from agents.arena.match import Pairing
from agents.games.game_files import games_text, suffix_of
from lab.errors import UserError
from lab.files.durable import explain


def check_new_folder(folder: Path) -> None:
    """Raise UserError for a path that is a file or a folder with something in it."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists; give a new folder for the games")


def save_matches(folder: Path, pairings: Sequence[Pairing]) -> None:
    """Write the games of each pair: chess as one file of PGN, others as a file per game, which readers of SGF expect.

    Raises UserError if the disk cannot be written.
    """
    today = date.today().isoformat()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, pairing in enumerate(pairings, start=1):
            # The number tells apart names that are equal without their special characters.
            event = f"{pairing.player} against {pairing.opponent}"
            stem = f"{number:03d}-{_plain(pairing.player)}-{_plain(pairing.opponent)}"
            games = [replace(game, event=event, date=today) for game in pairing.records()]
            if not games:
                continue
            suffix = suffix_of(games[0].game)
            if suffix == ".pgn":
                (folder / f"{stem}{suffix}").write_text(games_text(games), encoding="utf-8")
                continue
            for index, game in enumerate(games, start=1):
                (folder / f"{stem}-{index:06d}{suffix}").write_text(games_text([game]), encoding="utf-8")
    except OSError as error:
        raise UserError(explain(error, folder, "try again")) from error


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+@=-]+", "_", name)[:60]
