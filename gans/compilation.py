"""torch.compile for networks that grow, with one graph for every stage."""

from collections.abc import Callable

import torch
import torch.compiler.config
from torch import Tensor, nn

from lab.errors import UserError

_GRAPHS = 64  # nine resolutions, fading or not, with and without gradients; the default limit of torch is eight


def compiled(network: nn.Module) -> Callable[..., Tensor]:
    """The network's forward, compiled on its first call at each stage. Raises UserError."""
    torch.compiler.config.recompile_limit = max(torch.compiler.config.recompile_limit, _GRAPHS)
    forward = torch.compile(network, dynamic=False)

    def call(*inputs: object) -> Tensor:
        try:
            return forward(*inputs)
        except torch._dynamo.exc.BackendCompilerFailed as error:
            reason = str(error).strip().splitlines()[0][:160]
            raise UserError(f"training.compile: this machine cannot compile ({reason}); set it to false") from None

    return call
