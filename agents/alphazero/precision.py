"""Precision of self-play and of the learner, measured with the run's own network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from agents.alphazero.network import InferenceNet, PolicyValueNet
from lab.train.device import Device
from lab.train.measured_precision import Calls, Candidate, PrecisionChoices

SELF_PLAY = "self-play"
_CANDIDATES = (
    Candidate("fp32", "fused"),
    Candidate("fp32", "plain"),
    Candidate("bf16", "fused"),
    Candidate("bf16", "plain"),
)
_MOST_ROWS = 256


def inference_device(choices: PrecisionChoices, net: PolicyValueNet, *, rows: int) -> Device:
    """The device with precision and form of self-play; rows: boards of a batch."""
    rows = min(rows, _MOST_ROWS)

    def calls() -> Calls:
        observation = torch.zeros(rows, *net.observation_shape)
        nets = {one: InferenceNet(net, precision=one.precision, form=one.form) for one in _CANDIDATES}
        # A network without fused form is measured once for each precision.
        measured = {one: found for one, found in nets.items() if found.form == one.form}
        return {one: _evaluating(found, observation) for one, found in measured.items()}

    return choices.choose(SELF_PLAY, calls, rows=rows)


def _evaluating(net: InferenceNet, observation: Tensor) -> Callable[[int], object]:
    return lambda count: net(observation[:count])


def training_device(choices: PrecisionChoices, net: PolicyValueNet, *, rows: int) -> Device:
    """The device with the precision of gradient steps; rows: positions of a micro-batch."""
    rows = min(rows, _MOST_ROWS)
    observation = torch.rand(rows, *net.observation_shape, generator=torch.Generator().manual_seed(0))
    observation = observation.contiguous(memory_format=torch.channels_last)

    def loss(network: nn.Module, count: int) -> Tensor:
        logits, outcome = network(observation[:count])
        return logits.float().square().mean() + outcome.float().square().mean()

    return choices.training(net, loss, rows=rows)
