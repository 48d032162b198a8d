"""Convolutions and their gradients as single calls, in the form that is fastest for the size of the maps."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gans.progressive.fused.activation import LEAK, Gradients, to_float

_SMALL = 16
"""Pixels of a map up to which 1x1 convolutions, and the weights' gradients of 3x3 ones from copied patches, are matrix
products on a CPU: two to three times as fast."""
_convolution_backward = torch.ops.aten.convolution_backward


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, offset: Tensor | None = None, leaky: bool = True
) -> Tensor:
    if _is_product(x, weight):
        flat, kernel = _flat(x), weight.flatten(1).t()
        y = _unflat(flat @ kernel if bias is None else torch.addmm(bias, flat, kernel), x)
    else:
        y = torch.conv2d(x, weight, bias, padding=weight.shape[2] // 2)
    if offset is not None:
        y = y.add_(offset)
    return F.leaky_relu_(y, LEAK) if leaky else y


def convolve_transposed(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.leaky_relu_(F.conv_transpose2d(x, weight, bias, stride=2, padding=1), LEAK)


def conv_gradients(gradient: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, ...]) -> Gradients:
    """Gradients of input, weight and bias; the latter two float32."""
    of_x = of_weight = of_bias = None
    if _is_product(x, weight):
        flat = _flat(gradient)
        of_x = _unflat(flat @ weight.flatten(1), x) if wanted[0] else None
        of_weight = (flat.t() @ _flat(x)).view(weight.shape) if wanted[1] else None
        of_bias = flat.sum(0) if wanted[2] else None
    elif wanted[1] and weight.shape[2] == 3 and x.shape[2] * x.shape[3] <= _SMALL and x.device.type == "cpu":
        of_x = _conv_backward(gradient, x, weight, (True, False, False))[0] if wanted[0] else None
        flat = _flat(gradient)
        of_weight = (flat.t() @ _patches(x)).view(len(weight), 3, 3, x.shape[1]).permute(0, 3, 1, 2)
        of_bias = flat.sum(0) if wanted[2] else None
    else:
        of_x, of_weight, of_bias = _conv_backward(gradient, x, weight, wanted)
    return of_x, to_float(of_weight), to_float(of_bias)


def transposed_gradients(gradient: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, ...]) -> Gradients:
    of_x, of_weight, of_bias = _convolution_backward(
        gradient, x, weight, [weight.shape[1]], [2, 2], [1, 1], [1, 1], True, [0, 0], 1, list(wanted)
    )
    return of_x, to_float(of_weight), to_float(of_bias)


def _is_product(x: Tensor, weight: Tensor) -> bool:
    """Whether a 1x1 convolution is rather a matrix product: on small maps, where a call costs more than its work."""
    return weight.shape[2] == 1 and x.shape[2] * x.shape[3] <= _SMALL and x.device.type == "cpu"


def _flat(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B * H * W, C]."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _unflat(flat: Tensor, like: Tensor) -> Tensor:
    """[B * H * W, C] -> [B, C, H, W] with the sizes of `like`."""
    return flat.view(like.shape[0], *like.shape[2:], -1).permute(0, 3, 1, 2)


def _patches(x: Tensor) -> Tensor:
    """[B, C, H, W] -> the 3x3 neighbourhoods of all pixels [B * H * W, 9 * C], outside the map 0."""
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    batch, height, width, channels = padded.shape
    rows, columns = padded.stride()[1:3]
    shape = (batch, height - 2, width - 2, 3, 3, channels)
    return padded.as_strided(shape, (padded.stride(0), rows, columns, rows, columns, 1)).reshape(-1, 9 * channels)


def _conv_backward(gradient: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, ...]) -> Gradients:
    sides, ones = [weight.shape[2] // 2] * 2, [1, 1]
    return _convolution_backward(gradient, x, weight, [len(weight)], ones, sides, ones, False, [0, 0], 1, list(wanted))
