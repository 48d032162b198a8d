"""The simple recurrent network of Elman: the hidden units see the input and their own last values."""

from torch import Tensor, nn

from lab.nets.layers import Linear


class SimpleRecurrent(nn.Module):
    """A sequence [B, T, in_features] -> an output per step [B, T, out_features], and the state after the last step.

    Elman 1990, "Finding structure in time", figure 2. Gradients go back through all steps; Elman stopped them at the
    copy of the hidden units. Weights start uniform in +-1 / sqrt(hidden).
    """

    def __init__(self, in_features: int, hidden: int, out_features: int) -> None:
        super().__init__()
        self.core = nn.RNN(in_features, hidden, batch_first=True)
        self.out = Linear(hidden, out_features)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        outputs, state = self.core(x, state)
        return self.out(outputs), state
