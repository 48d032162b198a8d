"""Export of a policy with its normalisation inside: ONNX or torch.export."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from agents.environments.observations import VECTOR
from agents.ppo.trained import TrainedPolicy
from lab.nets import export as exporting


class _Deterministic(nn.Module):
    """Raw observations (and, with a recurrent layer, its state) -> actions as the environment takes them, values."""

    def __init__(self, policy: TrainedPolicy) -> None:
        super().__init__()
        self.network = policy.network
        self._distribution = policy.distribution
        self._names = list(policy.spaces.codec.shapes)
        self._low = self._high = None
        if policy.spaces.actions.continuous:
            self._low = torch.from_numpy(policy.spaces.actions.low)
            self._high = torch.from_numpy(policy.spaces.actions.high)
        self._masks = policy.spaces.masks

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        given = iter(inputs)
        observations = self.network.prepare({name: next(given) for name in self._names})
        mask = next(given) if self._masks else None
        if self.network.recurrent:
            outputs, values, state = self.network.step(observations, next(given))
            return self._actions(outputs, mask), values, state
        outputs, values = self.network(observations)
        return self._actions(outputs, mask), values

    def _actions(self, outputs: Tensor, mask: Tensor | None) -> Tensor:
        actions = self._distribution.to_environment(self._distribution.mode(outputs, mask))
        return actions if self._low is None else actions.clamp(self._low, self._high)


def export(policy: TrainedPolicy, path: Path) -> float:
    """Write .onnx or .pt2 with a free batch size, see `lab.nets.export`; returns the largest difference."""
    return exporting.export(
        _Deterministic(policy).eval(),
        _inputs(policy, 2),
        _inputs(policy, 5),
        path,
        outputs=("actions", "values", "state_after") if policy.network.recurrent else ("actions", "values"),
        metadata=_metadata(policy),
    )


def _inputs(policy: TrainedPolicy, count: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(count)
    inputs: dict[str, Tensor] = {}
    for name, (shape, dtype) in policy.spaces.codec.shapes.items():
        if dtype.kind == "u":
            inputs[name] = torch.randint(0, 256, (count, *shape), generator=generator, dtype=torch.uint8)
        else:
            inputs[name] = torch.randn(count, *shape, generator=generator)
    if policy.spaces.masks:
        mask = torch.rand(count, policy.spaces.actions.mask_size, generator=generator) < 0.5
        first = torch.tensor([0, *policy.spaces.actions.sizes[:-1]]).cumsum(0)
        mask[:, first] = True  # every category has a legal option
        inputs["action_mask"] = mask
    if policy.network.recurrent:
        inputs["state"] = torch.randn(count, policy.network.state_size, generator=generator)
    return inputs


def _metadata(policy: TrainedPolicy) -> dict[str, object]:
    spaces = policy.spaces
    inputs = {
        name: f"{'float32' if dtype.kind == 'f' else 'uint8'} [batch, {', '.join(str(n) for n in shape)}]"
        + (", as the environment gives it: normalisation is inside" if name == VECTOR else ", channels first")
        for name, (shape, dtype) in spaces.codec.shapes.items()
    }
    if spaces.masks:
        inputs["action_mask"] = f"bool [batch, {spaces.actions.mask_size}], true for legal options"
    if policy.network.recurrent:
        inputs["state"] = f"float32 [batch, {policy.network.state_size}], zeros at the start of an episode"
    kind = "float32" if spaces.actions.continuous else "int64"
    outputs = {
        "actions": f"{kind} [batch, {spaces.actions.columns}], the most probable option or the mean"
        + (", within the bounds" if spaces.actions.continuous else ", counted from 0"),
        "values": "float32 [batch], expected discounted return",
    }
    if policy.network.recurrent:
        outputs["state_after"] = f"float32 [batch, {policy.network.state_size}], the input of the next step"
    return {
        "kind": policy.config.kind,
        "environment": policy.config.env.id,
        "inputs": inputs,
        "outputs": outputs,
    }
