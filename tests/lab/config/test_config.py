"""Configuration: presets, overrides, messages, what a stopped run may change."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from lab.config import yaml_values
from lab.config.loading import differences, dump, load_preset, load_run_config
from lab.config.messages import explain
from lab.config.registry import KINDS
from lab.config.sections import ExperimentConfig
from lab.errors import UserError
from tests.lab import counting_kind


@pytest.fixture(autouse=True)
def _counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "counting", counting_kind.KIND)


@pytest.fixture
def preset(tmp_path: Path) -> str:
    return write(tmp_path / "own.yaml", "kind: counting\nbudget: 12\n")


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def message(preset: str, *overrides: str) -> str:
    with pytest.raises(UserError) as error:
        load_preset(preset, overrides)
    return str(error.value)


def counting(preset: str, *overrides: str) -> counting_kind.CountingConfig:
    config = load_preset(preset, overrides)
    assert isinstance(config, counting_kind.CountingConfig)
    return config


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E+3", 1000.0),
        (".5", 0.5),
        ("010", 10),
        ("1_000_000", 1_000_000),
        ("0x1f", 31),
        ("off", "off"),
        ("on", "on"),
        ("yes", "yes"),
        ("no", "no"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("-.inf", -math.inf),
        ("'1e-3'", "1e-3"),
        ("2024-01-01", "2024-01-01"),
        ("1:30", "1:30"),
        ("[1, 1e-2]", [1, 0.01]),
    ],
)
def test_scalars_are_read_as_yaml_1_2(text: str, value: Any) -> None:
    parsed = yaml_values.parse(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize("text", ["a: 1\na: 2", "{a: [", "!!python/object:os.system {}", "a: 1\n\tb: 2", "\0"])
def test_what_is_not_plain_yaml_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        yaml_values.parse(text)


def test_rendered_values_read_back_equal() -> None:
    value = {"a": "1e-3", "b": "off", "c": 1e-5, "d": math.inf, "e": ["010", "null", ""], "f": None, "g": {}}
    assert yaml_values.parse(yaml_values.render(value)) == value


def test_command_line_beats_preset_beats_defaults(tmp_path: Path) -> None:
    own = write(tmp_path / "own.yaml", "kind: counting\nbudget: 12\nrate: 0.5\nseed: 3\n")
    config = counting(own, "seed=4")
    assert (config.stride, config.rate, config.seed) == (1, 0.5, 4)


def test_overrides_reach_into_sections_and_the_last_wins(preset: str) -> None:
    config = counting(preset, "search.simulations=4", "rate=1e-3", "tracking.wandb=off", "search.simulations=8")
    assert config.search == counting_kind.Search(simulations=8)
    assert (config.rate, config.tracking.wandb) == (0.001, "off")


def test_bases_merge_mappings_and_replace_lists(tmp_path: Path) -> None:
    search = "search: {simulations: 4, stages: [{every: 1}, {every: 2}]}"
    write(tmp_path / "first.yaml", f"kind: counting\nbudget: 12\n{search}\n")
    (tmp_path / "deeper").mkdir()
    write(tmp_path / "deeper" / "second.yaml", "base: ../first.yaml\nstride: 3\n")
    third = write(tmp_path / "third.yaml", "base: deeper/second.yaml\nsearch: {variant: puct, stages: [{every: 9}]}\n")
    config = counting(third)
    assert (config.stride, config.search.simulations, config.search.variant) == (3, 4, "puct")
    assert [stage.every for stage in config.search.stages] == [9]


def test_a_circle_of_bases_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "base: b.yaml\n")
    write(tmp_path / "b.yaml", "base: a.yaml\n")
    assert "form a cycle" in message(str(tmp_path / "a.yaml"))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("search.simulatons=4", "unknown key 'search.simulatons'; did you mean 'search.simulations'?"),
        ("simulations=4", "unknown key 'simulations'; did you mean 'search.simulations'?"),
        ("search={simulations:4}", "YAML wants a space after the colon: {simulations: 4}"),
        ("serch.simulations=4", "unknown key 'serch'; did you mean 'search'?"),
        ("search.stages=[{evry: 1}]", "did you mean 'search.stages.0.every'?"),
        ("search.qqqq=1", "known: search.fraction, search.simulations, search.stages, search.variant"),
        ("search.variant=pcut", "search.variant should be 'gumbel' or 'puct', not 'pcut'"),
        ("search.simulations=0", "search.simulations should be greater than 0, not 0"),
        ("search.simulations=many", "search.simulations should be a valid integer, not 'many'"),
        ("search=4", "search is a section"),
        ("rate=true", "rate should be a number, not true"),
        ("stride=5", "stride=5 does not divide budget=12"),
        ("budget=", "budget should be a valid integer, not None"),
        ("kind=countin", "unknown kind 'countin'; did you mean 'counting'?"),
        ("seed", "cannot read 'seed': an override is key=value"),
        ("a..b=1", "cannot read 'a..b=1'"),
        ("rate=[1", "cannot read the value of 'rate'"),
        ("cluster.workers=2", "experiments of kind 'counting' have no workers"),
    ],
)
def test_a_mistake_gets_one_line_with_cause_and_fix(preset: str, override: str, expected: str) -> None:
    text = message(preset, override)
    assert expected in text
    assert "\n" not in text
    assert "Value error" not in text and "pydantic" not in text


def test_every_problem_has_its_line(preset: str) -> None:
    lines = message(preset, "search.simulations=0", "rate=fast", "sed=1").splitlines()
    assert "3 problems" in lines[0]
    assert sorted(line.split()[0] for line in lines[1:]) == ["rate", "search.simulations", "unknown"]


class _Options(BaseModel):
    options: dict[str, bool | int | float | str | None]
    rates: list[int | float]

    model_config = ConfigDict(allow_inf_nan=False)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"options": {"a": [1]}, "rates": []},
            "options.a should be a valid boolean, integer, number or string, not [1]",
        ),
        ({"options": {"a": math.nan}, "rates": []}, "options.a should be a finite number, not nan"),
        ({"options": {}, "rates": [1, "x"]}, "rates.1 should be a valid integer or number, not 'x'"),
    ],
)
def test_a_value_of_none_of_several_types_is_one_problem(settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError) as error:
        _Options.model_validate(settings)
    assert explain(error.value, _Options, settings) == [expected]


def test_a_missing_value_is_named(tmp_path: Path) -> None:
    assert "budget is missing" in message(write(tmp_path / "own.yaml", "kind: counting\n"))
    assert "has no `kind`" in message(write(tmp_path / "own.yaml", "budget: 3\n"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("[1, 2]", "must be a mapping"), ("a: [", "is not YAML"), ("base: 3", "base must be")],
)
def test_a_file_that_is_no_preset_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in message(write(tmp_path / "own.yaml", text))


def test_an_unreadable_preset_file_is_named(tmp_path: Path) -> None:
    assert "No such file" in message(str(tmp_path / "absent.yaml"))
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in message(str(tmp_path / "binary.yaml"))


def test_an_unknown_preset_names_the_command_that_lists_them() -> None:
    assert "lab list" in message("alphazero/conect_fuor")


def test_the_stored_configuration_loads_as_it_was(preset: str, tmp_path: Path) -> None:
    config = load_preset(preset, ["tracking.wandb=off", "rate=1e-7", "search.stages=[{every: 3}]"])
    assert load_run_config(stored(config, tmp_path)) == config


def stored(config: ExperimentConfig, directory: Path) -> Path:
    path = directory / "config.yaml"
    path.write_text(dump(config))
    return path


@pytest.mark.parametrize(
    "override", ["budget=24", "device=cpu", "threads=2", "tracking.group=x", "tracking={project: x}"]
)
def test_a_stopped_run_may_change_where_and_how_long(preset: str, tmp_path: Path, override: str) -> None:
    config = load_preset(preset)
    changed = load_run_config(stored(config, tmp_path), [override])
    assert len(differences(config, changed)) == 1


@pytest.mark.parametrize("override", ["seed=1", "search.simulations=4", "search={simulations: 4}", "checkpoint.keep=3"])
def test_a_stopped_run_may_change_nothing_else(preset: str, tmp_path: Path, override: str) -> None:
    with pytest.raises(
        UserError, match=r"`lab resume` accepts budget, evaluate\.patience, evaluate\.device, device, threads, "
    ):
        load_run_config(stored(load_preset(preset), tmp_path), [override])


def test_repeating_the_stored_value_is_no_change(preset: str, tmp_path: Path) -> None:
    config = load_preset(preset, ["seed=5"])
    assert load_run_config(stored(config, tmp_path), ["seed=5"]) == config


def test_a_misspelt_key_on_resume_is_unknown_rather_than_forbidden(preset: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'budget'"):
        load_run_config(stored(load_preset(preset), tmp_path), ["bugdet=5"])


def test_a_newer_schema_says_what_reads_it(preset: str, tmp_path: Path) -> None:
    path = stored(load_preset(preset), tmp_path)
    path.write_text(path.read_text().replace("schema_version: 1", "schema_version: 2"))
    with pytest.raises(UserError, match=r"schema version 2, from a newer rivals-lab .* upgrade"):
        load_run_config(path)


def test_an_unknown_schema_is_refused(preset: str) -> None:
    assert "schema_version 'new' is unknown" in message(preset, "schema_version=new")
    assert "schema_version 0 is unknown" in message(preset, "schema_version=0")


def test_a_configuration_is_frozen(preset: str) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_preset(preset).seed = 3


def test_a_run_of_other_data_has_a_description_of_its_own() -> None:
    preset = load_preset("supervised/iris").description
    assert load_preset("supervised/iris", ["budget=10", "seed=3", "evaluate.every=1"]).description == preset
    own = load_preset("supervised/iris", ["data.source=wine.csv", "budget=10"]).description
    assert own == "supervised/iris with data.source=wine.csv"
    assert load_preset("supervised/iris", ["data.source=wine.csv", "description=wines"]).description == "wines"
    many = load_preset("supervised/iris", [f"data.ignore=[{'x, ' * 200}]"]).description
    assert len(many) == 200 and many.endswith("...")
