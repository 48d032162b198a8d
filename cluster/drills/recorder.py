"""`python -m cluster.drills.recorder train ...`: `lab` with a record of the games handed to the learner.

The record is apart from the run's own counters, so that a drill can hold these against it.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.alphazero.actors import Actors
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.evaluation import Evaluator
from agents.alphazero.network import PolicyValueNet
from agents.alphazero.records import FinishedGames
from cluster.pool.connection import import_ray
from cluster.workers.actors import RayActors, start
from lab.train.device import Device

RECORD = "LAB_DRILL_RECORD"  # the variable that names the file


class RecordedActors(RayActors):
    """Notes the ids of all games handed out, by which of Ray's jobs, and where a later process continues from."""

    def poll(self) -> list[FinishedGames]:
        games = super().poll()
        self._note(games=[game for batch in games for game in batch.game_id.tolist()], job=self._job)
        return games

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._note(continued=True)

    @property
    def _job(self) -> str:
        return str(import_ray().get_runtime_context().get_job_id())

    def _note(self, **note: Any) -> None:
        # Leaves only ever grow, so they tell when this was in the run's life, whichever process writes.
        with open(os.environ[RECORD], "a", encoding="utf-8") as file:
            file.write(json.dumps({"leaves": self.counts().leaves, **note}) + "\n")


def games_held(record: Path) -> list[int]:
    """Ids of the games that the run was handed, less those that went with a process that died."""
    held: list[tuple[int, list[int]]] = []
    for note in _notes(record):
        if "continued" in note:
            held = [(leaves, games) for leaves, games in held if leaves <= note["leaves"]]
        else:
            held.append((note["leaves"], note["games"]))
    return [game for _, games in held for game in games]


def job(record: Path) -> str | None:
    """Ray's name, in hexadecimal, for the process that the run was last trained by; None before the first games."""
    return next((str(note["job"]) for note in reversed(_notes(record)) if "job" in note), None)


def start_recorded(config: AlphaZeroConfig, net: PolicyValueNet, device: Device) -> tuple[Actors, Evaluator]:
    """`cluster.workers.actors.start` with a record; see `lab.config.registry.Kind.workers`."""
    return start(config, net, device, RecordedActors)


def _notes(record: Path) -> list[dict[str, Any]]:
    if not record.exists():
        return []
    # A last line without its end is still being written.
    return [json.loads(line) for line in record.read_text(encoding="utf-8").split("\n")[:-1]]


def main() -> int:
    from lab.cli import main
    from lab.config import registry

    registry.KINDS["alphazero"] = replace(registry.KINDS["alphazero"], workers="cluster.drills.recorder:start_recorded")
    return main.main()


if __name__ == "__main__":
    sys.exit(main())
