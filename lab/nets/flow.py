"""Normalising flow: an invertible network that gives the exact density of a vector."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from lab import rng
from lab.errors import UserError
from lab.nets.init import HE
from lab.nets.layers import Linear
from lab.nets.mlp import MLP

_LARGEST = 2.0  # bound of the logarithm of a scale: products of many stay finite


class Coupling(nn.Module):
    """Affine coupling of [B, features]: one half scales and shifts the other (Dinh et al. 2017, section 3.2)."""

    def __init__(self, features: int, hidden: int, *, flipped: bool) -> None:
        super().__init__()
        self.kept, self.flipped = features // 2, flipped
        changed = features - self.kept
        self.body = MLP(self.kept, [hidden, hidden], None)
        # Starts as the identity: both outputs are 0.
        self.out = Linear(hidden, 2 * changed, init=HE.with_gain(1.0))
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, F] -> the changed vector [B, F] and the logarithm of the determinant of the Jacobian [B]."""
        kept, other = self._halves(x)
        log_scale, shift = self._affine(kept)
        return self._joined(kept, other * log_scale.exp() + shift), log_scale.sum(1)

    def inverse(self, y: Tensor) -> Tensor:
        """The x [B, F] of `forward`."""
        kept, other = self._halves(y)
        log_scale, shift = self._affine(kept)
        return self._joined(kept, (other - shift) * (-log_scale).exp())

    def _affine(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        # In full precision: a density is the product of many of these.
        log_scale, shift = self.out(self.body(kept)).to(kept.dtype).chunk(2, 1)
        return _LARGEST * torch.tanh(log_scale / _LARGEST), shift

    def _halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.flip(1) if self.flipped else x
        return x[:, : self.kept], x[:, self.kept :]

    def _joined(self, kept: Tensor, other: Tensor) -> Tensor:
        x = torch.cat([kept, other], 1)
        return x.flip(1) if self.flipped else x


class Flow(nn.Module):
    """Log-density [B] of vectors [B, features] under a flow of affine couplings from a standard normal (RealNVP).

    Between couplings the columns are permuted in a fixed random order, so that every column changes every other. Raises
    UserError for fewer than two features.
    """

    def __init__(self, features: int, *, couplings: int, hidden: int) -> None:
        super().__init__()
        if features < 2:
            raise UserError("a flow couples columns with each other: it needs two inputs or more")
        self.couplings = nn.ModuleList(Coupling(features, hidden, flipped=index % 2 == 1) for index in range(couplings))
        orders = [rng.random_bits(index, torch.arange(features)).argsort() for index in range(couplings)]
        self.orders: Tensor
        self.register_buffer("orders", torch.stack(orders), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        latent, log_determinant = self.latent(x)
        normal = -0.5 * (latent.square() + math.log(2.0 * math.pi)).sum(1)
        return normal + log_determinant

    def latent(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, F] -> the latent vector [B, F] and the logarithm of the determinant of the Jacobian [B]."""
        total = x.new_zeros(len(x))
        for order, coupling in zip(self.orders, self.couplings, strict=True):
            x, log_determinant = coupling(x[:, order])
            total = total + log_determinant
        return x, total

    def inverse(self, latent: Tensor) -> Tensor:
        """The x [B, F] of latent vectors [B, F]: of standard normal ones, samples."""
        for order, coupling in zip(self.orders.flip(0), reversed(self.couplings), strict=True):
            latent = cast(Coupling, coupling).inverse(latent)[:, order.argsort()]
        return latent
