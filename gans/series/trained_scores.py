"""Discriminative and predictive score: networks trained on generated series (Yoon et al. 2019, section 5)."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gans.series.config import SeriesEvaluateConfig as ScoreConfig
from lab.data.order import indices
from lab.nets.rnn import ManyToMany, ManyToOne
from lab.train.config import TrainingConfig
from lab.train.device import Device
from lab.train.learning_rate import learning_rate_at
from lab.train.step import GradientStep, LossSum

_TRAINED = 0.75  # fraction of the series in the classifier's training set
_BATCH = 1024  # series per forward pass of the scores
_Loss = Callable[[nn.Module, Tensor], LossSum]


def discriminative_score(real: Tensor, generated: Tensor, config: ScoreConfig, seed: int, device: Device) -> float:
    """|accuracy - 1/2| of a recurrent classifier of real and generated series, on a test set; 0 is best.

    [N, T, C] each, standardised, N at least 8.
    """
    count = min(len(real), len(generated))
    cut = int(count * _TRAINED)
    generator = torch.Generator().manual_seed(seed)
    real, generated = (series[torch.randperm(len(series), generator=generator)[:count]] for series in (real, generated))
    series = torch.cat([real[:cut], generated[:cut]]).to(device.device)
    targets = torch.cat([torch.ones(cut), torch.zeros(cut)]).to(device.device)
    network = _seeded(ManyToOne, series.shape[2], 1, config, seed)

    def loss(network: nn.Module, rows: Tensor) -> LossSum:
        logits = network(series[rows])[:, 0].float()
        return LossSum(F.binary_cross_entropy_with_logits(logits, targets[rows], reduction="sum"), len(rows))

    _train(network, len(series), loss, config, seed, device)
    correct = [(_logits(network, real[cut:]) > 0.0), (_logits(network, generated[cut:]) <= 0.0)]
    return abs(float(torch.cat(correct).double().mean()) - 0.5)


def predictive_score(real: Tensor, generated: Tensor, config: ScoreConfig, seed: int, device: Device) -> float:
    """Mean absolute error on real series of a recurrent network trained on generated series to predict the next step.

    [N, T, C] and [M, T, C], standardised: the error is in standard deviations of the data.
    """
    training = generated.to(device.device)
    network = _seeded(ManyToMany, training.shape[2], training.shape[2], config, seed)

    def loss(network: nn.Module, rows: Tensor) -> LossSum:
        series = training[rows]
        error = network(series[:, :-1])[0].float() - series[:, 1:]
        return LossSum(error.abs().sum(), error.numel())

    _train(network, len(training), loss, config, seed, device)
    with torch.no_grad():
        errors = [
            (network(series[:, :-1])[0] - series[:, 1:]).abs().double().sum()
            for series in real.to(device.device).split(_BATCH)
        ]
    return float(torch.stack(errors).sum()) / real[:, 1:].numel()


def _seeded(
    kind: type[ManyToOne] | type[ManyToMany], channels: int, outputs: int, config: ScoreConfig, seed: int
) -> nn.Module:
    """A network whose initial weights are a function of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(channels, config.score_hidden, outputs, cell="gru")


def _train(network: nn.Module, count: int, loss: _Loss, config: ScoreConfig, seed: int, device: Device) -> None:
    network.to(device.device).train()
    batch = min(config.score_batch_size, count)
    # float32 whatever the precision of training, so that scores of two machines are comparable.
    training = TrainingConfig(learning_rate=config.score_learning_rate, weight_decay=0.0, warmup=0.05)
    gradient_step = GradientStep(network, training, Device(device.device, "fp32", device.threads))
    for step in range(config.score_steps):
        rows = torch.from_numpy(indices(count, seed, step * batch, batch)).to(device.device)
        rate = learning_rate_at(training, step, config.score_steps)
        gradient_step(partial(_of_part, loss, network, rows), rows=batch, learning_rate=rate)
    network.eval()


def _of_part(loss: _Loss, network: nn.Module, rows: Tensor, part: slice) -> LossSum:
    return loss(network, rows[part])


@torch.no_grad()
def _logits(network: nn.Module, series: Tensor) -> Tensor:
    """Logits [N] on the CPU."""
    place = next(network.parameters()).device
    return torch.cat([network(part.to(place))[:, 0].float().cpu() for part in series.split(_BATCH)])
