"""The one place that starts or joins Ray, and that turns what can go wrong there into one line."""

import contextlib
import json
import os
import platform
import secrets
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

from lab.config.sections import ClusterConfig
from lab.errors import UserError
from lab.train.device import Device

PROBE_TIMEOUT_S = 5.0  # for a cluster's head to answer at all
_INSTALL = "pip install 'rivals-lab[cluster]'"


@dataclass(frozen=True)
class Connection:
    """The cluster this process is connected to. `started`: it was started for, and ends with, this connection."""

    address: str
    nodes: int
    cpus: float
    gpus: float
    authentication: Literal["token", "none"]
    started: bool

    def __str__(self) -> str:
        where = "a cluster started on this machine" if self.started else f"the cluster at {self.address}"
        unsafe = "" if self.authentication == "token" else ", open to anyone who reaches it (no token authentication)"
        return f"{where} ({self.nodes} nodes, {self.cpus:g} CPUs, {self.gpus:g} GPUs{unsafe})"


@dataclass(frozen=True)
class Versions:
    """What a cluster runs on."""

    ray: str
    python: str


@contextlib.contextmanager
def connect(cluster: ClusterConfig, device: Device | None = None) -> Iterator[Connection]:
    """The configured cluster, started or joined; on leaving, what was started ends and what was joined is left.

    A process that is connected already stays so. device: the learner's, which tells whether workers want GPUs.
    Raises UserError when Ray is missing, nothing answers at the address, token or versions differ, or more is asked
    of this machine than it has.
    """
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # would rebuild the environment for every worker
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = import_ray()
    if ray.is_initialized():
        yield _connection(ray, started=False)
        return
    address = cluster.address or os.environ.get("RAY_ADDRESS")
    try:
        with _keeping_sigterm():
            if address is None:
                _start(ray, cluster)
            else:
                _join(ray, address, cluster)
        connection = _connection(ray, started=address is None)
        if connection.started:
            _check_room(connection, cluster, device)
        yield connection
    finally:
        ray.shutdown()


def import_ray() -> Any:
    """The module. Raises UserError where it is not installed."""
    try:
        import ray
    except ImportError:
        raise UserError(f"workers need Ray, which is not installed: {_INSTALL}") from None
    return ray


