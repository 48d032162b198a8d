"""Precision of self-play and of the learner, measured with the run's own network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from agents.alphazero.network import InferenceNet, PolicyValueNet
from lab.train.device import Device
from lab.train.measured_precision import Calls, Candidate, PrecisionChoices

SELF_PLAY = "self-play"
LEAST_BOARDS = 256
"""Boards of a group: with fewer, a second thread within the operations gains as much as a second group."""
_CANDIDATES = (
    Candidate("fp32", "fused"),
    Candidate("fp32", "plain"),
    Candidate("bf16", "fused"),
    Candidate("bf16", "plain"),
)
_MOST_ROWS = 256


def inference_device(choices: PrecisionChoices, net: PolicyValueNet, *, boards: int) -> Device:
    """The device with precision and form of self-play; boards: all that are played at once."""
    groups = group_count(boards, choices.device)
    rows, threads = min(boards // groups, _MOST_ROWS), torch.get_num_threads()

    def calls() -> Calls:
        observation = torch.zeros(rows, *net.observation_shape)
        nets = {one: InferenceNet(net, precision=one.precision, form=one.form) for one in _CANDIDATES}
        # A network without fused form is measured once for each precision.
        measured = {one: found for one, found in nets.items() if found.form == one.form}
        return {one: _evaluating(found, observation) for one, found in measured.items()}

    torch.set_num_threads(1 if groups > 1 else threads)  # as the groups compute
    try:
        return choices.choose(SELF_PLAY, calls, rows=rows)
    finally:
        torch.set_num_threads(threads)


def group_count(boards: int, device: Device) -> int:
    """Groups in which boards are played: one for each CPU thread, if each has enough boards for a batch."""
    if device.device.type != "cpu":
        return 1
    return max(1, min(device.threads, boards // LEAST_BOARDS))


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
