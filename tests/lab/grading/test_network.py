"""The network and its heads: padding, attention, and what an output stands for."""

import numpy as np
import pytest
import torch

from lab.grading.encoding import Encoded, fit_encoder
from lab.grading.features import parsed
from lab.grading.grader import GraderNetwork
from lab.grading.grammar import generate
from lab.grading.heads import OrdinalHead, SquaredHead, make_head
from lab.grading.network import EssayBatch, EssayNetwork, Sizes
from lab.grading.surface import NAMES
from lab.nets.rnn import set_padding_masked
from lab.train.modes import evaluating
from tests.lab.small_grading import config


def encoded() -> Encoded:
    """Four essays of 1 to 6 sentences of up to 5 words."""
    generator = np.random.default_rng(0)
    tokens = []
    for count in (3, 1, 6, 2):
        rows = generator.integers(3, 150, (count, 5)).astype(np.int32)
        for row, length in zip(rows, generator.integers(1, 6, count), strict=True):
            row[length:] = 0
        tokens.append(rows)
    opens = [generator.integers(0, 2, len(rows)).astype(np.float32) for rows in tokens]
    surface, base = generator.normal(size=(4, 7)), generator.normal(size=(4, 2))
    return Encoded(tokens, opens, surface.astype(np.float32), base.astype(np.float32))


def network(*, linear: bool = True) -> EssayNetwork:
    torch.manual_seed(0)
    settings = config(network={"linear": linear, "layers": 2}).network
    return EssayNetwork(settings, Sizes(60, 7, 2), torch.arange(60) % 10).eval()


def batch(rows: list[int]) -> EssayBatch:
    return encoded().batch(rows, np.zeros((len(rows), 2)))


def trained(**settings: bool) -> EssayNetwork:
    made = network(**settings)
    with torch.no_grad():
        made.out.weight.normal_()
    return made


@torch.no_grad()
def test_an_essay_does_not_depend_on_its_batch() -> None:
    made = trained()
    together = made(batch([0, 1, 2, 3]))
    for row in range(4):
        alone = made(batch([row]))
        torch.testing.assert_close(alone.scores[0], together.scores[row])
        torch.testing.assert_close(alone.sentences[0], together.sentences[row, : alone.sentences.shape[1]])


@torch.no_grad()
def test_masked_and_packed_padding_compute_the_same() -> None:
    made = trained()
    packed = made(batch([0, 1, 2, 3]))
    masked = set_padding_masked(made, True)(batch([0, 1, 2, 3]))
    torch.testing.assert_close(masked.scores, packed.scores)
    torch.testing.assert_close(masked.sentences, packed.sentences)


@torch.no_grad()
def test_attention_is_a_distribution_over_what_is_there() -> None:
    given = batch([0, 1, 2, 3])
    found = trained()(given)
    torch.testing.assert_close(found.sentences.sum(1), torch.ones(4))
    assert (found.sentences[given.lengths == 0] == 0.0).all()
    torch.testing.assert_close(found.words.sum(2), (given.lengths > 0).float())
    assert (found.words[given.tokens == 0] == 0.0).all()


@torch.no_grad()
def test_training_begins_at_the_linear_part_and_the_order_of_sentences_counts() -> None:
    given = batch([0, 2])
    assert torch.equal(network()(given).scores, given.base)
    made, data = trained(), encoded()
    moved = data.batch([0, 2], np.zeros((2, 2)), {1: np.array([5, 4, 3, 2, 1, 0])})
    one, other = made(given).scores, made(moved).scores
    assert torch.allclose(one[0], other[0]) and not torch.allclose(one[1], other[1], atol=1e-4)


def test_evaluation_mode_draws_nothing() -> None:
    made = trained().train()
    with evaluating(made):
        assert torch.equal(made(batch([0, 1])).scores, made(batch([0, 1])).scores)
    assert not torch.equal(made(batch([0, 1])).scores, made(batch([0, 1])).scores)


