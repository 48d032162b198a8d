"""Neocognitron (Fukushima 1980): layers of S cells that match and C cells that pool recognise shifted digits.

The network learns without a teacher. Labels name the cells of the last layer afterwards.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.milestones.report import Finding, Report
from lab.plots.figures import Curve, Plot, plot

_FIELD = 32  # pixels of a side; a digit has 16
_DIGIT = 16
_CELL_PLANES = (12, 16, 400)  # of the three S layers
_KERNELS = (5, 3)  # sides of the receptive fields of the first two S layers
_SELECTIVITY = (0.6, 0.4)  # similarity below which an S cell of these layers is silent
_FAINT = 0.2  # of a layer's largest receptive field: the length at which the response is halved
_POOL = 3  # side of a C cell's receptive field
_SATURATION = 0.05  # input at which a C cell responds by 1/2
_STRIDES = (2, 1)  # of the C cells of the first two layers
_WINDOW = 10  # side of the receptive field of the last S cells
_TRAIN, _TEST = 1200, 200
_SEEN = 300  # images that the first two layers learn from
_PATCHES = 10_000
_ROUNDS = 10  # of competitive learning
SHIFTS = (0, 1, 2, 3, 4, 6)  # pixels


@dataclass(frozen=True)
class Neocognitron:
    """Templates of unit length [planes, channels, k, k] of each S layer, and a label for each of the last [planes].

    pooled: whether there are C cells. Without, the middle of their receptive fields stands in their place.
    """

    templates: tuple[Tensor, ...]
    labels: Tensor
    pooled: bool


def s_cells(x: Tensor, templates: Tensor, selectivity: float) -> Tensor:
    """Responses of S cells to [B, C, H, W]: [B, planes, H, W] in [0, 1].

    The similarity (cosine) of the receptive field with the template, over a threshold: shunting inhibition by the
    length of the receptive field (1980, section 2), which faint inputs do not overcome.
    """
    padding = templates.shape[-1] // 2
    length = F.conv2d(x.square(), torch.ones_like(templates[:1]), padding=padding).clamp_min(0.0).sqrt()
    similarity = F.conv2d(x, templates, padding=padding) / (
        length + _FAINT * length.amax((1, 2, 3), keepdim=True) + 1e-9
    )
    return ((similarity - selectivity) / (1.0 - selectivity)).clamp_min(0.0)


def c_cells(x: Tensor, stride: int, pooled: bool) -> Tensor:
    """Responses of C cells to S cells [B, planes, H, W]: [B, planes, H / stride, W / stride].

    A C cell responds if any S cell in its field does: a weighted sum, saturated (1980, section 2).
    """
    if not pooled:
        return x[:, :, ::stride, ::stride]
    weights = torch.hann_window(_POOL + 2, periodic=False)[1:-1]
    weights = torch.outer(weights, weights) / weights.sum() ** 2
    total = F.conv2d(x, weights.expand(x.shape[1], 1, -1, -1), stride=stride, padding=_POOL // 2, groups=x.shape[1])
    return total / (total + _SATURATION)


def compete(x: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Templates [count, features] of unit length that inputs [N, features] compete for.

    The template that is most similar to an input is reinforced by it, as the seed cell of a plane is (1980, section
    3); here all inputs reinforce their winners at once. No label is used.
    """
    x = F.normalize(x, dim=1)
    templates = x[torch.randperm(len(x), generator=generator)[:count]]
    for _ in range(_ROUNDS):
        winners = (x @ templates.T).argmax(1)
        total = torch.zeros_like(templates).index_add_(0, winners, x)
        templates = F.normalize(torch.where(total.norm(dim=1, keepdim=True) > 0.0, total, templates), dim=1)
    return templates


