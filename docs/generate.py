"""MkDocs hook: reference pages made from the code, and the cluster's own pages.

Run by `mkdocs build`; `python docs/generate.py PAGE` prints one of the pages.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from lab.config.keys import Key, keys_of
from lab.config.registry import VERBS, Verb, find_kind, kind_names, load
from lab.config.sections import ExperimentConfig
from lab.run.metrics import LOOP_METRICS, Catalogue

ROOT = Path(__file__).resolve().parents[1]
UNDOCUMENTED = "*no description*"
_KIND_WORDS = {
    "alphazero": "AlphaZero",
    "progressive_gan": "Progressive GAN",
    "series_gan": "Time-series GAN",
    "sequences": "Sequences",
    "supervised": "Supervised",
}


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages. Called by MkDocs."""
    from mkdocs.structure.files import File

    for path, make in PAGES.items():
        files.append(File.generated(config, path, content=make()))
    return files


def commands_page() -> str:
    """Every verb with its arguments, options and help, from the Typer commands."""
    lines = [
        "# Commands",
        "",
        "Every verb of `lab`, generated from the code. `lab VERB --help` prints the same.",
        "",
        "A user error prints one line and exits with code 2. Ctrl-C and SIGTERM finish the iteration, leave a "
        "checkpoint and exit with code 130 or 143. `--json` prints one JSON object and nothing else.",
        "",
        "| verb | what it does |",
        "| --- | --- |",
    ]
    lines += [f"| [`lab {name}`](#lab-{name}) | {_cell(verb.help)} |" for name, verb in VERBS.items()]
    for name, verb in VERBS.items():
        lines += ["", f"## lab {name} {{#lab-{name}}}", ""]
        lines += _verb_lines(f"lab {name}", verb, level=3)
    return "\n".join(lines) + "\n"


def configuration_page() -> str:
    """Every section and key of every kind, with type, default and meaning."""
    by_kind = {kind: keys_of(load(find_kind(kind).config)) for kind in kind_names()}
    common = {key.key: key for key in keys_of(ExperimentConfig)}
    lines = [
        "# Configuration",
        "",
        "Every key of every kind of experiment, generated from the code. Values are resolved in this order: default, "
        "preset (and its bases), command line. `lab config PRESET` prints the resolved configuration of a preset, "
        "`lab config PRESET --explain KEY` explains one key and says where its value comes from.",
        "",
        "Keys are given on the command line as `section.key=value`, in a preset as YAML.",
        "",
        "## Every kind {#every-kind}",
        "",
        *_key_tables(list(common.values()), "every"),
    ]
    for kind, keys in by_kind.items():
        own = [key for key in keys if not _same_as_common(key, common)]
        doc = inspect.cleandoc(load(find_kind(kind).config).__doc__ or "")
        lines += ["", f"## {_KIND_WORDS.get(kind, kind)} (`kind: {kind}`) {{#{kind}}}", "", doc, ""]
        lines += ["Keys of [every kind](#every-kind), and:", "", *_key_tables(own, kind)]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """Every metric of every catalogue: name, unit, meaning, panel, direction."""
    lines = [
        "# Metrics",
        "",
        "Every metric that a run records in `metrics.jsonl`, generated from the code. `lab show RUN`, W&B "
        "and the gauges on a cluster show the same numbers under the same names.",
        "",
        "## Every run {#every-run}",
        "",
        *_metric_table(LOOP_METRICS),
    ]
    for kind in kind_names():
        target = find_kind(kind).catalogue
        if target:
            own = [metric for name, metric in load(target).items() if name not in LOOP_METRICS]
            lines += ["", f"## {_KIND_WORDS.get(kind, kind)} (`kind: {kind}`) {{#{kind}}}", ""]
            lines += _metric_table(Catalogue(own))
    return "\n".join(lines) + "\n"


def cluster_page(name: str) -> str:
    """A page of the cluster folder; links to files outside the site become plain text."""
    text = (ROOT / "cluster" / f"{name}.md").read_text(encoding="utf-8")
    text = re.sub(r"\(CAPACITY\.md(#[\w-]+)?\)", r"(capacity.md\1)", text)
    text = re.sub(r"\(GUIDE\.md(#[\w-]+)?\)", r"(guide.md\1)", text)
    return re.sub(r"\[([^\]]+)\]\((?!https?:|#|capacity\.md|guide\.md)[^)]+\)", r"\1", text)


def undocumented() -> list[str]:
    """Configuration keys without a description, as "kind: key"."""
    return [
        f"{kind}: {key.key}"
        for kind in kind_names()
        for key in keys_of(load(find_kind(kind).config))
        if not (key.description or key.section_help)
    ]


PAGES: Mapping[str, Callable[[], str]] = {
    "reference/commands.md": commands_page,
    "reference/configuration.md": configuration_page,
    "reference/metrics.md": metrics_page,
    "cluster/guide.md": lambda: cluster_page("GUIDE"),
    "cluster/capacity.md": lambda: cluster_page("CAPACITY"),
}


