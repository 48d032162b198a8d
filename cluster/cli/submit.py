"""`lab submit`: train a preset as a job on a Ray cluster; list, follow and stop such jobs."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.cli.tables import print_table
from cluster.jobs import job_server
from cluster.jobs.submission import CONSTRAINTS, DEFAULT_RUNS_DIR, STOP_WAIT_S, prepare, send
from lab.cli.arguments import Overrides
from lab.errors import UserError
from lab.run.lookup import run_stem
from lab.terminal.streams import say, say_next, warn
from lab.terminal.text import without_colours

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient


def submit(
    preset: Annotated[
        str,
        typer.Argument(metavar="PRESET", help="A name from `lab list`, or a YAML file's path.", show_default=False),
    ] = "",
    overrides: Overrides = None,
    address: Annotated[
        str, typer.Option(help="The job server: the dashboard of the head node.")
    ] = job_server.DEFAULT_ADDRESS,
    name: Annotated[str, typer.Option(help="Name of the run.", show_default="PRESET-date-time")] = "",
    runs_dir: Annotated[
        str, typer.Option(help="Runs directory on the cluster: on the head node's disk, or a shared folder.")
    ] = DEFAULT_RUNS_DIR,
    follow: Annotated[bool, typer.Option(help="Show the job's output until it ends.")] = True,
    env: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY", help="Pass this environment variable to the run, as in --env WANDB_API_KEY; repeatable."
        ),
    ] = None,
    working_dir: Annotated[
        Path, typer.Option(help="Directory that is uploaded with the job: what git tracks, or source files.")
    ] = Path(),
    requirements: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help=f"Install these packages on the cluster, with the versions of {CONSTRAINTS}."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the files that would be uploaded, and submit nothing.")
    ] = False,
    status: Annotated[str, typer.Option(metavar="JOB", help="Print the status of a job.", show_default=False)] = "",
    logs: Annotated[
        str,
        typer.Option(
            metavar="JOB", help="Print a job's output; until it ends, unless --no-follow.", show_default=False
        ),
    ] = "",
    stop: Annotated[
        str, typer.Option(metavar="JOB", help="Stop a job; its run writes a checkpoint.", show_default=False)
    ] = "",
    show_list: Annotated[bool, typer.Option("--list", help="List the cluster's jobs.")] = False,
) -> None:
    """Train a preset on a Ray cluster: `lab submit PRESET --address http://127.0.0.1:8265`.

    The same command with the same --name continues the run. Ctrl-C stops following, not the job. The cluster's token is
    read from RAY_AUTH_TOKEN or ~/.ray/auth_token.
    """
    if sum(map(bool, (preset, status, logs, stop, show_list))) != 1:
        raise UserError("give one of PRESET, --status JOB, --logs JOB, --stop JOB and --list (see `lab submit --help`)")
    if preset:
        submission, notes = prepare(
            preset,
            overrides or [],
            run=name or f"{run_stem(preset)}-{time.strftime('%Y%m%d-%H%M%S')}",
            runs_dir=runs_dir,
            working_dir=working_dir,
            env=env or [],
            requirements=requirements,
        )
        if dry_run:
            say("\n".join(sorted(submission.upload.files)))
        for note in notes:
            say(note)
        if dry_run:
            return
        client = job_server.connect(address)
        job = send(client, submission, address)
        say(f"job {job}: run {submission.run} in {submission.runs_dir} on the cluster")
        if follow:
            raise typer.Exit(_follow(client, job, address))
        say_next(_command(option, job, address) for option in ("--logs", "--status", "--stop"))
        return
    client = job_server.connect(address)
    with job_server.user_errors(address, status or logs or stop):
        if show_list:
            _print_list(client)
        elif status:
            described = job_server.describe(client.get_job_info(status))
            say("\n".join(f"{key.replace('_', ' ')}: {value}" for key, value in described.items() if value))
        elif stop:
            _stop(client, stop)
        elif follow and not client.get_job_status(logs).is_terminal():
            raise typer.Exit(_follow(client, logs, address))
        else:
            say(without_colours(client.get_job_logs(logs)), end="")


def _follow(client: JobSubmissionClient, job: str, address: str) -> int:
    """Show a job's output until it ends; return the exit code of `lab submit`."""

    async def tail() -> None:
        async for text in client.tail_job_logs(job):
            say(without_colours(text), end="")

    try:
        with job_server.user_errors(address, job):
            asyncio.run(tail())
            info = client.get_job_info(job)
    except KeyboardInterrupt:
        say(f"\nno longer following job {job}, which continues. Follow it with `{_command('--logs', job, address)}`,")
        say(f"stop it with `{_command('--stop', job, address)}`")
        return 130
    described = job_server.describe(info)
    if described["status"] == "SUCCEEDED":
        return 0
    if not info.status.is_terminal():
        raise UserError(f"the connection was lost, job {job} continues: `{_command('--logs', job, address)}`")
    warn(f"job {job} {described['status'].lower()}: {described['message']}")
    code = info.driver_exit_code or 1
    if code != 2:  # with 2, `lab train` has printed what to correct
        warn("submit it again with the same --name to continue from its last checkpoint")
    return code


def _stop(client: JobSubmissionClient, job: str) -> None:
    if client.stop_job(job):
        say(f"job {job} is stopping: it finishes its iteration and writes a checkpoint (at most {STOP_WAIT_S} s)")
    else:
        say(f"job {job} has already ended: {client.get_job_status(job)}")


def _print_list(client: JobSubmissionClient) -> None:
    # Without a submission id a job is a process that joined the cluster by itself, unknown to the job server.
    jobs = [job_server.describe(job) for job in client.list_jobs() if job.submission_id]
    if not jobs:
        say("no jobs; `lab submit PRESET` submits one")
        return
    columns = ("job", "status", "started")  # a job has the name of its run
    rows = [[job[column] for column in columns] for job in sorted(jobs, key=lambda job: job["started"])]
    print_table(columns, rows, wrap=False)


def _command(option: str, job: str, address: str) -> str:
    where = "" if address == job_server.DEFAULT_ADDRESS else f" --address {address}"
    return f"lab submit {option} {job}{where}"
