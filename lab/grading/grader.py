"""The network with its head, and a trained grader that scores texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lab.grading import calibration
from lab.grading.config import GradingConfig
from lab.grading.data import Scale
from lab.grading.encoding import Encoded, Encoder, encoder_from
from lab.grading.features import parsed
from lab.grading.heads import make_head
from lab.grading.network import EssayBatch, EssayNetwork, Reading, Sizes
from lab.grading.surface import NAMES
from lab.grading.thresholds import Thresholds
from lab.nets.rnn import set_padding_masked
from lab.run import checkpoint as checkpoints
from lab.run.load import load_run
from lab.train.device import Device
from lab.train.step import LossSum

_BATCH = 64


class GraderNetwork(nn.Module):
    """`essays` reads essays; `head` says what its outputs stand for. grades: see `make_head`."""

    def __init__(self, config: GradingConfig, encoder: Encoder, grades: Sequence[np.ndarray]) -> None:
        super().__init__()
        sizes = Sizes(len(encoder.vocabulary), len(NAMES), len(grades))
        self.essays = EssayNetwork(
            config.network,
            sizes,
            torch.from_numpy(encoder.vocabulary.ending_of()),
            detects_shuffling=config.training.shuffled > 0.0,
        )
        self._cost = config.training.shuffle_cost
        self.head = make_head(config.training.loss, grades, config.training.trait_weight)

    def loss(self, batch: EssayBatch) -> LossSum:
        """Sum over essays of the losses of their scores and, where it is learned, of telling random orders.

        The cost of a random order is no part of the scores here: they would learn to make up for it.
        """
        found: Reading = self.essays(batch)
        scores = self.head.loss(found.scores, batch.targets)
        if found.shuffled_logit is None:
            return scores
        order = F.binary_cross_entropy_with_logits(found.shuffled_logit, batch.shuffled, reduction="sum")
        return LossSum(scores.total + order, scores.weight)

    def forward(self, batch: EssayBatch) -> Reading:
        """Standardized scores, the first less the probability of a random order times its cost."""
        found: Reading = self.essays(batch)
        scores = self.head.scores(found.scores)
        if found.shuffled_logit is not None:
            cost = self._cost * found.shuffled_logit.sigmoid()
            scores = torch.cat([scores[:, :1] - cost[:, None], scores[:, 1:]], 1)
        return found._replace(scores=scores)

    def set_padding(self, device: torch.device) -> None:
        """Packing is faster on a CPU; on a GPU it costs a host sync for the lengths."""
        set_padding_masked(self, device.type != "cpu")


class Scored(NamedTuple):
    """scores: standardized float32 [N, O]; shuffled_logit: float32 [N], as of `Reading`."""

    scores: np.ndarray
    shuffled_logit: np.ndarray | None


@torch.no_grad()
def batched(
    network: GraderNetwork,
    encoded: Encoded,
    rows: np.ndarray,
    device: torch.device,
    orders: Mapping[int, np.ndarray] | None = None,
) -> Scored:
    """Rows read by a network in evaluation mode; orders: as in `Encoded.batch`."""
    found = []
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        moved = {at - start: order for at, order in (orders or {}).items() if start <= at < start + _BATCH}
        batch = encoded.batch(part, np.zeros((len(part), encoded.base.shape[1])), moved)
        found.append(network(batch.to(device)))
    scores = torch.cat([each.scores.float().cpu() for each in found]).numpy()
    logits = [each.shuffled_logit.cpu() for each in found if each.shuffled_logit is not None]
    return Scored(scores, torch.cat(logits).numpy() if logits else None)


@dataclass(frozen=True, eq=False)
class Grader:
    """A network in evaluation mode with all that scoring a text needs. names: of the score and the traits; bounds:
    lowest and highest values float64 [2, O]; offset: what is added to the score; examples: trained examples;
    fingerprint: of the data."""

    config: GradingConfig
    network: GraderNetwork
    encoder: Encoder
    scale: Scale
    names: tuple[str, ...]
    bounds: np.ndarray
    thresholds: Thresholds
    half_width: float
    offset: float
    examples: int
    fingerprint: str
    device: torch.device

    def encode(self, texts: Sequence[str]) -> Encoded:
        return self.encoder.encode([parsed(text) for text in texts])

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """Scores float64 [N, O] in their units: between the lowest and the highest of the data."""
        encoded = self.encode(texts)
        standardized = batched(self.network, encoded, np.arange(len(encoded)), self.device).scores
        scores = self.scale.restore(standardized)
        scores[:, 0] += self.offset
        return np.clip(scores, *self.bounds)

    def linear(self, texts: Sequence[str]) -> np.ndarray:
        """Scores of the linear part alone."""
        return np.clip(self.scale.restore(self.encode(texts).base), *self.bounds)


def load_grader(run: Path, device: Device, checkpoint: str = checkpoints.BEST) -> Grader:
    """The grader of a run's checkpoint: "best", "latest" or an iteration. Raises UserError."""
    found = load_run(run, GradingConfig, checkpoint)
    config = found.config
    with found.restoring() as state:
        names = tuple(str(name) for name in state["names"])
        grades = [each.numpy() for each in state["grades"]]
        encoder = encoder_from(state["encoder"], config.network, len(names))
        network = GraderNetwork(config, encoder, grades)
        network.load_state_dict(state["network"])
        scale = Scale(*(state["scale"][name].numpy() for name in Scale._fields))
        bounds = scale.restore(np.array([[each[0] for each in grades], [each[-1] for each in grades]]))
        thresholds, width, offset = calibration.from_state(state["calibration"])
        bounds[:, 0] = thresholds.grades[[0, -1]]
        examples, fingerprint = int(state["examples"]), str(state["data"])
    network.set_padding(device.device)
    network.to(device.device).eval()
    return Grader(
        config,
        network,
        encoder,
        scale,
        names,
        bounds,
        thresholds,
        width,
        offset,
        examples,
        fingerprint,
        device.device,
    )
