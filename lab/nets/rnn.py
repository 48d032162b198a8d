"""Recurrent networks: the LSTM/GRU core, many-to-one and many-to-many."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lab.errors import UserError
from lab.nets.init import HE, Init
from lab.nets.layers import Linear

# One tensor [layers * directions, B, hidden] for a GRU (hidden), two for an LSTM (hidden, cell).
State = tuple[Tensor, ...]

GATES = {"lstm": 4, "gru": 3}


def length_mask(lengths: Tensor, steps: int) -> Tensor:
    """Lengths [B] -> [B, steps] bool, true where a sequence has a step."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


class RNN(nn.Module):
    """LSTM or GRU over [B, T, in_features], with lengths and a state that can be carried on.

    `cell` is "lstm" or "gru". `dropout` acts between layers. Input weights start Xavier uniform, recurrent
    ones orthogonal for each gate, and the LSTM's forget gate open (bias 1; Jozefowicz et al. 2015).
    """

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

        `lengths` [B] int64, each from 1 to T: steps beyond them are not seen, and their outputs are zero. On
        CUDA they cost a host sync, unless they are on the CPU.
        """
        packed = x if lengths is None else _pack(x, lengths)
        # nn.GRU takes and gives its one tensor bare.
        initial = state if state is None or self.cell == "lstm" else state[0]
        outputs, final = self.core(packed, initial)
        if lengths is not None:
            outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])
        return outputs, final if self.cell == "lstm" else (final,)

    def summary(self, state: State) -> Tensor:
        """The top layer's final hidden state, both directions side by side: [B, directions * hidden]."""
        return torch.cat(state[0][-self.directions :].unbind(0), dim=1)


def _pack(x: Tensor, lengths: Tensor) -> nn.utils.rnn.PackedSequence:
    return pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)


class ManyToOne(nn.Module):
    """A sequence [B, T, in_features] -> one answer [B, out_features], from the state after its last step."""

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
    """A sequence [B, T, in_features] -> an answer per step [B, T, out_features], zero beyond `lengths`.

    Also returns the state, so that a recurrent policy can go on step by step: T may be 1.
    """

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
