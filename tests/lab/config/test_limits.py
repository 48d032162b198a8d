"""Configurations beyond all measure end in one line, at once: in length, depth, number and size of their values."""

import os
import time
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lab.cli.main import main
from lab.config import presets, yaml_values
from lab.config.keys import sections_in
from lab.config.loading import load_preset, load_run_config
from lab.config.registry import KINDS, load
from lab.config.suggestions import shortened
from lab.errors import UserError

START = "kind: supervised\nbudget: 5\n"


def bomb(levels: int = 12, width: int = 9) -> str:
    """Lists of aliases of lists: width ** levels values."""
    lists = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(["a0: &a0 [x]", *lists])


def refusal(text: str, tmp_path: Path) -> str:
    """The message about a preset of this text; it takes no time and little room."""
    path = tmp_path / "p.yaml"
    path.write_text(text, encoding="utf-8")
    start = time.monotonic()
    with pytest.raises(UserError) as raised:
        load_preset(str(path))
    assert time.monotonic() - start < 5.0
    message = str(raised.value)
    assert len(message) < 2000 and all(line.isprintable() for line in message.splitlines())
    return message.removeprefix(f"preset '{path}'").removeprefix(" is not YAML").removeprefix(": ")


UNREADABLE = {
    "aliases of aliases": (bomb(), "more than 20,000 values, those behind aliases included"),
    "aliases in mappings": (bomb().replace("[", "{k: [").replace("]", "]}"), "more than 20,000 values"),
    "aliases in depth": (
        "a0: &a0 [x]\n" + "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 60)),
        "nested more than 32 levels deep",
    ),
    "a list in itself": (START + "data: &a [*a]", "*a refers to what it is a part of"),
    "a section in itself": ("&a {kind: supervised, budget: 5, data: *a}", "*a refers to what it is a part of"),
    "1,000 lists": ("kind: " + "[" * 1000 + "]" * 1000, "nested more than 32 levels deep"),
    "100,000 open lists": ("[" * 100_000, "nested more than 32 levels deep"),
    "1,000 sections": ("{a: " * 1000 + "1" + "}" * 1000, "nested more than 32 levels deep"),
    "1,000 indented sections": (
        "".join(" " * n + "a:\n" for n in range(1000)),
        "nested more than 32 levels deep",
    ),
    "30,000 keys": ("\n".join(f"k{n}: 1" for n in range(30_000)), "more than 20,000 values"),
    "two million characters": ("kind: " + "a" * 2_000_000, "a configuration has at most 1,000,000"),
    "5,000 digits": (START + "seed: " + "9" * 5000, "a number of 5,000 characters"),
    "5,000 hexadecimal digits": (START + "seed: 0x" + "f" * 5000, "a number of 5,002 characters"),
    "a long exponent": (START + "seed: 1e" + "9" * 100, "a number of 102 characters"),
    "abc as a boolean": (START + "device: !!bool abc", "'abc' is neither true nor false"),
    "abc as an integer": (START + "seed: !!int abc", "'abc' is not an integer"),
    "abc as a number": (START + "seed: !!float abc", "'abc' is not a number"),
    "a timestamp": (START + "device: !!timestamp abc", "no values of type 'tag:yaml.org,2002:timestamp'"),
    "a set": (START + "device: !!set {a}", "no values of type 'tag:yaml.org,2002:set'"),
    "bytes": (START + "device: !!binary aGk=", "no values of type 'tag:yaml.org,2002:binary'"),
    "ordered pairs": (START + "device: !!omap [a: 1]", "no values of type 'tag:yaml.org,2002:omap'"),
    "code": ("!!python/object/apply:os.system ['ls']", "no values of type 'tag:yaml.org,2002:python/object"),
    "a scalar as a section": (START + "data: !!map 3", "keys and values are expected here"),
    "a list as a key": (START + "? [1]\n: 2", "a key must be plain text"),
    "a key of 5,000 characters twice": (f"{{{'k' * 300}: 1, {'k' * 300}: 2}}", "is given twice"),
    "a control character": ("kind: \x00", "special characters are not allowed"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_configuration_is_refused_where_it_is_read(name: str, tmp_path: Path) -> None:
    text, message = UNREADABLE[name]
    assert message in refusal(text, tmp_path)


INVALID = {
    "schema_version: [1]": "schema_version [1] is unknown",
    "schema_version: true": "schema_version True is unknown",
    "schema_version: 1.0": "schema_version 1.0 is unknown",
    "schema_version: {a: 1}": "schema_version {'a': 1} is unknown",
    f"schema_version: {'9' * 60}": "is unknown",
    "schema_version: 0": "schema_version 0 is unknown",
    "schema_version: -1": "schema_version -1 is unknown",
    "seed: 18446744073709551616": "seed should be less than or equal to 9223372036854775807, not 18446744073709551616",
    "seed: -1": "seed should be greater than or equal to 0, not -1",
    "threads: 100000000000": "threads should be less than or equal to 1024",
    "threads: true": "threads should be a number, not true",
    "network: {channels: [true]}": "network.channels should be a number, not true",
    "network: {channels: [1000000000]}": "should be less than or equal to 65536",
    "network: {name: mlp, hidden: [1000000000]}": "should be less than or equal to 65536",
    "network: {name: alexnet, width: 1e9}": "network.width should be less than or equal to 64",
    "training: {batch_size: 1000000000}": "training.batch_size should be less than or equal to 16777216",
    "training: {learning_rate: .inf}": "training.learning_rate should be a finite number, not inf",
    "training: {learning_rate: .nan}": "training.learning_rate should be a finite number, not nan",
    "training: {weight_decay: .inf}": "training.weight_decay should be a finite number, not inf",
    "cluster: {hang_timeout_s: 1e300}": "cluster.hang_timeout_s should be less than or equal to 10000000",
    "cluster: {learners: 1000000000}": "cluster.learners should be less than or equal to 65536",
    f"kind: {'a' * 5000}": "is given twice",
    f"data: {{source: {'a' * 5000}}}": "data.source string should have at most 4096 characters",
    f"data: {{{'a' * 900}: 1}}": "unknown key 'data.aaa",
    'data: {"\\e[31mred": 1}': "unknown key 'data.\\x1b[31mred'",
    "data: {~: 1}": "keys should be strings, not None",
    "data: {1: 1}": "keys should be strings, not 1",
    "network: {name: [1]}": "network",
    "network: {name: {a: 1}}": "network",
    "network: [1, 2]": "network is a section",
    "training: {learning_rate: {start: 1, until: 100000000000000000000}}": "should be less than or equal to",
    "evaluate: {best: [a]}": "evaluate.best should be a valid string",
}


@pytest.mark.parametrize("line", INVALID)
def test_what_no_run_can_use_is_refused_with_its_key(line: str, tmp_path: Path) -> None:
    assert INVALID[line] in refusal(f"{START}{line}\n", tmp_path)


@pytest.mark.parametrize(
    ("preset", "override", "key"),
    [
        ("alphazero/connect_four", "selfplay.boards=1000000000", "selfplay.boards"),
        ("alphazero/connect_four", "search.simulations=1000000000", "search.simulations"),
        ("alphazero/connect_four", "evaluate.simulations=1000000000", "evaluate.simulations"),
        ("alphazero/connect_four", "network.channels=1000000000", "network.channels"),
        ("alphazero/connect_four", "network.blocks=1000000000", "network.blocks"),
        ("alphazero/connect_four", "learner.batch_size=1000000000", "learner.batch_size"),
        ("alphazero/connect_four", "selfplay.cache_slots=1180591620717411303424", "selfplay.cache_slots"),
        ("alphazero/connect_four", "game.options.rows=1000000000", "rows and columns must be at most 64"),
        ("ppo/cartpole", "env.count=1000000000", "env.count"),
        ("ppo/cartpole", "env.processes=1000000000", "env.processes"),
        ("ppo/cartpole", "learner.rollout_steps=1000000000", "learner.rollout_steps"),
        ("ppo/cartpole", "learner.epochs=1000000000", "learner.epochs"),
        ("ppo/cartpole", "network.recurrent_size=1000000000", "network.recurrent_size"),
        ("ppo/cartpole", "evaluate.episodes=1000000000", "evaluate.episodes"),
        ("progressive_gan/digits", "evaluate.grid=1000000000", "evaluate.grid"),
        ("progressive_gan/digits", "network.fmap_base=1000000000", "network.fmap_base"),
        ("progressive_gan/digits", "network.mapping_layers=1000000000", "network.mapping_layers"),
        ("progressive_gan/digits", "training.batch_sizes={4: 1000000000}", "training.batch_sizes.4"),
        ("series_gan/sines", "data.synthetic.channels=1000000000", "data.synthetic.channels"),
        ("series_gan/sines", "data.synthetic.series=1000000000", "data.synthetic.series"),
        ("series_gan/sines", "data.length=1000000000", "data.length"),
        ("series_gan/sines", "network.hidden=1000000000", "network.hidden"),
        ("sequences/reverse", "evaluate.beam=1000000000", "evaluate.beam"),
        ("sequences/text", "data.window=1000000000", "data.window"),
        ("sequences/text", "network.layers=1000000000", "network.layers"),
        ("supervised/anomalies", "task.code=1000000000", "task.code"),
        ("supervised/iris", f"budget=1{'0' * 30}", "budget"),
    ],
)
def test_a_billion_is_refused_by_its_key(preset: str, override: str, key: str) -> None:
    with pytest.raises(UserError, match=key.replace(".", r"\.")) as raised:
        load_preset(preset, [override])
    assert "at most 64" in str(raised.value) or "less than or equal to" in str(raised.value)


def fields(config_class: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in config_class.model_fields.items():
        yield prefix + name, field
        for section in sections_in(field.annotation):
            yield from fields(section, f"{prefix}{name}.")


def unbounded(annotation: Any, metadata: Any) -> bool:
    """Whether an annotation takes integers without a largest."""
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *more = typing.get_args(annotation)
        more = [each for item in more for each in (item.metadata if isinstance(item, FieldInfo) else [item])]
        return unbounded(inner, [*more, *metadata])
    if annotation is int:
        return not any(hasattr(item, "le") or hasattr(item, "lt") for item in metadata)
    return any(unbounded(argument, metadata) for argument in typing.get_args(annotation))


@pytest.mark.parametrize("kind", KINDS)
def test_every_integer_has_a_largest_value(kind: str) -> None:
    found = {name for name, field in fields(load(KINDS[kind].config)) if unbounded(field.annotation, field.metadata)}
    assert found <= {"game.options", "env.kwargs", "env.wrappers.kwargs"}  # these check their own


@pytest.mark.parametrize(
    "override",
    [
        "a" * 5000 + "=1",
        ".".join("a" * 1000) + "=1",
        "data.source=" + "[" * 1000,
        "data.source=&a [*a]",
        "data.source=!!binary aGk=",
        "[bold]red[/bold].x=1",
        "\x1b[31m=1",
        "evaluate.best=" + "x" * 5000,
        "=1",
        "a",
        "budget",
        "budget=" + "9" * 5000,
        "budget=[5]",
        "budget={a: 5}",
        "budget=null",
        "budget=5.5",
    ],
)
def test_overrides_beyond_all_measure_are_short_printable_lines(
    override: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "supervised/iris", override]) == 2
    message = capsys.readouterr().err
    assert message.startswith("lab: ") and len(message) < 1000
    assert all(line.isprintable() for line in message.splitlines())


def test_long_chains_of_bases_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p0.yaml").write_text("kind: supervised\nbudget: 5\n")
    for n in range(1, 1200):
        (tmp_path / f"p{n}.yaml").write_text(f"base: p{n - 1}.yaml\n")
    assert load_preset(str(tmp_path / "p16.yaml")).budget == 5
    with pytest.raises(UserError, match="has more than 16 bases"):
        load_preset(str(tmp_path / "p1199.yaml"))


def test_a_preset_that_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    for name in ("pipe", "folder", "loop", "none", "x" * 300, "x" * 5000):
        with pytest.raises(UserError, match="cannot read the configuration"):
            load_preset(str(tmp_path / f"{name}.yaml"))


@pytest.mark.parametrize("text", [bomb(), "[" * 1000, "kind: !!bool x", "kind: [1]", "\x00", "", "- a", "5"])
def test_the_stored_configuration_of_a_run_is_read_with_the_same_care(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError):
        load_run_config(tmp_path / "config.yaml")


def test_presets_of_editors_file_systems_and_bases_are_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/b.yaml", "a/_base.yaml", "a/._b.yaml", ".ipynb_checkpoints/b.yaml", "_shared/c.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(START)
    monkeypatch.setattr("lab.config.presets.resources.files", lambda package: tmp_path)
    assert presets.preset_names() == ["a/b"]
    assert presets.resolve("a/_base") == {"kind": "supervised", "budget": 5}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("zzqxv", "unknown preset 'zzqxv'; `lab list` shows all presets"),
        ("CartPole-v1", "did you mean 'ppo/cartpole'? `lab list` shows all presets"),
        ("conect_four", "did you mean 'alphazero/connect_four'? `lab list` shows all presets"),
        ("mnst", "did you mean"),
        ("x" * 5000, "`lab list` shows all presets"),
    ],
)
def test_an_unknown_preset_is_a_short_line(name: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", name]) == 2
    message = capsys.readouterr().err
    assert hint in message and len(message) < 250 and message.count("\n") == 1


def test_values_are_shown_in_short() -> None:
    assert shortened("a\x1b[0m") == repr("a\x1b[0m")
    assert len(shortened("a" * 5000)) <= 100
    assert shortened(10**5000) == "a int too large to be shown"
    assert "\n" not in shortened(torch.zeros(3, 1, 2))


def test_aliases_within_measure_are_read() -> None:
    assert yaml_values.parse("a: &x {b: [1, 2]}\nc: *x\nd: [*x, *x]")["d"] == [{"b": [1, 2]}] * 2


@pytest.mark.parametrize(
    "line",
    ["training: {learning_rate: [1, 2]}", "task: {class_weights: [.inf, 1]}", "network: {channels: [[1]]}"],
)
def test_a_list_in_place_of_a_union_is_one_line(line: str, tmp_path: Path) -> None:
    assert line.split(":")[0] in refusal(f"{START}{line}\n", tmp_path)


def test_the_problems_of_a_long_list_are_counted(tmp_path: Path) -> None:
    message = refusal(f"{START}network: {{channels: [x{', x' * 4999}]}}\n", tmp_path)
    assert "has 5000 problems" in message and "and 4992 more" in message


@pytest.mark.parametrize(
    "arguments",
    [
        ("config", "supervised/iris", "--explain", "x" * 5000),
        ("config", "/" + "x" * 5000 + ".yaml"),
        ("config", "~nobody-of-that-name/x.yaml"),
        ("config", "~nobody-of-that-name/x"),
        ("config", "a\x00b.yaml"),
        ("resume", "x" * 5000),
        ("resume", "\x00"),
        ("show", "\x1b[31m"),
        ("new", "preset", "x" * 5000),
        ("new", "game", "x" * 300),
        ("train", "supervised/iris", "--name", "x" * 5000),
        ("train", "sequences/text", "data.source=" + "x" * 4000),
        ("sweep", "supervised/iris", "training.batch_size=randint(1," + "9" * 5000 + ")"),
        ("sweep", "supervised/iris", "training.learning_rate=choice(&a [*a])"),
    ],
)
def test_names_beyond_all_measure_are_short_printable_lines(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(list(arguments)) == 2
    message = capsys.readouterr().err
    assert len(message) < 500 and message.count("\n") == 1 and message.strip().isprintable()
