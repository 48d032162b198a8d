"""`lab config`: the resolved configuration, and one key with its source."""

import json
import os
from pathlib import Path

import pytest

from lab.cli.config import source_of
from lab.cli.main import main
from lab.config import presets
from lab.config.keys import keys_of
from lab.config.loading import load_preset
from lab.config.registry import find_kind, kind_names, load


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main(["config", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("preset", ["alphazero/connect_four", "supervised/cifar10", "progressive_gan/cifar10"])
def test_the_printed_configuration_is_the_preset_again(
    preset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "printed.yaml"
    path.write_text(printed(capsys, preset, "seed=7"))
    assert load_preset(str(path)) == load_preset(preset, ["seed=7"])


def test_a_key_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("alphazero/connect_four", "search.simulations=9", "--explain", "search.simulations", "--json")
    record = json.loads(printed(capsys, *arguments))
    assert (record["value"], record["default"], record["type"]) == (9, 32, "int > 0 and <= 65,536")
    assert (record["from"], record["resumable"]) == ("command line", False)


def test_a_section_explains_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "alphazero/connect_four", "--explain", "checkpoint")
    assert "checkpoint.every" in out and "checkpoint.keep" in out


def test_the_source_of_a_value_is_the_topmost_layer(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: alphazero/connect_four\nbudget: 5000\n")
    mine = str(tmp_path / "mine.yaml")
    assert source_of("budget", mine, ["budget=3"]) == "command line"
    assert source_of("budget", mine, []) == f"preset {mine}"
    assert source_of("game.name", mine, []) == "preset alphazero/connect_four"
    assert source_of("seed", mine, []) == "default"


def test_an_unknown_key_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "alphazero/connect_four", "--explain", "simulation"]) == 2
    assert "simulations'" in capsys.readouterr().err


def test_every_key_of_every_kind_has_a_type_in_words() -> None:
    for kind in kind_names():
        keys = keys_of(load(find_kind(kind).config))
        assert len(keys) > 20
        assert not [key.key for key in keys if "typing" in key.type or "<class" in key.type]


def test_the_layers_of_a_preset_are_its_bases_first(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: alphazero/connect_four_long\n")
    names = [name for name, _ in presets.layers(str(tmp_path / "mine.yaml"))]
    assert names == ["alphazero/connect_four", "alphazero/connect_four_long", str(tmp_path / "mine.yaml")]


def test_a_run_is_printed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    run = Path(os.environ["LAB_RUNS"]) / "first"
    run.mkdir()
    (run / "config.yaml").write_text("kind: alphazero\nbudget: 77\ngame: {name: tic_tac_toe}\n")
    assert "budget: 77" in printed(capsys, "first")
    assert json.loads(printed(capsys, "first", "--explain", "budget", "--json"))["value"] == 77
