"""`lab doctor --cluster`: whether a run would find what it needs, asked of the cluster before it is sent.

Most is found out by a job of a few seconds that goes the way of a run: the same package, the same job server.
"""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import typer

from cluster.jobs import job_server, node_report
from cluster.jobs.submit import checked_config, sent_preset
from cluster.jobs.working_dir import EXCLUDES, measure
from cluster.pool.connection import import_ray
from lab.cli.arguments import print_json
from lab.errors import UserError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

    from lab.config.sections import ExperimentConfig

State = Literal["ok", "warn", "fail"]
_JOB_TIMEOUT_S = 180.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_STYLES: dict[State, str] = {"ok": "green", "warn": "yellow", "fail": "red"}


@dataclass(frozen=True)
class Check:
    """One thing looked at, how it is, and what to do where it is not right."""

    name: str
    state: State
    detail: str
    fix: str = ""


def doctor(address: str, preset: str, overrides: Sequence[str], working_dir: Path, as_json: bool) -> None:
    """Print the checks of the cluster at `address` ("": the default); exit with 1 if one failed.

    With a preset its workers are placed and its memory is estimated. Raises UserError for a preset that is not valid.
    """
    checks = list(examine(job_server.normalise(address or job_server.DEFAULT_ADDRESS), preset, overrides, working_dir))
    problems = [f"{check.name}: {check.detail}" for check in checks if check.state == "fail"]
    if as_json:
        print_json({"ok": not problems, "problems": problems, "checks": [asdict(check) for check in checks]})
    else:
        _print(checks)
    if problems:
        raise typer.Exit(1)


def examine(address: str, preset: str, overrides: Sequence[str], working_dir: Path) -> Iterator[Check]:
    """All checks in turn; those that an earlier failure makes pointless are left out."""
    import_ray()
    package = measure(working_dir)
    config, arguments = None, []
    if preset:
        arguments = [sent_preset(preset, package), *overrides]
        config = checked_config(arguments[0], overrides, package)
    try:
        client = job_server.connect(address)
    except UserError as error:
        yield Check("job server", "fail", str(error))
        return
    yield Check("job server", "ok", f"Ray answers at {address}, of the same version as here")
    with job_server.explained(address):
        secure = _wants_token(address)
        yield _authentication(secure)
        try:
            package.check()
        except UserError as error:
            yield Check("package", "fail", str(error))
            return
        yield Check("package", "ok", str(package))
        report, reason = _ask(client, package.working_dir, arguments)
    if report is None:
        fix = "install the lab on every node (cluster/manifests/Dockerfile, or `lab submit --requirements`)"
        yield Check("job", "fail", reason, fix)
        return
    yield _dashboard(report["head"]["dashboard"], secure)
    yield from _nodes(report["nodes"])
    if config is not None:
        yield _placement(config, report["placement"])
        yield from memory(config, report["nodes"])
    yield _wandb(report["head"]["wandb"])


def memory(config: ExperimentConfig, nodes: list[dict[str, Any]]) -> Iterator[Check]:
    """The preset's replay against the head's memory, weights and results under way against the least object store."""
    from agents.alphazero.config import AlphaZeroConfig
    from cluster.capacity import bytes_per_position, weight_bytes

    if not isinstance(config, AlphaZeroConfig):
        yield Check("memory", "ok", f"not estimated for experiments of kind {config.kind!r}")
        return
    row = bytes_per_position(config)
    replay = config.replay.capacity * row
    head = next((node["memory"] for node in nodes if node["head"]), 0.0)
    state: State = "ok" if replay < head / 2 else "warn" if replay < head else "fail"
    fix = "" if state == "ok" else "lower replay.capacity, or give the head more memory"
    yield Check("memory", state, f"replay of {_gb(replay)} in the head's {_gb(head)}", fix)
    cluster = config.cluster
    versions = (cluster.max_lag + 2) * weight_bytes(config)
    call = config.selfplay.boards * config.selfplay.moves_per_iteration * row
    store = versions + cluster.workers * (1 + cluster.results_ahead) * call
    least = min(node["object_store"] for node in nodes)
    state = "ok" if store < least / 2 else "warn" if store < least else "fail"
    fix = "" if state == "ok" else "start the nodes with more --object-store-memory, or lower cluster.results_ahead"
    yield Check("object store", state, f"about {_gb(store)} of weights and results in at least {_gb(least)}", fix)


def _wants_token(address: str) -> bool:
    """Whether the job server turns away a request without a token."""
    import requests

    return requests.get(f"{address}/api/version", timeout=job_server.TIMEOUT_S).status_code in (401, 403)


