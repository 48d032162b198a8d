"""Export of the generator at the stage it has reached: ONNX or torch.export."""

from pathlib import Path

import torch
from torch import Tensor, nn

from gans.progressive.sampler import Sampler
from gans.progressive.sampling import latents_of
from lab.nets import export as exporting


class _AtStage(nn.Module):
    """The generator with its stage fixed: latents [N, latent], labels int64 [N] -> images [N, C, R, R] in [-1, 1].

    The network itself goes beyond the range of pixels, by as much as 1; `lab sample` clips it when it rounds to bytes.
    """

    def __init__(self, sampler: Sampler) -> None:
        super().__init__()
        self.generator, self._stage = sampler.generator, sampler.stage
        self._conditional = bool(sampler.config.network.classes)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        labels = labels if self._conditional else None
        return self.generator(latents, self._stage.level, self._stage.alpha, labels).clamp(-1.0, 1.0)


def export(sampler: Sampler, path: Path) -> float:
    """Write .onnx or .pt2 with a free batch size, see `lab.nets.export`; returns the largest difference."""
    network, stage = sampler.config.network, sampler.stage
    shape = f"float32 [batch, {network.channels}, {stage.resolution}, {stage.resolution}]"
    inputs = {"latents": f"float32 [batch, {network.latent}], drawn from a standard normal distribution"}
    if network.classes:
        inputs["labels"] = "int64 [batch], numbers of `classes` from 0"
    classes = {"classes": list(sampler.classes.names)} if sampler.classes else {}
    return exporting.export(
        _AtStage(sampler).eval(),
        _inputs(sampler, range(2)),
        _inputs(sampler, range(2, 7)),
        path,
        outputs=("images",),
        metadata={
            "kind": sampler.config.kind,
            "images_shown": sampler.images_shown,
            "alpha": stage.alpha,
            "inputs": inputs,
            "outputs": {"images": f"{shape}, {'grey' if network.channels == 1 else 'RGB'} from -1 (dark) to 1"},
            **classes,
        },
    )


def _inputs(sampler: Sampler, indices: range) -> dict[str, Tensor]:
    inputs = {"latents": latents_of(sampler, indices, 0)}
    if sampler.config.network.classes:
        inputs["labels"] = torch.tensor(indices) % sampler.config.network.classes
    return inputs
