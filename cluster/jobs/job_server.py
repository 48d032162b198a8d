"""Ray's job server, spoken to from anywhere: where it is, the token it wants, and what went wrong in one line."""

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
_ADDRESSES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")


def read_token() -> str | None:
    """The cluster's token, from where Ray looks for it. Raises UserError for a file that cannot be read."""
    from ray.exceptions import AuthenticationError

    try:
        return find_token()
    except AuthenticationError as error:
        raise UserError(str(error).partition(". ")[0]) from None


def connect(address: str) -> JobSubmissionClient:
    """A client of the job server at `address`, whose answer, token and version have been checked.

    Raises UserError: no Ray here, nobody there, no or a wrong token, another version of Ray.
    """
    ray = import_ray()
    from ray.job_submission import JobSubmissionClient

    address = normalise(address)
    token = read_token()
    with _no_address_of_the_environment(), explained(address):
        version = server_version(address, token)
        if version != ray.__version__:
            raise UserError(
                f"the cluster at {address} runs Ray {version} and this is Ray {ray.__version__}: "
                f'pip install "ray[default,train,tune]=={version}" here, or bring the cluster to {ray.__version__}'
            )
        for name in ("ray.dashboard", "ray._private.runtime_env"):
            logging.getLogger(name).setLevel(logging.ERROR)  # else the client tells of uploads and sockets
        # The header by hand: with an explicit address Ray sends its token only under RAY_AUTH_MODE=token.
        return JobSubmissionClient(address, headers=_headers(token))


def server_version(address: str, token: str | None) -> str:
    """The version of Ray of the job server. Raises UserError, or what `explained` explains."""
    import requests

    answer = requests.get(f"{address}/api/version", headers=_headers(token), timeout=TIMEOUT_S)
    _refuse_unauthorised(answer.status_code, address, token)
    try:
        return str(answer.json()["ray_version"])
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"what answers at {address} is no job server of Ray (status {answer.status_code}): "
            "give the dashboard's address, port 8265 unless it was set otherwise"
        ) from None


def normalise(address: str) -> str:
    """`host:port` as an HTTP address. Raises UserError for an address that is of another kind."""
    if address == "auto" or address.startswith("ray://"):
        raise UserError(f"--address {address}: jobs go to the dashboard, as in {DEFAULT_ADDRESS}")
    return (address if "://" in address else f"http://{address}").rstrip("/")


@contextmanager
def explained(address: str, job: str = "") -> Iterator[None]:
    """Turn the exceptions of Ray's job client into one line."""
    import requests
    from ray.exceptions import AuthenticationError

    try:
        yield
    except AuthenticationError as error:
        _refuse_unauthorised(401 if "required" in str(error) else 403, address, read_token())
        raise
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout, ConnectionError):
        raise UserError(
            f"no cluster answers at {address}: start one (cluster/GUIDE.md), or open a tunnel to its head: "
            "ssh -N -L 8265:127.0.0.1:8265 HEAD"
        ) from None
    except requests.exceptions.RequestException as error:
        raise UserError(f"cannot talk to {address}: {error}") from None
    except RuntimeError as error:  # the client's only class for whatever the server refused
        text = str(error)
        if job and "status code 404" in text:
            raise UserError(f"no job {job!r} at {address}; `lab submit --list` shows those there are") from None
        raise UserError(f"the cluster at {address} refused: {_first_line(text)}") from None


def describe(job: Any) -> dict[str, str]:
    """A job as plain values: id, run, status, started and what Ray says of it."""
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
        raise UserError(f"the cluster at {address} wants a token and none is here: put the head's in {where}")
    raise UserError(f"the cluster at {address} does not accept the token found here: copy the head's to {where}")


@contextmanager
def _no_address_of_the_environment() -> Iterator[None]:
    """Ray's client would rather go to RAY_ADDRESS than where it is told to."""
    hidden = {name: os.environ.pop(name) for name in _ADDRESSES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _first_line(text: str) -> str:
    """The line that says most: a traceback's last, else the first."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if not lines:
        return "no reason given"
    return lines[-1] if any(line.startswith("Traceback") for line in lines) else lines[0]


def _time(milliseconds: int | None) -> str:
    return datetime.fromtimestamp(milliseconds / 1000).strftime("%Y-%m-%d %H:%M:%S") if milliseconds else ""
