"""MkDocs hook: reference pages made from the code, and the cluster's own pages.

Run by `mkdocs build`; `python docs/generate.py PAGE` prints one of the pages.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.cli.parameters import Command, commands
from lab.config import presets
from lab.config.keys import SCHEDULE, Key, keys_of
from lab.config.registry import VERBS, find_kind, kind_names, load
from lab.config.sections import ExperimentConfig
from lab.run.metrics import LOOP_METRICS, Catalogue
from lab.train.schedules import Schedule

ROOT = Path(__file__).resolve().parents[1]
UNDOCUMENTED = "*no description*"
_KIND_WORDS = {
    "alphazero": "AlphaZero",
    "grading": "Grading",
    "ppo": "PPO",
    "progressive_gan": "Progressive GAN",
    "series_gan": "Time-series GAN",
    "sequences": "Sequences",
    "speech": "Voice",
    "supervised": "Supervised",
    "vocoder": "Vocoder",
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
    found = list(commands())
    for name in VERBS:
        lines += ["", f"## lab {name} {{#lab-{name}}}", ""]
        lines += _verb_lines(name, [command for command in found if command.words[0] == name])
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
    lines += [
        "",
        "## Schedules {#schedules}",
        "",
        "Where the type is `float or schedule`, a schedule (a function of the progress counter) can be given:",
        "",
        "```yaml",
        "learning_rate: {schedule: cosine, start: 0.002, end: 0.0, until: 100_000, warmup: 0.1}",
        "```",
        "",
        *_key_tables(keys_of(Schedule), "schedule"),
    ]
    for kind, keys in by_kind.items():
        own = [key for key in keys if not _same_as_common(key, common) and key.variant != SCHEDULE]
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


def presets_page() -> str:
    """Every shipped preset with its file, whose comments give the reason of each setting."""
    names = presets.preset_names()
    lines = [
        "# Presets",
        "",
        "`lab train PRESET` trains one of these, from the files in `configs/`. A preset with a `base` holds only "
        "what differs from it. `lab config PRESET` prints the whole configuration.",
        "",
        "| preset | what it does |",
        "| --- | --- |",
    ]
    for name in names:
        about = _cell(str(presets.resolve(name).get("description", "")))
        lines.append(f"| [`{name}`](#{name.replace('/', '-')}) | {about} |")
    for name in names:
        text = (ROOT / "configs" / f"{name}.yaml").read_text(encoding="utf-8").rstrip()
        lines += ["", f"## `{name}` {{#{name.replace('/', '-')}}}", "", "```yaml", text, "```"]
    return "\n".join(lines) + "\n"


def speed_page() -> str:
    """Seconds of training to a fixed strength, from the records that `lab bench record` keeps."""
    lines = [
        "# Speed",
        "",
        "Seconds of training until an evaluation first reached the target of a preset; evaluations and checkpoints are "
        "not counted. `lab bench record RUN --preset PRESET` adds a run; `evaluate.target` is the target. Several "
        "seeds are one row: the mean, and the fastest and slowest.",
        "",
    ]
    path = ROOT / "docs" / "speed.jsonl"
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    if not records:
        return "\n".join([*lines, "No run has been recorded yet."]) + "\n"
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for record in records:
        threads = "all" if record["threads"] is None else str(record["threads"])
        key = (record["preset"], f"{record['metric']} {record['target']:g}", record["machine"], threads)
        groups.setdefault((*key, record["precision"], record["version"]), []).append(record)
    lines += ["| preset | target | seconds | best | machine | threads | precision | version | seeds |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for (preset, target, machine, threads, precision, version), group in groups.items():
        seconds = [record["seconds"] for record in group]
        text = f"{sum(seconds) / len(seconds):,.0f}"
        if len(group) > 1:
            text += f" ({min(seconds):,.0f} to {max(seconds):,.0f})"
        best = sum(record["best"] for record in group) / len(group)
        cells = [f"`{preset}`", f"`{target}`", text, f"{best:.4g}", machine, threads, precision, version]
        lines.append("| " + " | ".join([*map(_cell, cells), str(len(group))]) + " |")
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
    "reference/presets.md": presets_page,
    "speed.md": speed_page,
    "cluster/guide.md": lambda: cluster_page("GUIDE"),
    "cluster/capacity.md": lambda: cluster_page("CAPACITY"),
}


def _verb_lines(name: str, found: Sequence[Command]) -> Iterator[str]:
    """The commands of one verb: itself, those of a group, or one for each kind of run."""
    if len(found) == 1 and found[0].words == (name,) and not found[0].kind:
        yield from _command_lines(found[0])
        return
    yield VERBS[name].help + (" Its options depend on the kind of the run." if found[0].kind else "")
    for command in found:
        title = "lab " + " ".join(command.words)
        yield from ["", f"### {title}{f': {_KIND_WORDS.get(command.kind, command.kind)}' if command.kind else ''}", ""]
        yield from _command_lines(command)


def _command_lines(command: Command) -> Iterator[str]:
    yield from ["```text", command.usage, "```", "", command.help, ""]
    if command.parameters:
        yield from ["| argument or option | default | meaning |", "| --- | --- | --- |"]
    for parameter in command.parameters:
        name = ", ".join(f"`{option}`" for option in parameter.names)
        value = f"`{parameter.value}`" if parameter.value else ""
        default = "required" if parameter.required else f"`{parameter.default}`" if parameter.default else ""
        yield f"| {_cell(f'{name} {value}'.strip())} | {_cell(default)} | {_cell(parameter.help)} |"


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
    same = other is not None and (key.section or (other.type, other.description) == (key.type, key.description))
    return same or key.key == "kind"


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
