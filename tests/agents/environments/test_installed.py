"""Environments of other packages come through entry points."""

from importlib import metadata

import gymnasium as gym
import pytest

from agents.environments import installed
from agents.environments.make import find
from agents.environments.recall import Recall
from lab.errors import UserError


def register() -> None:
    gym.register("other/Cue-v0", entry_point=f"{Recall.__module__}:Recall", max_episode_steps=20)


def install(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    point = metadata.EntryPoint("other", target, installed.ENTRY_POINTS)
    found = metadata.EntryPoints([point])
    monkeypatch.setattr(metadata, "entry_points", lambda **wanted: found.select(**wanted))
    installed.register_installed.cache_clear()


def test_the_function_of_an_entry_point_registers_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="unknown environment"):
        find("other/Cue-v0")
    install(monkeypatch, f"{__name__}:register")
    assert find("other/Cue-v0").max_episode_steps == 20
    gym.registry.pop("other/Cue-v0")


@pytest.mark.parametrize("target", ["no_such_module:register", "json:loads"])
def test_an_entry_point_that_fails_is_named(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, target)
    with pytest.raises(UserError, match="environments of 'other' cannot be registered") as raised:
        find("other/Cue-v0")
    assert "\n" not in str(raised.value)
    installed.register_installed.cache_clear()
