"""The test essays of runs: predictions, baselines, and what the honesty tests say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lab.errors import UserError
from lab.grading.baselines import BASELINES, Baseline
from lab.grading.data import check_same_data
from lab.grading.essays import EssaySet, open_essays
from lab.grading.evaluation import by_length, by_prompt, by_score, calibration_table, correlation
from lab.grading.folds import Split, split
from lab.grading.grader import Grader
from lab.grading.honesty import in_random_order, length_matched, pairs_in_order, words_in
from lab.grading.thresholds import quadratic_kappa
from lab.plots.media import Cell, Table


@dataclass(frozen=True, eq=False)
class Result:
    """N test essays. truth, predictions: float64 [N, O]; grades [N]; linear [N], of the linear part alone, and
    linear_grades; shuffled [N]: predictions with the sentences in random order; inside: bool [N], the score lies in its
    interval; words: int64 [N]; baselines by name."""

    texts: list[str]
    prompts: list[str]
    truth: np.ndarray
    predictions: np.ndarray
    grades: np.ndarray
    linear: np.ndarray | None
    shuffled: np.ndarray
    inside: np.ndarray
    words: np.ndarray
    baselines: Mapping[str, Baseline]

    def metrics(self) -> dict[str, float]:
        """Values by name, without a group."""
        truth, score = self.truth[:, 0], self.predictions[:, 0]
        errors = (self.predictions - self.truth)[:, 1:]
        errors = errors[np.isfinite(errors)]
        changed = self.shuffled - score
        values = {
            "qwk": quadratic_kappa(self.grades, truth),
            "pearson": correlation(score, truth),
            "rmse": float(np.sqrt(((score - truth) ** 2).mean())),
            "coverage": float(self.inside.mean()),
            "shuffled_change": float(changed.mean()),
            "shuffled_lower": float((changed < 0.0).mean()),
        }
        if len(errors):
            values["trait_rmse"] = float(np.sqrt((errors**2).mean()))
        if self.linear is not None:
            values["linear_pearson"] = correlation(self.linear, truth)
        return values

    def methods(self) -> Table:
        """The run beside the baselines, on all test essays and on pairs of equal length."""
        pairs = length_matched(self.words, self.truth[:, 0])
        methods = {"this run": Baseline(self.predictions[:, 0], self.grades), **self.baselines}
        rows: list[list[Cell]] = [
            [
                name,
                quadratic_kappa(found.grades, self.truth[:, 0]),
                correlation(found.predictions, self.truth[:, 0]),
                pairs_in_order(pairs, found.predictions),
            ]
            for name, found in methods.items()
        ]
        caption = f"pairs: {len(pairs):,} of equal length, the higher score predicted higher"
        return Table("methods", ["method", "kappa", "pearson", "pairs"], rows, caption)

    def tables(self) -> list[Table]:
        """Errors by score, length and prompt, and calibration."""
        truth, score = self.truth[:, 0], self.predictions[:, 0]
        found = [
            by_score(truth, self.grades, score),
            by_length(truth, self.grades, score, self.words),
            calibration_table(truth, score),
        ]
        return [*found, by_prompt(truth, self.grades, score, self.prompts)] if any(self.prompts) else found


def result_of(grader: Grader, *, baselines: bool) -> Result:
    """Grade the test essays of a run. Raises UserError where the essays are not those that it was trained on."""
    config = grader.config
    essays = open_essays(config.data, config.seed)
    check_same_data(config.data, essays, grader.fingerprint)
    parts = split(essays, config.data)
    texts = [essays.texts[index] for index in parts.test]
    truth = essays.scores[parts.test]
    predictions = grader.predict(texts)
    moved = [in_random_order(text, config.seed, number) for number, text in enumerate(texts)]
    low, high = (np.clip(predictions[:, 0] + sign * grader.half_width, *grader.bounds[:, 0]) for sign in (-1.0, 1.0))
    return Result(
        texts=texts,
        prompts=[essays.prompts[index] for index in parts.test],
        truth=truth,
        predictions=predictions,
        grades=grader.thresholds.grade(predictions[:, 0]),
        linear=grader.linear(texts)[:, 0] if config.network.linear else None,
        shuffled=grader.predict(moved)[:, 0],
        inside=(low - 1e-9 <= truth[:, 0]) & (truth[:, 0] <= high + 1e-9),
        words=words_in(texts),
        baselines=_baselines(essays, parts) if baselines else {},
    )


def check_folds(graders: Sequence[Grader]) -> None:
    """Raise UserError unless the runs are folds of the same essays and no essay is in the test of two."""
    first = graders[0]
    if any((one.fingerprint, one.names) != (first.fingerprint, first.names) for one in graders[1:]):
        raise UserError("--with: these runs were trained on different essays or scores: give folds of one set")
    essays = open_essays(first.config.data, first.config.seed)
    tested = np.concatenate([split(essays, grader.config.data).test for grader in graders])
    if len(np.unique(tested)) < len(tested):
        raise UserError(
            "--with: two of these runs test the same essays, which would count twice: give runs of other data.fold and "
            "equal data.folds"
        )


def pooled(results: Sequence[Result]) -> Result:
    """The test essays of all folds as one set."""

    def joined(part: Callable[[Result], np.ndarray]) -> np.ndarray:
        return np.concatenate([part(result) for result in results])

    first, linear = results[0], [result.linear for result in results if result.linear is not None]
    return Result(
        texts=[text for result in results for text in result.texts],
        prompts=[prompt for result in results for prompt in result.prompts],
        truth=joined(lambda result: result.truth),
        predictions=joined(lambda result: result.predictions),
        grades=joined(lambda result: result.grades),
        linear=np.concatenate(linear) if len(linear) == len(results) else None,
        shuffled=joined(lambda result: result.shuffled),
        inside=joined(lambda result: result.inside),
        words=joined(lambda result: result.words),
        baselines={
            name: Baseline(
                *(np.concatenate([getattr(r.baselines[name], field) for r in results]) for field in Baseline._fields)
            )
            for name in first.baselines
        },
    )


def _baselines(essays: EssaySet, parts: Split) -> dict[str, Baseline]:
    """Each is fitted to training and validation essays."""
    known = np.concatenate([parts.training, parts.validation])
    training, test = ([essays.texts[index] for index in rows] for rows in (known, parts.test))
    return {name: fit(training, essays.scores[known, 0], test) for name, fit in BASELINES.items()}
