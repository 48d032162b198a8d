"""Multilayer perceptron."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from lab.errors import UserError
from lab.nets.init import HE, Init
from lab.nets.layers import Linear, activation_layer


def feature_norm(kind: str, features: int) -> nn.Module:
    """Normalisation of [B, features]: "batch" or "layer"."""
    if kind == "batch":
        return nn.BatchNorm1d(features)
    if kind == "layer":
        return nn.LayerNorm(features)
    raise UserError(f"norm {kind!r} is unknown for an MLP; use batch, layer or none")


class LinearBlock(nn.Sequential):
    """Linear layer (no bias if a norm follows), norm, activation, dropout.

    [B, in_features] -> [B, out_features].
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        activation: str = "relu",
        norm: str = "none",
        dropout: float = 0.0,
        init: Init = HE,
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["linear"] = Linear(in_features, out_features, bias=norm == "none", init=init)
        if norm != "none":
            layers["norm"] = feature_norm(norm, out_features)
        if activation != "none":
            layers["activation"] = activation_layer(activation)
        if dropout > 0.0:
            layers["dropout"] = nn.Dropout(dropout)
        super().__init__(layers)


class MLP(nn.Sequential):
    """Multilayer perceptron [B, in_features] -> [B, out_features].

    `hidden`: widths of the hidden layers. The output layer has gain 1, since no activation follows; with
    `out_features=None` there is none and the last hidden layer's activations are returned.
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        out_features: int | None,
        *,
        activation: str = "relu",
        norm: str = "none",
        dropout: float = 0.0,
        init: Init = HE,
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        width = in_features
        for index, features in enumerate(hidden):
            layers[f"hidden{index}"] = LinearBlock(
                width, features, activation=activation, norm=norm, dropout=dropout, init=init
            )
            width = features
        if out_features is not None:
            layers["out"] = Linear(width, out_features, init=init.with_gain(1.0))
        super().__init__(layers)
