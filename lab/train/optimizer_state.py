"""An optimizer's state, read back into the memory layout that its parameters have here."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Load what `optimizer.state_dict()` returned. Raises ValueError for that of parameters of other shapes.

    Fused steps walk through memory in order, so moments must lie in memory as their parameters do; a checkpoint keeps
    the numbers and not the layout.
    """
    optimizer.load_state_dict(dict(state))
    for parameter, moments in optimizer.state.items():
        for name, moment in moments.items():
            if not isinstance(moment, Tensor) or name == "step":
                continue
            if moment.shape != parameter.shape:
                raise ValueError(f"{name} is {list(moment.shape)} and its parameter {list(parameter.shape)}")
            moments[name] = torch.empty_like(parameter).copy_(moment)