def learn(images: Tensor, labels: Tensor, *, pooled: bool, generator: torch.Generator) -> Neocognitron:
    """A network that learns from images [N, 1, H, W] layer by layer; labels [N] name its last cells."""
    templates, x = [], images
    for planes, kernel, selectivity, stride in zip(_CELL_PLANES, _KERNELS, _SELECTIVITY, _STRIDES, strict=False):
        fields = F.unfold(x[:_SEEN], kernel, padding=kernel // 2).mT.flatten(0, 1)
        bright = fields.norm(dim=1)
        fields = fields[bright > 0.5 * bright.max()]
        seen = fields[torch.randperm(len(fields), generator=generator)[:_PATCHES]]
        templates.append(compete(seen, planes, generator).view(planes, x.shape[1], kernel, kernel))
        x = c_cells(s_cells(x, templates[-1], selectivity), stride, pooled)
    middle = _middle(x)
    last = compete(middle.flatten(1), _CELL_PLANES[-1], generator)
    templates.append(last.view(len(last), *middle.shape[1:]))
    winners = (F.normalize(middle.flatten(1), dim=1) @ last.T).argmax(1)
    votes = torch.zeros(len(last), 10).index_put_((winners, labels), torch.ones(len(x)), accumulate=True)
    return Neocognitron(tuple(templates), votes.argmax(1), pooled)


def recognise(network: Neocognitron, images: Tensor) -> Tensor:
    """Labels [B] of images [B, 1, H, W]: those of the last plane that responds most, anywhere in its C cell's field."""
    x = images
    for templates, selectivity, stride in zip(network.templates[:-1], _SELECTIVITY, _STRIDES, strict=True):
        x = c_cells(s_cells(x, templates, selectivity), stride, network.pooled)
    response = F.conv2d(x if network.pooled else _middle(x), network.templates[-1])
    return network.labels[response.flatten(2).amax(2).argmax(1)]


def digits() -> tuple[Tensor, Tensor]:
    """scikit-learn's digits, enlarged to 16 x 16 in the middle of the field: [1797, 1, 32, 32] in [0, 1], labels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = torch.from_numpy(found.images).float()[:, None] / 16.0
    large = F.interpolate(images, (_DIGIT, _DIGIT), mode="bilinear", align_corners=False)
    margin = (_FIELD - _DIGIT) // 2
    return F.pad(large, (margin,) * 4), torch.from_numpy(found.target).long()


def in_all_phases(images: Tensor) -> Tensor:
    """Images [N, 1, H, W] moved by 0 or 1 pixel along both axes, the phases of C cells of stride 2: [4 N, 1, H, W]."""
    return torch.cat([images.roll((down, right), (2, 3)) for down in (0, 1) for right in (0, 1)])


def accuracy(network: Neocognitron, images: Tensor, labels: Tensor, shift: int) -> float:
    """Share of images [N, 1, H, W] that are recognised when shifted left, right, up and down by `shift` pixels."""
    moves = [(shift, 2), (-shift, 2), (shift, 3), (-shift, 3)] if shift else [(0, 2)]
    right = [(recognise(network, images.roll(by, axis)) == labels).float().mean() for by, axis in moves]
    return float(torch.stack(right).mean())


def _middle(x: Tensor) -> Tensor:
    """The receptive field of the last S cell in the middle of maps [B, C, H, W]."""
    margin = (x.shape[-1] - _WINDOW) // 2
    return x[:, :, margin:-margin, margin:-margin]


def run(seed: int, line: Callable[[str], None]) -> Report:
    """Two networks learn 1,200 digits in the middle of the field, and then see 200 others, shifted."""
    generator = torch.Generator().manual_seed(seed)
    images, labels = digits()
    order = torch.randperm(len(images), generator=generator)
    train, test = order[:_TRAIN], order[_TRAIN : _TRAIN + _TEST]
    shown, shown_labels = in_all_phases(images[train]), labels[train].repeat(4)
    found: dict[bool, list[float]] = {}
    for pooled in (True, False):
        network = learn(shown, shown_labels, pooled=pooled, generator=generator)
        found[pooled] = [accuracy(network, images[test], labels[test], shift) for shift in SHIFTS]
        line(f"{'with' if pooled else 'without'} C cells: accuracy {found[pooled][0]:.3f} without a shift")
    pooled_at = dict(zip(SHIFTS, found[True], strict=True))
    bare_at = dict(zip(SHIFTS, found[False], strict=True))
    findings = (
        Finding(
            "accuracy without a shift, learned without labels",
            "far above chance, 0.1",
            f"{pooled_at[0]:.3f}; {bare_at[0]:.3f} without C cells",
            pooled_at[0] > 0.75,
        ),
        *(
            Finding(
                f"accuracy when shifted by {shift} pixels",
                "nearly unchanged with C cells, much lower without",
                f"{pooled_at[shift]:.3f}; {bare_at[shift]:.3f} without C cells",
                pooled_at[shift] > pooled_at[0] - 0.1 and bare_at[shift] < bare_at[0] - 0.2,
            )
            for shift in (2, 3, 4)
        ),
    )
    curves = [
        Curve("with C cells", SHIFTS, found[True]),
        Curve("without C cells", SHIFTS, found[False]),
    ]
    figure = plot(Plot(curves, "Digits of 16 x 16 pixels, shifted", "shift (pixels)", "accuracy", y_range=(0.0, 1.0)))
    notes = (
        "Three pairs of layers. All inputs of a round reinforce their winners at once; Fukushima showed one pattern at "
        "a time. Digits are learned in the middle and one pixel beside it, because the first C cells have stride 2.",
    )
    return Report(findings, figure, notes)
