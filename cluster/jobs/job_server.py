"""Client of Ray's job server: its address, token and version are checked, errors name their cause and the fix."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cluster.pool.connection import find_token, import_ray
from lab.errors import UserError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
TIMEOUT_S = 10
_LOGGERS = (  # those of the first two have levels of their own
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray.dashboard",
    "ray._private.runtime_env",
)
_ADDRESS_VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")


def connect(address: str) -> JobSubmissionClient:
    """A client of the job server at `address`.

    Raises UserError when Ray is not installed, nothing answers, the token is missing or wrong, or the versions of Ray
    differ.
    """
    ray = import_ray()
    from ray.job_submission import JobSubmissionClient

    address = normalize(address)
    token = find_token()
    with _without_ray_address(), user_errors(address):
        version = server_version(address, token)
        if version != ray.__version__:
            raise UserError(
                f"the cluster at {address} runs Ray {version} and this is Ray {ray.__version__}: "
                f'pip install "ray[default,train,tune]=={version}" here, or install {ray.__version__} on the cluster'
            )
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)  # otherwise the client logs uploads and sockets
        # Explicit header: given an address, Ray sends its token only with RAY_AUTH_MODE=token.
        return JobSubmissionClient(address, headers=_headers(token))


def server_version(address: str, token: str | None) -> str:
    """The Ray version of the job server. Raises UserError and the exceptions that `user_errors` converts."""
    import requests

    answer = requests.get(f"{address}/api/version", headers=_headers(token), timeout=TIMEOUT_S)
    _refuse_unauthorised(answer.status_code, address, token)
    try:
        return str(answer.json()["ray_version"])
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"the server at {address} is not a Ray job server (status {answer.status_code}): give the address of the "
            "dashboard, port 8265 by default"
        ) from None


def normalize(address: str) -> str:
    """`host:port` as an HTTP address. Raises UserError for an address that is not that of a dashboard."""
    if address == "auto" or address.startswith("ray://"):
        raise UserError(f"--address {address}: give the address of the dashboard, as in {DEFAULT_ADDRESS}")
    return (address if "://" in address else f"http://{address}").rstrip("/")


@contextmanager
def user_errors(address: str, job: str = "") -> Iterator[None]:
    """Convert the exceptions of Ray's job client to UserError."""
    import requests
    from ray.exceptions import AuthenticationError

    try:
        yield
    except AuthenticationError as error:
        _refuse_unauthorised(401 if "required" in str(error) else 403, address, find_token())
        raise
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout, ConnectionError):
        raise UserError(
            f"no cluster answers at {address}: start one (cluster/GUIDE.md), or open a tunnel to its head: "
            "ssh -N -L 8265:127.0.0.1:8265 HEAD"
        ) from None
    except requests.exceptions.RequestException as error:
        raise UserError(f"the request to {address} failed: {error}") from None
    except RuntimeError as error:  # the class of all refusals of the client
        text = str(error)
        if job and "status code 404" in text:
            raise UserError(f"no job {job!r} at {address}; `lab submit --list` lists the jobs") from None
        raise UserError(f"the cluster at {address} refused the request: {_main_line(text)}") from None


def describe(job: Any) -> dict[str, str]:
    """A job as text: its id, run, status, times and Ray's message."""
    metadata = job.metadata or {}
    return {
        "job": job.submission_id or job.job_id or "",
        "run": metadata.get("run", ""),
        "runs_dir": metadata.get("runs_dir", ""),
        "status": str(job.status),
        "started": _time(job.start_time),
        "ended": _time(job.end_time),
        "message": " ".join((job.message or "").partition(", last available logs")[0].split()),
    }


def _headers(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _refuse_unauthorised(status: int, address: str, token: str | None) -> None:
    if status not in (401, 403):
        return
    where = "RAY_AUTH_TOKEN, the file named by RAY_AUTH_TOKEN_PATH, or ~/.ray/auth_token"
    if token is None:
        raise UserError(
            f"the cluster at {address} needs a token and none was found: put the token of the head node in {where}"
        )
    raise UserError(f"the cluster at {address} does not accept the token: copy the token of the head node to {where}")


@contextmanager
def _without_ray_address() -> Iterator[None]:
    """Ray's client prefers the address of the environment to the one that it is given."""
    hidden = {name: os.environ.pop(name) for name in _ADDRESS_VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _main_line(text: str) -> str:
    """The last line of a traceback, else the first line."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if not lines:
        return "no reason given"
    return lines[-1] if any(line.startswith("Traceback") for line in lines) else lines[0]


def _time(milliseconds: int | None) -> str:
    return datetime.fromtimestamp(milliseconds / 1000).strftime("%Y-%m-%d %H:%M:%S") if milliseconds else ""
