"""Versions of a network's weights for workers: one object in Ray's store per version."""

import logging
from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from cluster.pool.connection import import_ray
from lab.errors import UserError
from lab.run.repeated import RepeatedMessage

_log = logging.getLogger(__name__)

Weights = Mapping[str, NDArray[Any]]


class PublishedWeights:
    """The newest version of the weights that fitted into Ray's object store.

    reference: Ray's reference to it. Pending calls keep the version that they were given; the last of them frees it.
    """

    def __init__(self) -> None:
        self.version, self.bytes = 0, 0
        self.reference: Any = None
        self._ray = import_ray()
        self._too_full = RepeatedMessage(_log.warning, "{count} further versions of the weights were left out")

    def put(self, version: int, net: nn.Module, *, required: bool = False) -> None:
        """Publish a version. If the store is full, workers keep an older one.

        Raises UserError if it is too full for the first version, or for one that is required.
        """
        weights = weights_of(net)
        try:
            self.reference = self._ray.put(weights)
        except (self._ray.exceptions.ObjectStoreFullError, self._ray.exceptions.OutOfDiskError) as error:
            if self.reference is None or required:
                raise UserError(
                    f"Ray's object store is too full for version {version} of the weights: {error}"
                ) from error
            what = f"version {version} of the weights, workers use an older one"
            self._too_full(f"Ray's object store is too full for {what}: {error}")
            return
        self._too_full.end()
        self.version, self.bytes = version, sum(array.nbytes for array in weights.values())


def weights_of(net: nn.Module) -> dict[str, NDArray[Any]]:
    """Parameters and buffers as arrays, which Ray shares between the processes of a node without copying them."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in net.state_dict().items()}


def load(net: nn.Module, weights: Weights) -> None:
    """Load `weights_of` another network of the same shape."""
    net.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
