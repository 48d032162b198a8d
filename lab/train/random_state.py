"""The global random number generators: seed, capture and restore their states together."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from lab.train.device import has_mps


def seed_everything(seed: int) -> None:
    """Seed Python, numpy's legacy global generator, and torch on the CPU and on every GPU."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)


def capture() -> dict[str, Any]:
    """The states of all global generators, as values that a checkpoint can store."""
    version, words, gauss = random.getstate()
    state: dict[str, Any] = {
        "python": {"version": version, "words": np.array(words, dtype=np.uint32), "gauss": gauss},
        "numpy": np.random.get_state(legacy=False),  # noqa: NPY002
        "torch": torch.get_rng_state(),
        "cuda": [],
    }
    # Reading the CUDA states would create contexts on devices that this process does not use.
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = [tensor.cpu() for tensor in torch.cuda.get_rng_state_all()]
    if has_mps():
        state["mps"] = torch.mps.get_rng_state()
    return state


@contextmanager
def preserved() -> Iterator[None]:
    """Restore the states on exit: draws inside have no effect on later ones."""
    states = capture()
    yield
    restore(states)


def restore(state: dict[str, Any]) -> None:
    """Restore what `capture` returned; states of GPUs only if as many are here."""
    python = state["python"]
    random.setstate((python["version"], tuple(int(word) for word in python["words"]), python["gauss"]))
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    cuda = state["cuda"]
    if cuda and torch.cuda.is_available() and len(cuda) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(cuda)
    if "mps" in state and has_mps():
        torch.mps.set_rng_state(state["mps"])
