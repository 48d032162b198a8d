"""Export of the generator at the stage it has reached: ONNX or torch.export."""

from pathlib import Path

import torch
from torch import Tensor, nn

from gans.progressive.sampler import Sampler
from gans.progressive.sampling import latents_of
from lab.nets import export as exporting


class _AtStage(nn.Module):
    """The generator with its stage fixed."""

    def __init__(self, sampler: Sampler) -> None:
        super().__init__()
        self.generator, self._stage = sampler.generator, sampler.stage
        self._conditional = bool(sampler.config.network.classes)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.generator(latents, self._stage.level, self._stage.alpha, labels if self._conditional else None)


def export(sampler: Sampler, path: Path) -> float:
    """Write .onnx or .pt2 with a free batch size, see `lab.nets.export`; returns the largest difference."""
    classes = sampler.config.network.classes
    inputs: tuple[Tensor, ...] = (latents_of(sampler, range(2), 0),)
    others: tuple[Tensor, ...] = (latents_of(sampler, range(2, 7), 0),)
    if classes:
        inputs, others = (*inputs, torch.arange(2) % classes), (*others, torch.arange(5) % classes)
    return exporting.export(_AtStage(sampler).eval(), inputs, others, path)
