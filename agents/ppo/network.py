"""Policy and value network of PPO, on encoded observations."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from agents.environments.observations import VECTOR, Image, ObservationCodec
from agents.ppo.config import ConvolutionConfig, NetworkConfig
from agents.ppo.distributions import Categorical, DiagonalGaussian
from lab.errors import UserError
from lab.nets.init import ORTHOGONAL
from lab.nets.layers import Conv2d, Linear, activation_layer
from lab.nets.mlp import MLP
from lab.nets.resettable_rnn import run_with_resets
from lab.nets.rnn import RNN

_SMALL = 24
"""Images below this height or width get a single convolution: three with strides would leave nothing."""

Observations = Mapping[str, Tensor]
"""Encoded observations [B, ...] by name."""


class Normalizer(nn.Module):
    """Vectors [..., D] minus their running mean, divided by their deviation, clipped; without a clip the identity."""

    mean: Tensor
    inverse: Tensor

    def __init__(self, size: int, clip: float | None) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("inverse", torch.ones(size))

    def fit(self, mean: Tensor, variance: Tensor) -> None:
        """Set the statistics [D]."""
        self.mean.copy_(mean)
        self.inverse.copy_((variance + 1e-8).rsqrt())

    def forward(self, x: Tensor) -> Tensor:
        if self.clip is None:
            return x
        return ((x - self.mean) * self.inverse).clamp(-self.clip, self.clip)


class Body(nn.Module):
    """All layers before the heads: observations [B, ...] -> features [B, F], and a recurrent layer if configured.

    Images go through convolutions, and their flattened output and the vector through the hidden layers.
    """

    def __init__(self, codec: ObservationCodec, config: NetworkConfig) -> None:
        super().__init__()
        self._scales = {image.name: image.scale for image in codec.images}
        self._has_vector = bool(codec.vector_size)
        self.convolutions = nn.ModuleDict({image.name: _convolutions(image, config) for image in codec.images})
        flat = [_flattened(self.convolutions[image.name], image) for image in codec.images]
        inputs = codec.vector_size + sum(flat)
        self.hidden = MLP(inputs, config.hidden, None, activation=config.activation, init=ORTHOGONAL)
        self.features = config.hidden[-1] if config.hidden else inputs
        self.rnn: RNN | None = None
        if config.recurrent != "none":
            self.rnn = RNN(self.features, config.recurrent_size, cell=config.recurrent)
            self.features = config.recurrent_size
        self.state_size = _state_size(config)

    def encode(self, observations: Observations) -> Tensor:
        parts = [observations[VECTOR]] if self._has_vector else []
        for name, convolutions in self.convolutions.items():
            pixels = observations[name].to(torch.float32)
            scale = self._scales[name]
            parts.append(convolutions(pixels / scale if scale != 1.0 else pixels))
        return self.hidden(parts[0] if len(parts) == 1 else torch.cat(parts, -1))

    def step(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One step of the recurrent layer: features [B, F], state [B, S] -> outputs [B, H], state [B, S]."""
        assert self.rnn is not None
        outputs, final = self.rnn(features[:, None], state=_unpacked(state, self.rnn))
        return outputs[:, 0], torch.cat([part[0] for part in final], -1)

    def sequences(self, features: Tensor, starts: Tensor, state: Tensor) -> Tensor:
        """Sequences [B, T, F] -> outputs [B, T, H].

        starts: bool [B, T], steps before which the state is cleared. state: [B, S], the state before the first step.
        """
        assert self.rnn is not None
        return run_with_resets(self.rnn, features, starts, _unpacked(state, self.rnn))


