"""`lab list`: the presets."""

from __future__ import annotations

from rich.table import Table

from lab.cli.arguments import Json, print_json
from lab.config import presets
from lab.terminal.consoles import Console
from lab.terminal.streams import say


def list_presets(as_json: Json = False) -> None:
    """List the presets that `lab train` takes, one line each."""
    rows = []
    for name in presets.preset_names():
        settings = presets.resolve(name)
        rows.append({"name": name, "kind": settings.get("kind", ""), "description": settings.get("description", "")})
    if as_json:
        print_json({"presets": rows})
        return
    if not rows:
        say("no presets are installed; `lab train` also takes the path of a YAML file")
        return
    table = Table("preset", "kind", "description", box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(row["name"], row["kind"], row["description"])
    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width: a line for each preset, which `grep` finds whole
        console = Console(width=1000)
    console.print(table)
