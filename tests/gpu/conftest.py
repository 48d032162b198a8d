"""Tests of the GPU path: those marked `gpu` need a GPU, those marked `gpu_dry` a CUDA build of torch and no GPU."""

import pytest
import torch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that cannot run here say what they need."""
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA GPU"))
        if item.get_closest_marker("gpu_dry") and torch.version.cuda is None:
            item.add_marker(pytest.mark.skip(reason="no CUDA build of torch; run `make gpu-dry`"))
