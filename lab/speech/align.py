"""Forced alignment: when each phone of a recording ends, learned from the recordings and their phones alone.

A flat start, as for speech recognisers: phones are first spread evenly over the recording; then each phone is a normal
distribution of mel cepstra and their changes, and recordings are aligned again by the best path (Viterbi training;
Rabiner 1989, section VI). Pauses between words are optional.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from lab.audio.distortion import mel_cepstrum
from lab.audio.mel import MelConfig, log_mel
from lab.speech.phones import PAUSE, PHONES
from lab.speech.teacher import TimedPhone

_ROUNDS = 12
_EDGE_S = 0.15  # of silence that is assumed at both ends at first
_FLOOR = 0.05  # of the variances, as a part of those of all frames
_PAUSE_COST = 30.0  # nats; a frame of silence that is taken for speech costs about as much
_PARTS = 3  # of a phone, each with a distribution of its own: its start, middle and end


class Utterance(NamedTuple):
    """Acoustic vectors float64 [F, D] of a recording, its phones, and which of them are pauses that may be absent."""

    vectors: np.ndarray
    phones: tuple[str, ...]
    optional: tuple[bool, ...]

    def check(self) -> None:
        """Raise ValueError if there are too few frames."""
        least = _PARTS * sum(not optional for optional in self.optional)
        if len(self.vectors) < least:
            raise ValueError(f"{len(self.vectors)} frames are fewer than {_PARTS} for each of its phones, {least}")


def utterance(wave: Tensor, words: Sequence[Sequence[str]], config: MelConfig) -> Utterance:
    """Samples [T] at the rate of the configuration and the phones of each word, with pauses between all of them."""
    mel = log_mel(wave[None], config)[0].numpy()
    cepstra = np.concatenate([mel_cepstrum(mel, 13), mel.mean(0, keepdims=True)]).T
    vectors = np.concatenate([cepstra, np.gradient(cepstra, axis=0) if len(cepstra) > 1 else 0 * cepstra], 1)
    phones: list[str] = [PAUSE]
    optional = [False]
    for index, word in enumerate(words):
        if index:
            phones.append(PAUSE)
            optional.append(True)
        phones += word
        optional += [False] * len(word)
    return Utterance(vectors, (*phones, PAUSE), (*optional, False))


def align(
    utterances: Sequence[Utterance],
    frames_per_s: float,
    *,
    rounds: int = _ROUNDS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[tuple[TimedPhone, ...]]:
    """The phones of each utterance with their ends in seconds; optional pauses that were not heard are left out.

    Raises ValueError for an utterance with fewer frames than phones.
    """
    for one in utterances:
        one.check()
    every = np.concatenate([one.vectors for one in utterances])
    floor = _FLOOR * every.var(0) + 1e-6
    states = [_flat(one, frames_per_s) for one in utterances]
    for done in range(rounds):
        means, variances = _fit(utterances, states, every, floor)
        states = [_best_path(one, means, variances) for one in utterances]
        progress(done + 1, rounds)
    return [_timed(one, path, frames_per_s) for one, path in zip(utterances, states, strict=True)]


def _flat(one: Utterance, frames_per_s: float) -> np.ndarray:
    """State of each frame, int64 [F], states evenly spread between two silences; optional pauses have no frame."""
    spoken = [index for index, optional in enumerate(one.optional) if not optional]
    frames = len(one.vectors)
    edge = min(round(_EDGE_S * frames_per_s), frames // 4)
    inner = [index * _PARTS + part for index in spoken[1:-1] for part in range(_PARTS)]
    middle = np.array(inner)[np.arange(frames - 2 * edge) * len(inner) // max(frames - 2 * edge, 1)]
    last = (len(one.phones) - 1) * _PARTS
    return np.concatenate([np.full(edge, 1), middle, np.full(edge, last + 1)]).astype(np.int64)


def _fit(
    utterances: Sequence[Utterance], states: Sequence[np.ndarray], every: np.ndarray, floor: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances [phones * _PARTS, D]; a part that has no frame gets those of all frames."""
    labels = np.concatenate([_labels(one)[path] for one, path in zip(utterances, states, strict=True)])
    count = len(PHONES) * _PARTS
    weight = np.bincount(labels, minlength=count)[:, None]
    sums, squares = np.zeros((count, every.shape[1])), np.zeros((count, every.shape[1]))
    np.add.at(sums, labels, every)
    np.add.at(squares, labels, every**2)
    few = weight[:, 0] < 3
    means = sums / np.maximum(weight, 1)
    variances = np.maximum(squares / np.maximum(weight, 1) - means**2, floor)
    means[few], variances[few] = every.mean(0), every.var(0) + floor
    return means, variances


def _labels(one: Utterance) -> np.ndarray:
    """The distribution of each state, int64 [states]; the parts of a pause are one."""
    found = []
    for phone in one.phones:
        number = PHONES.index(phone) * _PARTS
        found += [number] * _PARTS if phone == PAUSE else [number + part for part in range(_PARTS)]
    return np.array(found)


def _best_path(one: Utterance, means: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """State of each frame, int64 [F], on the most probable path from the first state to the last."""
    labels = _labels(one)
    used, where = np.unique(labels, return_inverse=True)
    mean, variance = means[used], variances[used]
    vectors = one.vectors
    scores = -0.5 * (
        (vectors**2) @ (1.0 / variance).T - 2.0 * vectors @ (mean / variance).T + (mean**2 / variance).sum(1)
    ) - 0.5 * np.log(variance).sum(1)
    scores = scores[:, where]
    frames, states = scores.shape
    skips = np.zeros(states, dtype=bool)  # states that may follow the one before an optional pause
    for index in range(1, len(one.phones)):
        skips[index * _PARTS] = one.optional[index - 1]
    enters = np.zeros(states)  # a pause is less likely than none
    for index in range(1, len(one.phones)):
        enters[index * _PARTS] = _PAUSE_COST * one.optional[index]
    best = np.full(states, -np.inf)
    best[0] = scores[0, 0]
    came = np.zeros((frames, states), dtype=np.int8)
    jump = _PARTS + 1
    for frame in range(1, frames):
        step = np.concatenate([[-np.inf], best[:-1]]) - enters
        leap = np.concatenate([np.full(jump, -np.inf), best[:-jump]]) if states > jump else np.full(states, -np.inf)
        leap[~skips] = -np.inf
        moved = step > best
        following = np.where(moved, step, best)
        leaped = leap > following
        came[frame] = np.where(leaped, jump, moved)
        best = np.where(leaped, leap, following) + scores[frame]
    path = np.empty(frames, dtype=np.int64)
    path[-1] = states - 1
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = path[frame] - came[frame, path[frame]]
    return path


def _timed(one: Utterance, path: np.ndarray, frames_per_s: float) -> tuple[TimedPhone, ...]:
    phones = path // _PARTS
    ends = np.flatnonzero(np.diff(phones, append=-1)) + 1
    return tuple(TimedPhone(one.phones[phones[end - 1]], float(end / frames_per_s)) for end in ends)
