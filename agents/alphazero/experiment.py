"""The AlphaZero experiment: self-play with the EMA weights, training on the replay buffer, publishing the weights."""

import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.alphazero.actors import Actors, LocalActors
from agents.alphazero.agent import make_network
from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.evaluation import NetworkEvaluator
from agents.alphazero.game_records import records_folder, write_records
from agents.alphazero.learner import Learner, learning_rate, load_weights, steps_allowed
from agents.alphazero.memory import needs
from agents.alphazero.metrics import CATALOGUE
from agents.alphazero.overlap import Background
from agents.alphazero.precision import inference_device, training_device
from agents.alphazero.reanalyser import Reanalyser
from agents.alphazero.records import FinishedGames, concatenate
from agents.alphazero.replay import ReplayBuffer
from agents.alphazero.transfer import start_from
from agents.search.dynamics import LeafCounts
from lab.files.durable import explain
from lab.run import checkpoint as checkpoints
from lab.run import memory_needs
from lab.run.experiment import Evaluation, Experiment
from lab.train.collectives import ranks
from lab.train.device import Device
from lab.train.measured_precision import PrecisionChoices

_log = logging.getLogger(__name__)


class AlphaZero(Experiment):
    """Self-play, replay buffer and learner, advanced by iterations (Silver et al. 2018; Danihelka et al. 2022).

    Rank 0 owns actors, replay buffer and evaluation; other ranks only take part in gradient steps
    (`agents.alphazero.learner_rank`). The caller closes the actors.
    """

    progress = "positions"
    catalogue = CATALOGUE

    def __init__(
        self,
        config: AlphaZeroConfig,
        directory: Path,
        *,
        learner: Learner,
        actors: Actors,
        evaluator: NetworkEvaluator,
        reanalyser: Reanalyser | None = None,
    ) -> None:
        self.config, self.learner, self.actors, self._evaluator = config, learner, actors, evaluator
        self.reanalyser = reanalyser
        self.replay = ReplayBuffer(
            config.game.make(),
            config.replay,
            directory / "replay",
            config.checkpoint.keep,
            config.record_format,
        )
        self._directory, self._record_failed = directory, False
        self._ranks = ranks()
        self._background = Background(learner.device.device) if config.selfplay.overlap else None
        self._version = 0
        self._games = 0
        actors.publish(self._version, learner.average.module)

    @property
    def counters(self) -> dict[str, int]:
        return {
            "positions": self.replay.total,
            "games": self._games,
            "trained": self.learner.steps * self.config.learner.batch_size,
            "version": self._version,
            "network_evaluations": self.actors.counts().evaluated
            + (0 if self.reanalyser is None else self.reanalyser.counts.evaluated),
        }

    def iterate(self) -> dict[str, float]:
        """Receive finished games, search old positions again, train as the replay ratio allows, publish the weights.

        With `selfplay.overlap` games are played meanwhile: they are those of the weights that the iteration began with,
        as without, and training sees the games of earlier iterations alone. Every part is a function of what the
        iteration began with, so that results do not depend on timing.
        """
        before, seconds_before = self.actors.counts(), self.actors.seconds()
        if self._background is None:
            finished, polled = self._poll()
            self._receive(finished)
            metrics = self._train()
        else:
            with self._background.running(self._poll) as playing:
                metrics = self._train()
            finished, polled = playing.result()
            self._receive(finished)
        counts, seconds = self.actors.counts().since(before), self.actors.seconds() - seconds_before
        self._publish()
        played = self._selfplay_metrics(finished, counts, seconds) | self.actors.metrics()
        return played | metrics | {"time/selfplay_s": polled}

    def evaluate(self) -> Evaluation:
        """Evaluate the averaged network."""
        return self._evaluator.evaluate(self.learner.average.module, self.replay.total)

    def state_dict(self) -> dict[str, Any]:
        return {
            "learner": self.learner.state_dict(),
            "replay": self.replay.state_dict(),
            "actors": self.actors.state_dict(),
            "games": self._games,
            "version": self._version,
            **({} if self.reanalyser is None else {"reanalyser": self.reanalyser.state_dict()}),
        }

    def follower_state(self) -> dict[str, Any]:
        return {"learner": self.learner.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        load_weights(self.learner.net, state, "learner", "net")  # first: raises for the checkpoint of another network
        self.learner.load_state_dict(state["learner"])
        self.replay.load_state_dict(state["replay"])
        self.actors.load_state_dict(state["actors"])
        if self.reanalyser is not None:
            self.reanalyser.load_state_dict(state.get("reanalyser"), self.replay.total)
        self._games = state["games"]
        self._version = state["version"]
        self.actors.publish(self._version, self.learner.average.module)

    def close(self) -> None:
        if self._background is not None:
            self._background.close()

    def _poll(self) -> tuple[list[FinishedGames], float]:
        """Finished games, and the seconds that it took to receive them."""
        start = time.perf_counter()
        return self.actors.poll(), time.perf_counter() - start

    def _receive(self, finished: list[FinishedGames]) -> None:
        for games in finished:
            self.replay.extend(games.positions)
            self._games += len(games.game_id)
            self._record(games)

    def _train(self) -> dict[str, float]:
        """Search what is due of the replay buffer again, then the gradient steps."""
        reanalysis = self._reanalyse()
        start = time.perf_counter()
        metrics = self._learn()
        seconds = time.perf_counter() - start
        if "loss/total" in metrics:
            trained = metrics.pop("train/iteration_steps") * self.config.learner.batch_size
            metrics["train/samples_per_s"] = trained / seconds
        return reanalysis | metrics | {"time/learning_s": seconds}

    def _reanalyse(self) -> dict[str, float]:
        """Search what is due of the replay buffer with the weights that play."""
        if self.reanalyser is None:
            return {}
        start = time.perf_counter()
        self.reanalyser.run(self.replay, self.learner.average.module, self._version)
        return {
            "replay/reanalysed": float(self.reanalyser.positions),
            "time/reanalysis_s": time.perf_counter() - start,
        }

    def _learn(self) -> dict[str, float]:
        config = self.config.learner
        trained = self.learner.steps * config.batch_size
        steps = steps_allowed(config, self.replay.total, trained, self.config.replay.min_positions)
        rate = learning_rate(config, self.replay.total)
        self._ranks.broadcast_object((steps, self.replay.total))
        sums: dict[str, Tensor] = {}
        for _ in range(steps):
            batch = self.replay.sample(config.batch_size, self.config.seed, self.learner.steps)
            statistics = self.learner.step(batch, self.replay.total)
            statistics["replay/policy_lag"] = (self._version - batch.version.to(torch.float32)).mean()
            for name, value in statistics.items():
                sums[name] = sums[name] + value if name in sums else value
        metrics = {name: float(value) / steps for name, value in sums.items()}
        if steps:
            metrics["train/iteration_steps"] = steps
            # The loss is computed before the step; the gradient norm shows whether the weights are still finite.
            if math.isfinite(metrics["loss/total"]) and not math.isfinite(metrics["train/gradient_norm"]):
                raise FloatingPointError("a gradient is NaN or infinite")
        trained = self.learner.steps * config.batch_size
        return metrics | {
            "train/steps": self.learner.steps,
            "train/learning_rate": rate,
            "train/replay_ratio": trained / max(self.replay.total, 1),
            "replay/window": self.replay.window,
        }

    def _publish(self) -> None:
        self._version += 1
        self.actors.publish(self._version, self.learner.average.module)

    def _record(self, games: FinishedGames) -> None:
        """Keep the games that are recorded. Training does not depend on them, so that it goes on without."""
        try:
            write_records(self._directory, games)
        except OSError as error:
            if not self._record_failed:
                _log.warning("self-play games are not recorded: %s", explain(error, records_folder(self._directory)))
            self._record_failed = True

    def _selfplay_metrics(self, finished: list[FinishedGames], counts: LeafCounts, seconds: float) -> dict[str, float]:
        leaves = counts.leaves
        rows = counts.evaluated / max(counts.batches, 1)
        metrics = {
            "selfplay/games": float(self._games),
            "selfplay/network_evaluations": float(self.counters["network_evaluations"]),
            "selfplay/moves_per_s": counts.roots / seconds,
            "selfplay/simulations_per_s": leaves / seconds,
            "selfplay/evaluated": counts.evaluated / max(leaves, 1),
            "selfplay/ended": counts.ended / max(leaves, 1),
            "selfplay/repeated": counts.repeated / max(leaves, 1),
            "selfplay/batch": rows,
            "selfplay/batch_fill": rows / self.config.selfplay.boards,
        }
        if not finished:
            return metrics
        games = concatenate(finished)
        audited = games.wrong_resignation[games.wrong_resignation >= 0].float()
        if len(audited):
            metrics["selfplay/wrong_resignations"] = float(audited.mean())
        return metrics | {
            "selfplay/games_per_h": len(games.game_id) / seconds * 3600,
            "selfplay/plies": float(games.plies.float().mean()),
            "selfplay/first_wins": float((games.first_reward > 0).float().mean()),
            "selfplay/draws": float((games.first_reward == 0).float().mean()),
            "selfplay/resigned": float(games.resigned.float().mean()),
        }


def build(config: AlphaZeroConfig, directory: Path, device: Device, *, actors: Actors | None = None) -> AlphaZero:
    """The experiment of a run directory, with self-play in this process unless other actors are given."""
    game = config.game.make()
    memory_needs.check(needs(config, game, device), device)
    network = make_network(config, game)
    # A resumed run has its weights in the checkpoint, and other ranks receive those of rank 0.
    if config.start.run and not checkpoints.numbered(directory / "checkpoints"):
        start_from(network, config.start, directory.parent)
    network.to(device.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    choices = PrecisionChoices(directory, device)
    playing = inference_device(choices, network, boards=config.selfplay.boards)
    learning = training_device(choices, network, rows=config.learner.micro_batch or config.learner.batch_size)
    choices.report()
    learner = Learner(network, game, config.learner, learning, config.seed)
    return AlphaZero(
        config,
        directory,
        learner=learner,
        actors=actors or LocalActors(game, config, learner.average.module, playing),
        evaluator=NetworkEvaluator(config, directory, playing),
        reanalyser=Reanalyser(game, config, learner.average.module, playing)
        if config.replay.reanalyse_fraction
        else None,
    )
