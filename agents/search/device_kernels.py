"""Whether a device runs the Triton kernels of the search; without them torch's operations do the same."""

import logging
from functools import cache
from types import SimpleNamespace

import torch

from agents.search import triton_kernels

_log = logging.getLogger(__name__)


@cache
def has_triton(device: torch.device) -> bool:
    """Whether the kernels run on `device`: tried once, since Triton compiles a launcher and needs a C compiler."""
    if device.type != "cuda" or triton_kernels.triton is None:
        return False
    try:
        edges = torch.zeros(2, dtype=torch.int64, device=device)
        numbers = torch.zeros(2, device=device)
        child = torch.full_like(edges, -1)
        tree = SimpleNamespace(
            batch=2, child=child, choice=edges, reward=numbers, discount=numbers, visits=numbers, value_sum=numbers
        )
        path = triton_kernels.descend(tree, torch.arange(2, device=device), 1)
        triton_kernels.back_up(tree, path, numbers)
        torch.cuda.synchronize(device)
    except Exception as error:  # whatever a compiler or a driver raises
        reason = str(error).partition("\n")[0]
        _log.warning("the search runs without Triton kernels, which is slower: %s", reason or type(error).__name__)
        return False
    return True
