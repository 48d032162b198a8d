"""Jordan's and Elman's recurrent networks: what each can remember, and words found in a stream of letters."""

from collections import Counter

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.milestones import elman
from lab.milestones.fitting import minimise
from lab.milestones.jordan import JordanNetwork
from lab.milestones.report import Finding, Report
from lab.milestones.seeded import Line, seeded
from lab.milestones.simple_recurrent import SimpleRecurrent
from lab.plots.figures import Curve, Plot, plots
from lab.train.config import ScheduledOptimizerConfig
from lab.train.modes import evaluating

SEQUENCES = ("AABCBA", "ABABCC", "CCAABB", "BCABAC")
"""Outputs that a plan asks for; no two steps of a sequence have the same past."""
DELAY = 2
_DELAY_STEPS, _DELAY_LENGTH, _DELAY_BATCH = 400, 20, 64
_TEST_ROWS = 400
_PLAN_STEPS = 400
_HIDDEN = 20
_LETTER_STEPS, _LETTER_BATCH, _LETTER_WORDS, _LETTER_HIDDEN = 400, 32, 12, 48
_SHOWN_LETTERS = 40
_OPTIMIZER = ScheduledOptimizerConfig(optimizer="adam", learning_rate=1e-2, weight_decay=0.0, gradient_clip=1.0)


def plans() -> tuple[Tensor, Tensor]:
    """Inputs [P, T, P] that name a plan at every step, and the classes int64 [P, T] of its sequence."""
    classes = torch.tensor([["ABC".index(symbol) for symbol in sequence] for sequence in SEQUENCES])
    named = torch.eye(len(SEQUENCES))[:, None].expand(-1, classes.shape[1], -1)
    return named, classes


def best_without_memory() -> float:
    """Largest fraction of right outputs for a network that sees the plan alone: its most frequent symbol each time."""
    counts = [Counter(sequence).most_common(1)[0][1] for sequence in SEQUENCES]
    return sum(counts) / sum(map(len, SEQUENCES))


def learn_plans(*, memory: bool, steps: int) -> float:
    """Fraction of right outputs of a Jordan network that produces each plan's sequence, its outputs fed back."""
    inputs, classes = plans()
    targets = F.one_hot(classes, 3).float()
    network = JordanNetwork(len(SEQUENCES), _HIDDEN, 3, memory=memory)

    def loss(step: int) -> Tensor:
        return F.cross_entropy(network(inputs, targets).flatten(0, 1), classes.flatten())

    minimise(network, loss, steps=steps, config=_OPTIMIZER)
    return float((network.produce(inputs) == classes).float().mean())


