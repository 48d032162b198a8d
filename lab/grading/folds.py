"""Training, validation and test essays: by folds, or with one prompt left out."""

import hashlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lab.config.suggestions import did_you_mean, shortened
from lab.errors import UserError
from lab.grading.essays import EssaySet

if TYPE_CHECKING:
    from lab.grading.config import DataConfig

_log = logging.getLogger(__name__)
_LEAST = 2  # essays of a part


class Split(NamedTuple):
    """Numbers of the essays of each part, int64, increasing. No text is in two parts."""

    training: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(essays: EssaySet, config: "DataConfig") -> Split:
    """The parts of a configuration, which depend on the texts alone: not on their order, and not on the seed.

    Equal texts are in one part. Raises UserError for a prompt that no essay has, or that all have.
    """
    ranks = _ranks(essays.texts)
    if config.leave_out_prompt is None:
        tested = ranks % config.folds == (config.fold or 0)
    else:
        tested = _of_prompt(essays, config.leave_out_prompt)
        texts = {text for text, held in zip(essays.texts, tested, strict=True) if held}
        repeated = np.array([text in texts for text in essays.texts]) & ~tested
        if repeated.any():
            _log.warning(f"{int(repeated.sum())} essays of other prompts have a text of the one left out: not used")
        ranks = np.where(repeated, -1, ranks)
    remaining = np.flatnonzero(~tested & (ranks >= 0))
    order = _ranks([essays.texts[index] for index in remaining], "validation")
    validated = order < config.validation * (order.max(initial=0) + 1)
    parts = Split(remaining[~validated], remaining[validated], np.flatnonzero(tested))
    for name, part in zip(Split._fields, parts, strict=True):
        if len(part) < _LEAST:
            raise UserError(
                f"{essays.source}: {len(part)} {name} essays of {len(essays)} are too few; give more essays"
            )
    return parts


def _ranks(texts: Sequence[str], salt: str = "") -> np.ndarray:
    """int64 [N]: the place of each text in an order by hash, equal for equal texts."""
    keys = [hashlib.sha256((salt + text).encode("utf-8", "surrogatepass")).hexdigest() for text in texts]
    return np.unique(keys, return_inverse=True)[1].reshape(-1)


def _of_prompt(essays: EssaySet, prompt: str) -> np.ndarray:
    known = sorted(set(essays.prompts) - {""})
    if not known:
        raise UserError(f"data.leave_out_prompt: {essays.source} names no prompts; data.prompt is their column")
    if prompt not in known:
        raise UserError(
            f"data.leave_out_prompt: no essay has the prompt {shortened(prompt)}; {did_you_mean(prompt, known)}"
        )
    if len(known) == 1:
        raise UserError(f"data.leave_out_prompt: all essays have the prompt {shortened(prompt)}; use data.fold")
    return np.array([each == prompt for each in essays.prompts])
