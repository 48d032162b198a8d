"""Runs a function by itself and in several processes of one gloo group."""

import tempfile
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn


def alone_and_in_ranks(size: int, function: Callable[..., None], *arguments: Any) -> None:
    """Call `function(*arguments)` in every rank, wait, and then here; fails when one of them does."""
    with tempfile.TemporaryDirectory() as folder:
        spawn(_joined, (size, f"file://{folder}/meeting", function, arguments), nprocs=size)
    function(*arguments)


def _joined(rank: int, size: int, meeting: str, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size)
    try:
        function(*arguments)
        dist.barrier()  # no rank leaves while another still talks to it
    finally:
        dist.destroy_process_group()
