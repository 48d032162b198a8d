"""`lab doctor`: check this machine and installation. It uses no network.

`lab doctor --cluster` checks a Ray cluster instead; see `cluster.cli.doctor`.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from lab import __version__
from lab.cli.arguments import Json, Overrides, RunsDir, print_json
from lab.config.registry import CLUSTER_DOCTOR, find_kind, kind_names, load
from lab.errors import UserError
from lab.run.lookup import RUNS_DIR
from lab.terminal.consoles import Console
from lab.terminal.streams import say, warn

REQUIRED = (
    *("torch", "numpy", "pydantic", "safetensors", "gymnasium", "pettingzoo", "wandb", "PyYAML", "typer", "rich"),
    *("plotext", "matplotlib", "pillow", "scikit-learn", "scipy", "pooch", "imageio", "filelock"),
)
OPTIONAL = ("ray", "onnx", "onnxscript", "onnxruntime", "imageio-ffmpeg")
_RUN_LOOP = "lab.run.launch:start_run"
LITTLE_DISK_GB = 1.0  # a run of the longer presets, its replay included, needs less


def doctor(
    overrides: Overrides = None,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
    cluster: Annotated[bool, typer.Option("--cluster", help="Check a Ray cluster instead of this machine.")] = False,
    address: Annotated[
        str, typer.Option(help="With --cluster: address of its job server.", show_default="http://127.0.0.1:8265")
    ] = "",
    preset: Annotated[str, typer.Option(help="With --cluster: check that the workers of this preset fit.")] = "",
    working_dir: Annotated[Path, typer.Option(help="With --cluster: the directory that a job uploads.")] = Path(),
) -> None:
    """Check versions, devices, tracking, disk and presets; exit with code 1 if a run could not start."""
    if cluster:
        if overrides and not preset:
            raise UserError("settings belong to a preset: give --preset as well")
        load(CLUSTER_DOCTOR)(address, preset, overrides or [], working_dir, as_json)
        return
    if address or preset or overrides:
        raise UserError("--address, --preset and settings need --cluster")
    sections = {
        "versions": versions(),
        "devices": devices(),
        "wandb": wandb_state(),
        "disk": disk(runs_dir),
        "presets": check_presets(),
        "run_loop": check_run_loop(),
        "kinds": check_kinds(),
    }
    problems = find_problems(sections)
    if as_json:
        print_json({"ok": not problems, "problems": problems, **sections})
    else:
        _print(sections, problems)
    if problems:
        raise typer.Exit(1)


def versions() -> dict[str, str | None]:
    """Versions of Python, the system, the lab and its dependencies; None for packages that are not installed."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    found: dict[str, str | None] = {"lab": __version__, "python": platform.python_version(), "system": system}
    for name in (*REQUIRED, *OPTIONAL):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def devices() -> dict[str, Any]:
    """Processor cores (of the machine, and those this process may use), torch's threads, CUDA GPUs, and a Mac's GPU."""
    report: dict[str, Any] = {
        "cores": os.cpu_count(),
        "cores_usable": _usable_cores(),
        "threads": None,
        "gpus": [],
        "mps": False,
    }
    try:
        import torch

        from lab.train.device import has_mps
    except (ImportError, OSError):  # OSError: a shared library of the driver is missing
        return report
    report["threads"], report["mps"] = torch.get_num_threads(), has_mps()
    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        report["gpus"].append({"name": gpu.name, "memory_gb": round(gpu.total_memory / 1e9, 1)})
    return report


def wandb_state() -> dict[str, Any]:
    """Whether there is an API key (never the key itself) and the mode of `tracking.wandb=auto`. Contacts no server."""
    try:
        from lab.run import tracking

        return {"key_present": tracking.has_login(), "mode": tracking.choose_mode("auto")}
    except ImportError:
        return {"key_present": False, "mode": "off"}