def _authentication(secure: bool) -> Check:
    if secure:
        return Check("authentication", "ok", "nobody gets in without the token")
    fix = "start every node with RAY_AUTH_MODE=token, as cluster/manifests/head.sh and worker.sh do"
    return Check("authentication", "fail", "whoever reaches the job server may run programs on every node", fix)


def _dashboard(url: str, secure: bool) -> Check:
    host = urlsplit(f"//{url}").hostname or ""
    if host in _LOOPBACK:
        return Check("dashboard", "ok", f"listens on {url} of the head alone")
    fix = "start the head with --dashboard-host=127.0.0.1 and reach it by ssh -L"
    return Check("dashboard", "warn" if secure else "fail", f"listens on {url}, in reach of others", fix)


def _ask(client: JobSubmissionClient, working_dir: Path, arguments: Sequence[str]) -> tuple[dict[str, Any] | None, str]:
    """The report of a job that looks around, or None and why there is none. The job has ended afterwards."""
    entrypoint = shlex.join(["python", "-m", "cluster.jobs.node_report", *arguments])
    environment = {"working_dir": str(working_dir), "excludes": list(EXCLUDES)}
    name = f"lab-doctor-{secrets.token_hex(3)}"
    job = client.submit_job(entrypoint=entrypoint, runtime_env=environment, submission_id=name)
    deadline = time.monotonic() + _JOB_TIMEOUT_S
    try:
        while not client.get_job_status(job).is_terminal():
            if time.monotonic() > deadline:
                return None, f"a job that looks around did not end within {_JOB_TIMEOUT_S:g} s"
            time.sleep(0.5)
        output = client.get_job_logs(job)
        last = (output.strip().splitlines() or ["it printed nothing"])[-1]
        return node_report.read(output), f"a job that looks around failed: {last}"
    finally:
        # Its record stays: Ray's manager brings one that is deleted this early back as a failed job.
        if not client.get_job_status(job).is_terminal():
            client.stop_job(job)


def _nodes(nodes: list[dict[str, Any]]) -> Iterator[Check]:
    silent = [f"{node['address']} ({node['error']})" for node in nodes if "error" in node]
    if silent:
        fix = "look at its logs on the dashboard; restart it with cluster/manifests/worker.sh"
        yield Check("nodes", "fail", f"{len(silent)} of {len(nodes)} do not run a worker: {', '.join(silent)}", fix)
    else:
        cpus, gpus = sum(node["cpus"] for node in nodes), sum(node["gpus"] for node in nodes)
        yield Check("nodes", "ok", f"{len(nodes)}, with {cpus:g} CPUs and {gpus:g} GPUs")
    found = {str(node["versions"]): node for node in nodes if "versions" in node}
    texts = [
        f"{node['address']}: " + ", ".join(f"{name} {version}" for name, version in node["versions"].items())
        for node in found.values()
    ]
    if len(found) > 1:
        fix = "install the same constraints.txt and the same Python on every node"
        yield Check("versions", "fail", f"nodes differ: {'; '.join(texts)}", fix)
    elif found:
        yield Check("versions", "ok", f"everywhere {texts[0].partition(': ')[2]}")


def _placement(config: ExperimentConfig, placed: dict[str, Any] | None) -> Check:
    if placed is None:
        return Check(
            "placement", "warn", "neither workers nor learners: the run is one process on the head", "cluster.workers=8"
        )
    if "problem" in placed:
        return Check(
            "placement", "fail", placed["problem"], "lower cluster.workers or their CPUs and GPUs, or add nodes"
        )
    options = config.cluster
    counts = {
        "learners": options.learners if options.learners > 1 or options.learner_cpus or options.learner_gpus else 0,
        "workers": options.workers,
        "evaluators": int(options.evaluator),
    }
    who = ", ".join(f"{count} {name if count > 1 else name[:-1]}" for name, count in counts.items() if count)
    bundles = {" and ".join(f"{count:g} {name}" for name, count in one.items()) for one in placed["bundles"]}
    return Check("placement", "ok", f"{who} (each {' or '.join(sorted(bundles))}) placed in {placed['seconds']:.1f} s")


def _wandb(mode: str) -> Check:
    if mode == "online":
        return Check("W&B", "ok", "the head has a key: runs are tracked online")
    fix = "`lab submit --env WANDB_API_KEY`, or `wandb login` on the head"
    return Check("W&B", "warn", f"the head has no key: tracking.wandb=auto is {mode} there", fix)


def _gb(size: float) -> str:
    return f"{size / 1e9:.2f} GB"


def _print(checks: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "check", "found", "fix", box=None, pad_edge=False, header_style="bold")
    for check in checks:
        table.add_row(f"[{_STYLES[check.state]}]{check.state}[/]", check.name, check.detail, check.fix)
    Console(highlight=False).print(table)
