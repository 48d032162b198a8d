"""Jordan's network: its outputs, with decay, are its only memory."""

import torch
from torch import Tensor, nn

from lab.nets.mlp import MLP


class JordanNetwork(nn.Module):
    """A multilayer perceptron that sees the input of a step and the state, a decaying sum of past outputs.

    Jordan 1986, "Serial order: a parallel distributed processing approach": state(t) = decay * state(t - 1) +
    output(t - 1). `memory` false leaves the state out, and the network has none.
    """

    def __init__(
        self, in_features: int, hidden: int, out_features: int, *, decay: float = 0.5, memory: bool = True
    ) -> None:
        super().__init__()
        self.decay, self.memory, self.out_features = decay, memory, out_features
        self.network = MLP(in_features + out_features, [hidden], out_features, activation="tanh")

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Logits [B, T, out_features] for inputs [B, T, in_features], with past targets [B, T, out_features], 0 or 1,
        in place of past outputs (teacher forcing)."""
        state = torch.zeros_like(targets[:, 0])
        states = []
        for target in targets.unbind(1):
            states.append(state)
            state = self.decay * state + target
        return self._logits(inputs, torch.stack(states, 1))

    @torch.no_grad()
    def produce(self, inputs: Tensor) -> Tensor:
        """Classes int64 [B, T] for inputs [B, T, in_features], with its own choices fed back."""
        state = inputs.new_zeros(len(inputs), self.out_features)
        chosen = []
        for step in inputs.unbind(1):
            best = self._logits(step, state).argmax(1)
            chosen.append(best)
            state = self.decay * state + nn.functional.one_hot(best, self.out_features)
        return torch.stack(chosen, 1)

    def _logits(self, inputs: Tensor, state: Tensor) -> Tensor:
        return self.network(torch.cat([inputs, state if self.memory else torch.zeros_like(state)], -1))
