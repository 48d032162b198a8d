"""`lab submit`: the run that `lab train` would start, as a job on a Ray cluster."""

from __future__ import annotations

import asyncio
import secrets
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.jobs import encrypted_env, job_server
from cluster.jobs.working_dir import EXCLUDES, Package, measure
from cluster.pool.connection import import_ray
from lab.cli.arguments import Overrides
from lab.errors import UserError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

    from lab.config.sections import ExperimentConfig

CLUSTER_RUNS = "~/runs"
_STOP_WAIT_S = 120  # Ray would kill a run 3 s after asking it to stop, in the middle of its last checkpoint
_CONSTRAINTS = "constraints.txt"

Address = Annotated[str, typer.Option(help="The job server: the dashboard of the cluster's head.")]
WorkingDir = Annotated[Path, typer.Option(help="What is sent with the job: a checkout, or a folder with your YAML.")]


@dataclass(frozen=True)
class Submission:
    """A job, ready to be sent: the run it trains, its command, its environment and what it reserves."""

    run: str
    runs_dir: str
    entrypoint: str
    runtime_env: dict[str, Any]
    cpus: float = 0.0
    gpus: float = 0.0

    @property
    def metadata(self) -> dict[str, str]:
        """What `lab submit --list` shows of it later."""
        return {"job_name": self.run, "run": self.run, "runs_dir": self.runs_dir}


def submit(
    preset: Annotated[
        str,
        typer.Argument(metavar="PRESET", help="A name from `lab list`, or a YAML file's path.", show_default=False),
    ] = "",
    overrides: Overrides = None,
    address: Address = job_server.DEFAULT_ADDRESS,
    name: Annotated[str, typer.Option(help="Name of the run.", show_default="PRESET-date-time")] = "",
    runs_dir: Annotated[
        str, typer.Option(help="Where the run is kept on the cluster: the head's disk, or a shared folder.")
    ] = CLUSTER_RUNS,
    follow: Annotated[bool, typer.Option(help="Show the job's output until it ends.")] = True,
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="Give the run this variable of yours, as in --env WANDB_API_KEY; repeatable."),
    ] = None,
    working_dir: WorkingDir = Path(),
    requirements: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Install these on the cluster, pinned by {_CONSTRAINTS} where it has them."),
    ] = None,
    status: Annotated[str, typer.Option(metavar="JOB", help="Say how a job is doing.", show_default=False)] = "",
    logs: Annotated[
        str,
        typer.Option(
            metavar="JOB", help="Print a job's output; until it ends, unless --no-follow.", show_default=False
        ),
    ] = "",
    stop: Annotated[
        str, typer.Option(metavar="JOB", help="Stop a job; its run leaves a checkpoint.", show_default=False)
    ] = "",
    show_list: Annotated[bool, typer.Option("--list", help="List the cluster's jobs.")] = False,
) -> None:
    """Train a preset on a Ray cluster: `lab submit PRESET --address http://127.0.0.1:8265`.

    The same name submitted again continues its run. Ctrl-C stops following, not the job. The cluster's token is read
    from RAY_AUTH_TOKEN or ~/.ray/auth_token.
    """
    if sum(map(bool, (preset, status, logs, stop, show_list))) != 1:
        raise UserError("give one of PRESET, --status JOB, --logs JOB, --stop JOB and --list (see `lab submit --help`)")
    if preset:
        submission = prepare(preset, overrides or [], name, runs_dir, working_dir, env or [], requirements)
        raise typer.Exit(_send(submission, address, follow))
    client = job_server.connect(address)
    with job_server.explained(address, status or logs or stop):
        if show_list:
            _print_list(client)
        elif status:
            _print_status(job_server.describe(client.get_job_info(status)))
        elif stop:
            _stop(client, stop)
        elif follow and not client.get_job_status(logs).is_terminal():
            raise typer.Exit(_follow(client, logs, address))
        else:
            sys.stdout.write(client.get_job_logs(logs))


