"""Checks of a cluster before a run is submitted (`lab doctor --cluster`).

Most results come from a short job that is submitted like a run, with the same upload to the same job server.
"""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from cluster.jobs import job_server, node_report
from cluster.jobs.submission import load_config, packed, preset_files, uploaded_preset
from cluster.jobs.working_dir import WorkingDir, scan
from cluster.pool.connection import import_ray
from lab.errors import UserError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

    from lab.config.sections import ExperimentConfig

State = Literal["ok", "warn", "fail"]
_JOB_TIMEOUT_S = 180.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Check:
    """The result of one check. fix: the advice, unless the state is ok."""

    name: str
    state: State
    detail: str
    fix: str = ""


def check_cluster(address: str, preset: str, overrides: Sequence[str], working_dir: Path) -> Iterator[Check]:
    """All checks in order, until a failure that prevents further ones. Raises UserError for an invalid preset."""
    import_ray()
    upload = scan(working_dir).including(preset_files(preset))
    config, arguments = None, []
    if preset:
        arguments = [uploaded_preset(preset, upload), *overrides]
        config = load_config(arguments[0], overrides, upload)
    try:
        client = job_server.connect(address)
    except UserError as error:
        yield Check("job server", "fail", str(error))
        return
    yield Check("job server", "ok", f"Ray answers at {address}, with the version of this machine")
    with job_server.user_errors(address):
        needs_token = _needs_token(address)
        yield _authentication(needs_token)
        try:
            upload.check()
        except UserError as error:
            yield Check("upload", "fail", str(error))
            return
        yield Check("upload", "ok", str(upload))
        report, reason = _node_report(client, upload, arguments)
    if report is None:
        fix = "install the lab on every node (cluster/manifests/Dockerfile, or `lab submit --requirements`)"
        yield Check("job", "fail", reason, fix)
        return
    yield _dashboard(report["head"]["dashboard"], needs_token)
    yield from _nodes(report["nodes"])
    if config is not None:
        yield _placement(config, report["placement"])
        yield from memory(config, report["nodes"])
    yield _wandb(report["head"]["wandb"])


def memory(config: ExperimentConfig, nodes: list[dict[str, Any]]) -> Iterator[Check]:
    """Replay memory against the memory of the head, weights and results against the smallest object store."""
    from agents.alphazero.config import AlphaZeroConfig
    from cluster.capacity import bytes_per_position, weight_bytes

    if not isinstance(config, AlphaZeroConfig):
        yield Check("memory", "ok", f"not estimated for experiments of kind {config.kind!r}")
        return
    row = bytes_per_position(config)
    replay = config.replay.capacity * row
    head = next((node["memory"] for node in nodes if node["head"]), 0.0)
    state: State = "ok" if replay < head / 2 else "warn" if replay < head else "fail"
    fix = "" if state == "ok" else "lower replay.capacity, or use a head node with more memory"
    yield Check("memory", state, f"replay needs {_gb(replay)}, the head node has {_gb(head)}", fix)
    cluster = config.cluster
    versions = (cluster.max_lag + 2) * weight_bytes(config)
    call = config.selfplay.boards * config.selfplay.moves_per_iteration * row
    store = versions + cluster.workers * (1 + cluster.results_ahead) * call
    smallest = min(node["object_store"] for node in nodes)
    state = "ok" if store < smallest / 2 else "warn" if store < smallest else "fail"
    fix = "" if state == "ok" else "start the nodes with more --object-store-memory, or lower cluster.results_ahead"
    detail = f"weights and results need about {_gb(store)}, the smallest store has {_gb(smallest)}"
    yield Check("object store", state, detail, fix)


def _needs_token(address: str) -> bool:
    """Whether the job server refuses a request without a token."""
    import requests

    return requests.get(f"{address}/api/version", timeout=job_server.TIMEOUT_S).status_code in (401, 403)


def _authentication(needs_token: bool) -> Check:
    if needs_token:
        return Check("authentication", "ok", "access needs the token")
    fix = "start every node with RAY_AUTH_MODE=token, as cluster/manifests/head.sh and worker.sh do"
    return Check("authentication", "fail", "everyone who reaches the job server can run programs on all nodes", fix)


def _dashboard(url: str, needs_token: bool) -> Check:
    host = urlsplit(f"//{url}").hostname or ""
    if host in _LOOPBACK:
        return Check("dashboard", "ok", f"listens on {url} of the head node, for local processes only")
    fix = "start the head node with --dashboard-host=127.0.0.1 and use a tunnel (ssh -L)"
    return Check(
        "dashboard", "warn" if needs_token else "fail", f"listens on {url}, which other machines can reach", fix
    )


def _node_report(
    client: JobSubmissionClient, upload: WorkingDir, arguments: Sequence[str]
) -> tuple[dict[str, Any] | None, str]:
    """Submit `cluster.jobs.node_report` and return its report, or None and the reason. The job has ended afterwards."""
    entrypoint = shlex.join(["python", "-m", "cluster.jobs.node_report", *arguments])
    name = f"lab-doctor-{secrets.token_hex(3)}"
    with packed(upload) as environment:
        job = client.submit_job(entrypoint=entrypoint, runtime_env=environment, submission_id=name)
    deadline = time.monotonic() + _JOB_TIMEOUT_S
    try:
        while not client.get_job_status(job).is_terminal():
            if time.monotonic() > deadline:
                return None, f"the job of this check did not end within {_JOB_TIMEOUT_S:g} s"
            time.sleep(0.5)
        output = client.get_job_logs(job)
        last = (output.strip().splitlines() or ["it printed nothing"])[-1]
        return node_report.read(output), f"the job of this check failed: {last}"
    finally:
        # The job is not deleted: this early, Ray would list it again as a failed job.
        if not client.get_job_status(job).is_terminal():
            client.stop_job(job)


def _nodes(nodes: list[dict[str, Any]]) -> Iterator[Check]:
    unreachable = [f"{node['address']} ({node['error']})" for node in nodes if "error" in node]
    if unreachable:
        fix = "see its logs on the dashboard; restart it with cluster/manifests/worker.sh"
        yield Check("nodes", "fail", f"{len(unreachable)} of {len(nodes)} run no worker: {', '.join(unreachable)}", fix)
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
        yield Check("versions", "ok", f"all nodes: {texts[0].partition(': ')[2]}")


def _placement(config: ExperimentConfig, placed: dict[str, Any] | None) -> Check:
    if placed is None:
        detail = "no workers and one learner: the run is one process on the head node"
        return Check("placement", "warn", detail, "set cluster.workers=8")
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
        return Check("W&B", "ok", "the head node has a key: runs are tracked online")
    fix = "`lab submit --env WANDB_API_KEY`, or `wandb login` on the head node"
    return Check("W&B", "warn", f"the head node has no key: tracking.wandb=auto is {mode} there", fix)


def _gb(size: float) -> str:
    return f"{size / 1e9:.2f} GB"
