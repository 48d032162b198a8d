"""The acoustic model: the length regulator, and that padding changes nothing."""

import torch

from lab.speech.config import NetworkConfig
from lab.speech.dataset import SpeechBatch
from lab.speech.network import AcousticModel, durations_of, losses, regulate

SMALL = NetworkConfig(width=6, hidden=5, layers=2, predictor_width=4, dropout=0.0)


def batch() -> SpeechBatch:
    draw = torch.Generator().manual_seed(0)
    phones = torch.tensor([[1, 5, 9, 2, 1], [1, 7, 1, 0, 0]])
    durations = torch.tensor([[2, 3, 1, 4, 2], [1, 6, 2, 0, 0]])
    pitch, energy = torch.randn(2, 2, 5, generator=draw) * (phones > 0)
    mel = torch.randn(2, 12, 8, generator=draw)
    mel[1, 9:] = 0.0
    return SpeechBatch(phones, durations, pitch, energy, mel)


def test_the_regulator_repeats_every_phone_as_often_as_it_lasts() -> None:
    x = torch.randn(2, 3, 4)
    durations = torch.tensor([[2, 1, 3], [4, 0, 0]])
    found = regulate(x, durations)
    assert found.shape == (2, 6, 6)
    for row in range(2):
        expected = x[row].repeat_interleave(durations[row], 0)
        torch.testing.assert_close(found[row, : len(expected), :4], expected)
        assert not found[row, len(expected) :].any()
    torch.testing.assert_close(found[0, :, 4], torch.tensor([0.25, 0.75, 0.5, 1 / 6, 0.5, 5 / 6]))
    torch.testing.assert_close(found[0, :, 5], torch.tensor([2.0, 2, 1, 3, 3, 3]).log())


def test_a_recording_alone_and_in_a_padded_batch_is_the_same() -> None:
    torch.manual_seed(0)
    model, both = AcousticModel(SMALL, 8).eval(), batch()
    alone = both.part(slice(1, 2))
    assert alone.phones.shape == (1, 3) and alone.mel.shape == (1, 9, 8)
    padded, found = model(*both[:4]), model(*alone[:4])
    torch.testing.assert_close(padded.mel[1:, :9], found.mel)
    torch.testing.assert_close(padded.pitch[1:, :3], found.pitch)
    spoken, frames = model.speak(both.phones)
    single, count = model.speak(alone.phones)
    assert int(frames[1]) == int(count[0])
    torch.testing.assert_close(spoken[1, : int(count[0])], single[0])


def test_losses_do_not_see_padding() -> None:
    torch.manual_seed(0)
    model, both = AcousticModel(SMALL, 8).eval(), batch()
    whole = losses(model(*both[:4]), both.mel, both.durations, both.pitch, both.energy)
    parts = []
    for row in (0, 1):
        one = both.part(slice(row, row + 1))
        parts.append(losses(model(*one[:4]), one.mel, one.durations, one.pitch, one.energy))
    for name, value in whole.items():
        torch.testing.assert_close(value, parts[0][name] + parts[1][name])


def test_predicted_durations_are_frames() -> None:
    phones = torch.tensor([[3, 4, 5, 0]])
    frames = torch.tensor([[7.0, 0.2, 1e9, 5.0]])
    assert durations_of(frames.log1p(), phones).tolist() == [[7, 1, 200, 0]]
    assert durations_of(frames.log1p(), phones, pace=2.0).tolist()[0][0] == 4


def test_one_batch_is_overfitted() -> None:
    torch.manual_seed(0)
    model, both = AcousticModel(SMALL, 8), batch()
    optimizer = torch.optim.Adam(model.parameters(), 5e-2)
    first = last = 0.0
    for _ in range(30):
        found = losses(model(*both[:4]), both.mel, both.durations, both.pitch, both.energy)
        total = torch.stack(list(found.values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        last = float(total.detach())
        first = first or last
    assert last < 0.6 * first