def _verb_lines(command: str, verb: Verb, level: int) -> Iterator[str]:
    if verb.verbs:
        yield f"{verb.help}"
        for name, inner in verb.verbs.items():
            yield from ["", f"{'#' * level} {command} {name}", ""]
            yield from _verb_lines(f"{command} {name}", inner, level + 1)
    elif verb.target:
        yield from _command_lines(command, load(verb.target))
    else:
        name = command.rpartition(" ")[2]
        kinds = [kind for kind in kind_names() if name in find_kind(kind).verbs]
        yield f"{verb.help} Its options depend on the kind of the run."
        for kind in kinds:
            yield from ["", f"{'#' * level} {command}: {_KIND_WORDS.get(kind, kind)}", ""]
            yield from _command_lines(command, load(find_kind(kind).verbs[name]))


def _command_lines(command: str, function: Callable[..., None]) -> Iterator[str]:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    built = typer.main.get_command(app)
    context = built.make_context(command, [], resilient_parsing=True)
    usage = " ".join(built.collect_usage_pieces(context))
    yield from ["```text", f"{command} {usage}", "```", "", inspect.cleandoc(built.help or ""), ""]
    rows = [_parameter_row(parameter, context) for parameter in built.params if not getattr(parameter, "hidden", False)]
    if rows:
        yield from ["| argument or option | default | meaning |", "| --- | --- | --- |", *rows]


def _parameter_row(parameter: Any, context: Any) -> str:
    if parameter.param_type_name == "argument":
        name = f"`{' '.join(parameter.get_usage_pieces(context))}`"
    else:
        name = ", ".join(f"`{option}`" for option in [*parameter.opts, *parameter.secondary_opts])
        if not parameter.is_flag:
            name += f" `{_value_word(parameter)}`"
    default = parameter.default() if callable(parameter.default) else parameter.default
    shown = getattr(parameter, "show_default", None)
    if parameter.required:
        text = "required"
    elif isinstance(shown, str):
        text = shown
    elif default in (None, "", False) or default == ():
        text = ""
    else:
        text = f"`{getattr(default, 'value', default)}`"
    return f"| {_cell(name)} | {_cell(text)} | {_cell(parameter.help or '')} |"


def _value_word(option: Any) -> str:
    """What stands for an option's value: its metavar, its choices, or its type."""
    annotation = option.type_descriptor.annotation
    if option.metavar:
        return option.metavar
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " | ".join(str(member.value) for member in annotation)
    return {int: "INTEGER", float: "NUMBER", Path: "PATH"}.get(annotation, "TEXT")


def _key_tables(keys: Sequence[Key], anchor: str) -> Iterator[str]:
    """A table for the top-level keys, then one per section and variant."""
    groups: dict[tuple[str, str], list[Key]] = {}
    sections = {key.key: key for key in keys if key.section}
    for key in keys:
        if not key.section:
            groups.setdefault((key.key.rpartition(".")[0], key.variant), []).append(key)
    for (section, variant), members in sorted(groups.items(), key=lambda item: item[0][0] != ""):
        if section:
            title = f"`{section}` with `name: {variant}`" if variant else f"`{section}`"
            name = "-".join(filter(None, [anchor, section.replace(".", "-"), variant]))
            yield from ["", f"### {title} {{#{name}}}", ""]
            about = sections.get(section)
            if about is not None and (about.section_help or about.description):
                yield from [about.description or about.section_help, ""]
        yield from ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
        for key in members:
            default = "required" if key.required else f"`{_yaml(key.default)}`"
            meaning = key.description or UNDOCUMENTED
            yield f"| `{key.key}` | {_cell(key.type)} | {_cell(default)} | {_cell(meaning)} |"


def _same_as_common(key: Key, common: Mapping[str, Key]) -> bool:
    """Whether a key is one of every kind, unchanged; a kind may extend a section or fix a default."""
    other = common.get(key.key)
    return other is not None and (key.section or (other.type, other.description) == (key.type, key.description))


def _metric_table(catalogue: Catalogue) -> Iterator[str]:
    yield from ["| name | unit | meaning | panel | better |", "| --- | --- | --- | --- | --- |"]
    better = {True: "higher", False: "lower", None: ""}
    for metric in catalogue.values():
        yield (
            f"| `{metric.name}` | {_cell(metric.unit)} | {_cell(metric.meaning)} | {metric.panel} "
            f"| {better[metric.higher_is_better]} |"
        )


def _yaml(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple | list):
        return f"[{', '.join(_yaml(item) for item in value)}]"
    return f"{value:_}" if isinstance(value, int) and abs(value) >= 10_000 else str(value) or "''"


def _cell(text: str) -> str:
    """Text that stands in a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    print(PAGES[sys.argv[1]]() if len(sys.argv) > 1 else "\n".join([*PAGES, "", *undocumented()]))
