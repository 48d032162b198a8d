"""Layers of the growing networks as one operation each, with derivatives in closed form.

A layer of torch is three to ten operations, each with its own node of the graph and its own maps in memory. On maps of
4x4 and 8x8 these cost as much as the convolutions. Here a layer is one node and keeps only its input and its output:
leaky ReLU has the sign of its result, and pixel norm has a closed form in its result. What the discriminator uses is
twice differentiable, as gradient penalties need. The second derivative of leaky ReLU is zero, so that the second pass
is a forward pass of the direction through the same masks.

Convolutions use the dtype of their input. Weights, their gradients and the dense layers are float32.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gans.effective_weights import Effective

LEAK = 0.2
EPSILON = 1e-8
_SMALL = 16
"""Pixels of a map up to which 1x1 convolutions, and the weights' gradients of 3x3 ones from copied patches, are matrix
products on a CPU: two to three times as fast."""
_leaky_backward = torch.ops.aten.leaky_relu_backward
_convolution_backward = torch.ops.aten.convolution_backward
Gradients = tuple[Tensor | None, ...]


def conv(
    x: Tensor, weights: Effective, *, offset: Tensor | None = None, leaky: bool = True, pool: bool = False
) -> Tensor:
    """Convolution of stride 1 that keeps H and W, leaky ReLU and the mean of 2x2 pixels; twice differentiable.

    [B, in, H, W] -> [B, out, H, W], or [B, out, H / 2, W / 2] with `pool`. offset: [B, out, H, W], added to the
    result of the convolution.
    """
    if _is_plain():
        y = _conv(x, weights.low, weights.low_bias, offset, leaky)
        return F.avg_pool2d(y, 2) if pool else y
    return _Conv.apply(x, *weights, offset, leaky, pool)


def conv_norm(x: Tensor, weights: Effective, *, transposed: bool = False) -> Tensor:
    """Convolution, leaky ReLU and pixel norm, [B, in, H, W] -> [B, out, H, W].

    transposed: a transposed convolution of stride 2, [B, in, H, W] -> [B, out, 2H, 2W], with a 4x4 kernel.
    """
    if _is_plain():
        convolve = _transposed if transposed else _conv
        return _norm(convolve(x, weights.low, weights.low_bias))[0]
    return _ConvNorm.apply(x, *weights, transposed)


def leaky_norm(x: Tensor) -> Tensor:
    """Leaky ReLU and pixel norm, [B, C, H, W] -> the same."""
    if _is_plain():
        return _norm(F.leaky_relu(x, LEAK))[0]
    return _LeakyNorm.apply(x)


def dense(x: Tensor, weight: Tensor, bias: Tensor, scale: float, *, leaky: bool = True) -> Tensor:
    """Affine map with the weight times `scale`, and leaky ReLU, [B, in] -> [B, out]; twice differentiable."""
    if _is_plain():
        return _dense(x, weight, bias, scale, leaky)
    return _Dense.apply(x, weight, bias, scale, leaky)


def deviation(x: Tensor, group: int) -> Tensor:
    """Standard deviation over each group of rows, averaged over features: [B, C, H, W] -> [B / group].

    B is a multiple of `group`. Twice differentiable.
    """
    if _is_plain():
        return _spread(x, group)[1].mean((1, 2, 3))
    return _Deviation.apply(x, group)


def _is_plain() -> bool:
    """Whether the operations of torch are as good: nothing will be differentiated, or a compiler fuses them."""
    return not torch.is_grad_enabled() or torch.compiler.is_compiling()


class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        low: Tensor,
        low_bias: Tensor | None,
        offset: Tensor | None,
        leaky: bool,
        pool: bool,
    ) -> Tensor:
        y = _conv(x, low, low_bias, offset, leaky)
        ctx.save_for_backward(x, weight, low, y if leaky else None)
        ctx.pool = pool
        return F.avg_pool2d(y, 2) if pool else y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        x, weight, low, y = ctx.saved_tensors
        wanted, of_offset = ctx.needs_input_grad[:3], None
        if torch.is_grad_enabled():  # create_graph=True: the gradient will be differentiated, and is not of the weights
            y = None if y is None else y.detach()
            of_x, through = _InputGradient.apply(gradient, weight, low, y, x.detach(), ctx.pool)
            return of_x, None, None, None, None, through if ctx.needs_input_grad[5] else None, None, None
        gradient = _through(gradient, y, ctx.pool)
        of_offset = gradient if ctx.needs_input_grad[5] else None
        return (*_conv_gradients(gradient, x, low, wanted), None, None, of_offset, None, None)


class _InputGradient(torch.autograd.Function):
    """Gradients of the input of `_Conv`, bilinear in the output gradient and the weights, and of the offset."""

    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, weight: Tensor, low: Tensor, y: Tensor | None, x: Tensor, pool: bool
    ) -> Gradients:
        through = _through(gradient, y, pool)
        ctx.save_for_backward(through, low, y)
        ctx.pool = pool
        ctx.set_materialize_grads(False)
        return _conv_gradients(through, x, low, (True, False, False))[0], through

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, direction: Tensor | None, of_through: Tensor | None) -> Gradients:
        gradient, low, y = ctx.saved_tensors
        of_gradient = of_weight = None
        if ctx.needs_input_grad[0]:
            of_gradient = of_through if direction is None else _conv(direction, low, None, of_through, False)
            if y is not None:
                of_gradient = _leaky_backward(of_gradient, y, LEAK, True)
            if ctx.pool:
                of_gradient = F.avg_pool2d(of_gradient, 2)
        if ctx.needs_input_grad[1] and direction is not None:
            of_weight = _conv_gradients(gradient, direction, low, (False, True, False))[1]
        return of_gradient, of_weight, None, None, None, None


class _ConvNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        low: Tensor,
        low_bias: Tensor | None,
        transposed: bool,
    ) -> Tensor:
        z, factor = _norm((_transposed if transposed else _conv)(x, low, low_bias))
        ctx.save_for_backward(x, low, z, factor)
        ctx.transposed = transposed
        return z

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        x, low, z, factor = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:3]
        gradient = _through_norm(gradient, z, factor)
        gradients = (_transposed_gradients if ctx.transposed else _conv_gradients)(gradient, x, low, wanted)
        return (*gradients, None, None, None)


class _LeakyNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        z, factor = _norm(F.leaky_relu(x, LEAK))
        ctx.save_for_backward(z, factor)
        return z

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _through_norm(gradient, *ctx.saved_tensors)


class _Dense(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, scale: float, leaky: bool) -> Tensor:
        y = _dense(x, weight, bias, scale, leaky)
        ctx.save_for_backward(x, weight, y if leaky else None)
        ctx.scale = scale
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        x, weight, y = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        if torch.is_grad_enabled():
            y = None if y is None else y.detach()
            return (
                (_DenseInputGradient.apply(gradient, weight, y, ctx.scale) if wanted[0] else None),
                *[None] * 4,
            )
        if y is not None:
            gradient = _leaky_backward(gradient, y, LEAK, True)
        scaled = gradient * ctx.scale
        return (
            scaled @ weight if wanted[0] else None,
            scaled.t() @ x if wanted[1] else None,
            gradient.sum(0) if wanted[2] else None,
            None,
            None,
        )


class _DenseInputGradient(torch.autograd.Function):
    """Gradient of the input of `_Dense`, bilinear in the output gradient and the weight."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, weight: Tensor, y: Tensor | None, scale: float) -> Tensor:
        if y is not None:
            gradient = _leaky_backward(gradient, y, LEAK, True)
        scaled = gradient * scale
        ctx.save_for_backward(scaled, weight, y)
        ctx.scale = scale
        return scaled @ weight

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, direction: Tensor) -> Gradients:
        scaled, weight, y = ctx.saved_tensors
        of_gradient = of_weight = None
        if ctx.needs_input_grad[0]:
            of_gradient = (direction @ weight.t()).mul_(ctx.scale)
            if y is not None:
                of_gradient = _leaky_backward(of_gradient, y, LEAK, True)
        if ctx.needs_input_grad[1]:
            of_weight = scaled.t() @ direction
        return of_gradient, of_weight, None, None


