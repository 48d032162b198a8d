"""Pairs of equal length, sentences in random order, and errors by group."""

from typing import Any

import numpy as np

from lab.grading.evaluation import by_length, by_prompt, by_score, calibration_table, correlation
from lab.grading.honesty import in_random_order, length_matched, pairs_in_order, words_in
from lab.grading.text import sentences_of
from lab.plots.media import Table

RNG = np.random.default_rng(0)


def column(table: Table, at: int) -> list[Any]:
    return [row[at] for row in table.rows]


def test_the_word_count_says_nothing_about_pairs_of_equal_length() -> None:
    words = RNG.integers(100, 500, 400)
    truth = np.round(2.0 * (words / 100.0 + RNG.normal(0.0, 1.0, 400))) / 2.0
    pairs = length_matched(words, truth)
    assert len(pairs) > 30 and len(set(pairs.ravel().tolist())) == pairs.size
    assert (truth[pairs[:, 1]] > truth[pairs[:, 0]]).all()
    longer = words[pairs].max(1) / words[pairs].min(1)
    assert longer.max() <= 1.05
    found = pairs_in_order(pairs, words.astype(float))
    assert found is not None and abs(found - 0.5) < 0.15
    assert pairs_in_order(pairs, truth) == 1.0 and pairs_in_order(pairs, np.ones(400)) == 0.5
    assert correlation(words.astype(float), truth) > 0.6
    assert pairs_in_order(length_matched(np.array([1, 100]), np.array([1.0, 2.0])), truth) is None


def test_a_random_order_keeps_the_sentences_and_the_places_of_paragraphs() -> None:
    text = "One is first. Two is next! Three? Four ends here.\n\nFive begins. Six goes on. Seven stops."
    moved = in_random_order(text, 0, 1)
    assert moved != text and moved == in_random_order(text, 0, 1) != in_random_order(text, 0, 2)
    before, after = sentences_of(text), sentences_of(moved)
    assert sorted(one.tokens for one in before) == sorted(one.tokens for one in after)
    assert [one.new_paragraph for one in before] == [one.new_paragraph for one in after]
    assert words_in([text, moved, ""]).tolist() == [17, 17, 0]


def test_errors_by_group_add_up() -> None:
    truth = RNG.choice([1.0, 2.0, 3.0], 60)
    predictions = truth + RNG.normal(0.2, 0.3, 60)
    grades, words, prompts = np.round(predictions), RNG.integers(50, 300, 60), ["a", "b", "b"] * 20
    for table in (
        by_score(truth, grades, predictions),
        by_length(truth, grades, predictions, words),
        by_prompt(truth, grades, predictions, prompts),
    ):
        counts, biases = column(table, 1), column(table, 3)
        assert sum(counts) == 60
        assert np.isclose(np.average(biases, weights=counts), (predictions - truth).mean())
    assert column(by_prompt(truth, grades, predictions, prompts), 0) == ["b", "a"]
    exact = column(by_score(truth, grades, predictions), 5)
    assert exact == [float(np.mean(grades[truth == score] == score)) for score in (1.0, 2.0, 3.0)]
    found = calibration_table(truth, predictions)
    assert sum(column(found, 0)) == 60
    assert np.all(np.diff(column(found, 1)) > 0.0)
