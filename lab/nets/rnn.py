"""Recurrent networks: the LSTM/GRU core, many-to-one and many-to-many."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lab.errors import UserError
from lab.nets.init import HE, Init
from lab.nets.layers import Linear

# One tensor [layers * directions, B, hidden] for a GRU (hidden), two for an LSTM (hidden, cell).
State = tuple[Tensor, ...]

GATES = {"lstm": 4, "gru": 3}
_SATURATED = 1e4  # gate input at which the sigmoid is exactly 0 or 1, in bfloat16 too


def length_mask(lengths: Tensor, steps: int) -> Tensor:
    """Lengths [B] -> [B, steps] bool, true at the steps of each sequence."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


class RNN(nn.Module):
    """LSTM or GRU over [B, T, in_features], with sequence lengths and an optional initial state.

    `cell` is "lstm" or "gru". `dropout` acts between layers. Input weights are initialised Xavier uniform, recurrent
    weights orthogonal for each gate, and the bias of the LSTM's forget gate is 1 (Jozefowicz et al. 2015).
    With lengths, sequences are packed. If `masked` is true, gates hold the state at padding instead: the same numbers,
    without copying the lengths to the CPU, and in a graph that can be exported.
    """

    masked = False

    def __init__(
        self,
        in_features: int,
        hidden: int,
        *,
        cell: str = "lstm",
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if cell not in GATES:
            raise UserError(f"recurrent cell {cell!r} is unknown; use lstm or gru")
        self.cell = cell
        self.hidden = hidden
        self.layers = layers
        self.directions = 2 if bidirectional else 1
        self.out_features = self.directions * hidden
        self.core = (nn.LSTM if cell == "lstm" else nn.GRU)(
            in_features,
            hidden,
            layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        for name, parameter in self.core.named_parameters():
            for gate, block in enumerate(parameter.chunk(GATES[self.cell])):
                if name.startswith("weight_ih"):
                    nn.init.xavier_uniform_(block)
                elif name.startswith("weight_hh"):
                    nn.init.orthogonal_(block)
                else:  # torch adds two biases per gate; the LSTM's second gate is the forget gate
                    open_gate = name.startswith("bias_ih") and self.cell == "lstm" and gate == 1
                    block.fill_(1.0 if open_gate else 0.0)

    def forward(self, x: Tensor, lengths: Tensor | None = None, state: State | None = None) -> tuple[Tensor, State]:
        """x [B, T, in_features] -> outputs [B, T, directions * hidden], state after the last step.

        `lengths` [B] int64, each from 1 to T: steps after them are ignored, and their outputs are zero. Packing costs a
        host sync on CUDA unless the lengths are on the CPU.
        """
        if lengths is not None and self.masked:
            return self._masked_forward(x, lengths, state)
        packed = x if lengths is None else _pack(x, lengths)
        # The state of nn.GRU is a tensor and not a tuple.
        initial = state if state is None or self.cell == "lstm" else state[0]
        outputs, final = self.core(packed, initial)
        if lengths is not None:
            outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])
        return outputs, final if self.cell == "lstm" else (final,)

    def _masked_forward(self, x: Tensor, lengths: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Layer by layer; an additional input feature, 1 at padding, makes a layer hold its state there."""
        mask = length_mask(lengths, x.shape[1])[:, :, None]
        padding = (~mask).to(x.dtype)
        zero = x.new_zeros(self.layers * self.directions, x.shape[0], self.hidden)
        initial = state if state is not None else (zero,) * (2 if self.cell == "lstm" else 1)
        finals: list[State] = []
        for layer in range(self.layers):
            if layer > 0:
                x = F.dropout(x, self.core.dropout, self.training)
            rows = slice(layer * self.directions, (layer + 1) * self.directions)
            first = tuple(part[rows] for part in initial)
            # cuDNN has a backward pass only in training mode.
            arguments = (self._holding_weights(layer, x), True, 1, 0.0, self.training, self.directions == 2, True)
            x = torch.cat([x, padding], dim=2)
            if self.cell == "lstm":
                # Padding holds the cell, but of the hidden state only zero.
                assert state is None or self.directions == 1, "backwards, a masked LSTM starts from zero"
                x, _, cell = torch.lstm(x, first, *arguments)
                finals.append((self._last(x, lengths), cell))
            else:
                x, hidden = torch.gru(x, first[0], *arguments)
                finals.append((hidden,))
            x = x * mask
        return x, tuple(torch.cat(parts) for parts in zip(*finals, strict=True))

    def _holding_weights(self, layer: int, x: Tensor) -> list[Tensor]:
        """One layer's weights with a column that closes the LSTM's input gate and opens its forget (GRU: update) gate.

        torch orders the gates input, forget, cell, output and reset, update, new.
        """
        column = x.new_zeros(GATES[self.cell], self.hidden)
        column[1] = _SATURATED
        if self.cell == "lstm":
            column[0] = -_SATURATED
        weights: list[Tensor] = []
        for suffix in ("", "_reverse")[: self.directions]:
            name = f"l{layer}{suffix}"
            inputs, *others = (
                self.core.get_parameter(f"{what}_{name}") for what in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            weights += [torch.cat([inputs, column.view(-1, 1)], dim=1), *others]
        return weights

    def _last(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, directions * hidden] -> each direction's output at its last step, [directions, B, hidden]."""
        at = (lengths - 1)[:, None, None].expand(-1, 1, self.hidden)
        ends = [outputs[:, :, : self.hidden].gather(1, at)[:, 0]]
        if self.directions == 2:
            ends.append(outputs[:, 0, self.hidden :])
        return torch.stack(ends)

    def summary(self, state: State) -> Tensor:
        """The top layer's final hidden state, both directions concatenated: [B, directions * hidden]."""
        return torch.cat(state[0][-self.directions :].unbind(0), dim=1)


def with_masked_padding(module: nn.Module) -> nn.Module:
    """A copy of `module` whose recurrent layers mask padding instead of packing sequences."""
    return set_padding_masked(copy.deepcopy(module), True)


def set_padding_masked(module: nn.Module, value: bool) -> nn.Module:
    """Make every recurrent layer in `module` mask padding (true) or pack sequences; returns the module."""
    for part in module.modules():
        if isinstance(part, RNN):
            part.masked = value
    return module


def _pack(x: Tensor, lengths: Tensor) -> nn.utils.rnn.PackedSequence:
    return pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)