class ActorCritic(nn.Module):
    """Outputs of the action distribution and values of encoded observations.

    With a recurrent layer the state is one row [B, S] per environment: hidden state, the LSTM's cell, policy first.
    """

    def __init__(
        self,
        codec: ObservationCodec,
        distribution: Categorical | DiagonalGaussian,
        config: NetworkConfig,
        clip: float | None = None,
    ) -> None:
        """clip: largest magnitude of normalised vectors; None where vectors are not normalised."""
        super().__init__()
        self.shared, self.recurrent = config.shared, config.recurrent != "none"
        self.normalizer = Normalizer(codec.vector_size, clip)
        self.body = Body(codec, config)
        self.value_body = self.body if config.shared else Body(codec, config)
        gaussian = isinstance(distribution, DiagonalGaussian)
        outputs = distribution.outputs // 2 if gaussian else distribution.outputs
        # A small last layer makes the first policy nearly uniform (Andrychowicz et al. 2021, section 3.2).
        self.policy = Linear(self.body.features, outputs, init=ORTHOGONAL.with_gain(0.01))
        self.value = Linear(self.body.features, 1, init=ORTHOGONAL.with_gain(1.0))
        self.log_std = nn.Parameter(torch.full((outputs,), math.log(config.initial_std))) if gaussian else None
        self.state_size = self.body.state_size * (1 if config.shared else 2)

    def initial_state(self, count: int) -> Tensor:
        """The state [count, S] at the beginning of episodes; S is 0 without a recurrent layer."""
        return torch.zeros(count, self.state_size, device=self.value.weight.device)

    def prepare(self, observations: Observations) -> dict[str, Tensor]:
        """Raw observations with the vector normalised, as the other methods take them."""
        prepared = dict(observations)
        if VECTOR in prepared:
            prepared[VECTOR] = self.normalizer(prepared[VECTOR])
        return prepared

    def act(self, observations: Observations) -> Tensor:
        """Outputs of the distribution [B, P], without a recurrent layer."""
        return self._outputs(self.body.encode(observations))

    def values(self, observations: Observations) -> Tensor:
        """Values [B], without a recurrent layer."""
        return self.value(self.value_body.encode(observations))[:, 0]

    def forward(self, observations: Observations) -> tuple[Tensor, Tensor]:
        """Outputs [B, P] and values [B], without a recurrent layer."""
        features = self.body.encode(observations)
        other = features if self.shared else self.value_body.encode(observations)
        return self._outputs(features), self.value(other)[:, 0]

    def step(self, observations: Observations, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One step of a recurrent network: outputs [B, P], values [B], the state after it [B, S]."""
        own, others = self._split(state)
        features, own = self.body.step(self.body.encode(observations), own)
        if self.shared:
            return self._outputs(features), self.value(features)[:, 0], own
        other, others = self.value_body.step(self.value_body.encode(observations), others)
        return self._outputs(features), self.value(other)[:, 0], torch.cat([own, others], -1)

    def sequences(self, observations: Observations, starts: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Sequences [B, T, ...] through a recurrent network: outputs [B, T, P] and values [B, T].

        starts: bool [B, T]; state: [B, S], before the first step.
        """
        flat = {name: values.flatten(0, 1) for name, values in observations.items()}
        own, others = self._split(state)
        features = self.body.sequences(self.body.encode(flat).view(*starts.shape, -1), starts, own)
        other = features
        if not self.shared:
            other = self.value_body.sequences(self.value_body.encode(flat).view(*starts.shape, -1), starts, others)
        return self._outputs(features), self.value(other)[..., 0]

    def _outputs(self, features: Tensor) -> Tensor:
        outputs = self.policy(features)
        if self.log_std is None:
            return outputs
        return torch.cat([outputs, self.log_std.expand_as(outputs)], -1)

    def _split(self, state: Tensor) -> tuple[Tensor, Tensor]:
        size = self.body.state_size
        return state[:, :size], state[:, size:]


def _state_size(config: NetworkConfig) -> int:
    return {"none": 0, "gru": 1, "lstm": 2}[config.recurrent] * config.recurrent_size


def _unpacked(state: Tensor, rnn: RNN) -> tuple[Tensor, ...]:
    """State [B, S] -> hidden state, and cell of an LSTM, [1, B, H] each."""
    return tuple(part[None].contiguous() for part in state.split(rnn.hidden, -1))


def _convolutions(image: Image, config: NetworkConfig) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    small = min(image.shape[1:]) < _SMALL
    shape = config.convolutions or (
        ConvolutionConfig(channels=(16,), kernels=(3,), strides=(1,)) if small else ConvolutionConfig()
    )
    width = image.shape[0]
    for index, (channels, kernel, stride) in enumerate(zip(shape.channels, shape.kernels, shape.strides, strict=True)):
        layers[f"conv{index}"] = Conv2d(width, channels, kernel, stride=stride, padding=0, init=ORTHOGONAL)
        layers[f"activation{index}"] = activation_layer("relu")
        width = channels
    layers["flatten"] = nn.Flatten()
    return nn.Sequential(layers)


def _flattened(convolutions: nn.Module, image: Image) -> int:
    try:
        with torch.no_grad():
            return int(convolutions(torch.zeros(1, *image.shape)).shape[1])
    except RuntimeError:
        height, width = image.shape[1:]
        raise UserError(
            f"network.convolutions do not fit images of {height}x{width} pixels: kernels and strides leave nothing"
        ) from None