class _Deviation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: int) -> Tensor:
        centred, spread = _spread(x, group)
        ctx.save_for_backward(x, centred, spread)
        ctx.group = group
        return spread.mean((1, 2, 3))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        x, centred, spread = ctx.saved_tensors
        return _DeviationGradient.apply(gradient, x, centred, spread, ctx.group), None


class _DeviationGradient(torch.autograd.Function):
    """Gradient of the input of `_Deviation`: gradient * centred / spread, divided by the values of a group."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, x: Tensor, centred: Tensor, spread: Tensor, group: int) -> Tensor:
        unit = centred / spread[:, None]
        values = x[0].numel() * group
        factor = (gradient / values)[:, None, None, None, None]
        ctx.save_for_backward(factor, unit, spread)
        ctx.shape, ctx.values = x.shape, values
        return (unit * factor).view(x.shape)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, direction: Tensor) -> Gradients:
        factor, unit, spread = ctx.saved_tensors
        direction = direction.view(unit.shape)
        along = direction * unit
        of_x = direction - direction.mean(1, keepdim=True)
        of_x = of_x.addcmul_(unit, along.mean(1, keepdim=True), value=-1.0).mul_(factor / spread[:, None])
        return along.sum((1, 2, 3, 4)) / ctx.values, of_x.view(ctx.shape), None, None, None


def _conv(x: Tensor, weight: Tensor, bias: Tensor | None, offset: Tensor | None = None, leaky: bool = True) -> Tensor:
    if _is_product(x, weight):
        flat, kernel = _flat(x), weight.flatten(1).t()
        y = _unflat(flat @ kernel if bias is None else torch.addmm(bias, flat, kernel), x)
    else:
        y = torch.conv2d(x, weight, bias, padding=weight.shape[2] // 2)
    if offset is not None:
        y = y.add_(offset)
    return F.leaky_relu_(y, LEAK) if leaky else y


def _is_product(x: Tensor, weight: Tensor) -> bool:
    """Whether a 1x1 convolution is rather a matrix product: on small maps, where a call costs more than its work."""
    return weight.shape[2] == 1 and x.shape[2] * x.shape[3] <= _SMALL and x.device.type == "cpu"


def _flat(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B * H * W, C]."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _unflat(flat: Tensor, like: Tensor) -> Tensor:
    """[B * H * W, C] -> [B, C, H, W] with the sizes of `like`."""
    return flat.view(like.shape[0], *like.shape[2:], -1).permute(0, 3, 1, 2)


def _transposed(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.leaky_relu_(F.conv_transpose2d(x, weight, bias, stride=2, padding=1), LEAK)


def _norm(y: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel norm [B, C, H, W] and its factor [B, 1, H, W], whose root and division are float32."""
    squares = (y * y).sum(1, keepdim=True)
    factor = ((squares.float() if y.element_size() < 4 else squares) / y.shape[1]).add_(EPSILON).rsqrt_().to(y.dtype)
    return y * factor, factor


