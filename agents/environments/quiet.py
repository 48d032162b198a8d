"""Warnings of Gymnasium, MuJoCo and ALE that say nothing about a run."""

from __future__ import annotations

import contextlib
import importlib
import logging
import warnings
from collections.abc import Iterator
from functools import cache

import gymnasium as gym

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without Gymnasium's warnings about versions and spaces, and what packages log while they are imported."""
    level = gym.logger.min_level
    root = logging.getLogger()
    before, handlers = root.level, list(root.handlers)
    gym.logger.min_level = gym.logger.ERROR
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        gym.logger.min_level = level
        root.setLevel(before)
        root.handlers[:] = handlers  # `logging.warning` of an import adds one, which would repeat the lab's own lines


@cache
def tame(package: str) -> None:
    """Have mujoco log each of its warnings once instead of writing them to MUJOCO_LOG.TXT, and ALE print no banner."""
    with contextlib.suppress(ImportError):
        module = importlib.import_module(package)
        if package == "mujoco":
            module.set_mju_user_warning(_log_once)
        elif package == "ale_py":
            module.ALEInterface.setLoggerMode(module.LoggerMode.Error)


@cache
def _log_once(message: str) -> None:
    # What is deprecated in Gymnasium's models is nothing that a user could change.
    level = logging.DEBUG if "deprecated" in message else logging.WARNING
    _log.log(level, "MuJoCo: %s", " ".join(message.split()))
