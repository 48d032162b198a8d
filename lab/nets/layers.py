"""Linear and convolution layers under an initialisation policy, and activations by name."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from lab.errors import UserError
from lab.nets.init import HE, Init
from lab.nets.second_order import conv2d, is_penalised

_USUAL_BATCH = 16  # not the actual batch: an exported graph must not depend on it


def activation_layer(name: str) -> nn.Module:
    """The activation called `name`. Leaky ReLU has slope 0.2, as in the progressive GAN."""
    if name == "relu":
        return nn.ReLU()
    if name == "leaky_relu":
        return nn.LeakyReLU(0.2)
    if name == "silu":
        return nn.SiLU()
    if name == "gelu":
        return nn.GELU()
    if name == "tanh":
        return nn.Tanh()
    if name == "none":
        return nn.Identity()
    raise UserError(f"activation {name!r} is unknown; use relu, leaky_relu, silu, gelu, tanh or none")


def largest_divisor(number: int, at_most: int) -> int:
    return next(d for d in range(min(number, at_most), 0, -1) if number % d == 0)


class Linear(nn.Linear):
    """Affine map [..., in_features] -> [..., out_features] under an `Init` policy."""

    def __init__(self, in_features: int, out_features: int, *, bias: bool = True, init: Init = HE) -> None:
        self.init = init
        super().__init__(in_features, out_features, bias=bias)
        self.weight_scale = init.weight_scale(in_features)
        self.bias_scale = init.lr_multiplier

    def reset_parameters(self) -> None:
        self.init.reset(self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(*_scaled_once(self, x))


class Conv2d(nn.Conv2d):
    """Convolution [B, in_channels, H, W] -> [B, out_channels, H', W'] under an `Init` policy.

    Padding defaults to half the kernel, which keeps H and W when the stride is 1 and the kernel is odd.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int | None = None,
        bias: bool = True,
        init: Init = HE,
    ) -> None:
        self.init = init
        padding = kernel_size // 2 if padding is None else padding
        super().__init__(in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=bias)
        self.weight_scale = init.weight_scale(self.weight[0].numel())
        self.bias_scale = init.lr_multiplier

    def reset_parameters(self) -> None:
        self.init.reset(self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        x, weight, bias = _scaled_once(self, x)
        if is_penalised() and self.stride == (1, 1):
            return conv2d(x, weight, bias, int(self.padding[0]))
        return self._conv_forward(x, weight, bias)


def scaled(layer: Linear | Conv2d) -> tuple[Tensor, Tensor | None]:
    """Effective weight and bias: the stored ones times the runtime scale."""
    weight, bias = layer.weight, layer.bias
    if layer.weight_scale != 1.0:
        weight = weight * layer.weight_scale
    if bias is not None and layer.bias_scale != 1.0:
        bias = bias * layer.bias_scale
    return weight, bias


def _scaled_once(layer: Linear | Conv2d, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Input, weight and bias for the operation: the runtime scale multiplies the smaller of input and weight."""
    if layer.weight_scale == 1.0 or x[0].numel() * _USUAL_BATCH > layer.weight.numel():
        return x, *scaled(layer)
    bias = layer.bias if layer.bias is None or layer.bias_scale == 1.0 else layer.bias * layer.bias_scale
    return x * layer.weight_scale, layer.weight, bias
