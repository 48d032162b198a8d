"""Shares of the environments: each worker has its rows, and together they are what one process would have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.ppo.records import Trajectories

_VECTOR = "vector"
"""Key of the state of one of Gymnasium's vector environments, which cannot be cut into other shares."""


def packed(trajectories: Trajectories) -> Trajectories:
    """The trajectories with arrays for tensors, as they are sent between processes."""
    return Trajectories._make(field.cpu().numpy() if isinstance(field, Tensor) else field for field in trajectories)


def joined(shares: Sequence[Trajectories], device: torch.device) -> Trajectories:
    """The packed trajectories of all environments, in the order of the shares; tensors on the device."""
    fields = {name: [getattr(share, name) for share in shares] for name in Trajectories._fields}
    observations = fields.pop("observations")
    dropped = fields.pop("dropped")
    whole: dict[str, Any] = {name: np.concatenate(parts, axis=1) for name, parts in fields.items()}
    for name in ("actions", "log_probs", "values", "next_values", "states"):
        whole[name] = torch.from_numpy(whole[name]).to(device)
    return Trajectories(
        observations={name: np.concatenate([part[name] for part in observations], axis=1) for name in observations[0]},
        dropped=np.concatenate(dropped),
        **whole,
    )


def joined_states(shares: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The state of all environments (`Collector.state_dict`) from those of the shares."""
    environments = [share["environments"] for share in shares]
    if not all(environments):
        return {"environments": {}, "steps_taken": shares[0]["steps_taken"]}
    if len(shares) == 1:
        whole: dict[str, Any] = environments[0]
    elif any(_VECTOR in own for own in environments):
        whole = {"shares": environments}
    else:
        whole = {"environments": [state for own in environments for state in own["environments"]]}
    names = shares[0]["observations"]
    return {
        "environments": whole,
        "observations": {name: np.concatenate([share["observations"][name] for share in shares]) for name in names},
        "mask": np.concatenate([share["mask"] for share in shares]),
        "starts": np.concatenate([share["starts"] for share in shares]),
        "state": torch.cat([share["state"] for share in shares]),
        "steps_taken": shares[0]["steps_taken"],
    }


def share_of_state(state: Mapping[str, Any], rows: Sequence[slice], number: int) -> dict[str, Any]:
    """The part of a share in the state of all environments.

    Its `environments` are {} where the state was saved with other shares and cannot be cut.
    """
    own = rows[number]
    environments = state["environments"]
    if "environments" in environments:
        each = rows[-1].stop // len(environments["environments"])
        part: dict[str, Any] = {"environments": environments["environments"][own.start // each : own.stop // each]}
    elif _VECTOR in environments and len(rows) == 1:
        part = environments
    elif len(environments.get("shares", ())) == len(rows):
        part = environments["shares"][number]
    else:
        return {"environments": {}, "steps_taken": state["steps_taken"]}
    return {
        "environments": part,
        "observations": {name: array[own] for name, array in state["observations"].items()},
        "mask": state["mask"][own],
        "starts": state["starts"][own],
        "state": state["state"][own],
        "steps_taken": state["steps_taken"],
    }
