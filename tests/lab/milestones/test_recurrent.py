"""Bidirectional, Jordan, Elman and LSTM milestones: their tasks, and what each network can know."""

import math

import pytest
import torch

from lab.milestones import bidirectional, elman, jordan_elman, lstm
from lab.milestones.jordan import JordanNetwork
from lab.milestones.jordan_elman import SEQUENCES, best_without_memory, learn_plans, plans
from lab.milestones.report import Report
from lab.milestones.seeded import Run
from lab.milestones.simple_recurrent import SimpleRecurrent


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_labels_are_the_bits_before_and_after(generator: torch.Generator) -> None:
    x, labels = bidirectional.sequences(3, 9, generator)
    bits, lag = x[:, :, 0] > 0, bidirectional.LAG
    inner = bidirectional.inner(labels)
    assert torch.equal(inner[:, :, 0] > 0.5, bits[:, : -2 * lag])
    assert torch.equal(inner[:, :, 1] > 0.5, bits[:, 2 * lag :])


@pytest.mark.parametrize(("direction", "sees_past", "sees_future"), [
    ("forward", True, False), ("backward", False, True), ("both", True, True)
])  # fmt: skip
def test_what_a_direction_sees(direction: str, sees_past: bool, sees_future: bool, generator: torch.Generator) -> None:
    network = bidirectional.OneOrTwoDirections(direction).eval()
    x, _ = bidirectional.sequences(2, 9, generator)
    for at, is_seen in ((0, sees_past), (8, sees_future)):
        changed = x.clone()
        changed[:, at] *= -1.0
        assert (not torch.equal(network(x)[:, 4], network(changed)[:, 4])) is is_seen


def test_no_word_begins_another() -> None:
    assert not [(a, b) for a in elman.WORDS for b in elman.WORDS if a != b and b.startswith(a)]


def test_runs_of_letters_are_words(generator: torch.Generator) -> None:
    letters, places = elman.text(20, 6, generator)
    assert letters.shape == places.shape == (20, 6 * min(map(len, elman.WORDS)))
    for row, at in zip(letters.tolist(), places.tolist(), strict=True):
        text = "".join(elman.ALPHABET[letter] for letter in row)
        starts = [index for index, place in enumerate(at) if place == 0]
        words = [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]
        assert starts[0] == 0 and all(word in elman.WORDS for word in words[:-1])
        assert any(word.startswith(words[-1]) for word in elman.WORDS)


def test_least_errors_of_a_word_add_up_to_its_log_probability() -> None:
    """The chain rule: letters of a word cost log(number of words) together, as no two words are equal."""
    counts = [sum(len(word) > place for word in elman.WORDS) for place in range(len(elman.least_errors()))]
    total = sum(count * error for count, error in zip(counts, elman.least_errors(), strict=True))
    assert total == pytest.approx(len(elman.WORDS) * math.log(len(elman.WORDS)))


def test_errors_by_place_are_means(generator: torch.Generator) -> None:
    errors, places = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0, 1, 0, 1]])
    assert elman.errors_by_place(errors, places) == [2.0, 2.0]


def test_sequences_of_plans_have_no_two_steps_with_the_same_past() -> None:
    pasts = [(plan, sequence[:step]) for plan, sequence in enumerate(SEQUENCES) for step in range(len(sequence))]
    assert len(set(pasts)) == len(pasts)
    assert best_without_memory() == pytest.approx((3 + 2 + 2 + 2) / 24)


def test_jordan_network_with_feedback_learns_plans() -> None:
    torch.manual_seed(0)
    assert learn_plans(memory=True, steps=300) == 1.0
    assert learn_plans(memory=False, steps=150) <= best_without_memory() + 1e-6


def test_outputs_fed_back_are_those_of_teacher_forcing() -> None:
    torch.manual_seed(0)
    network = JordanNetwork(len(SEQUENCES), 8, 3)
    inputs, _ = plans()
    produced = network.produce(inputs)
    logits = network(inputs, torch.nn.functional.one_hot(produced, 3).float())
    assert torch.equal(logits.argmax(2), produced)


def test_adding_problem_has_one_mark_in_each_half(generator: torch.Generator) -> None:
    x, y = lstm.adding_problem(4000, 10, generator)
    marks = x[:, :, 1]
    assert bool((marks[:, :5].sum(1) == 1).all()) and bool((marks[:, 5:].sum(1) == 1).all())
    torch.testing.assert_close((x[:, :, 0] * marks).sum(1, keepdim=True), y)
    assert float((y - 1.0).square().mean()) == pytest.approx(lstm.CONSTANT_ERROR, abs=0.01)


@pytest.mark.parametrize("bias", [0.0, 1.0, 3.0])
def test_cell_gradient_falls_by_the_forget_gate(bias: float) -> None:
    assert lstm.carousel(bias) == pytest.approx(1.0 / (1.0 + math.exp(-bias)), abs=1e-4)


def test_gradient_of_a_simple_network_at_rest_is_a_power_of_its_weights() -> None:
    """Without input and biases the hidden units stay 0, where the slope of tanh is 1."""
    torch.manual_seed(0)
    core = SimpleRecurrent(2, 5, 1).core
    with torch.no_grad():
        for name in ("bias_ih_l0", "bias_hh_l0"):
            core.get_parameter(name).zero_()
    norms = lstm.gradients_by_lag(core, torch.zeros(1, 8, 2))
    weights = core.get_parameter("weight_hh_l0")
    signs = torch.randint(2, (1, 1, 5), generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0
    expected = [(signs[0, 0] @ torch.linalg.matrix_power(weights, lag)).norm() for lag in range(1, 8)]
    torch.testing.assert_close(norms, torch.stack(expected))


def disagreeing(report: Report) -> list[str]:
    return [f"{finding.name}: {finding.measured}" for finding in report.findings if not finding.agrees]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "run", [bidirectional.run, jordan_elman.run, lstm.run], ids=["bidirectional", "jordan_elman", "lstm"]
)
def test_all_findings_agree(run: Run) -> None:
    assert disagreeing(run(1, lambda line: None)) == []
