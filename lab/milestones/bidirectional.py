"""The bidirectional recurrent network (Schuster and Paliwal 1997) on labels that need the past and the future."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.milestones.fitting import minimise
from lab.milestones.report import Finding, Report
from lab.milestones.seeded import Line, seeded
from lab.nets.rnn import ManyToMany
from lab.plots.figures import Curve, Plot, plots
from lab.train.config import ScheduledOptimizerConfig
from lab.train.modes import evaluating

LAG = 2
_STEPS, _BATCH, _LENGTH, _HIDDEN = 300, 64, 24, 24
_TEST_SEQUENCES = 500
_EVERY = 25
_OPTIMIZER = ScheduledOptimizerConfig(optimizer="adam", learning_rate=1e-2, weight_decay=0.0, gradient_clip=1.0)
_DIRECTIONS = ("forward", "backward", "both")


class OneOrTwoDirections(nn.Module):
    """An LSTM that reads sequences [B, T, 1] forward, backward or both ways, and gives two logits per step [B, T, 2].

    The two-way network has half as many units in each direction.
    """

    def __init__(self, direction: str, hidden: int = _HIDDEN) -> None:
        super().__init__()
        self.is_reversed = direction == "backward"
        both = direction == "both"
        self.network = ManyToMany(1, hidden // 2 if both else hidden, 2, bidirectional=both)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x.flip(1) if self.is_reversed else x)[0]
        return logits.flip(1) if self.is_reversed else logits


def sequences(count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Independent random bits [count, length, 1] as -1 and 1, and two labels [count, length, 2] for each step:
    the bit `LAG` steps before it and the bit `LAG` steps after it.

    Labels wrap around at the ends; `inner` leaves these steps out.
    """
    bits = torch.randint(2, (count, length), generator=generator).float()
    labels = torch.stack([bits.roll(LAG, 1), bits.roll(-LAG, 1)], 2)
    return 2.0 * bits[:, :, None] - 1.0, labels


def inner(values: Tensor) -> Tensor:
    """The steps of [B, T, ...] whose labels lie within the sequence."""
    return values[:, LAG:-LAG]


@torch.no_grad()
def accuracies(network: nn.Module, bits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Accuracy of the label from the past and of the one from the future."""
    with evaluating(network):
        right = (inner(network(bits)) > 0.0) == (inner(labels) > 0.5)
    past, future = right.float().mean((0, 1)).tolist()
    return past, future


def learn(
    direction: str, bits: Tensor, labels: Tensor, generator: torch.Generator
) -> tuple[list[int], list[tuple[float, float]]]:
    """Numbers of gradient steps, and the accuracies on the test sequences after each."""
    network = OneOrTwoDirections(direction)
    steps, found = [0], [accuracies(network, bits, labels)]

    def loss(step: int) -> Tensor:
        x, y = sequences(_BATCH, _LENGTH, generator)
        return F.binary_cross_entropy_with_logits(inner(network(x)), inner(y))

    def after(step: int, loss: float) -> None:
        steps.append(step)
        found.append(accuracies(network, bits, labels))

    minimise(network, loss, steps=_STEPS, config=_OPTIMIZER, after=after, every=_EVERY)
    return steps, found


@seeded
def run(seed: int, line: Line) -> Report:
    """LSTMs of one and of two directions learn a label from the past and one from the future."""
    generator = torch.Generator().manual_seed(seed)
    bits, labels = sequences(_TEST_SEQUENCES, _LENGTH, generator)
    tested = len(inner(bits).flatten())
    chance = 4.0 * 0.5 / tested**0.5  # four standard errors of the accuracy of guesses
    findings, curves = [], []
    for direction in _DIRECTIONS:
        steps, found = learn(direction, bits, labels, generator)
        past, future = found[-1]
        line(f"{direction}: past {past:.1%}, future {future:.1%}")
        for part, accuracy, is_seen in (
            ("past", past, direction != "backward"),
            ("future", future, direction != "forward"),
        ):
            findings.append(
                Finding(
                    f"reading {direction}: label from the {part}",
                    "100%" if is_seen else "50%, chance: the bit is not seen",
                    f"{accuracy:.1%}",
                    accuracy > 0.99 if is_seen else abs(accuracy - 0.5) < chance,
                )
            )
        curves.append((direction, steps, found))
    figure = plots(
        [
            Plot(
                [Curve(name, steps, [pair[part] for pair in found]) for name, steps, found in curves],
                f"Label from the {name}",
                "gradient steps",
                "accuracy",
                y_range=(0.4, 1.0),
            )
            for part, name in enumerate(("past", "future"))
        ],
        size=(440, 320),
    )
    note = f"The labels of a step are the bits {LAG} steps before and after it; {tested:,} test labels of each kind."
    return Report(tuple(findings), figure, (note,))
