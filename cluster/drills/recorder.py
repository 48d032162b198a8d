"""`python -m cluster.drills.recorder`: `lab train` and `lab resume` with a record of the games the learner received.

The record is independent of the run's own counters, so that a drill can compare the two.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from agents.alphazero.actors import Actors
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.network import PolicyValueNet
from agents.alphazero.records import FinishedGames
from agents.search.dynamics import LeafCounts
from cluster.pool.connection import import_ray
from cluster.workers.actors import start
from lab.cli.root import run_command
from lab.config.loading import load_preset
from lab.errors import UserError
from lab.files.plain import parse_json
from lab.run.launch import continue_run, start_run
from lab.train.device import Device

RECORD = "LAB_DRILL_RECORD"  # environment variable with the path of the record


class RecordedActors:
    """Actors that record the ids of all returned games, the Ray job, and the points where a later process continues."""

    def __init__(self, actors: Actors) -> None:
        self._actors = actors

    def publish(self, version: int, net: PolicyValueNet) -> None:
        self._actors.publish(version, net)

    def poll(self) -> list[FinishedGames]:
        games = self._actors.poll()
        job = str(import_ray().get_runtime_context().get_job_id())
        self._note(games=[game for batch in games for game in batch.game_id.tolist()], job=job)
        return games

    def counts(self) -> LeafCounts:
        return self._actors.counts()

    def seconds(self) -> float:
        return self._actors.seconds()

    def metrics(self) -> dict[str, float]:
        return self._actors.metrics()

    def state_dict(self) -> dict[str, Any]:
        return self._actors.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._actors.load_state_dict(state)
        self._note(continued=True)

    def _note(self, **note: Any) -> None:
        # The number of leaves never falls, so it orders the notes of all processes that trained the run.
        with open(os.environ[RECORD], "a", encoding="utf-8") as file:
            file.write(json.dumps({"leaves": self.counts().leaves, **note}) + "\n")


def games_received(record: Path) -> list[int]:
    """Ids of the games that the run received, without those lost with a process that died."""
    received: list[tuple[int, list[int]]] = []
    for note in _notes(record):
        if "continued" in note:
            received = [(leaves, games) for leaves, games in received if leaves <= note["leaves"]]
        else:
            received.append((note["leaves"], note["games"]))
    return [game for _, games in received for game in games]


def job(record: Path) -> str | None:
    """Ray's job id, in hexadecimal, of the process that trained the run last; None before the first games."""
    return next((str(note["job"]) for note in reversed(_notes(record)) if "job" in note), None)


@contextmanager
def start_recorded(config: AlphaZeroConfig, device: Device) -> Iterator[RecordedActors]:
    """`cluster.workers.actors.start` with a record."""
    with start(config, device) as actors:
        yield RecordedActors(actors)


def _notes(record: Path) -> list[dict[str, Any]]:
    if not record.exists():
        return []
    notes = []
    # The last line may be incomplete while it is written.
    for number, line in enumerate(record.read_bytes().split(b"\n")[:-1], 1):
        try:
            notes.append(parse_json(line))
            if not isinstance(notes[-1], dict) or type(notes[-1].get("leaves")) is not int:
                raise ValueError("it is not a note")
        except ValueError as error:
            raise UserError(f"{record}, line {number} is damaged: {error}") from None
    return notes


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("train")
def _train(preset: str, runs_dir: Annotated[Path, typer.Option()], name: Annotated[str, typer.Option()]) -> None:
    raise typer.Exit(start_run(load_preset(preset), runs_dir, name, overwrite=False, actors=start_recorded))


@app.command("resume")
def _resume(run: Path, overrides: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    raise typer.Exit(continue_run(run, overrides or [], actors=start_recorded))


def main() -> int:
    """Run the command line and return its exit code."""
    return run_command(app, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