def gpu_share(cluster: ClusterConfig, device: Device | None, gpus: float) -> float:
    """The part of a GPU that each worker gets: as configured, else an equal one if the learner computes on a GPU.

    A single learner shares its GPU with them, unless it reserves one; several have one each to themselves. Raises
    UserError when those leave none.
    """
    if cluster.worker_gpus is not None:
        return cluster.worker_gpus
    if not cluster.workers or device is None or device.device.type != "cuda" or gpus < 1:
        return 0.0
    left = int(gpus) - (cluster.learners if cluster.learners > 1 else ceil(cluster.learner_gpus))
    if left < 1:
        cause = f"learners={cluster.learners}" if cluster.learners > 1 else f"learner_gpus={cluster.learner_gpus:g}"
        raise UserError(
            f"cluster.{cause} leaves none of {gpus:g} GPUs to the workers; lower it, or "
            "set cluster.worker_gpus=0 for them to play on CPUs"
        )
    to_a_gpu = -(-cluster.workers // left)
    return 1.0 if to_a_gpu == 1 else int(10_000 / to_a_gpu) / 10_000  # Ray counts in ten-thousandths


def probe(address: str, token: str | None, timeout_s: float = PROBE_TIMEOUT_S) -> Versions:
    """What runs at "host:port". Raises UserError when nothing answers in time or the token is not accepted.

    Ray's own client asks for twenty seconds and then says the same of a wrong token as of an absent cluster.
    """
    import grpc
    from ray.core.generated import gcs_service_pb2 as messages
    from ray.core.generated.gcs_service_pb2_grpc import InternalKVGcsServiceStub

    request = messages.InternalKVGetRequest(key=b"CLUSTER_METADATA", namespace=b"cluster")
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            reply = InternalKVGcsServiceStub(channel).InternalKVGet(request, timeout=timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            raise UserError(_refusal(address, token, error.code().name)) from None
    try:
        found = json.loads(reply.value)
        return Versions(found["ray_version"], found["python_version"])
    except (ValueError, KeyError):
        raise UserError(f"what answers at {address} is not the head of a Ray cluster; give its host:6379") from None


def find_token() -> str | None:
    """The token that Ray would use: $RAY_AUTH_TOKEN, the file $RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token.

    Raises UserError where the file that is named cannot be read.
    """
    ray = import_ray()
    from ray._raylet import AuthenticationTokenLoader

    loader = AuthenticationTokenLoader.instance()
    loader.reset_cache()
    try:
        return loader.get_raw_token(ignore_auth_mode=True) or None
    except ray.exceptions.AuthenticationError:  # a paragraph of advice
        where = os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")
        raise UserError(f"{where} has no token for Ray; write one there, or unset RAY_AUTH_TOKEN_PATH") from None


def _refusal(address: str, token: str | None, code: str) -> str:
    if code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        which = "does not accept this token" if token else "wants a token and none was found"
        return f"the cluster at {address} {which}; put the cluster's own into RAY_AUTH_TOKEN or ~/.ray/auth_token"
    return (
        f"no Ray cluster answers at {address} within {PROBE_TIMEOUT_S:g} s; check the address (host:6379) and that "
        "`ray status` shows the cluster there"
    )


def _start(ray: Any, cluster: ClusterConfig) -> None:
    """A cluster on this machine, closed to other users of it by a token that only its processes know."""
    if os.environ.get("RAY_AUTH_MODE", "token") == "token":
        if find_token() is None:
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        use_tokens()
    # "local" starts one even where another runs: joining is only ever asked for.
    _init(ray, "local", cluster, include_dashboard=cluster.dashboard, dashboard_host="127.0.0.1")


def _join(ray: Any, address: str, cluster: ClusterConfig) -> None:
    address = _head_address(address)
    token = find_token()
    theirs = probe(address, token)
    _check_versions(address, theirs, Versions(ray.__version__, platform.python_version()))
    # Ray sends a token only when told to; a cluster without authentication ignores it.
    if token is not None and "RAY_AUTH_MODE" not in os.environ:
        use_tokens()
    _init(ray, address, cluster)


def _init(ray: Any, address: str, cluster: ClusterConfig, **options: Any) -> None:
    try:
        ray.init(address, log_to_driver=cluster.worker_logs, logging_level="ERROR", **options)
    except (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
        reason = str(error).strip().splitlines()[0]
        if address == "local":
            raise UserError(f"Ray did not start on this machine: {reason}") from error
        raise UserError(
            f"cannot join the cluster at {address}: {reason}; run this on one of its nodes, or send the run there with "
            "`lab submit`"
        ) from error


def _head_address(address: str) -> str:
    """ "host:port" of the head."""
    if address == "auto":
        from ray._private.services import find_gcs_addresses

        # A job is told its own; its machine may have several.
        own = os.environ.get("RAY_ADDRESS", address)
        found = [own] if own != address else sorted(find_gcs_addresses())
        if not found:
            raise UserError("no Ray cluster runs on this machine; leave the address out to start one")
        return found[0]
    if "://" in address or ":" not in address:
        raise UserError(
            f"cluster address {address!r} is not that of a head, host:6379; to send a run to a cluster from outside "
            "use `lab submit`"
        )
    return address


def _check_versions(address: str, theirs: Versions, ours: Versions) -> None:
    minor = os.environ.get("RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL") == "minor"
    parts = 2 if minor else 3
    same_python = theirs.python.split(".")[:parts] == ours.python.split(".")[:parts]
    if theirs.ray != ours.ray or not same_python:
        raise UserError(
            f"the cluster at {address} runs Ray {theirs.ray} on Python {theirs.python}, this process Ray {ours.ray} on "
            f"Python {ours.python}; Ray needs them equal"
        )


def _check_room(connection: Connection, cluster: ClusterConfig, device: Device | None) -> None:
    """Only for a cluster of this machine, which does not grow; elsewhere placing the workers has a time limit."""
    if not cluster.workers:
        return
    learners = cluster.learners if cluster.learners > 1 else 0
    cpus = (cluster.workers + learners) * cluster.worker_cpus
    if cpus > connection.cpus:
        who = f"{cluster.workers} workers" + (f" and {learners} learners" if learners else "")
        raise UserError(
            f"{who} with {cluster.worker_cpus:g} CPUs each need {cpus:g}, and this machine has "
            f"{connection.cpus:g}; lower cluster.workers or cluster.worker_cpus"
        )
    share = gpu_share(cluster, device, connection.gpus)
    room = int(connection.gpus) * int(1 / share) if 0 < share <= 1 else connection.gpus // share if share else None
    if room is not None and cluster.workers > room:
        raise UserError(
            f"{cluster.workers} workers with {share:g} of a GPU each do not fit on this machine's {connection.gpus:g} "
            "GPUs; lower cluster.workers or cluster.worker_gpus"
        )


def _connection(ray: Any, started: bool) -> Connection:
    from ray._raylet import AuthenticationMode, get_authentication_mode

    resources = ray.cluster_resources()
    return Connection(
        address=ray.get_runtime_context().gcs_address,
        nodes=sum(node["Alive"] for node in ray.nodes()),
        cpus=resources.get("CPU", 0.0),
        gpus=resources.get("GPU", 0.0),
        authentication="token" if get_authentication_mode() == AuthenticationMode.TOKEN else "none",
        started=started,
    )


def use_tokens() -> None:
    """Has this process, and those it starts, prove themselves to Ray with a token."""
    os.environ["RAY_AUTH_MODE"] = "token"
    from ray._raylet import AuthenticationTokenLoader, Config

    # Both were read when Ray was imported.
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextlib.contextmanager
def _keeping_sigterm() -> Iterator[None]:
    """Ray puts in a handler that exits at once, where a run wants to save first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
