"""The code blocks of the pages run as they are printed, with small budgets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, blocks, pages

RUNNABLE = [page for page in pages() if any(block.run for block in blocks(page))]

# Commands that stand before those of the machine: `lab` with small budgets, `pip install -e` without a network.
_LAB = """#!{python}
import sys
sys.path.insert(0, {root!r})
from lab.cli.main import main
from tests.docs.pages import shrink
sys.exit(main(shrink(sys.argv[1:])))
"""
_PIP = """#!{python}
import pathlib, sys, tomllib
folder = pathlib.Path(sys.argv[-1])
project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
info = folder / f"{{project['name']}}-{{project['version']}}.dist-info"
info.mkdir(exist_ok=True)
lines = ["Metadata-Version: 2.1", f"Name: {{project['name']}}", f"Version: {{project['version']}}"]
(info / "METADATA").write_text("\\n".join(lines) + "\\n")
groups = project["entry-points"].items()
lines = [f"[{{group}}]\\n" + "\\n".join(f"{{a}} = {{b}}" for a, b in names.items()) for group, names in groups]
(info / "entry_points.txt").write_text("\\n".join(lines) + "\\n")
"""
_PYTHON = """#!/bin/sh
exec {python} "$@"
"""
_PYTEST = """#!/bin/sh
exec {python} -m pytest --import-mode=importlib -p no:cacheprovider "$@"
"""
_PRELUDE = """
import lab.api
from tests.docs.pages import SMALL
_load = lab.api.load_preset
lab.api.load_preset = lambda preset, overrides=(): _load(preset, [*overrides, *SMALL.get(_load(preset).kind, [])])
"""


def test_every_tutorial_has_blocks_that_are_run() -> None:
    names = {page.stem for page in RUNNABLE if page.parent == DOCS / "tutorials"}
    assert names >= {"connect-four", "your-own-game", "ppo", "gan", "classifier", "sequences", "notebooks"}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", RUNNABLE, ids=[page.stem for page in RUNNABLE])
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    bin_folder, place = tmp_path / "bin", tmp_path / "work"
    bin_folder.mkdir()
    place.mkdir()
    for name, text in {"lab": _LAB, "pip": _PIP, "python": _PYTHON, "pytest": _PYTEST}.items():
        (bin_folder / name).write_text(text.format(python=sys.executable, root=str(ROOT)))
        (bin_folder / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(place), str(place / "blocking")]),
        "LAB_RUNS": str(place / "runs"),
        "MPLBACKEND": "Agg",
    }
    for block in blocks(page):
        if not block.run:
            continue
        command = ["bash", "-euo", "pipefail", "-c", block.text]
        if block.language == "python":
            command = [sys.executable, "-c", _PRELUDE + block.text]
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{block.text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
