"""Connection to Ray: a local cluster is started or an existing one joined; errors name their cause and the fix."""

import contextlib
import os
import platform
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Literal

from cluster.pool.local_cluster import loopback_environment, on_loopback, own_signal_handlers, private_folder
from lab.config.sections import ClusterConfig
from lab.errors import UserError
from lab.files.plain import parse_json
from lab.train.device import Device

QUERY_TIMEOUT_S = 5.0  # for the head node to answer
_INSTALL = "pip install 'rivals-lab[cluster]'"


@dataclass(frozen=True)
class Connection:
    """The cluster of this process. `started`: it was started by this connection and ends with it."""

    address: str
    nodes: int
    cpus: float
    gpus: float
    authentication: Literal["token", "none"]
    started: bool

    def __str__(self) -> str:
        where = "a local Ray cluster" if self.started else f"the cluster at {self.address}"
        unsafe = "" if self.authentication == "token" else ", no token authentication: open to the whole network"
        return f"{where} ({self.nodes} nodes, {self.cpus:g} CPUs, {self.gpus:g} GPUs{unsafe})"


@dataclass(frozen=True)
class Versions:
    """Versions of a cluster."""

    ray: str
    python: str


@contextlib.contextmanager
def connect(cluster: ClusterConfig, device: Device | None = None) -> Iterator[Connection]:
    """Start or join the configured cluster. On exit a started cluster is shut down; a joined one keeps running.

    A process that is already connected stays connected. device: the learner's; with a GPU the workers get GPUs too.
    Raises UserError when Ray is not installed, nothing answers at the address, the token or the versions differ, or the
    configuration needs more CPUs or GPUs than a local cluster has.
    """
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # otherwise uv rebuilds the environment for each worker
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = import_ray()
    if ray.is_initialized():
        yield _connection(ray, started=False)
        return
    address = cluster.address or os.environ.get("RAY_ADDRESS")
    with contextlib.ExitStack() as local:
        folder = None
        if address is None:
            folder = local.enter_context(private_folder())
            local.enter_context(loopback_environment())
        try:
            with own_signal_handlers():
                if folder is not None:
                    _start(ray, cluster, folder)
                elif address is not None:
                    _join(ray, address, cluster)
            connection = _connection(ray, started=address is None)
            if connection.started:
                _check_capacity(connection, cluster, device)
            yield connection
        finally:
            ray.shutdown()


def import_ray() -> Any:
    """The module `ray`. Raises UserError where it is not installed, and on Windows."""
    if sys.platform == "win32":  # processes end with their parents by signals and groups that Windows lacks
        raise UserError("runs on Ray are for Linux and macOS: leave out cluster.*, or use WSL 2 on Windows")
    try:
        import ray
    except ImportError:
        raise UserError(f"this needs Ray, which is not installed: {_INSTALL}") from None
    return ray


def gpus_per_worker(cluster: ClusterConfig, device: Device | None, gpus: float) -> float:
    """GPUs of each worker: `cluster.worker_gpus`, else an equal fraction if the learner computes on a GPU, else 0.

    gpus: of the cluster. A single learner shares its GPU with the workers unless `cluster.learner_gpus` reserves it;
    each of several learners has a whole GPU. Raises UserError when no GPU is left for the workers.
    """
    if cluster.worker_gpus is not None:
        return cluster.worker_gpus
    if not cluster.workers or device is None or device.device.type != "cuda" or gpus < 1:
        return 0.0
    left = int(gpus) - (cluster.learners if cluster.learners > 1 else ceil(cluster.learner_gpus))
    if left < 1:
        cause = f"learners={cluster.learners}" if cluster.learners > 1 else f"learner_gpus={cluster.learner_gpus:g}"
        raise UserError(
            f"cluster.{cause} leaves none of {gpus:g} GPUs to the workers; lower it, or set cluster.worker_gpus=0 to "
            "run the workers on CPUs"
        )
    per_gpu = ceil(cluster.workers / left)
    return 1.0 if per_gpu == 1 else int(10_000 / per_gpu) / 10_000  # Ray counts in units of 0.0001