def _dense(x: Tensor, weight: Tensor, bias: Tensor, scale: float, leaky: bool) -> Tensor:
    y = torch.addmm(bias, x, weight.t(), alpha=scale)
    return F.leaky_relu_(y, LEAK) if leaky else y


def _spread(x: Tensor, group: int) -> tuple[Tensor, Tensor]:
    """Deviations from the mean of each group [N, group, C, H, W] and their standard deviation [N, C, H, W]."""
    grouped = x.view(-1, group, *x.shape[1:])
    centred = grouped - grouped.mean(1, keepdim=True)
    return centred, (centred * centred).mean(1).add_(EPSILON).sqrt_()


def _through(gradient: Tensor, y: Tensor | None, pool: bool) -> Tensor:
    """Gradient of the convolution's result from that of the layer's, whose activated values are y."""
    if pool:
        gradient = F.interpolate(gradient * 0.25, scale_factor=2.0, mode="nearest")
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    return gradient if y is None else _leaky_backward(gradient, y, LEAK, True)


def _through_norm(gradient: Tensor, z: Tensor, factor: Tensor) -> Tensor:
    """Gradient of the convolution's result from that of pixel norm, whose result is z."""
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    along = (gradient * z).sum(1, keepdim=True) / z.shape[1]
    return _leaky_backward(torch.addcmul(gradient, z, along, value=-1.0).mul_(factor), z, LEAK, True)


def _conv_gradients(gradient: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, ...]) -> Gradients:
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
    return of_x, _float(of_weight), _float(of_bias)


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


def _transposed_gradients(gradient: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, ...]) -> Gradients:
    of_x, of_weight, of_bias = _convolution_backward(
        gradient, x, weight, [weight.shape[1]], [2, 2], [1, 1], [1, 1], True, [0, 0], 1, list(wanted)
    )
    return of_x, _float(of_weight), _float(of_bias)


def _float(x: Tensor | None) -> Tensor | None:
    """float32 in place of a dtype of less precision."""
    return x.float() if x is not None and x.element_size() < 4 else x
