"""Training and testing of a milestone's network: the lab's gradient step on batches that a function makes."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.data.order import indices
from lab.train.config import ScheduledOptimizerConfig
from lab.train.device import Device, resolve
from lab.train.learning_rate import learning_rate_at
from lab.train.modes import evaluating
from lab.train.step import GradientStep, LossTerm

_TEST_ROWS = 1000


def cpu() -> Device:
    """The CPU in float32: milestones give the same numbers on a machine with a GPU and without."""
    return resolve("cpu", "fp32")


def minimise(
    network: nn.Module,
    loss: Callable[[int], Tensor],
    *,
    steps: int,
    config: ScheduledOptimizerConfig,
    after: Callable[[int, float], None] | None = None,
    every: int = 100,
) -> None:
    """Take `steps` gradient steps; the learning-rate schedule of `config` ends with them.

    loss: called with the number of the step, gives the mean loss of its batch, 0-d. after: called every `every` steps
    with the number of steps done and the mean loss since the last call.
    """
    gradient_step = GradientStep(network, config, cpu())
    network.train()
    recent: list[Tensor] = []
    for step in range(steps):

        def term(_: slice, step: int = step) -> LossTerm:
            return LossTerm(loss(step), {})

        recent.append(gradient_step(term, rows=1, learning_rate=learning_rate_at(config, step, steps)).loss)
        if after is not None and (step + 1) % every == 0:
            after(step + 1, float(torch.stack(recent).mean()))
            recent.clear()
            network.train()


def fit_classifier(
    network: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    batch_size: int,
    config: ScheduledOptimizerConfig,
    seed: int,
    prepare: Callable[[Tensor, int], Tensor] | None = None,
    after_epoch: Callable[[int, float], None] | None = None,
) -> None:
    """Minimise the cross-entropy of `network` on inputs [N, ...] with labels int64 [N], in shuffled epochs.

    prepare: (inputs of a batch, number of its first sample) -> what the network sees, such as augmented images.
    after_epoch: called with the number of epochs done and the mean loss of the last one.
    """
    per_epoch = max(1, len(inputs) // batch_size)

    def loss(step: int) -> Tensor:
        rows = torch.from_numpy(indices(len(inputs), seed, step * batch_size, batch_size))
        batch = inputs[rows]
        if prepare is not None:
            batch = prepare(batch, step * batch_size)
        return F.cross_entropy(network(batch), labels[rows])

    def after(step: int, mean: float) -> None:
        if after_epoch is not None:
            after_epoch(step // per_epoch, mean)

    minimise(network, loss, steps=epochs * per_epoch, config=config, after=after, every=per_epoch)


@torch.no_grad()
def error_rate(
    network: nn.Module, inputs: Tensor, labels: Tensor, prepare: Callable[[Tensor], Tensor] | None = None
) -> float:
    """Fraction of inputs [N, ...] whose most probable class is not their label, int64 [N]."""
    wrong = 0
    with evaluating(network):
        for rows in torch.arange(len(inputs)).split(_TEST_ROWS):
            batch = inputs[rows] if prepare is None else prepare(inputs[rows])
            wrong += int((network(batch).argmax(1) != labels[rows]).sum())
    return wrong / len(inputs)
