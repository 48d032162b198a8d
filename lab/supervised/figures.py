"""What a supervised experiment looks like: mistakes, filters, feature maps, curves."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lab.nets.layers import Conv2d, Linear, scaled
from lab.plots.figures import Curve, Matrix, Plot, labelled_images, matrices, plot
from lab.plots.images import grid, to_uint8
from lab.plots.media import Cell, Image, Media, Table
from lab.run.metrics import Entry
from lab.supervised.data import Examples
from lab.supervised.network import Network

_SHOWN = 64  # pictures of a grid
_ROWS = 16  # of a table, and pictures a row
_TILE = 32  # least pixels of a filter's side


def confusion_matrix(counts: Tensor, classes: Sequence[str]) -> Image:
    """Counts int64 [classes, classes], labels by rows."""
    numbers = counts.numpy()
    shares = numbers / np.maximum(numbers.sum(1, keepdims=True), 1)
    drawn = Matrix(shares, classes, classes, "confusion matrix of the test set", "label", "predicted class", numbers)
    return Image("confusion_matrix", matrices([drawn]), "shade: share of the label's images or rows")


def misclassified(test: Examples, logits: Tensor) -> list[Media]:
    """Those of which the network was surest, and a table of what it took them for; nothing where all is right."""
    labels, chances = torch.from_numpy(test.targets), logits.softmax(1)
    sureness, guessed = chances.max(1)
    wrong = (guessed != labels).nonzero().flatten()
    if not len(wrong):
        return []
    worst = wrong[sureness[wrong].argsort(descending=True, stable=True)][:_SHOWN]
    right, told = ([test.classes[int(names[i])] for i in worst] for names in (labels, guessed))
    picture = labelled_images(np.array(test.inputs[worst.numpy()]), right, told)
    listed: list[list[Cell]] = [
        [int(i), label, guess, round(float(sureness[i]), 4)]
        for i, label, guess in zip(worst[:_ROWS], right, told, strict=False)
    ]
    caption = f"{len(wrong):,} of {len(test):,} mistaken; the surest first, each over what it is and was taken for"
    return [
        Image("misclassified", picture, caption),
        Table("mistakes", ["picture", "label", "taken for", "probability"], listed),
    ]


def rows(name: str, sets: Sequence[Tensor], caption: str) -> Image:
    """The first pictures [N, C, R, R] in [-1, 1] of several sets, a row a set."""
    count = min(_ROWS, len(sets[0]))
    return Image(name, grid(to_uint8(torch.cat([pictures[:count] for pictures in sets])), columns=count), caption)


def anomalies(test: Examples, scores: Tensor, normal: Tensor) -> list[Media]:
    """The pictures that are rebuilt worst, and how the errors of normal ones and of anomalies are spread."""
    worst = scores.argsort(descending=True, stable=True)[:_SHOWN].numpy()
    places = torch.linspace(0.0, 1.0, 101).double()
    spread = [
        Curve(name, scores[chosen].double().quantile(places).tolist(), places.tolist())
        for name, chosen in (("normal", normal), ("anomalies", ~normal))
        if bool(chosen.any())
    ]
    return [
        Image("rebuilt_worst", grid(torch.from_numpy(np.array(test.inputs[worst])), columns=8)),
        Image(
            "errors", plot(Plot(spread, "distribution of errors", "squared error", "share of images below", log_x=True))
        ),
    ]


def fit(test: Examples, found: Tensor) -> Image:
    """Of a function of one number: the function and the network's. Of more inputs: predictions against targets."""
    targets = np.asarray(test.targets)
    if test.inputs.shape[1] == 1:
        order = np.argsort(test.inputs[:, 0])
        x = test.inputs[order, 0].tolist()
        drawn = [Curve("target", x, targets[order].tolist()), Curve("network", x, found[order].tolist())]
        return Image("fit", plot(Plot(drawn, "target function and network", test.columns[0], "target")))
    ends = [float(targets.min()), float(targets.max())]
    drawn = [
        Curve("prediction = target", ends, ends),
        Curve("test rows", targets.tolist(), found.tolist(), dots=True),
    ]
    return Image("fit", plot(Plot(drawn, "predictions of the test set", "target", "prediction")))


def filters(network: Network, shape: Sequence[int]) -> Image | None:
    """What the first layer looks for in pictures of `shape` [C, R, R]: a convolution's kernels, or the weights of a
    linear layer's units as pictures; None where it cannot be seen (1x1 kernels)."""
    layer = next(m for m in network.trunk.modules() if isinstance(m, Conv2d | Linear))
    weights = scaled(layer)[0].detach().float().cpu()[:_SHOWN]
    if isinstance(layer, Linear):
        weights = weights.unflatten(1, tuple(shape))
    if weights.shape[2] < 2:
        return None
    largest = weights.abs().flatten(1).amax(1)[:, None, None, None].clamp(min=1e-12)
    which = "kernels of the first convolution" if isinstance(layer, Conv2d) else "weights of the first layer"
    return Image("filters", grid(_enlarged(to_uint8(weights / largest)), columns=8), f"{which}, each scaled")


@torch.no_grad()
def feature_maps(network: Network, picture: Tensor) -> Image | None:
    """What the trunk's blocks make of one picture [C, R, R] in [-1, 1]: up to 16 maps each, a row a block."""
    seen: list[Tensor] = []
    handles = [
        block.register_forward_hook(lambda module, given, maps: seen.append(maps.detach()[0]))
        for block in network.trunk.children()
    ]
    try:
        network.features(picture[None])
    finally:
        for handle in handles:
            handle.remove()
    maps = [found.float().cpu()[:_ROWS] for found in seen if found.dim() == 3]
    if not maps:
        return None
    side = max(found.shape[-1] for found in maps)
    sheet = []
    for found in maps:
        low, high = found.amin((1, 2), keepdim=True), found.amax((1, 2), keepdim=True)
        shown = (found - low) / (high - low).clamp(min=1e-12) * 2.0 - 1.0
        shown = torch.nn.functional.interpolate(shown[None], size=side, mode="nearest")[0]
        sheet.append(torch.cat([shown, shown.new_full((_ROWS - len(shown), side, side), -1.0)]))
    return Image("feature_maps", grid(_enlarged(to_uint8(torch.cat(sheet)[:, None])), columns=_ROWS), "a row a block")


def learning_curves(entries: Sequence[Entry], loss: str) -> list[Image]:
    """Losses, and what is better the higher, against images; nothing before there are two points."""
    drawn = {"learning_curves": (loss, "eval/loss"), "grades": ("eval/accuracy", "eval/r2", "eval/auroc")}
    images = []
    for name, metrics in drawn.items():
        found = [_curve(entries, metric) for metric in metrics]
        found = [curve for curve in found if len(curve.x) > 1]
        if found:
            title = "loss" if name == "learning_curves" else "test set"
            images.append(Image(name, plot(Plot(found, title, "images", log_y=name == "learning_curves"))))
    return images


def _curve(entries: Sequence[Entry], metric: str) -> Curve:
    points = [(e.counters.get("images", 0), e.metrics[metric]) for e in entries if metric in e.metrics]
    return Curve(metric, [x for x, _ in points], [y for _, y in points])


def _enlarged(tiles: Tensor) -> Tensor:
    """uint8 [N, C, H, W] with whole pixels made larger where they are few."""
    factor = -(-_TILE // tiles.shape[-1])
    return tiles.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
