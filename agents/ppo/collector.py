"""Collection of trajectories: T steps of N environments under the current policy, with their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.environments.environments import Environments, Rows, Step
from agents.environments.observations import Arrays
from agents.ppo.config import PPOConfig
from agents.ppo.distributions import ActionDistribution
from agents.ppo.network import ActorCritic
from agents.ppo.plain import PlainNetwork
from agents.ppo.records import Trajectories
from lab import rng
from lab.errors import UserError
from lab.files.plain import is_count, same_form

_LARGEST = float(np.finfo(np.float32).max)
VALUE_ROWS = 8192
"""Most observations in one forward pass of the value network: bounds the memory of convolutions."""


class _Final(NamedTuple):
    """Final observations [F, ...] of episodes truncated at `step`, with the recurrent states [F, S] after it."""

    step: int
    rows: NDArray[np.int64]
    observations: Arrays
    states: Tensor


class Collector:
    """Steps the environments with the policy; keeps the last observations and recurrent states for the next rollout.

    Actions are a function of the seed, the steps so far and the environment's number: a rollout does not depend on
    groups, processes or workers, except for rounding in batches of another size.
    """

    def __init__(
        self,
        environments: Environments,
        network: ActorCritic,
        distribution: ActionDistribution,
        config: PPOConfig,
        *,
        first: int = 0,
    ) -> None:
        """first: the number of the first environment among those of the run."""
        self.environments, self.network, self.distribution = environments, network, distribution
        self.steps_taken = 0
        """Steps of each environment so far."""
        self._config, self._device, self._first = config, network.value.weight.device, first
        steps, count, spaces = config.learner.rollout_steps, environments.count, environments.spaces
        self._plain = PlainNetwork.of(network)
        self._steps, self._length = steps, config.learner.sequence_length or steps
        self._observations = spaces.codec.empty(steps + 1, count)
        self._mask = np.ones((steps + 1, count, spaces.actions.mask_size if spaces.masks else 0), np.bool_)
        self._starts = np.ones((steps + 1, count), np.bool_)
        self._rewards = np.zeros((steps, count))
        self._terminated, self._truncated, self._valid, self._lost = (
            np.zeros((steps, count), np.bool_) for _ in range(4)
        )
        self._state = network.initial_state(count)
        self._now = 0
        """Row of the observations that are acted on next: the last one after a rollout."""

    def reset(self, seed: int) -> None:
        """Begin new episodes in all environments."""
        self._now = 0
        self.environments.reset(seed, self._rows(0, slice(None)))
        self._starts[0] = True
        self._state.zero_()

    @torch.no_grad()
    def collect(self, steps_taken: int | None = None) -> Trajectories:
        """The next `rollout_steps` steps of every environment.

        steps_taken: steps of each environment so far, where they are counted elsewhere.
        Raises UserError if an environment gives NaN or an infinite number.
        """
        self._carry_over()
        if steps_taken is not None:
            self.steps_taken = steps_taken
        steps, count = self._steps, self.environments.count
        random = self._random()
        outputs = torch.empty(steps, count, self.distribution.outputs, device=self._device)
        values = torch.empty(steps + 1, count, device=self._device)
        actions: list[Tensor] = []
        states = self._state.new_empty(steps // self._length, *self._state.shape)
        finals: list[_Final] = []
        groups = self.environments.groups
        for step in range(steps):
            taken = []
            for number, rows in enumerate(groups):
                if step:
                    finals += self._receive(step - 1, number)
                self._clear_states(step, rows)
                if step % self._length == 0:
                    states[step // self._length, rows] = self._state[rows]
                self._forward(step, rows, outputs, values)
                mask = self._tensor(self._mask[step, rows]) if self._mask.shape[2] else None
                taken.append(self.distribution.sample(outputs[step, rows], random[step, rows], mask))
                self.environments.send(number, self.distribution.to_environment(taken[-1]).cpu().numpy())
            actions.append(taken[0] if len(taken) == 1 else torch.cat(taken))
        for number in range(len(groups)):
            finals += self._receive(steps - 1, number)
        self._check_finite(finals)
        self._now, self.steps_taken = steps, self.steps_taken + steps
        self._evaluate_rest(values)
        return self._trajectories(outputs, values, torch.stack(actions), states, finals)

    def state_dict(self) -> dict[str, Any]:
        """What the next rollout starts from. `environments` is {} where they cannot be saved."""
        return {
            "environments": self.environments.state_dict(),
            "observations": {name: array[self._now].copy() for name, array in self._observations.items()},
            "mask": self._mask[self._now].copy(),
            "starts": self._starts[self._now].copy(),
            "state": self._state.to("cpu", copy=True),
            "steps_taken": self.steps_taken,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> bool:
        """Continue from `state_dict`. Returns False where the environments could not be saved: new episodes begin.

        Raises ValueError for the state of other environments.
        """
        if not is_count(state["steps_taken"]) or not isinstance(state["environments"], Mapping):
            raise ValueError("the number of steps or the state of the environments is damaged")
        self.steps_taken = state["steps_taken"]
        if not state["environments"]:
            self.reset(self._config.seed + self.steps_taken)
            return False
        self.environments.load_state_dict(state["environments"])
        self._now = 0
        for name, array in self._observations.items():
            array[0] = same_form(state["observations"][name], array[0], name)
        self._mask[0] = same_form(state["mask"], self._mask[0], "mask")
        self._starts[0] = same_form(state["starts"], self._starts[0], "starts")
        self._state.copy_(same_form(state["state"], self._state.cpu(), "the recurrent state"))
        return True

    def _random(self) -> Tensor:
        """Random numbers of all samples of the rollout, [T, N, K]."""
        steps = torch.arange(self.steps_taken, self.steps_taken + self._steps)[:, None, None]
        rows = torch.arange(self._first, self._first + self.environments.count)[:, None]
        columns = torch.arange(self.distribution.noise)
        stream = int(rng.Stream.ACTION)
        return self.distribution.random(rng.uniform(self._config.seed, stream, steps, rows, columns)).to(self._device)

    def _receive(self, step: int, group: int) -> list[_Final]:
        """Record the step of a group, and write the observations that follow it."""
        rows = self.environments.groups[group]
        found: Step = self.environments.receive(group, self._rows(step + 1, rows))
        self._rewards[step, rows], self._terminated[step, rows] = found.reward, found.terminated
        self._truncated[step, rows], self._valid[step, rows] = found.truncated, found.valid
        self._lost[step, rows], self._starts[step + 1, rows] = found.lost, found.starts
        if not len(found.final_rows):
            return []
        numbers = found.final_rows + (rows.start or 0)
        return [_Final(step, numbers, found.final, self._state[numbers])]

    def _clear_states(self, step: int, rows: slice) -> None:
        if self.network.recurrent and self._starts[step, rows].any():
            self._state[rows] *= self._tensor(~self._starts[step, rows])[:, None]

    def _forward(self, step: int, rows: slice, outputs: Tensor, values: Tensor) -> None:
        """Outputs for observations at `step`; their values too where they cost next to nothing."""
        network, observations = self.network, self._prepared(self._rows(step, rows).observations)
        if network.recurrent:
            outputs[step, rows], values[step, rows], self._state[rows] = network.step(observations, self._state[rows])
        elif network.shared:
            evaluate = network if self._plain is None else self._plain.outputs_and_values
            outputs[step, rows], values[step, rows] = evaluate(observations)
        else:
            outputs[step, rows] = (network.act if self._plain is None else self._plain.outputs)(observations)

    def _evaluate_rest(self, values: Tensor) -> None:
        """The values that `_forward` left out: of all steps, or of the observations after the last."""
        network = self.network
        if network.recurrent:
            state = self._state * self._tensor(~self._starts[-1])[:, None]
            values[-1] = network.step(self._prepared(self._rows(self._steps, slice(None)).observations), state)[1]
            return
        first = self._steps if network.shared else 0
        flat = values[first:].view(-1)
        arrays = {name: array[first:].reshape(-1, *array.shape[2:]) for name, array in self._observations.items()}
        for start in range(0, len(flat), VALUE_ROWS):
            part = {name: array[start : start + VALUE_ROWS] for name, array in arrays.items()}
            flat[start : start + VALUE_ROWS] = network.values(self._prepared(part))

    def _trajectories(
        self, outputs: Tensor, values: Tensor, actions: Tensor, states: Tensor, finals: list[_Final]
    ) -> Trajectories:
        next_values = values[1:].clone()
        for final in finals:
            prepared = self._prepared(final.observations)
            if self.network.recurrent:
                found = self.network.step(prepared, final.states)[1]
            else:
                found = self.network.values(prepared)
            next_values[final.step, self._tensor(final.rows)] = found
        mask = self._mask[:-1]
        log_probs, _ = self.distribution.log_prob_entropy(
            outputs, actions, self._tensor(mask) if mask.shape[-1] else None
        )
        return Trajectories(
            observations={name: array[:-1] for name, array in self._observations.items()},
            mask=mask,
            starts=self._starts[:-1],
            rewards=self._rewards,
            terminated=self._terminated,
            truncated=self._truncated,
            valid=self._valid,
            lost=self._lost,
            actions=actions,
            log_probs=log_probs,
            values=values[:-1],
            next_values=next_values,
            states=states,
            dropped=np.zeros(self.environments.count, np.bool_),
        )

    def _carry_over(self) -> None:
        """Put what follows the last rollout first; that rollout's arrays may have been in use until now."""
        for array in (*self._observations.values(), self._mask, self._starts):
            array[0] = array[self._now]
        self._now = 0

    def _check_finite(self, finals: list[_Final]) -> None:
        """Raise UserError for a number of an environment that is not finite, or too large for float32."""
        found: list[tuple[NDArray[Any], str, NDArray[np.int64] | None]] = [(self._rewards, "a reward", None)]
        found += [(array, "an observation", None) for array in self._observations.values() if array.dtype.kind == "f"]
        for final in finals:
            arrays = final.observations.values()
            found += [(array, "an observation", final.rows) for array in arrays if array.dtype.kind == "f"]
        for array, what, rows in found:
            fine = np.abs(array) <= _LARGEST  # also false for NaN
            if not fine.all():
                at = np.argwhere(~fine)[0]
                row = self._first + int(at[1] if rows is None else rows[at[0]])
                raise UserError(
                    f"environment {self._config.env.id!r} gave {what} that is no finite float32 number: "
                    f"{array[tuple(at)]:g} (environment {row}); training stops, and checkpoints are intact"
                )

    def _rows(self, step: int, rows: slice) -> Rows:
        return Rows({name: array[step, rows] for name, array in self._observations.items()}, self._mask[step, rows])

    def _prepared(self, observations: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
        return self.network.prepare({name: self._tensor(array) for name, array in observations.items()})

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self._device)
