"""Figures that several tasks share: rows of images, filters, feature maps, learning curves."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lab.nets.layers import Conv2d, Linear, scaled
from lab.plots.figures import Curve, Plot, plot
from lab.plots.images import grid, to_uint8
from lab.plots.media import Image
from lab.run.metrics import Entry, Metric
from lab.supervised.network import Network

_FILTERS = 64
_COLUMNS = 16  # images or maps in a row
_TILE = 32  # least pixels of a tile's side


def image_rows(name: str, sets: Sequence[Tensor], caption: str) -> Image:
    """The first images of each set [N, C, R, R] in [-1, 1], one row per set."""
    count = min(_COLUMNS, len(sets[0]))
    return Image(name, grid(to_uint8(torch.cat([images[:count] for images in sets])), columns=count), caption)


def filters(network: Network, shape: Sequence[int]) -> Image | None:
    """The first layer's weights for images of `shape` [C, R, R]: convolution kernels, or the weights of linear units as
    images. None for 1x1 kernels.
    """
    layer = next(m for m in network.trunk.modules() if isinstance(m, Conv2d | Linear))
    weights = scaled(layer)[0].detach().float().cpu()[:_FILTERS]
    if isinstance(layer, Linear):
        weights = weights.unflatten(1, tuple(shape))
    if weights.shape[2] < 2:
        return None
    largest = weights.abs().flatten(1).amax(1)[:, None, None, None].clamp(min=1e-12)
    which = "kernels of the first convolution" if isinstance(layer, Conv2d) else "weights of the first layer's units"
    return Image("filters", grid(_enlarged(to_uint8(weights / largest)), columns=8), f"{which}, each scaled to [-1, 1]")


@torch.no_grad()
def feature_maps(network: Network, image: Tensor) -> Image | None:
    """Up to 16 output maps of every block of the trunk for an image [C, R, R] in [-1, 1], one row per block."""
    seen: list[Tensor] = []
    handles = [
        block.register_forward_hook(lambda module, given, maps: seen.append(maps.detach()[0]))
        for block in network.trunk.children()
    ]
    try:
        network.features(image[None])
    finally:
        for handle in handles:
            handle.remove()
    outputs = [maps.float().cpu()[:_COLUMNS] for maps in seen if maps.dim() == 3]
    if not outputs:
        return None
    side = max(maps.shape[-1] for maps in outputs)
    sheet = []
    for maps in outputs:
        low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
        shown = (maps - low) / (high - low).clamp(min=1e-12) * 2.0 - 1.0
        shown = torch.nn.functional.interpolate(shown[None], size=side, mode="nearest")[0]
        sheet.append(torch.cat([shown, shown.new_full((_COLUMNS - len(shown), side, side), -1.0)]))
    pixels = grid(_enlarged(to_uint8(torch.cat(sheet)[:, None])), columns=_COLUMNS)
    return Image("feature_maps", pixels, "one row per block, each map scaled")


def learning_curves(entries: Sequence[Entry], metrics: Sequence[Metric], progress: str = "images") -> list[Image]:
    """Training and test loss, and the other metrics of the task, over a counter; none before there are two points.

    metrics: of the task, its training loss first. progress: name of the counter.
    """
    losses = [metrics[0].name, "eval/loss"]
    scores = [metric for metric in metrics if metric.higher_is_better]
    units = {metric.unit for metric in scores} if len(scores) == 1 else set()
    figures = {
        "learning_curves": Plot(
            _curves(entries, losses, progress), "loss", progress, metrics[0].unit or "loss", log_y=True
        ),
        "scores": Plot(
            _curves(entries, [metric.name for metric in scores], progress),
            "test set",
            progress,
            " ".join(units) or "score",
        ),
    }
    return [Image(name, plot(drawn)) for name, drawn in figures.items() if drawn.curves]


def _curves(entries: Sequence[Entry], names: Sequence[str], progress: str) -> list[Curve]:
    """Curves of the metrics that have at least two points."""
    curves = []
    for name in names:
        points = [(e.counters.get(progress, 0), e.metrics[name]) for e in entries if name in e.metrics]
        if len(points) > 1:
            curves.append(Curve(name, [x for x, _ in points], [y for _, y in points]))
    return curves


def _enlarged(tiles: Tensor) -> Tensor:
    """Tiles uint8 [N, C, H, W]; small tiles are enlarged by an integer factor."""
    factor = -(-_TILE // tiles.shape[-1])
    return tiles.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
