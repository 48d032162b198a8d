"""Actions of a trained policy for single observations, given as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from agents.environments.environments import Rows
from agents.environments.observations import MASK
from agents.ppo.distributions import Categorical
from agents.ppo.trained import TrainedPolicy, load_policy
from lab.errors import UserError
from lab.run import checkpoint as checkpoints
from lab.train.device import Device


def predict(
    run: Path,
    device: Device,
    inputs: Sequence[Any],
    *,
    masks: Sequence[Any] | None = None,
    checkpoint: str = checkpoints.BEST,
) -> list[dict[str, Any]]:
    """Actions for observations; see `lab.api.Run.predict`. masks: of legal options, one for each observation.

    A recurrent policy sees each observation as the first of an episode.
    """
    policy = load_policy(run, device, checkpoint)
    if not isinstance(inputs, list | tuple | np.ndarray):
        raise UserError(f"give a list of observations, not {type(inputs).__name__}")
    if masks is not None and len(masks) != len(inputs):
        raise UserError(f"{len(masks)} masks for {len(inputs)} observations: give one for each")
    return [predict_one(policy, given, None if masks is None else masks[i]) for i, given in enumerate(inputs)]


@torch.no_grad()
def predict_one(policy: TrainedPolicy, observation: Any, mask: Any = None) -> dict[str, Any]:
    """The most probable action and its distribution, and the value, of an observation in plain values.

    mask: 1 for legal options and 0 for others; of environments that have masks. Raises UserError for an observation or
    a mask of another shape.
    """
    network, found = policy.network, policy.spaces
    rows = Rows(found.codec.empty(1), np.ones((1, found.actions.mask_size if found.masks else 0), np.bool_))
    if found.codec.has_mask and isinstance(observation, Mapping):
        given = dict(observation)
        mask = given.pop(MASK, mask)
        observation = {MASK: np.ones(found.actions.mask_size, np.int8), **given}
    found.codec.write(
        _as_the_space(policy.environment.observation_space, observation, "the observation"), rows.observations, 0
    )
    if mask is not None:
        rows.mask[0] = _mask(policy, mask)
    device = network.value.weight.device
    prepared = network.prepare({name: torch.from_numpy(array).to(device) for name, array in rows.observations.items()})
    if network.recurrent:
        outputs, values, _ = network.step(prepared, network.initial_state(1))
    else:
        outputs, values = network(prepared)
    legal = torch.from_numpy(rows.mask).to(device) if found.masks else None
    chosen = policy.distribution.to_environment(policy.distribution.mode(outputs, legal))
    action = found.actions.to_environment(chosen[0].cpu().numpy())
    return {"action": np.asarray(action).tolist(), "value": float(values[0]), **_described(policy, outputs, legal)}


def _described(policy: TrainedPolicy, outputs: Tensor, legal: Tensor | None) -> dict[str, Any]:
    distribution = policy.distribution
    if not isinstance(distribution, Categorical):
        mean, log_std = outputs[0].chunk(2)
        name = "before_tanh" if policy.config.network.squash else "distribution"
        return {name: {"mean": mean.tolist(), "std": log_std.exp().tolist()}}
    parts = distribution.probabilities(outputs, legal)
    shown = [part[0].tolist() for part in parts]
    return {"probabilities": shown[0] if len(shown) == 1 else shown}


def _mask(policy: TrainedPolicy, mask: Any) -> np.ndarray:
    size = policy.spaces.actions.mask_size
    if not policy.spaces.masks:
        raise UserError(f"{policy.config.env.id} has no action masks; leave the mask out")
    try:
        values = np.asarray(mask, np.float64)
    except (TypeError, ValueError):
        values = np.zeros(0)
    if values.shape != (size,) or not np.isin(values, (0, 1)).all():
        raise UserError(f"the mask should be {size} numbers, 1 for legal options and 0 for others")
    if not values.any():
        raise UserError("the mask leaves no legal option")
    return values.astype(np.bool_)


def _as_the_space(space: spaces.Space[Any], value: Any, where: str) -> Any:
    """A plain value as a member of the space. Raises UserError that names the part which does not fit."""
    if isinstance(space, spaces.Dict):
        if not isinstance(value, Mapping) or set(value) != set(space.spaces):
            raise UserError(f"{where} should be an object with the keys {', '.join(space.spaces)}")
        return {key: _as_the_space(inner, value[key], f"{where}, {key!r}") for key, inner in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        if not isinstance(value, list | tuple) or len(value) != len(space.spaces):
            raise UserError(f"{where} should be a list of {len(space.spaces)} parts")
        parts = zip(space.spaces, value, strict=True)
        return tuple(_as_the_space(inner, part, f"{where}, part {i}") for i, (inner, part) in enumerate(parts))
    shape = space.shape or ()
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{where} should be numbers of the shape {list(shape)}") from None
    if array.shape != shape:
        raise UserError(f"{where} has the shape {list(array.shape)}, not {list(shape)}")
    if not np.isfinite(array).all():
        raise UserError(f"{where} holds NaN or an infinite number")
    if isinstance(space, spaces.Box):
        if space.dtype is not None and space.dtype.kind in "iub" and not _inside(space, array):
            raise UserError(f"{where} is outside of its space {space}")
        return array.astype(space.dtype)
    member: Any = array.astype(space.dtype)
    if isinstance(space, spaces.Discrete):
        member = space.dtype.type(member) if (array == array.astype(np.int64)).all() else None
    if member is None or not space.contains(member):
        raise UserError(f"{where} is not in its space {space}")
    return member


def _inside(box: spaces.Box, array: np.ndarray) -> bool:
    return bool((array >= box.low).all() and (array <= box.high).all())