class ManyToOne(nn.Module):
    """A sequence [B, T, in_features] -> one output [B, out_features], from the state after its last step."""

    def __init__(
        self,
        in_features: int,
        hidden: int,
        out_features: int,
        *,
        cell: str = "lstm",
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        init: Init = HE,
    ) -> None:
        super().__init__()
        self.rnn = RNN(in_features, hidden, cell=cell, layers=layers, bidirectional=bidirectional, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.out = Linear(self.rnn.out_features, out_features, init=init.with_gain(1.0))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        _, state = self.rnn(x, lengths)
        return self.out(self.dropout(self.rnn.summary(state)))


class ManyToMany(nn.Module):
    """A sequence [B, T, in_features] -> an output per step [B, T, out_features], zero after `lengths`; the state."""

    def __init__(
        self,
        in_features: int,
        hidden: int,
        out_features: int,
        *,
        cell: str = "lstm",
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        init: Init = HE,
    ) -> None:
        super().__init__()
        self.rnn = RNN(in_features, hidden, cell=cell, layers=layers, bidirectional=bidirectional, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.out = Linear(self.rnn.out_features, out_features, init=init.with_gain(1.0))

    def forward(self, x: Tensor, lengths: Tensor | None = None, state: State | None = None) -> tuple[Tensor, State]:
        outputs, state = self.rnn(x, lengths, state)
        answers = self.out(self.dropout(outputs))
        if lengths is not None:
            answers = answers * length_mask(lengths.to(x.device), x.shape[1])[:, :, None]
        return answers, state