def test_a_random_order_costs_the_score_and_not_the_traits_and_is_no_part_of_the_loss_of_scores() -> None:
    settings, given = config(training={"shuffled": 0.5, "shuffle_cost": 0.3}), batch([0, 1, 2, 3])
    encoder = fit_encoder([parsed(text) for text in generate(8, 0).texts], np.zeros((8, 2)), settings.network)[0]
    torch.manual_seed(0)
    made = GraderNetwork(settings, encoder, [np.array([-1.0, 1.0])] * 2).eval()
    given = given._replace(surface=torch.zeros(4, len(NAMES)))
    found = made(given)
    assert found.shuffled_logit is not None and found.shuffled_logit.shape == (4,)
    torch.testing.assert_close(given.base[:, 0] - found.scores[:, 0], 0.3 * found.shuffled_logit.sigmoid())
    assert torch.equal(found.scores[:, 1], given.base[:, 1])
    right = given._replace(targets=given.base)  # the outputs before the cost
    order = torch.nn.functional.softplus(found.shuffled_logit).sum()
    torch.testing.assert_close(torch.as_tensor(made.loss(right).total), order)


def test_a_batch_says_which_essays_are_in_random_order() -> None:
    orders = {1: np.array([5, 4, 3, 2, 1, 0])}
    assert encoded().batch([0, 2, 1], np.zeros((3, 2)), orders).shuffled.tolist() == [0.0, 1.0, 0.0]


SCORES = np.array([[-1.0, -2.0], [0.0, np.nan], [1.0, 2.0], [2.0, 0.0]])
GRADES = [np.array([-1.0, 0.0, 1.0, 2.0]), np.array([-2.0, 0.0, 2.0])]


def test_squared_loss_leaves_out_what_is_missing() -> None:
    head = make_head("squared", GRADES, 0.5)
    assert isinstance(head, SquaredHead)
    found = head.loss(torch.zeros(4, 2), torch.from_numpy(SCORES).float())
    assert float(found.total) == pytest.approx(6.0 + 0.5 * 8.0)
    assert found.weight == 4


def test_ordinal_scores_rise_with_the_output_from_the_lowest_to_the_highest_grade() -> None:
    head = make_head("ordinal", GRADES, 0.5)
    assert isinstance(head, OrdinalHead)
    outputs = torch.linspace(-20.0, 20.0, 101)[:, None].expand(-1, 2)
    found = head.scores(outputs).detach()
    assert (found.diff(dim=0) >= 0.0).all()
    torch.testing.assert_close(found[[0, -1]], torch.tensor([[-1.0, -2.0], [2.0, 2.0]]))


def test_the_ordinal_loss_is_least_between_the_neighbours_of_a_grade() -> None:
    head = make_head("ordinal", GRADES, 0.0)
    outputs = torch.linspace(-3.0, 3.0, 121)
    truth = torch.tensor([[1.0, 0.0]])
    losses = [head.loss(torch.tensor([[float(one), 0.0]]), truth).total.item() for one in outputs]
    assert float(outputs[int(np.argmin(losses))]) == pytest.approx(1.0, abs=0.1)


def test_the_order_of_sentences_is_learned_where_the_linear_part_is_blind_to_it() -> None:
    """Essays of the same six sentences; the score is 1 in order and -1 in random order."""
    generator = np.random.default_rng(1)
    sentences = np.arange(3, 3 + 6 * 3 * 4).reshape(6, 12)[:, :4].astype(np.int32)
    in_order = np.arange(64) % 2 == 0
    tokens = [sentences if ordered else sentences[generator.permutation(6)] for ordered in in_order]
    base = np.zeros((64, 1), np.float32)
    data = Encoded(tokens, [np.zeros(6, np.float32)] * 64, np.zeros((64, 7), np.float32), base)
    torch.manual_seed(0)
    made = EssayNetwork(config(network={"dropout": 0.0}).network, Sizes(60, 7, 1), torch.arange(60) % 10)
    given = data.batch(range(64), np.where(in_order, 1.0, -1.0)[:, None])
    optimizer = torch.optim.AdamW(made.parameters(), 2e-2)
    for _ in range(25):
        optimizer.zero_grad()
        squared = ((made(given).scores - given.targets) ** 2).mean()
        squared.backward()
        optimizer.step()
    assert squared.item() < 0.2
