"""Reanalysis: old positions of the replay buffer are searched again with the newest weights.

MuZero Reanalyse (Schrittwieser et al. 2021, "Online and Offline Reinforcement Learning by Planning with a Learned
Model"): a game's outcome stays true, but the policy and the value that a search found with old weights are replaced by
those of a search with the newest ones.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.network import InferenceNet, PolicyValueNet
from agents.alphazero.records import likeliest
from agents.alphazero.replay import ReplayBuffer
from agents.alphazero.search import make_dynamics, make_search
from agents.games.codec import decode
from agents.games.game import Game
from agents.search.dynamics import LeafCounts
from lab import rng
from lab.files.plain import is_count
from lab.train.device import Device


class Reanalyser:
    """Searches `replay.reanalyse_fraction` old positions for each one received, in full batches of `selfplay.boards`.

    Which positions, and the noise of their searches, are functions of the seed and the number searched before.
    """

    def __init__(self, game: Game, config: AlphaZeroConfig, net: PolicyValueNet, device: Device) -> None:
        self._game, self._config, self._device = game, config, device.device
        self._inference = InferenceNet(net, precision=device.precision)
        self._dynamics = make_dynamics(
            game, self._inference, config.selfplay.cache_slots, device.device, discount=config.search.discount
        )
        self._search = make_search(config.search, game=game, device=device.device)
        self._seed = int(rng.random_bits(config.seed, int(rng.Stream.REANALYSE)))
        self.positions = 0
        """Positions searched again so far."""

    @property
    def counts(self) -> LeafCounts:
        """Leaves since the start of the run."""
        return self._dynamics.counts

    def run(self, replay: ReplayBuffer, net: PolicyValueNet, version: int) -> None:
        """Search all that is due with `net`, the weights of this version."""
        batch = min(self._config.selfplay.boards, replay.window)
        due = (self._due(replay.total) - self.positions) // max(batch, 1)
        if due < 1:
            return
        self._inference.update(net)
        if self._dynamics.cache is not None:
            self._dynamics.cache.clear()
        for _ in range(due):
            self._reanalyse(replay, self._sample(replay, batch), version)
            self.positions += batch

    def state_dict(self) -> dict[str, Any]:
        return {"positions": self.positions, "counts": self.counts._asdict()}

    def load_state_dict(self, state: Mapping[str, Any] | None, received: int) -> None:
        """Continue from `state_dict`. None for a run that has reanalysed nothing: it begins after `received` positions.

        Raises KeyError, TypeError or ValueError for a damaged state.
        """
        if state is None:
            self.positions = self._due(received)
            return
        if not is_count(state["positions"]):
            raise ValueError("the number of reanalysed positions is damaged")
        self.positions = state["positions"]
        self._dynamics.counts = LeafCounts.from_state(state["counts"])

    def _due(self, received: int) -> int:
        """Positions to search again while `received` positions arrive."""
        replay = self._config.replay
        return int(replay.reanalyse_fraction * max(0, received - replay.min_positions))

    def _sample(self, replay: ReplayBuffer, batch: int) -> Tensor:
        """int64 [N], ascending and distinct: one position of each of N equal parts of the window."""
        edges = torch.arange(batch + 1) * replay.window // batch
        within = rng.integers(edges.diff(), self._seed, self.positions, torch.arange(batch))
        return replay.total - replay.window + edges[:-1] + within

    @torch.inference_mode()
    def _reanalyse(self, replay: ReplayBuffer, index: Tensor, version: int) -> None:
        old = replay.rows(index)
        states = decode(self._game, old.state)
        states = type(states)(*(field.to(self._device) for field in states))
        numbers = index.to(self._device)
        root = self._dynamics.root(states, game_id=numbers, ply=torch.full_like(numbers, self.positions))
        result = self._search(root, dynamics=self._dynamics, seed=self._seed, temperature=1.0)
        policy, actions = result.policy, result.actions
        if (entries := old.policy.shape[1]) < policy.shape[1]:
            policy, actions = likeliest(policy, actions, entries)
        replay.replace(
            index,
            policy=policy,
            actions=actions if old.actions.shape[1] else old.actions,
            search_value=result.value,
            version=torch.full_like(old.version, version),
            cheap=torch.zeros_like(old.cheap),
        )
