"""Feature extractors: pixels, a supervised run, or Inception."""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.errors import UserError
from lab.train.device import Device

Extractor = Callable[[Tensor], Tensor]
"""uint8 [N, C, H, W] -> float [N, D] on the CPU."""

_PIXELS = 8


def load_extractor(name: str, device: Device) -> Extractor:
    """ "pixels", "inception", or the directory of a supervised run. Raises UserError."""
    if name == "pixels":
        return pixel_features
    if name == "inception":
        return _inception(device.device)
    if not (Path(name) / "config.yaml").is_file():
        raise UserError(f"no extractor {name!r}; use pixels or the directory of a supervised run")
    from lab.supervised.features import load_features

    return load_features(Path(name), device)


def pixel_features(images: Tensor) -> Tensor:
    """Images averaged to 8x8, as vectors in [0, 1]; a coarse measure without a network."""
    return F.adaptive_avg_pool2d(images.float() / 255.0, min(_PIXELS, images.shape[-1])).flatten(1)


@torch.no_grad()
def extract(extractor: Extractor, images: Tensor, batch: int = 256) -> Tensor:
    """Features [N, D] of uint8 [N, C, H, W], in batches."""
    return torch.cat([extractor(rows).cpu().float() for rows in images.split(batch)])


def _inception(device: torch.device) -> Extractor:
    """The 2048 features of the Frechet Inception Distance, with the weights that torch-fidelity stores or downloads."""
    instead = "or use pixels, or the directory of a supervised run"
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise UserError(f"inception needs {error.name}: pip install 'rivals-lab[inception]', {instead}") from None
    try:
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"]).to(device).eval()
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"cannot fetch inception's weights ({reason}): put them into {torch.hub.get_dir()}/checkpoints, {instead}"
        ) from None

    def features(images: Tensor) -> Tensor:
        colours = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
        return network(colours.to(device))[0]

    return features
