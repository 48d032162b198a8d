"""No illegal action ever: in training and in evaluations, in every kind of space, with and without recurrence."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from agents.environments.factory import describe
from agents.ppo.experiment import build
from lab.errors import UserError
from tests.agents import small_ppo

SIZES = (3, 4)


class Masked(gym.Env[Any, Any]):
    """Refuses illegal actions; about half of the options are legal, drawn anew at each step.

    where: "info", or "observation", which is a Dict then. several: two categories, whose masks are a tuple.
    """

    taken = 0

    def __init__(self, where: str = "info", several: bool = False, never: int = -1) -> None:
        vector = spaces.Box(-1.0, 1.0, (4,), np.float32)
        sizes = SIZES if several else SIZES[:1]
        self.action_space: Any = spaces.MultiDiscrete(list(SIZES)) if several else spaces.Discrete(SIZES[0])
        masks = tuple(spaces.MultiBinary(size) for size in sizes)
        self._in_observation, self._sizes, self._never = where == "observation", sizes, never
        self.observation_space: Any = vector
        if self._in_observation:
            mask = spaces.Tuple(masks) if several else masks[0]
            self.observation_space = spaces.Dict({"seen": vector, "action_mask": mask})
        self._step = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._step = 0
        return self._observe()

    def step(self, action: Any) -> Any:
        for choice, legal in zip(np.ravel(action), self._legal, strict=True):
            assert legal[choice], f"{action} is illegal"
        Masked.taken += 1
        self._step += 1
        over = self._step == 20
        observation, info = self._observe()
        return observation, float(np.ravel(action)[0]), over and self.np_random.random() < 0.5, over, info

    def _observe(self) -> tuple[Any, dict[str, Any]]:
        self._legal = []
        for size in self._sizes:
            legal = self.np_random.random(size) < 0.5
            legal[self.np_random.integers(size)] = True
            self._legal.append(legal & (self._step != self._never))
        masks = [legal.astype(np.int8) for legal in self._legal]
        mask = masks[0] if len(masks) == 1 else tuple(masks)
        seen = self.np_random.uniform(-1.0, 1.0, 4).astype(np.float32)
        if self._in_observation:
            return {"seen": seen, "action_mask": mask}, {}
        return seen, {"action_mask": mask}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    made: Any = Masked
    monkeypatch.setitem(gym.registry, "Masked-v0", EnvSpec("Masked-v0", entry_point=made))
    Masked.taken = 0


@pytest.mark.parametrize("recurrent", ["none", "lstm"])
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("where", ["info", "observation"])
def test_no_action_is_illegal(where: str, several: bool, recurrent: str, tmp_path: Path) -> None:
    config = small_ppo.config(
        env={"id": "Masked-v0", "count": 25, "kwargs": {"where": where, "several": several}},
        network={"recurrent": recurrent, "recurrent_size": 8},
        learner={"rollout_steps": 40, "minibatch": 500, "epochs": 1, "learning_rate": 0.01},
        evaluate={"episodes": 10, "deterministic": several},
    )
    assert describe(config.env).spaces.masks
    experiment = build(config, tmp_path, small_ppo.DEVICE)
    while Masked.taken < (10_000 if recurrent == "none" and not several else 2_000):
        experiment.iterate()
    experiment.evaluate()


def test_a_state_without_legal_actions_ends_training_and_names_the_environment(tmp_path: Path) -> None:
    config = small_ppo.config(env={"id": "Masked-v0", "kwargs": {"never": 7}})
    experiment = build(config, tmp_path, small_ppo.DEVICE)
    with pytest.raises(UserError, match="Masked-v0: its action mask allows no action"):
        experiment.iterate()