def prepare(
    preset: str,
    overrides: Sequence[str],
    name: str,
    runs_dir: str,
    working_dir: Path,
    env: Sequence[str],
    requirements: Path | None,
) -> Submission:
    """Everything that can be checked before a cluster is spoken to. Raises UserError."""
    import_ray()
    from lab.run.lookup import run_stem
    from lab.run.run_dir import check_name

    if not runs_dir.startswith(("/", "~/")):
        raise UserError(
            f"--runs-dir {runs_dir}: give an absolute path on the cluster (or ~/...); the job's own folder is a copy "
            "that Ray removes"
        )
    package = measure(working_dir)
    package.check()
    preset = sent_preset(preset, package)
    cluster = checked_config(preset, overrides, package).cluster
    cpus, gpus = (cluster.learner_cpus, cluster.learner_gpus) if cluster.learners == 1 else (0.0, 0.0)
    if not cluster.used:
        where = f"a node with {cpus:g} CPUs and {gpus:g} GPUs free" if cpus or gpus else "the cluster's head"
        print(f"note: without workers or several learners the whole run is one process on {where}")
    if (cpus or gpus or cluster.learners > 1) and runs_dir == CLUSTER_RUNS:
        print("note: any node may train it, and continue it only if it finds the run: give a --runs-dir that all share")
    run = check_name(name or f"{run_stem(preset)}-{time.strftime('%Y%m%d-%H%M%S')}")
    command = ["python", "-m", "lab", "train", preset, *overrides, "--resume", "--name", run]
    entrypoint = f"{shlex.join(command)} --runs-dir {_shell_path(runs_dir)}"
    variables = {"RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_WAIT_S)}
    if env:
        entrypoint = f"python -m cluster.jobs.encrypted_env {entrypoint}"
        variables[encrypted_env.VARIABLE] = _seal(env)
    runtime_env = {"working_dir": str(package.working_dir), "excludes": list(EXCLUDES), "env_vars": variables}
    if requirements is not None:
        packages = pinned(requirements, package.working_dir / _CONSTRAINTS)
        runtime_env["pip"] = {"packages": packages, "pip_check": False}
    print(f"package: {package} of {package.working_dir}")
    return Submission(run, runs_dir, entrypoint, runtime_env, cpus, gpus)


def pinned(requirements: Path, constraints: Path) -> list[str]:
    """The requirements of a file, each without a version pinned as in the constraints, if it is there; not Ray.

    Ray is the cluster's own: another beside it would not talk to it. Raises UserError.
    """
    from packaging.utils import canonicalize_name

    pins = {canonicalize_name(one.name): one for one in _parse(constraints)} if constraints.is_file() else {}
    wanted = [one for one in _parse(requirements) if canonicalize_name(one.name) != "ray"]
    for one in wanted:
        if not one.specifier and not one.url and (pin := pins.get(canonicalize_name(one.name))) is not None:
            one.specifier = pin.specifier
    return [str(one) for one in wanted]


def _parse(path: Path) -> list[Any]:
    """The lines of a requirements file as `packaging` reads them. Raises UserError."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the requirements {str(path)!r}: {error}") from None
    found = []
    for number, line in enumerate(lines, 1):
        text = line.partition(" #")[0].strip()
        if not text or text.startswith("#"):
            continue
        try:
            found.append(Requirement(text))
        except InvalidRequirement:
            raise UserError(f"{path}:{number}: {text!r} names no package; only lines as `name==1.2` are sent") from None
    return found


def sent_preset(preset: str, package: Package) -> str:
    """A preset's name on the cluster: a file of one's own by its path in the package. Raises UserError."""
    if not preset.endswith(".yaml"):
        return preset
    path = Path(preset).expanduser().resolve()
    inside = path.relative_to(package.working_dir) if path.is_relative_to(package.working_dir) else None
    if path.is_file() and str(inside) not in package.files:
        raise UserError(f"{preset} is not sent with the job: put it in {package.working_dir}, outside what is ignored")
    return str(inside or preset)


def checked_config(preset: str, overrides: Sequence[str], package: Package) -> ExperimentConfig:
    """The configuration that `lab train` will make there. Raises UserError for whatever it would refuse."""
    from lab.config.loading import load_preset

    return load_preset(str(package.working_dir / preset) if preset.endswith(".yaml") else preset, overrides)


def _seal(names: Sequence[str]) -> str:
    if any("=" in name for name in names):
        raise UserError("--env takes the name of a variable, not its value: `export KEY=...`, then --env KEY")
    token = job_server.read_token()
    if token is None:
        raise UserError("--env needs the cluster's token, with which values are sealed: see cluster/GUIDE.md")
    return encrypted_env.seal(names, token)


def _shell_path(path: str) -> str:
    """Quoted for the shell of the cluster, which is to expand a leading ~."""
    return f"~/{shlex.quote(path[2:])}" if path.startswith("~/") else shlex.quote(path)


def _send(submission: Submission, address: str, follow: bool) -> int:
    client = job_server.connect(address)
    with job_server.explained(address):
        _refuse_twice(client, submission.run)
        job = client.submit_job(
            entrypoint=submission.entrypoint,
            entrypoint_num_cpus=submission.cpus or None,
            entrypoint_num_gpus=submission.gpus or None,
            runtime_env=submission.runtime_env,
            metadata=submission.metadata,
            submission_id=f"{submission.run}-{secrets.token_hex(3)}",
        )
    print(f"job {job}: run {submission.run} in {submission.runs_dir} on the cluster")
    if follow:
        return _follow(client, job, address)
    where = _where(address)
    print(f"next: lab submit --logs {job}{where} | lab submit --status {job}{where} | lab submit --stop {job}{where}")
    return 0


def _refuse_twice(client: JobSubmissionClient, run: str) -> None:
    """Two jobs must not train one run; where they share no disk with locks, nothing else would notice."""
    for job in map(job_server.describe, client.list_jobs()):
        if job["run"] == run and job["status"] in ("PENDING", "RUNNING"):
            raise UserError(f"job {job['job']} trains run {run!r} already: stop it first, or give another --name")


def _follow(client: JobSubmissionClient, job: str, address: str) -> int:
    """Show a job's output until it ends; return an exit code that says how."""

    async def tail() -> None:
        async for text in client.tail_job_logs(job):
            sys.stdout.write(text)
            sys.stdout.flush()

    try:
        with job_server.explained(address, job):
            asyncio.run(tail())
            info = client.get_job_info(job)
    except KeyboardInterrupt:
        where = _where(address)
        print(
            f"\nno longer following; job {job} goes on. Follow it with `lab submit --logs {job}{where}`, stop it with"
        )
        print(f"  lab submit --stop {job}{where}")
        return 130
    described = job_server.describe(info)
    if described["status"] == "SUCCEEDED":
        return 0
    if not info.status.is_terminal():
        raise UserError(f"the connection was lost while job {job} goes on: `lab submit --logs {job}{_where(address)}`")
    print(f"job {job} {described['status'].lower()}: {described['message']}", file=sys.stderr)
    code = info.driver_exit_code or 1
    if code != 2:  # else `lab train` has said what to correct
        print("submitted again under the same --name, it continues from its last checkpoint", file=sys.stderr)
    return code


def _stop(client: JobSubmissionClient, job: str) -> None:
    if client.stop_job(job):
        print(
            f"job {job} was asked to stop; it finishes its iteration and leaves a checkpoint (at most {_STOP_WAIT_S} s)"
        )
    else:
        print(f"job {job} had ended already: {client.get_job_status(job)}")


def _print_status(job: dict[str, str]) -> None:
    print("\n".join(f"{key.replace('_', ' ')}: {value}" for key, value in job.items() if value))


def _print_list(client: JobSubmissionClient) -> None:
    from rich.console import Console
    from rich.table import Table

    # Without a submission id it is a process that joined the cluster by itself: none of the job server's.
    found = sorted(
        (job_server.describe(job) for job in client.list_jobs() if job.submission_id), key=lambda job: job["started"]
    )
    if not found:
        print("no jobs; `lab submit PRESET` sends one")
        return
    columns = ("job", "status", "started")  # the job is named after its run
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for job in found:
        table.add_row(*(job[column] for column in columns))
    Console(highlight=False).print(table, soft_wrap=True)  # never cuts a name that is to be copied


def _where(address: str) -> str:
    return "" if address == job_server.DEFAULT_ADDRESS else f" --address {address}"
