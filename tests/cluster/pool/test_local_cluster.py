"""A local cluster is closed to other machines and other users, and ends with the process that started it."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.drills.processes import descendants, running
from cluster.pool import cluster_end, connection
from cluster.pool.connection import Connection
from cluster.pool.local_cluster import private_folder
from lab.config.sections import ClusterConfig
from lab.errors import UserError
from tests.agents.small_alphazero import preset
from tests.command_line import launch


def listening(pids: set[int]) -> dict[str, int]:
    """Addresses at which processes of this machine accept connections, with their ports."""
    inodes = {os.path.basename(link) for pid in pids for link in links(pid) if link.startswith("socket:")}
    inodes = {inode.removeprefix("socket:[").removesuffix("]") for inode in inodes}
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:  # the state LISTEN
                host, port = fields[1].split(":")
                words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
                found[str(ip_address(b"".join(words)))] = int(port, 16)
    return found


def links(pid: int) -> Iterator[str]:
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            yield os.readlink(entry)
        except OSError:
            continue


def test_nothing_of_it_listens_to_other_machines(ray_here: Connection) -> None:
    addresses = listening({os.getpid(), *descendants(os.getpid())})
    assert addresses, "the sockets of Ray were not found"
    assert set(addresses) <= {"127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1"}
    assert ray_here.address.startswith("127.0.0.1:")


def test_other_users_cannot_enter_its_folder(ray_here: Connection) -> None:
    import ray

    session = Path(ray._private.worker._global_node.get_session_dir_path()).resolve()
    folder = session.parent.parent
    assert folder.name.startswith("rivals-ray-")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def wait_for(condition: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.05)


def test_its_processes_that_remain_are_killed_and_no_others(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    folder.mkdir()
    with (folder / "agent.out").open("w") as log, (tmp_path / "trial.log").open("w") as other:
        agent, program, trial = (
            subprocess.Popen([name, "-c", "import time; time.sleep(60)"], executable=sys.executable, stdout=output)
            for name, output in (("ray::Agent", log), ("lab", log), ("ray::Trial", other))
        )
        end = subprocess.Popen([sys.executable, "-I", cluster_end.__file__, str(folder)], stdin=subprocess.PIPE)
        try:
            wait_for(lambda: cluster_end.processes(folder) == [agent.pid])
            end.communicate(timeout=20)
            assert agent.wait(5) == -signal.SIGKILL
            assert program.poll() is None and trial.poll() is None
            assert not folder.exists()
        finally:
            for process in (agent, program, trial, end):
                process.kill()
                process.wait()


def test_a_folder_that_was_chosen_keeps_its_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "mine"))
    with private_folder() as folder:
        folder.mkdir()
    assert folder.is_dir() and folder.is_relative_to(tmp_path / "mine")
    monkeypatch.delenv("RAY_TMPDIR")
    with private_folder() as folder:
        folder.mkdir()
    assert not folder.parent.exists()


def test_the_environment_is_afterwards_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "GLOO_SOCKET_IFNAME", "RAY_ADDRESS")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth7")
    before, started = dict(os.environ), dict[str, str]()

    def init(*given: Any, **options: Any) -> None:
        started.update(os.environ)
        raise UserError("it did not start")

    absent = SimpleNamespace(is_initialized=lambda: False, shutdown=lambda: None)
    monkeypatch.setattr(connection, "import_ray", lambda: absent)
    monkeypatch.setattr(connection, "_init", init)
    with pytest.raises(UserError, match="it did not start"), connection.connect(ClusterConfig()):
        pass
    assert [started.get(name) for name in names] == ["0", "eth7", None]
    assert {name: os.environ.get(name) for name in names} == {name: before.get(name) for name in names}


def start_run(tmp_path: Path) -> subprocess.Popen[str]:
    settings = preset(tmp_path, cluster={"workers": 1})
    return launch("train", settings, "--runs-dir", tmp_path, "--name", "run")


def of_ray(pid: int) -> set[int]:
    names = {child: Path(f"/proc/{child}/cmdline") for child in descendants(pid)}
    return {child for child, path in names.items() if path.exists() and b"ray" in path.read_bytes()}


@pytest.mark.slow
def test_a_killed_run_leaves_no_process_of_ray_and_no_folder(tmp_path: Path) -> None:
    process = start_run(tmp_path)
    children: set[int] = set()

    def agents_run() -> bool:
        children.update(of_ray(process.pid))
        return sum(b"Agent" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in running(children)) == 2

    try:
        wait_for(agents_run, 60)
        folders = {Path(link) for pid in running(children) for link in links(pid) if "rivals-ray-" in link}
        (folder,) = {Path(*path.parts[:3]) for path in folders}
    finally:
        process.kill()
        process.communicate()
    wait_for(lambda: not running(children), 20)
    assert not folder.exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("part", ["gcs_server", "raylet/raylet", "ray::"])
def test_a_signal_while_ray_starts_ends_everything(tmp_path: Path, number: signal.Signals, part: str) -> None:
    process = start_run(tmp_path)
    children: set[int] = set()

    def started() -> bool:
        children.update(of_ray(process.pid))
        return any(part.encode() in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in running(children))

    wait_for(started, 60)
    process.send_signal(number)
    children |= of_ray(process.pid)
    output = "".join(process.communicate(timeout=60))
    assert process.returncode == 128 + number, output
    assert "Traceback" not in output
    assert number.name in output
    wait_for(lambda: not running(children), 20)
