"""Sequences through one recurrent layer whose state is cleared at given steps.

On accelerators the sequences are cut at these steps for cuDNN. On a CPU torch's own loop computes the gradient of the
weights step by step, which for a few sequences takes most of the time. All that does not depend on the step before is
one operation over all steps there: the inputs' part of the gates, the slopes of the activations, and the gradients of
the weights. The equations are those in the documentation of `nn.LSTM` and `nn.GRU`, and results are theirs up to
rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lab.nets.rnn import RNN, State


def run_with_resets(rnn: RNN, x: Tensor, starts: Tensor, state: State) -> Tensor:
    """Outputs [B, T, H] of x [B, T, F]. starts: bool [B, T], steps before which the state [1, B, H] is cleared."""
    assert rnn.layers == rnn.directions == 1
    return (run_unrolled if x.device.type == "cpu" else run_packed)(rnn, x, starts, state)


def run_packed(rnn: RNN, x: Tensor, starts: Tensor, state: State) -> Tensor:
    """`run_with_resets` by torch's layer: sequences are cut at starts, and all pieces are one packed batch."""
    batch, steps = starts.shape
    begins = starts.clone()
    begins[:, 0] = True
    piece = begins.flatten().cumsum(0) - 1
    first = begins.flatten().nonzero()[:, 0]
    position = torch.arange(batch * steps, device=starts.device) - first[piece]
    lengths = torch.bincount(piece)
    padded = x.new_zeros(len(first), int(lengths.max()), x.shape[-1])
    padded = padded.index_put((piece, position), x.flatten(0, 1))
    carried = (first % steps == 0) & ~starts.flatten()[first]
    outputs, _ = rnn(padded, lengths, tuple(part[:, first // steps] * carried[:, None] for part in state))
    return outputs[piece, position].view(batch, steps, -1)


def run_unrolled(rnn: RNN, x: Tensor, starts: Tensor, state: State) -> Tensor:
    """`run_with_resets` step by step, with gradients in closed form."""
    weights = (rnn.core.weight_ih_l0, rnn.core.weight_hh_l0, rnn.core.bias_ih_l0, rnn.core.bias_hh_l0)
    keep = (~starts).t().to(x.dtype)[:, :, None].contiguous()
    inputs = x.transpose(0, 1).contiguous()
    layer: Any = _LSTM if rnn.cell == "lstm" else _GRU
    return layer.apply(inputs, keep, *(part[0] for part in state), *weights).transpose(0, 1)


class _LSTM(torch.autograd.Function):
    """Time first: x [T, B, F], keep [T, B, 1], hidden and cell [B, H] -> outputs [T, B, H]. Gates: i, f, g, o."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, keep: Tensor, hidden: Tensor, cell: Tensor, w_ih: Tensor, w_hh: Tensor, *biases: Tensor
    ) -> Tensor:
        steps, batch, _ = x.shape
        size = w_hh.shape[1]
        gates = torch.addmm(biases[0] + biases[1], x.flatten(0, 1), w_ih.t()).view(steps, batch, 4, size)
        before, cells, tanh_cells, outputs = (x.new_empty(steps, batch, size) for _ in range(4))
        cells_before = x.new_empty(steps, batch, size)
        recurrent = w_hh.t()
        for t in range(steps):
            torch.mul(hidden, keep[t], out=before[t])
            torch.mul(cell, keep[t], out=cells_before[t])
            now = gates[t]
            now.view(batch, 4 * size).addmm_(before[t], recurrent)
            now[:, :2].sigmoid_()
            now[:, 2].tanh_()
            now[:, 3].sigmoid_()
            cell = torch.mul(now[:, 0], now[:, 2], out=cells[t]).addcmul_(now[:, 1], cells_before[t])
            hidden = torch.mul(now[:, 3], torch.tanh(cell, out=tanh_cells[t]), out=outputs[t])
        ctx.save_for_backward(x, keep, gates, before, cells_before, tanh_cells, w_ih, w_hh)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, keep, gates, before, cells_before, tanh_cells, w_ih, w_hh = ctx.saved_tensors
        steps, batch, _, size = gates.shape
        i, f, g, o = gates.unbind(2)
        # Slopes of i, f and g by the cell, of o and of the cell by the output.
        slopes = torch.stack([g * i * (1.0 - i), cells_before * f * (1.0 - f), i * (1.0 - g * g)], 2)
        o_slope, cell_slope = tanh_cells * o * (1.0 - o), o * (1.0 - tanh_cells * tanh_cells)
        carried = f * keep
        by_gates = torch.empty_like(gates)
        by_hidden, by_cell = gates.new_zeros(batch, size), gates.new_zeros(batch, size)
        for t in range(steps - 1, -1, -1):
            by_hidden += by_outputs[t]
            by_cell.addcmul_(by_hidden, cell_slope[t])
            torch.mul(by_cell[:, None], slopes[t], out=by_gates[t, :, :3])
            torch.mul(by_hidden, o_slope[t], out=by_gates[t, :, 3])
            by_cell *= carried[t]
            by_hidden = torch.mm(by_gates[t].view(batch, 4 * size), w_hh).mul_(keep[t])
        flat = by_gates.view(steps * batch, 4 * size)
        by_bias = flat.sum(0)
        by_x = (flat @ w_ih).view_as(x) if ctx.needs_input_grad[0] else None
        by_weights = (flat.t() @ x.flatten(0, 1), flat.t() @ before.flatten(0, 1))
        return by_x, None, by_hidden, by_cell, *by_weights, by_bias, by_bias


class _GRU(torch.autograd.Function):
    """Time first: x [T, B, F], keep [T, B, 1], hidden [B, H] -> outputs [T, B, H]. Gates: r, z, n."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, keep: Tensor, hidden: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
    ) -> Tensor:
        steps, batch, _ = x.shape
        size = w_hh.shape[1]
        gates = torch.addmm(b_ih, x.flatten(0, 1), w_ih.t()).view(steps, batch, 3, size)
        before, candidates, outputs = (x.new_empty(steps, batch, size) for _ in range(3))
        recurrent = w_hh.t()
        for t in range(steps):
            torch.mul(hidden, keep[t], out=before[t])
            found = torch.addmm(b_hh, before[t], recurrent).view(batch, 3, size)
            candidates[t] = found[:, 2]
            now = gates[t]
            now[:, :2].add_(found[:, :2]).sigmoid_()
            now[:, 2].addcmul_(now[:, 0], found[:, 2]).tanh_()
            hidden = torch.lerp(now[:, 2], before[t], now[:, 1], out=outputs[t])
        ctx.save_for_backward(x, keep, gates, before, candidates, w_ih, w_hh)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, keep, gates, before, candidates, w_ih, w_hh = ctx.saved_tensors
        steps, batch, _, size = gates.shape
        r, z, n = gates.unbind(2)
        n_slope = (1.0 - z) * (1.0 - n * n)
        r_slope, z_slope = n_slope * candidates * r * (1.0 - r), (before - n) * z * (1.0 - z)
        slopes = torch.stack([r_slope, z_slope, n_slope * r], 2)
        carried = z * keep
        by_gates, by_all = torch.empty_like(gates), torch.empty_like(before)
        by_hidden = gates.new_zeros(batch, size)
        for t in range(steps - 1, -1, -1):
            now = torch.add(by_hidden, by_outputs[t], out=by_all[t])
            torch.mul(now[:, None], slopes[t], out=by_gates[t])
            by_hidden = torch.mm(by_gates[t].view(batch, 3 * size), w_hh).mul_(keep[t]).addcmul_(now, carried[t])
        recurrent = by_gates.view(steps * batch, 3 * size)
        own = (by_all[:, :, None] * torch.stack([r_slope, z_slope, n_slope], 2)).view(steps * batch, 3 * size)
        by_x = (own @ w_ih).view_as(x) if ctx.needs_input_grad[0] else None
        by_weights = (own.t() @ x.flatten(0, 1), recurrent.t() @ before.flatten(0, 1))
        return by_x, None, by_hidden, *by_weights, own.sum(0), recurrent.sum(0)
