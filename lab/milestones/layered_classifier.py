"""A classifier of sigmoid layers whose weights may come from restricted Boltzmann machines."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from lab.milestones.rbm import RBM
from lab.nets.init import Init
from lab.nets.layers import Linear

_SIGMOID = Init(gain=1.0)


class LayeredClassifier(nn.Sequential):
    """[B, in_features] -> logits [B, classes]: a linear map and a sigmoid for each width, then a linear map."""

    def __init__(self, in_features: int, widths: Sequence[int], classes: int) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        features = in_features
        for index, width in enumerate(widths):
            layers[f"hidden{index}"] = Linear(features, width, init=_SIGMOID)
            layers[f"sigmoid{index}"] = nn.Sigmoid()
            features = width
        layers["out"] = Linear(features, classes, init=_SIGMOID)
        super().__init__(layers)

    @torch.no_grad()
    def take(self, layers: Sequence[RBM]) -> None:
        """Copy the weights and hidden biases of RBMs into the hidden layers, from the first on."""
        for index, rbm in enumerate(layers):
            hidden = self.get_submodule(f"hidden{index}")
            assert isinstance(hidden, Linear) and hidden.bias is not None
            hidden.weight.copy_(rbm.weights.T)
            hidden.bias.copy_(rbm.hidden_bias)
