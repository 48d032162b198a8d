"""ReNet: recurrent networks that sweep over the rows and columns of a map, in place of convolutions."""

from __future__ import annotations

from torch import Tensor, nn

from lab.errors import UserError
from lab.nets.rnn import RNN


class Sweeps(nn.Module):
    """[B, in_channels, H, W] -> [B, 2 * hidden, H, W]: bidirectional along every row, then along every column.

    The second sweep reads the outputs of the first, so that each cell has a global receptive field.
    """

    def __init__(self, in_channels: int, hidden: int, *, cell: str = "gru") -> None:
        super().__init__()
        self.rows = RNN(in_channels, hidden, cell=cell, bidirectional=True)
        self.columns = RNN(2 * hidden, hidden, cell=cell, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        by_rows = _sweep(self.rows, x.permute(0, 2, 3, 1))  # [B, H, W, 2 * hidden]
        by_columns = _sweep(self.columns, by_rows.transpose(1, 2))  # [B, W, H, 2 * hidden]
        return by_columns.permute(0, 3, 2, 1)


class ReNet(nn.Sequential):
    """[B, in_channels, H, W] -> [B, channels, H, W]: `blocks` pairs of sweeps, any H and W.

    Visin et al. 2015 ("ReNet: A Recurrent Neural Network Based Alternative to Convolutional Networks"), section 3, on
    patches of one cell. `channels` is even: half of them for each direction.
    """

    def __init__(self, in_channels: int, channels: int, blocks: int, *, cell: str = "gru") -> None:
        if channels % 2:
            raise UserError(f"a ReNet has half of its {channels} channels in each direction; use an even number")
        widths = [in_channels, *[channels] * (blocks - 1)]
        super().__init__(*(Sweeps(width, channels // 2, cell=cell) for width in widths))


def _sweep(rnn: RNN, sequences: Tensor) -> Tensor:
    """[B, S, T, C] -> [B, S, T, out_features]: S sequences of T steps for each of B maps."""
    outputs, _ = rnn(sequences.flatten(0, 1))
    return outputs.unflatten(0, sequences.shape[:2])
