"""The acoustic model: phones -> durations, pitch and energy -> log-mel frames, all at once.

FastSpeech 2 (Ren et al. 2021, section 2) with convolutions and GRUs in place of attention, and pitch and energy per
phone as in FastPitch (Lancucki 2021). Durations are known in training, so there is no alignment to be learned.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.nets.init import HE
from lab.nets.layers import Linear
from lab.nets.rnn import RNN, length_mask
from lab.speech.config import NetworkConfig
from lab.speech.dataset import Scale
from lab.speech.phones import PHONES

_LONGEST = 200  # frames of a predicted phone


class Acoustics(NamedTuple):
    """Standardised log-mel [B, F, bands]; log(1 + duration), pitch and energy [B, P] as predicted."""

    mel: Tensor
    log_durations: Tensor
    pitch: Tensor
    energy: Tensor


class Convolutions(nn.Module):
    """[B, T, in_features] -> [B, T, width]: convolutions over T with ReLU, layer norm and dropout; 0 at padding."""

    def __init__(self, in_features: int, width: int, *, layers: int, kernel: int, dropout: float) -> None:
        super().__init__()
        sizes = [in_features, *[width] * layers]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, kernel, padding=kernel // 2) for before, after in pairwise(sizes)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """mask: [B, T, 1], 0 at padding."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = self.dropout(norm(convolution((x * mask).transpose(1, 2)).transpose(1, 2).relu()))
        return x * mask


class Predictor(nn.Module):
    """[B, P, width] -> one number for each phone [B, P]; 0 at padding."""

    def __init__(self, width: int, config: NetworkConfig) -> None:
        super().__init__()
        self.body = Convolutions(width, config.predictor_width, layers=2, kernel=3, dropout=config.dropout)
        self.out = Linear(config.predictor_width, 1, init=HE.with_gain(1.0))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return (self.out(self.body(x, mask)) * mask)[:, :, 0]


class AcousticModel(nn.Module):
    """See the module; the scale of the data lies in its buffers."""

    mel_mean: Tensor
    mel_deviation: Tensor

    def __init__(self, config: NetworkConfig, bands: int) -> None:
        super().__init__()
        width = config.width
        self.embedding = nn.Embedding(len(PHONES) + 1, width, padding_idx=0)
        self.convolutions = Convolutions(
            width, width, layers=config.encoder_convolutions, kernel=5, dropout=config.dropout
        )
        self.encoder = RNN(width, width // 2 + width % 2, cell="gru", bidirectional=True)
        features = self.encoder.out_features
        self.duration = Predictor(features, config)
        self.pitch = Predictor(features, config)
        self.energy = Predictor(features, config)
        self.prosody = nn.Conv1d(2, features, 3, padding=1)
        self.before = Convolutions(features + 2, width, layers=1, kernel=5, dropout=config.dropout)
        self.decoder = RNN(
            width, config.hidden, cell="gru", layers=config.layers, bidirectional=True, dropout=config.dropout
        )
        self.out = Linear(self.decoder.out_features, bands, init=HE.with_gain(1.0))
        for name in ("mel_mean", "mel_deviation"):
            self.register_buffer(name, torch.ones(bands))

    def set_scale(self, scale: Scale) -> None:
        """Keep means and deviations of the data with the weights."""
        self.mel_mean.copy_(scale.mel_mean)
        self.mel_deviation.copy_(scale.mel_deviation)

    def forward(
        self,
        phones: Tensor,
        durations: Tensor,
        pitch: Tensor,
        energy: Tensor,
    ) -> Acoustics:
        """Phones int64 [B, P] with 0 at padding, true durations int64, pitch and energy [B, P], for training."""
        encoded, mask = self._encode(phones)
        found = self._predict(encoded, mask)
        return Acoustics(self._decode(encoded, mask, durations, pitch, energy), *found)

    @torch.no_grad()
    def speak(self, phones: Tensor, *, pace: float = 1.0) -> tuple[Tensor, Tensor]:
        """Phones int64 [B, P] -> log-mel [B, F, bands], frames of each row int64 [B]; pace 2 speaks twice as fast."""
        encoded, mask = self._encode(phones)
        log_durations, pitch, energy = self._predict(encoded, mask)
        durations = durations_of(log_durations, phones, pace)
        mel = self._decode(encoded, mask, durations, pitch, energy)
        return mel * self.mel_deviation + self.mel_mean, durations.sum(1)

    def _encode(self, phones: Tensor) -> tuple[Tensor, Tensor]:
        """Features of phones [B, P, features] and the mask [B, P, 1]."""
        mask = (phones > 0)[:, :, None].float()
        x = self.embedding(phones)
        x = x + self.convolutions(x, mask)
        return self.encoder(x, (phones > 0).sum(1))[0], mask

    def _predict(self, encoded: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.duration(encoded, mask), self.pitch(encoded, mask), self.energy(encoded, mask)

    def _decode(self, encoded: Tensor, mask: Tensor, durations: Tensor, pitch: Tensor, energy: Tensor) -> Tensor:
        prosody = self.prosody(torch.stack([pitch, energy], 1)).transpose(1, 2)
        phones, frames = (encoded + prosody) * mask, durations.sum(1)
        x = regulate(phones, durations)
        frame_mask = length_mask(frames, x.shape[1])[:, :, None].float()
        x, _ = self.decoder(self.before(x, frame_mask), frames)
        return self.out(x) * frame_mask


def durations_of(log_durations: Tensor, phones: Tensor, pace: float = 1.0) -> Tensor:
    """log(1 + frames) [B, P] -> frames int64 [B, P], from 1 for a phone and 0 for padding."""
    frames = ((log_durations.exp() - 1.0) / pace).round().clamp(1, _LONGEST).long()
    return frames * (phones > 0)


def regulate(x: Tensor, durations: Tensor) -> Tensor:
    """The length regulator (Ren et al. 2019, section 3.2): phones [B, P, C] -> frames [B, F, C + 2], 0 at padding.

    The added features are where in its phone a frame is, in (0, 1), and log of the phone's duration.
    """
    batch, phones, _ = x.shape
    ends = durations.cumsum(1)
    longest = int(ends[:, -1].max())
    frame = torch.arange(longest, device=x.device).expand(batch, longest).contiguous()
    index = torch.searchsorted(ends, frame, right=True).clamp_max(phones - 1)
    of_frames = x.gather(1, index[:, :, None].expand(-1, -1, x.shape[2]))
    duration = durations.gather(1, index).clamp_min(1)
    start = ends.gather(1, index) - duration
    where = (frame - start + 0.5) / duration
    inside = (frame < ends[:, -1:]).float()[:, :, None]
    return torch.cat([of_frames, where[:, :, None], duration[:, :, None].float().log()], 2) * inside


def losses(found: Acoustics, mel: Tensor, durations: Tensor, pitch: Tensor, energy: Tensor) -> dict[str, Tensor]:
    """Sums over frames (mean absolute error of the bands) or phones (squared error) that are not padding."""
    phones = (durations > 0).float()
    frames = length_mask(durations.sum(1), mel.shape[1]).float()
    return {
        "mel": ((found.mel - mel).abs().mean(2) * frames).sum(),
        "duration": (F.mse_loss(found.log_durations, durations.float().log1p(), reduction="none") * phones).sum(),
        "pitch": (F.mse_loss(found.pitch, pitch, reduction="none") * phones).sum(),
        "energy": (F.mse_loss(found.energy, energy, reduction="none") * phones).sum(),
    }