def query_versions(address: str, token: str | None, timeout_s: float = QUERY_TIMEOUT_S) -> Versions:
    """Versions of the cluster at "host:port". Raises UserError when nothing answers or the token is not accepted.

    Ray's own client waits 20 s and reports a wrong token and an absent cluster with the same error.
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
            raise UserError(_connection_error(address, token, error.code().name)) from None
    try:
        found = parse_json(reply.value)
        return Versions(str(found["ray_version"]), str(found["python_version"]))
    except (ValueError, KeyError, TypeError):
        raise UserError(f"the server at {address} is not the head node of a Ray cluster; give HOST:6379") from None


def find_token() -> str | None:
    """The token that Ray uses: $RAY_AUTH_TOKEN, the file $RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token; None without one.

    Raises UserError when the file cannot be read.
    """
    ray = import_ray()
    from ray._raylet import AuthenticationTokenLoader

    loader = AuthenticationTokenLoader.instance()
    loader.reset_cache()
    try:
        return loader.get_raw_token(ignore_auth_mode=True) or None
    except ray.exceptions.AuthenticationError:  # its message is a paragraph
        where = os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")
        raise UserError(f"{where} has no Ray token; write the token into it, or unset RAY_AUTH_TOKEN_PATH") from None


def _connection_error(address: str, token: str | None, code: str) -> str:
    if code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        which = "does not accept this token" if token else "needs a token and none was found"
        return f"the cluster at {address} {which}; put the cluster's token into RAY_AUTH_TOKEN or ~/.ray/auth_token"
    return (
        f"no Ray cluster answers at {address} within {QUERY_TIMEOUT_S:g} s; check the address (HOST:6379), and "
        "`ray status` on that machine"
    )


def _start(ray: Any, cluster: ClusterConfig, folder: Path) -> None:
    """Start a local cluster. A token known only to its processes excludes other users of the machine."""
    if os.environ.get("RAY_AUTH_MODE", "token") == "token":
        if find_token() is None:
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        use_tokens()
    # "local" starts a cluster even if another one runs here; a cluster is only joined by address.
    with on_loopback():
        options = {"include_dashboard": cluster.dashboard, "dashboard_host": "127.0.0.1", "_temp_dir": str(folder)}
        _init(ray, "local", cluster, **options)


def _join(ray: Any, address: str, cluster: ClusterConfig) -> None:
    address = _head_address(address)
    token = find_token()
    theirs = query_versions(address, token)
    _check_versions(address, theirs, Versions(ray.__version__, platform.python_version()))
    # Ray sends its token only in this mode; a cluster without authentication ignores it.
    if token is not None and "RAY_AUTH_MODE" not in os.environ:
        use_tokens()
    _init(ray, address, cluster)


def _init(ray: Any, address: str, cluster: ClusterConfig, **options: Any) -> None:
    try:
        ray.init(address, log_to_driver=cluster.worker_logs, logging_level="ERROR", **options)
    except Exception as error:  # of Ray's own, and a plain Exception where its start takes longer than 30 s
        reason = error_summary(error)
        if address == "local":
            raise UserError(f"Ray did not start on this machine: {reason}") from error
        raise UserError(
            f"cannot join the cluster at {address}: {reason}; run this command on a node of the cluster, or use "
            "`lab submit`"
        ) from error


def _head_address(address: str) -> str:
    """The address "host:port" of the head node."""
    if address == "auto":
        from ray._private.services import find_gcs_addresses

        # A job has its cluster in RAY_ADDRESS; several clusters may run on its machine.
        own = os.environ.get("RAY_ADDRESS", address)
        found = [own] if own != address else sorted(find_gcs_addresses())
        if not found:
            raise UserError("no Ray cluster runs on this machine; leave out the address to start one")
        return found[0]
    if "://" in address or ":" not in address:
        raise UserError(
            f"cluster address {address!r} is not that of a head node, HOST:6379; from outside the cluster use "
            "`lab submit`"
        )
    return address


def _check_versions(address: str, theirs: Versions, ours: Versions) -> None:
    minor = os.environ.get("RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL") == "minor"
    parts = 2 if minor else 3
    same_python = theirs.python.split(".")[:parts] == ours.python.split(".")[:parts]
    if theirs.ray != ours.ray or not same_python:
        raise UserError(
            f"the cluster at {address} runs Ray {theirs.ray} on Python {theirs.python}, this process Ray {ours.ray} on "
            f"Python {ours.python}; Ray needs equal versions"
        )


def _check_capacity(connection: Connection, cluster: ClusterConfig, device: Device | None) -> None:
    """Check the capacity of a local cluster, which cannot grow; elsewhere the placement of workers has a time limit."""
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
    gpus = gpus_per_worker(cluster, device, connection.gpus)
    if gpus == 0:
        return
    fit = int(connection.gpus) * int(1 / gpus) if gpus <= 1 else connection.gpus // gpus
    if cluster.workers > fit:
        raise UserError(
            f"{cluster.workers} workers with {gpus:g} GPUs each do not fit on this machine's {connection.gpus:g} GPUs; "
            "lower cluster.workers or cluster.worker_gpus"
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
    """Turn on token authentication in this process and in those that it starts."""
    os.environ["RAY_AUTH_MODE"] = "token"
    from ray._raylet import AuthenticationTokenLoader, Config

    # Ray read both when it was imported.
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def error_summary(error: BaseException) -> str:
    """The last line of a Ray error, without the advice that Ray appends."""
    lines = [line.strip() for line in str(error).partition(" Some common causes")[0].splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
