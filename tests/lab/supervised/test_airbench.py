"""The step of `supervised/cifar10` is that of airbench94, written as its author does: summed losses, two optimizers."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.config.loading import load_preset
from lab.supervised.config import SupervisedConfig
from lab.supervised.network import Network
from lab.supervised.tasks.classification import Classification
from lab.supervised.transfer import build_network
from lab.train.device import Device
from lab.train.learning_rate import learning_rate_at
from lab.train.step import GradientStep, LossSum

BATCH = 2000  # the author's; the images here are fewer, each counts more often
CPU = Device(torch.device("cpu"), "fp32", 1)


def author_steps(network: Network, batches: list[tuple[Tensor, Tensor]]) -> None:
    """airbench94_muon: `batches` are the first of 200 steps."""
    named = {name: one for name, one in network.named_parameters() if one.requires_grad}
    head = named.pop("out.0.weight")
    biases = [one for one in named.values() if one.dim() == 1]
    filters = [one for one in named.values() if one.dim() == 4]
    decay = 2e-6 * BATCH
    groups = [(biases, 0.053), ([head], 0.67)]
    sgd = torch.optim.SGD(
        [{"params": params, "lr": rate, "weight_decay": decay / rate} for params, rate in groups],
        momentum=0.85,
        nesterov=True,
    )
    buffers = [torch.zeros_like(one) for one in filters]
    for step, (images, labels) in enumerate(batches):
        network.zero_grad()
        loss = F.cross_entropy(network(images), labels, label_smoothing=0.2, reduction="sum")
        (loss * (BATCH / len(labels))).backward()
        for group, (_, rate) in zip(sgd.param_groups, groups, strict=True):
            group["lr"] = rate * (1.0 - step / 200)
        sgd.step()
        with torch.no_grad():
            for weight, buffer in zip(filters, buffers, strict=True):
                assert weight.grad is not None
                buffer.mul_(0.6).add_(weight.grad)
                update = weight.grad.add(buffer, alpha=0.6)
                weight.mul_(len(weight) ** 0.5 / weight.norm())
                weight.sub_(0.24 * (1.0 - step / 200) * newton_schulz(update.flatten(1)).view_as(weight))


def newton_schulz(matrix: Tensor) -> Tensor:
    x = matrix / matrix.norm()
    for _ in range(3):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x


def test_steps_of_the_preset_are_the_authors() -> None:
    torch.manual_seed(0)
    config = load_preset("supervised/cifar10", ["network.channels=[4,32,256]"])
    assert isinstance(config, SupervisedConfig) and config.training.batch_size == BATCH
    assert config.task == Classification(label_smoothing=0.2, mirror=True, shift=1)
    network = build_network(config, (3, 32, 32), 10)
    batches = [(torch.rand(40, 3, 32, 32) * 2.0 - 1.0, torch.arange(40) % 10) for _ in range(2)]
    config.network.fit(network, lambda count: batches[0][0])
    other = copy.deepcopy(network)
    author_steps(other, batches)
    take = GradientStep(network, config.training, CPU, heads=[network.out])
    for step, (images, labels) in enumerate(batches):

        def loss(rows: slice, images: Tensor = images, labels: Tensor = labels) -> LossSum:
            total = F.cross_entropy(network(images), labels, reduction="sum", label_smoothing=0.2)
            return LossSum(total, len(labels))

        take(loss, rows=40, learning_rate=learning_rate_at(config.training, step * BATCH, config.training.period))
    for (name, ours), theirs in zip(network.named_parameters(), other.parameters(), strict=True):
        # The preset's rates are rounded to four digits.
        assert float((ours - theirs).detach().norm()) <= 5e-3 * float(theirs.detach().norm()), name
