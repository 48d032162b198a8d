"""Submission of a run as a job: the `lab train` command, its runtime environment and its resources."""

from __future__ import annotations

import os
import secrets
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.jobs import encrypted_env, job_server
from cluster.jobs.working_dir import WorkingDir, scan
from cluster.pool.connection import find_token, import_ray
from lab.errors import UserError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

    from lab.config.sections import ExperimentConfig

DEFAULT_RUNS_DIR = "~/runs"
STOP_WAIT_S = 120  # Ray's default of 3 s between SIGTERM and SIGKILL is too short for the last checkpoint
CONSTRAINTS = "constraints.txt"


@dataclass(frozen=True)
class Submission:
    """A job that is ready to be sent.

    runtime_env: without the working directory, which is `upload`. cpus, gpus: reserved for the job's own process.
    """

    run: str
    runs_dir: str
    entrypoint: str
    upload: WorkingDir
    runtime_env: dict[str, Any]
    cpus: float = 0.0
    gpus: float = 0.0


def prepare(
    preset: str,
    overrides: Sequence[str],
    *,
    run: str,
    runs_dir: str,
    working_dir: Path,
    env: Sequence[str],
    requirements: Path | None,
) -> tuple[Submission, list[str]]:
    """The submission of a run, and notes for the user. Raises UserError for errors found without a cluster."""
    import_ray()
    from lab.run.run_dir import check_name

    if not runs_dir.startswith(("/", "~/")):
        raise UserError(
            f"--runs-dir {runs_dir}: give an absolute path on the cluster (or ~/...); Ray deletes the job's working "
            "directory"
        )
    upload = scan(working_dir).including(preset_files(preset))
    upload.check()
    preset = uploaded_preset(preset, upload)
    cluster = load_config(preset, overrides, upload).cluster
    cpus, gpus = (cluster.learner_cpus, cluster.learner_gpus) if cluster.learners == 1 else (0.0, 0.0)
    notes = []
    if not cluster.used:
        where = f"a node with {cpus:g} CPUs and {gpus:g} GPUs free" if cpus or gpus else "the head node"
        notes.append(f"note: without workers or several learners the run is one process on {where}")
    if (cpus or gpus or cluster.learners > 1) and runs_dir == DEFAULT_RUNS_DIR:
        notes.append(
            "note: the run may be placed on any node, and can only be continued where its files are: give a --runs-dir "
            "that all nodes share"
        )
    notes += upload.notes()
    command = ["python", "-m", "lab", "train", preset, *overrides, "--resume", "--name", check_name(run)]
    entrypoint = f"{shlex.join(command)} --runs-dir {_shell_path(runs_dir)}"
    variables = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S)}
    if env:
        entrypoint = f"python -m cluster.jobs.encrypted_env {entrypoint}"
        variables[encrypted_env.VARIABLE] = _encrypt(env)
    runtime_env: dict[str, Any] = {"env_vars": variables}
    if requirements is not None:
        packages = pinned_requirements(requirements, upload.path / CONSTRAINTS)
        runtime_env["pip"] = {"packages": packages, "pip_check": False}
    return Submission(run, runs_dir, entrypoint, upload, runtime_env, cpus, gpus), notes


@contextmanager
def packed(upload: WorkingDir) -> Iterator[dict[str, Any]]:
    """The part of a runtime environment that uploads these files and no others: an archive, which Ray sends as it is.

    The archive is in a folder that only this user can read, and is removed at the end. Raises UserError.
    """
    with tempfile.TemporaryDirectory(prefix="rivals-upload-") as folder:
        archive = Path(folder) / "working_dir.zip"
        upload.pack(archive)
        yield {"working_dir": str(archive)}


def send(client: JobSubmissionClient, submission: Submission, address: str) -> str:
    """Submit the job; return its id. Raises UserError when another job trains the run, or the cluster refuses."""
    run = submission.run
    with job_server.user_errors(address):
        # Checked here, since the lock of the run works only on a shared disk.
        for job in map(job_server.describe, client.list_jobs()):
            if job["run"] == run and job["status"] in ("PENDING", "RUNNING"):
                raise UserError(f"job {job['job']} already trains run {run!r}: stop it first, or give another --name")
        with packed(submission.upload) as working_dir:
            return client.submit_job(
                entrypoint=submission.entrypoint,
                entrypoint_num_cpus=submission.cpus or None,
                entrypoint_num_gpus=submission.gpus or None,
                runtime_env=working_dir | submission.runtime_env,
                metadata={"job_name": run, "run": run, "runs_dir": submission.runs_dir},
                submission_id=f"{run}-{secrets.token_hex(3)}",
            )


def pinned_requirements(requirements: Path, constraints: Path) -> list[str]:
    """The requirements of a file; those without a version get the version of the constraints file, if it exists.

    Ray is left out: the cluster's own version must be used. Raises UserError.
    """
    from packaging.utils import canonicalize_name

    pins = {canonicalize_name(one.name): one for one in _parse(constraints)} if constraints.is_file() else {}
    wanted = [one for one in _parse(requirements) if canonicalize_name(one.name) != "ray"]
    for one in wanted:
        if not one.specifier and not one.url and (pin := pins.get(canonicalize_name(one.name))) is not None:
            one.specifier = pin.specifier
    return [str(one) for one in wanted]


def _parse(path: Path) -> list[Any]:
    """The lines of a requirements file as `packaging.requirements.Requirement`. Raises UserError."""
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
            raise UserError(
                f"{path}:{number}: {text!r} is not a package; only lines like `name==1.2` are supported"
            ) from None
    return found


def preset_files(preset: str) -> list[Path]:
    """The YAML files that a preset consists of: itself, if it is a file, and its bases that are. Raises UserError."""
    from lab.config.presets import SUFFIX, layers

    found, folder = [], Path()
    for name, _ in reversed(layers(preset)) if preset.endswith(SUFFIX) else ():
        if not name.endswith(SUFFIX):
            break
        found.append(folder / Path(os.path.expanduser(name)))
        folder = found[-1].parent
    return found


def uploaded_preset(preset: str, upload: WorkingDir) -> str:
    """The preset's name in the job; for a YAML file of the upload its path in the working directory."""
    if not preset.endswith(".yaml"):
        return preset
    path = Path(os.path.expanduser(preset))
    return (path.parent.resolve() / path.name).relative_to(upload.path).as_posix()


def load_config(preset: str, overrides: Sequence[str], upload: WorkingDir) -> ExperimentConfig:
    """The configuration that `lab train` loads in the job. Raises UserError where `lab train` would."""
    from lab.config.loading import load_preset

    return load_preset(str(upload.path / preset) if preset.endswith(".yaml") else preset, overrides)


def _encrypt(names: Sequence[str]) -> str:
    if any("=" in name for name in names):
        raise UserError("--env takes the name of a variable, not its value: `export KEY=...`, then --env KEY")
    token = find_token()
    if token is None:
        raise UserError("--env needs the cluster's token, which encrypts the values: see cluster/GUIDE.md")
    return encrypted_env.encrypt(names, token)


def _shell_path(path: str) -> str:
    """A path quoted for the shell of the cluster, which expands a leading ~."""
    return f"~/{shlex.quote(path[2:])}" if path.startswith("~/") else shlex.quote(path)
