"""Every shipped preset is valid, described and short."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from lab.cli.main import main
from lab.config import presets
from lab.config.loading import dump, from_settings, load_preset
from lab.config.presets import read_settings
from lab.config.registry import KINDS, load

NAMES = presets.preset_names()


def test_the_trained_kinds_have_presets() -> None:
    kinds = {presets.resolve(name)["kind"] for name in NAMES}
    assert kinds >= KINDS.keys()


@pytest.mark.parametrize("name", NAMES)
def test_it_validates_and_survives_storage(name: str) -> None:
    config = load_preset(name)
    assert from_settings(read_settings(dump(config), "stored"), "stored") == config


@pytest.mark.parametrize("name", NAMES)
def test_it_has_one_line_of_description(name: str) -> None:
    description = load_preset(name).description
    assert 0 < len(description) <= 90
    assert "\n" not in description


@pytest.mark.parametrize("name", NAMES)
def test_the_best_is_chosen_by_a_catalogued_metric(name: str) -> None:
    config = load_preset(name)
    if config.evaluate.best is not None:
        assert load(KINDS[config.kind].catalogue)[config.evaluate.best].higher_is_better is not None


def test_a_list_of_presets_names_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    files = list(resources.files("configs").joinpath("alphazero").iterdir()) if NAMES else []
    assert main(["list", "--json"]) == 0
    listed = [preset["name"] for preset in json.loads(capsys.readouterr().out)["presets"]]
    assert listed == NAMES
    shipped = {f"alphazero/{path.name.removesuffix('.yaml')}" for path in files if path.name[0] != "_"}
    assert shipped <= set(listed)
