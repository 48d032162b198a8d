"""Pitch, features and alignment against sounds whose answer is known."""

import math

import numpy as np
import pytest
import torch

from lab.audio.mel import MelConfig
from lab.errors import UserError
from lab.speech.align import align, utterance
from lab.speech.features import features
from lab.speech.phones import PAUSE, VOWELS
from lab.speech.pitch import pitch
from lab.speech.teacher import TimedPhone
from tests.lab.small_speech import LEXICON, RATE, TEXTS, spoken

MEL = MelConfig(rate=RATE, fft=256, hop=80, bands=24, high=4000.0)


@pytest.mark.parametrize("hertz", [71.0, 120.0, 233.3, 390.0])
def test_the_pitch_of_harmonics_is_found(hertz: float) -> None:
    time = torch.arange(16_000) / 16_000
    wave = 0.1 * sum(torch.sin(2 * math.pi * hertz * k * time + k) / k for k in range(1, 12))
    found = pitch(torch.as_tensor(wave), rate=16_000, hop=200)
    assert found.shape == (80,)
    torch.testing.assert_close(found[5:-5], torch.full((70,), hertz), rtol=5e-3, atol=0.0)


def test_a_gliding_pitch_is_followed() -> None:
    time = torch.arange(16_000) / 16_000
    phase = 2 * math.pi * (100 * time + 50 * time**2)  # from 100 to 200 Hz
    wave = 0.2 * torch.sin(phase) + 0.1 * torch.sin(2 * phase)
    found = pitch(wave, rate=16_000, hop=200)[6:-6]
    middle = (torch.arange(80)[6:-6] + 0.5) * 200 / 16_000
    torch.testing.assert_close(found, 100 + 100 * middle, rtol=0.03, atol=0.0)


def test_silence_and_noise_have_no_pitch() -> None:
    assert not pitch(torch.zeros(4000), rate=16_000, hop=200).any()
    noise = 0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    assert (pitch(noise, rate=16_000, hop=200) > 0).float().mean() < 0.1


def test_features_are_those_of_the_phones() -> None:
    wave, timed = spoken(["the", "cat,", "sat"])
    found = features(wave, timed, MEL, "x.wav")
    assert int(found.durations.sum()) == len(found.mel) == -(-len(wave) // MEL.hop)
    ends = found.durations.cumsum(0) / MEL.frames_per_s
    assert np.abs(ends.numpy() - [phone.end_s for phone in timed]).max() < 1 / MEL.frames_per_s
    for index, phone in enumerate(timed):
        if phone.phone in VOWELS:
            assert float(found.pitch[index].exp()) == pytest.approx(120.0, rel=0.02)
        if phone.phone == PAUSE:
            assert bool(found.pitch[index].isnan())
    pauses = [index for index, phone in enumerate(timed) if phone.phone == PAUSE]
    assert float(found.energy[pauses].max()) < float(np.delete(found.energy.numpy(), pauses).min())


def test_phones_shorter_than_a_frame_still_have_one() -> None:
    timed = [TimedPhone("t", 0.001), TimedPhone("s", 0.002), TimedPhone("ax", 0.003), TimedPhone(PAUSE, 0.1)]
    assert features(0.1 * torch.randn(800), timed, MEL, "x").durations.tolist() == [1, 1, 1, 7]
    late = [TimedPhone("t", 0.0999), TimedPhone("s", 0.09995), TimedPhone("ax", 0.1)]
    assert features(0.1 * torch.randn(800), late, MEL, "x").durations.tolist() == [8, 1, 1]


def test_phones_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match=r"x: its phones end after 9\.00 s"):
        features(torch.zeros(800), [TimedPhone("t", 9.0)], MEL, "x")
    with pytest.raises(UserError, match="do not fit into 1 frames"):
        features(torch.zeros(80), [TimedPhone("t", 0.001), TimedPhone("s", 0.002)], MEL, "x")


def test_an_alignment_finds_the_ends_of_phones_and_the_pauses() -> None:
    said = [(text.split(), *spoken(text.split())) for text in TEXTS]
    noise = torch.Generator().manual_seed(0)
    utterances = [
        utterance(
            wave + 1e-3 * torch.randn(len(wave), generator=noise), [LEXICON[word.strip(".,")] for word in words], MEL
        )
        for words, wave, _ in said
    ]
    errors = []
    for (_, _, timed), found in zip(said, align(utterances, MEL.frames_per_s), strict=True):
        assert [phone.phone for phone in found] == [phone.phone for phone in timed]
        errors += [abs(one.end_s - other.end_s) for one, other in zip(found, timed, strict=True)]
    assert sum(errors) / len(errors) < 0.02  # two frames


def test_a_recording_that_is_too_short_is_not_aligned() -> None:
    with pytest.raises(ValueError, match="frames are fewer"):
        align([utterance(torch.zeros(800), [LEXICON["cat"]] * 3, MEL)], MEL.frames_per_s)