def delayed_bits(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random bits int64 [count, T] and the bits `DELAY` steps before them, which wrap around at the start."""
    bits = torch.randint(2, (count, _DELAY_LENGTH), generator=generator)
    return bits, bits.roll(DELAY, 1)


class BitNetwork(nn.Module):
    """Logits [B, T, 2] of the delayed bit: by an Elman network, a Jordan network with teacher forcing, or without
    memory."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.elman = SimpleRecurrent(2, _HIDDEN, 2) if kind == "Elman" else None
        self.jordan = None if kind == "Elman" else JordanNetwork(2, _HIDDEN, 2, memory=kind == "Jordan")

    def forward(self, bits: Tensor, delayed: Tensor) -> Tensor:
        inputs = F.one_hot(bits, 2).float()
        if self.elman is not None:
            return self.elman(inputs)[0]
        assert self.jordan is not None
        return self.jordan(inputs, F.one_hot(delayed, 2).float())


def learn_delay(kind: str, *, steps: int, generator: torch.Generator) -> tuple[float, int]:
    """Accuracy of the delayed bit on new sequences, and the number of bits tested."""
    network = BitNetwork(kind)

    def loss(step: int) -> Tensor:
        bits, delayed = delayed_bits(_DELAY_BATCH, generator)
        logits = network(bits, delayed)[:, DELAY:]
        return F.cross_entropy(logits.flatten(0, 1), delayed[:, DELAY:].flatten())

    minimise(network, loss, steps=steps, config=_OPTIMIZER)
    bits, delayed = delayed_bits(_TEST_ROWS, generator)
    with torch.no_grad(), evaluating(network):
        right = network(bits, delayed).argmax(2)[:, DELAY:] == delayed[:, DELAY:]
    return float(right.float().mean()), right.numel()


@seeded
def run(seed: int, line: Line) -> Report:
    """Sequences from plans (Jordan), bits to remember, and letters in words (Elman)."""
    generator = torch.Generator().manual_seed(seed)
    findings = []
    best = best_without_memory()
    for memory, theory in ((True, 1.0), (False, best)):
        right = learn_plans(memory=memory, steps=_PLAN_STEPS)
        name = "outputs fed back" if memory else "without feedback"
        line(f"Jordan network, {name}: {right:.1%} of the outputs of {len(SEQUENCES)} plans")
        stated = "100%" if memory else f"{best:.1%}, each plan's most frequent symbol"
        findings.append(Finding(f"Jordan: sequences from plans, {name}", stated, f"{right:.1%}", right == theory))
    for kind in ("Elman", "Jordan", "no memory"):
        accuracy, tested = learn_delay(kind, steps=_DELAY_STEPS, generator=generator)
        line(f"{kind}: bit {DELAY} steps ago {accuracy:.1%}")
        is_seen = kind == "Elman"
        chance = 4.0 * 0.5 / tested**0.5  # four standard errors of the accuracy of guesses
        findings.append(
            Finding(
                f"{kind}: input of {DELAY} steps ago",
                "100%: hidden units keep it" if is_seen else "50%, chance: no past output holds it",
                f"{accuracy:.1%}",
                accuracy > 0.99 if is_seen else abs(accuracy - 0.5) < chance,
            )
        )
    network = elman.learn_text(
        hidden=_LETTER_HIDDEN, steps=_LETTER_STEPS, batch=_LETTER_BATCH, words=_LETTER_WORDS, generator=generator
    )
    letters, places = elman.text(_TEST_ROWS, _LETTER_WORDS, generator)
    errors = elman.letter_errors(network, letters)
    found, least = elman.errors_by_place(errors, places), elman.least_errors()
    line("letters by place in the word, nats: " + ", ".join(f"{value:.2f}" for value in found))
    starts = places[:, 1:] == 0
    # Only a rise within the run counts: the letter before a start is the last of a word.
    rises = float((errors[:, 1:] > errors[:, :-1])[starts[:, 1:]].float().mean())
    findings += [
        Finding(
            "Elman: error of a word's first letter",
            f"at least {least[0]:.2f} nats, reached if words are known",
            f"{found[0]:.2f} nats",
            least[0] - 0.1 < found[0] < least[0] + 0.3,
        ),
        Finding(
            "Elman: error of a word's fourth letter",
            f"at least {least[3]:.2f} nats; lower within a word",
            f"{found[3]:.2f} nats",
            found[3] < 0.5 * found[0],
        ),
        Finding("Elman: error rises where a word begins", "at nearly all words", f"{rises:.1%}", rises > 0.95),
    ]
    notes = (
        f"{len(elman.WORDS)} words of equal probability without spaces, {len(elman.ALPHABET)} letters; gradients go "
        "through all steps, where Elman stopped them after one.",
    )
    return Report(tuple(findings), _figure(errors, letters, places, found, least), notes)


def _figure(errors: Tensor, letters: Tensor, places: Tensor, found: list[float], least: list[float]) -> np.ndarray:
    shown = range(1, _SHOWN_LETTERS + 1)
    text = "".join(elman.ALPHABET[letter] for letter in letters[0, 1 : _SHOWN_LETTERS + 1].tolist())
    values = errors[0, :_SHOWN_LETTERS].tolist()
    starts = [number for number in shown if places[0, number] == 0]
    stream = Plot(
        [
            Curve("-log p of the letter", list(shown), values),
            Curve("first letter of a word", starts, [values[number - 1] for number in starts], dots=True),
        ],
        text,
        "letter",
        "nats",
    )
    numbers = [place + 1 for place in range(len(found))]
    means = Plot(
        [Curve("Elman network", numbers, found), Curve("words and boundaries known", numbers, least, dashed=True)],
        "Mean error by place in the word",
        "letter of the word",
        "nats",
        whole_x=True,
    )
    return plots([stream, means], size=(480, 320))