def disk(runs_dir: Path) -> dict[str, Any]:
    """Free space of the runs directory, whether it can be written and has locks; if it is missing, of its parent."""
    existing = next(path for path in (runs_dir.absolute(), *runs_dir.absolute().parents) if path.exists())
    locks = False
    try:
        with tempfile.TemporaryDirectory(dir=existing) as folder:
            writable = True
            with suppress(ImportError, UserError):  # what lacks is a problem of its own
                locks = _has_locks(Path(folder))
    except OSError:
        writable = False
    free_gb = round(shutil.disk_usage(existing).free / 1e9, 1)
    return {"runs_dir": str(runs_dir.absolute()), "free_gb": free_gb, "writable": writable, "locks": locks}


def _has_locks(folder: Path) -> bool:
    from lab.run.lock import FolderLock

    lock = FolderLock(folder)
    lock.acquire()
    enforced = lock.enforced
    lock.release(remove=True)
    return enforced


def check_presets() -> dict[str, str]:
    """Each preset with "ok" or its error."""
    from lab.config.loading import load_preset
    from lab.config.presets import preset_names

    checked = {}
    for name in preset_names():
        try:
            load_preset(name)
            checked[name] = "ok"
        except (UserError, ImportError) as error:
            checked[name] = str(error)
    return checked


def check_run_loop() -> dict[str, str]:
    """Under "state", "ok" or why the modules that every run needs do not import here."""
    return {"state": _import_state()}


def check_kinds() -> dict[str, str]:
    """Each kind with "ok", or why the modules that train it do not import here."""
    return {name: _import_state(name) for name in kind_names()}


def _import_state(kind: str | None = None) -> str:
    """Of what trains a kind; without one, of the run loop."""
    try:
        load(_RUN_LOOP if kind is None else find_kind(kind).build)
        return "ok"
    except (UserError, ImportError, AttributeError, OSError) as error:
        return f"{type(error).__name__}: {error}"


def find_problems(sections: dict[str, dict[str, Any]]) -> list[str]:
    """One line for each missing requirement of a run."""
    problems = [
        f"{name} is not installed: pip install {name}" for name in REQUIRED if sections["versions"][name] is None
    ]
    if sections["versions"]["torch"] is not None and sections["devices"]["threads"] is None:
        problems.append("torch is installed but does not import: reinstall it")
    where, free_gb = sections["disk"]["runs_dir"], sections["disk"]["free_gb"]
    if not sections["disk"]["writable"]:
        problems.append(f"{where} cannot be written: choose another with --runs-dir or LAB_RUNS")
    elif free_gb < LITTLE_DISK_GB:
        problems.append(f"{where} has {free_gb} GB free: make room or choose another with --runs-dir")
    problems += [f"preset {name}: {state}" for name, state in sections["presets"].items() if state != "ok"]
    if (state := sections["run_loop"]["state"]) != "ok":
        problems.append(f"the run loop does not load: {state}")
    problems += [f"{name} does not load: {state}" for name, state in sections["kinds"].items() if state != "ok"]
    return problems


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # absent on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _print(sections: dict[str, dict[str, Any]], problems: list[str]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, version in sections["versions"].items():
        table.add_row(name, version or "not installed")
    report = sections["devices"]
    table.add_row("cores", f"{report['cores_usable']} of {report['cores']} usable, {report['threads']} torch threads")
    gpus = [f"{gpu['name']} ({gpu['memory_gb']} GB)" for gpu in report["gpus"]]
    gpus += ["mps, taken by device=mps alone"] if report["mps"] else []
    table.add_row("GPUs", ", ".join(gpus) or "none: runs use the CPU")
    key = "key present" if sections["wandb"]["key_present"] else "no key"
    table.add_row("W&B", f"{key}: tracking.wandb=auto is {sections['wandb']['mode']}")
    table.add_row("runs", sections["disk"]["runs_dir"])
    table.add_row("disk", f"{sections['disk']['free_gb']} GB free")
    table.add_row("locks", "yes" if sections["disk"]["locks"] else "none: nothing keeps two processes from one run")
    states = sections["presets"].values()
    kinds = sections["kinds"].values()
    table.add_row("kinds", f"{sum(state == 'ok' for state in kinds)} of {len(kinds)} load")
    table.add_row("presets", f"{sum(state == 'ok' for state in states)} of {len(states)} valid")
    Console().print(table)
    for problem in problems:
        warn(f"broken: {problem}")
    if not problems:
        say("no problems found")
