"""`lab submit`: what is sent, what is refused before anything is sent, and what people are told."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from cluster.jobs import encrypted_env, job_server, submission, working_dir
from cluster.jobs.working_dir import scan
from lab.cli.main import main
from lab.errors import UserError
from tests.cluster.job_server import JobServer, job, running
from tests.command_line import ROOT

ray = pytest.importorskip("ray")

PRESET = "alphazero/tic_tac_toe"
SECRET = "not-to-be-seen-anywhere"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JobServer]:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "right")
    with running(JobServer(ray.__version__)) as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small working directory."""
    (tmp_path / "mine.yaml").write_text(f"base: {PRESET}\nbudget: 3000\n")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> str:
    """Both outputs of `lab submit`, which is to end with the code."""
    capsys.readouterr()
    assert main(["submit", *map(str, arguments)]) == code
    return "".join(capsys.readouterr())


def send(capsys: pytest.CaptureFixture[str], server: JobServer, folder: Path, *arguments: str) -> str:
    place = ("--address", server.address, "--working-dir", folder, "--no-follow")
    return run(capsys, *arguments, *place)


def test_a_job_trains_the_run_of_that_name_and_continues_it(
    capsys: pytest.CaptureFixture[str], server: JobServer, folder: Path
) -> None:
    output = send(capsys, server, folder, PRESET, "budget=5000", "cluster.workers=2", "--name", "mine")
    (sent,) = server.submitted
    words = shlex.split(sent["entrypoint"])
    assert words[:4] == ["python", "-m", "lab", "train"]
    assert {"--resume", "budget=5000", "cluster.workers=2"} <= set(words)
    assert words[words.index("--name") + 1] == "mine"
    assert f"lab submit --stop {sent['submission_id']}" in output


def test_what_a_preset_reserves_for_its_learner_is_asked_for(
    capsys: pytest.CaptureFixture[str], server: JobServer, folder: Path
) -> None:
    output = send(capsys, server, folder, PRESET, "cluster.learner_gpus=1", "cluster.learner_cpus=2")
    assert server.submitted[0]["entrypoint_num_gpus"] == 1 and server.submitted[0]["entrypoint_num_cpus"] == 2
    assert "one process on a node with 2 CPUs and 1 GPUs free" in output
    # Several learners reserve their own; the job's process only waits for them.
    send(capsys, server, folder, PRESET, "cluster.learner_gpus=1", "cluster.learners=2")
    assert not server.submitted[1].get("entrypoint_num_gpus")


def test_runs_are_kept_outside_the_jobs_folder_which_ray_removes(
    capsys: pytest.CaptureFixture[str], server: JobServer, folder: Path
) -> None:
    output = send(capsys, server, folder, PRESET)
    assert server.submitted[0]["entrypoint"].endswith("--runs-dir ~/runs")
    assert "~/runs on the cluster" in output
    assert "absolute path" in run(capsys, PRESET, "--runs-dir", "runs", "--working-dir", folder, code=2)


def test_a_stopped_job_has_time_for_its_last_checkpoint(
    capsys: pytest.CaptureFixture[str], server: JobServer, folder: Path
) -> None:
    send(capsys, server, folder, PRESET)
    assert int(server.submitted[0]["runtime_env"]["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"]) >= 60


def test_a_preset_file_is_named_by_its_path_in_the_working_directory(
    capsys: pytest.CaptureFixture[str], server: JobServer, folder: Path
) -> None:
    send(capsys, server, folder, str(folder / "mine.yaml"), "--name", "mine")
    assert shlex.split(server.submitted[0]["entrypoint"])[4] == "mine.yaml"


def test_a_preset_that_would_not_be_sent_is_refused(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "mine.yaml"
    shutil.copy(folder / "mine.yaml", elsewhere)
    assert "is not uploaded" in run(capsys, elsewhere, "--working-dir", folder, code=2)


def test_the_environment_does_not_divert_a_job_from_its_address(
    capsys: pytest.CaptureFixture[str], server: JobServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    send(capsys, server, folder, PRESET)
    assert len(server.submitted) == 1
    assert os.environ["RAY_ADDRESS"] == "127.0.0.1:1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((PRESET, "search.sims=3"), "search.simulations"),
        (("alphazero/tic_tac_to",), PRESET),
        ((PRESET, "--name", "../x"), "cannot name a run"),
        ((PRESET, "--env", "SURELY_NOT_SET"), "SURELY_NOT_SET"),
        ((PRESET, "--env", "KEY=value"), "not its value"),
        ((PRESET, "--working-dir", "/nowhere"), "no directory"),
        ((PRESET, "--list"), "one of"),
        ((), "one of"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_sent(
    capsys: pytest.CaptureFixture[str], server: JobServer, folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    where = () if "--working-dir" in arguments else ("--working-dir", folder)
    output = run(capsys, *arguments, *where, "--address", server.address, code=2)
    assert said in output
    assert len([line for line in output.splitlines() if line.startswith("lab:")]) == 1
    assert server.submitted == []


def test_a_run_that_a_job_trains_is_not_given_to_another(
    capsys: pytest.CaptureFixture[str], server: JobServer, folder: Path
) -> None:
    server.jobs.append(job("mine-1", "RUNNING", run="mine"))
    place = ("--address", server.address, "--working-dir", folder)
    assert "mine-1" in run(capsys, PRESET, "--name", "mine", *place, code=2)
    assert server.submitted == []


def test_a_run_whose_job_has_ended_can_be_sent_again(
    capsys: pytest.CaptureFixture[str], server: JobServer, folder: Path
) -> None:
    server.jobs.append(job("mine-1", "FAILED", run="mine"))
    send(capsys, server, folder, PRESET, "--name", "mine")
    assert len(server.submitted) == 1


def break_token(server: JobServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")


def remove_token(server: JobServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.jobs.job_server.find_token", lambda: None)


def lose_token_file(server: JobServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/nowhere/token")


def grow_old(server: JobServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.version = "2.9.0"


def go_away(server: JobServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server.address = f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (break_token, "does not accept the token"),
        (remove_token, "needs a token and none was found"),
        (lose_token_file, "/nowhere/token"),
        (grow_old, "runs Ray 2.9.0"),
        (go_away, "no cluster answers"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_one_line(
    capsys: pytest.CaptureFixture[str],
    server: JobServer,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[JobServer, pytest.MonkeyPatch], None],
    said: str,
) -> None:
    fault(server, monkeypatch)
    output = run(capsys, "--list", "--address", server.address, code=2)
    assert said in output
    assert len(output.strip().splitlines()) == 1


@pytest.mark.parametrize("option", ["--status", "--logs", "--stop"])
def test_an_unknown_job_is_named(capsys: pytest.CaptureFixture[str], server: JobServer, option: str) -> None:
    assert "no job 'nope'" in run(capsys, option, "nope", "--address", server.address, code=2)


def test_an_address_of_another_kind_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "dashboard" in run(capsys, "--list", "--address", "auto", code=2)


def test_a_cluster_without_ray_here_names_the_installation(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install" in run(capsys, PRESET, "--working-dir", folder, code=2)


def test_values_of_variables_are_sent_encrypted_and_never_shown(
    capsys: pytest.CaptureFixture[str], server: JobServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)
    output = send(capsys, server, folder, PRESET, "--env", "MY_KEY")
    (sent,) = server.submitted
    assert SECRET not in output + json.dumps(sent)
    assert "right" not in output
    assert sent["entrypoint"].startswith("python -m cluster.jobs.encrypted_env python -m lab train ")
    assert encrypted_env.decrypt(sent["runtime_env"]["env_vars"][encrypted_env.VARIABLE], "right") == {"MY_KEY": SECRET}


def test_another_token_decrypts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)
    with pytest.raises(UserError, match="another token"):
        encrypted_env.decrypt(encrypted_env.encrypt(["MY_KEY"], "one"), "other")


def test_the_job_gets_the_variables_and_not_the_encrypted_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)
    encrypted = encrypted_env.encrypt(["MY_KEY"], "right")
    environment = {**os.environ, encrypted_env.VARIABLE: encrypted, "RAY_AUTH_TOKEN": "right"}
    del environment["MY_KEY"]
    command = [sys.executable, "-m", "cluster.jobs.encrypted_env", "env"]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert f"MY_KEY={SECRET}" in shown
    assert encrypted_env.VARIABLE not in shown


def uploaded(server: JobServer) -> dict[str, bytes]:
    """The files of the working directory that the job server has received, by their path."""
    (package,) = server.packages.values()
    with ZipFile(BytesIO(package)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"this is {name}")


def git(folder: Path, *arguments: str) -> None:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


SECRETS = [
    ".env", ".env.local", "production.env", ".envrc", ".netrc", "deep/_netrc", ".git-credentials", ".pypirc",
    ".npmrc", ".pgpass", ".htpasswd", ".boto", ".ssh/id_rsa", ".ssh/config", ".aws/credentials", ".aws/config",
    ".kaggle/kaggle.json", "kaggle.json", ".docker/config.json", ".kube/config", ".gnupg/x",
    ".config/gcloud/adc.json", ".huggingface/token", ".ray/auth_token", "auth_token", "id_rsa", "id_ed25519.pub",
    "x.pem", "x.key", "X.KEY", "x.p12", "x.pfx", "x.jks", "x.kdbx", "x.ppk", "x.gpg", "x.asc", "terraform.tfstate",
    "prod.tfvars", ".bash_history", "authorized_keys", "credentials", "credentials.json", "client_secret_1.json",
    "service-account.json", "secrets.yaml", "secrets.py", "password.txt", "hf_token.txt", "api_key.txt",
    "wandb-api-key", "WANDB_API_KEY", "accessToken.json", "private-key.txt", "cluster.kubeconfig",
    ".netrc.bak", ".env~", ".aws.zip", "backup.pem.txt", "secrets/plain.txt", "Credentials/x.csv",
    "deep/api_keys/x.csv",
]  # fmt: skip
NO_SECRETS = [
    "tokens.py", "tokenizer.yaml", "secret_names.py", "keys.py", "monkey.txt", "environment.yaml", "token_ids.py",
]  # fmt: skip


def test_a_checkout_sends_what_git_tracks_but_no_secrets(
    capsys: pytest.CaptureFixture[str], server: JobServer, folder: Path
) -> None:
    git(folder, "init", "-q")
    write(folder, "game.py", "picture.png", ".gitignore", *NO_SECRETS, *SECRETS)
    git(folder, "add", "--force", ".")
    write(folder, "scratch.py", "notes/private.txt")
    (folder / "game.py").write_text("changed and not committed")
    output = send(capsys, server, folder, PRESET)
    files = uploaded(server)
    assert set(files) == {"mine.yaml", "game.py", "picture.png", ".gitignore", *NO_SECRETS}
    assert files["game.py"] == b"changed and not committed"
    assert "what git tracks" in output
    assert f"the name of a secret: {len(SECRETS)} (" in output
    assert "(notes/private.txt, scratch.py)" in output
    assert "Uploading package" not in output  # a line of Ray's log


def test_another_folder_sends_source_files_alone(
    capsys: pytest.CaptureFixture[str], server: JobServer, folder: Path
) -> None:
    kept = ["lab/data/pack.py", "agents/data/positions.csv", "lab/py.typed", *NO_SECRETS]
    left = ["runs/a/config.yaml", "wandb/x.txt", "data/big.csv", ".git/x.py", ".venv/x.py", "a/__pycache__/x.py"]
    left += [
        ".hidden/x.py",
        "env/x.py",
        "env/pyvenv.cfg",
        "ignored/x.py",
        "holiday.jpg",
        "letter.pdf",
        "weights.safetensors",
    ]
    write(folder, *kept, *left, *SECRETS)
    (folder / ".gitignore").write_text("ignored/\n")
    output = send(capsys, server, folder, PRESET)
    assert set(uploaded(server)) == {"mine.yaml", ".gitignore", *kept}
    assert "source files (not a git checkout)" in output and "holiday.jpg" in output


@pytest.mark.parametrize("in_git", [True, False])
def test_no_link_leads_out_of_the_folder(
    capsys: pytest.CaptureFixture[str],
    server: JobServer,
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    in_git: bool,
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    write(outside, "private.txt", "folder/private.txt")
    write(folder, ".env", "code/one.py")
    (folder / "absolute.txt").symlink_to(outside / "private.txt")
    (folder / "relative.txt").symlink_to(os.path.relpath(outside / "private.txt", folder))
    (folder / "folder").symlink_to(outside / "folder")
    (folder / "harmless.txt").symlink_to(".env")
    (folder / "loop.py").symlink_to("loop.py")
    os.mkfifo(folder / "pipe.py")
    if in_git:
        git(folder, "init", "-q")
        git(folder, "add", ".")
        # Git lists the files of a folder that has become a link.
        (folder / "code").rename(outside / "code")
        (folder / "code").symlink_to(outside / "code")
    output = send(capsys, server, folder, PRESET)
    assert set(uploaded(server)) == {"mine.yaml"} | (set() if in_git else {"code/one.py"})
    assert "a link" in output


def test_a_file_that_becomes_a_link_before_it_is_packed_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "folder/mine.yaml", "private.yaml")
    upload = scan(tmp_path / "folder")
    (tmp_path / "folder" / "mine.yaml").unlink()
    (tmp_path / "folder" / "mine.yaml").symlink_to(tmp_path / "private.yaml")
    with pytest.raises(UserError, match=r"cannot upload .*mine.yaml: as it is a link"):
        upload.pack(tmp_path / "x.zip")


def test_the_home_directory_is_never_sent(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder / "me"))
    assert "home directory" in run(capsys, PRESET, "--working-dir", folder, code=2)


def test_a_preset_of_ones_own_goes_with_its_bases(
    capsys: pytest.CaptureFixture[str], server: JobServer, folder: Path
) -> None:
    git(folder, "init", "-q")
    write(folder, "code.py")
    git(folder, "add", "code.py")
    (folder / "bases").mkdir()
    (folder / "bases" / "base.yaml").write_text("base: ../mine.yaml\n")
    (folder / "new.yaml").write_text("base: bases/base.yaml\n")
    send(capsys, server, folder, str(folder / "new.yaml"))
    assert set(uploaded(server)) == {"code.py", "new.yaml", "bases/base.yaml", "mine.yaml"}


def test_a_base_that_would_not_be_sent_is_refused(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "base.yaml"
    shutil.copy(folder / "mine.yaml", elsewhere)
    (folder / "new.yaml").write_text(f"base: {elsewhere}\n")
    assert "base.yaml is not uploaded" in run(capsys, folder / "new.yaml", "--working-dir", folder, code=2)


def test_a_dry_run_lists_every_file_and_sends_nothing(
    capsys: pytest.CaptureFixture[str], server: JobServer, folder: Path
) -> None:
    write(folder, "deep/one.py", ".env")
    output = send(capsys, server, folder, PRESET, "--dry-run")
    assert output.splitlines()[:2] == ["deep/one.py", "mine.yaml"]
    assert ".env" in output
    assert server.packages == {} and server.submitted == []


def test_equal_files_are_one_package_and_nothing_stays_here(
    capsys: pytest.CaptureFixture[str], server: JobServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = folder.parent / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    for _ in range(2):
        send(capsys, server, folder, PRESET)
        os.utime(folder / "mine.yaml", (0, 0))
    assert len(server.packages) == 1 and len(server.submitted) == 2
    assert list(temporary.iterdir()) == []


def test_ray_ignores_what_rayignore_names(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "big/b.py", "big/keep/c.py", "deep/d.py", "deep/e.py")
    (tmp_path / ".rayignore").write_text("/big\n")
    (tmp_path / "deep" / ".rayignore").write_text("d.*\n")
    assert set(scan(tmp_path).files) == {"a.py", "deep/e.py", ".rayignore", "deep/.rayignore"}


@pytest.mark.parametrize("patterns", [b"\xff\xfe\x00", b"[z-a\n!\n\\\n***\n"])
def test_patterns_that_cannot_be_read_are_named(tmp_path: Path, patterns: bytes) -> None:
    (tmp_path / ".rayignore").write_bytes(patterns)
    write(tmp_path, "a.py")
    with pytest.raises(UserError, match=r"cannot read the patterns of .*\.rayignore"):
        scan(tmp_path)


@pytest.mark.parametrize("in_git", [True, False])
@pytest.mark.parametrize("name", [b"\xe9.py", b"new\nline.py", b"red\x1b[31m.py", b"..\\up.py"])
def test_names_that_an_archive_cannot_hold_stay_here(tmp_path: Path, name: bytes, in_git: bool) -> None:
    write(tmp_path, "a.py")
    Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_text("x")
    if in_git:
        git(tmp_path, "init", "-q")
        git(tmp_path, "add", ".")
    upload = scan(tmp_path)
    assert set(upload.files) == {"a.py"}
    assert len(upload.left_out) == 1
    upload.pack(tmp_path / "x.zip")


def test_a_monitor_that_a_checkout_names_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "-q")
    write(tmp_path, "a.py")
    git(tmp_path, "add", ".")
    monitor = tmp_path / "monitor"
    monitor.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    monitor.chmod(0o755)
    git(tmp_path, "config", "core.fsmonitor", str(monitor))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert set(scan(tmp_path).files) == {"a.py"}
    assert not (tmp_path / "ran").exists()


def test_an_upload_too_large_names_its_largest_entries(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working_dir, "LIMIT_BYTES", 10_000)
    (folder / "pictures").mkdir()
    (folder / "pictures" / "one.csv").write_bytes(bytes(20_000))
    output = run(capsys, PRESET, "--working-dir", folder, code=2)
    assert "pictures/" in output
    assert ".rayignore" in output


def test_requirements_are_pinned_as_the_constraints_have_them(tmp_path: Path) -> None:
    (tmp_path / "constraints.txt").write_text("# by make lock\nscipy==1.2\npillow==3\nray==2.60.0\n")
    (tmp_path / "wanted.txt").write_text("SciPy  # roots\nray[default]\nshap\npillow>=2\n\n")
    pins = submission.pinned_requirements(tmp_path / "wanted.txt", tmp_path / "constraints.txt")
    assert pins == ["SciPy==1.2", "shap", "pillow>=2"]


def test_options_of_pip_are_refused_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "wanted.txt").write_text("scipy\n-r other.txt\n")
    with pytest.raises(UserError, match=r"wanted\.txt:2"):
        submission.pinned_requirements(tmp_path / "wanted.txt", tmp_path / "constraints.txt")


def test_job_messages_leave_out_the_output_that_was_shown() -> None:
    from ray.dashboard.modules.job.pydantic_models import JobDetails

    details = JobDetails(**job("x", "FAILED"), message="exit code 2, last available logs (truncated): a\nb")
    assert job_server.describe(details)["message"] == "exit code 2"


def free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


@pytest.fixture
def cluster_address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A cluster of this machine with token authentication, started as people are told to.

    At the end $MY_KEY must be in no file of the cluster, and no process of it be left.
    """
    folder = tempfile.mkdtemp(prefix="rc-", dir="/tmp")  # short: Ray's sockets lie below it
    monkeypatch.setenv("RAY_AUTH_TOKEN", os.urandom(16).hex())
    monkeypatch.setenv("MY_KEY", os.urandom(16).hex())
    monkeypatch.setenv("LAB_RUNS", f"{folder}/unused")
    names = ("port", "object-manager-port", "node-manager-port", "metrics-export-port", "dashboard-port")
    ports = dict(zip((*names, "dashboard-agent-listen-port"), free_ports(6), strict=True))
    options = [f"--{name}={port}" for name, port in ports.items()]
    options += [f"--temp-dir={folder}/ray", "--num-cpus=2", "--object-store-memory=100000000", "--block"]
    script = ROOT / "cluster" / "manifests" / "head.sh"
    with open(f"{folder}/head.log", "w") as log:
        head = subprocess.Popen([script, *options], stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{ports['dashboard-port']}"
    try:
        wait_for(lambda: head.poll() is not None or main(["submit", "--list", "--address", address]) == 0)
        assert head.poll() is None, Path(folder, "head.log").read_text()
        yield address
        secret = os.environ["MY_KEY"]
        leak = subprocess.run(["grep", "-rl", secret, folder], capture_output=True, text=True).stdout
        assert leak == "", "a secret was written down"
    finally:
        head.send_signal(signal.SIGTERM)
        head.wait(60)
        left = subprocess.run(["pgrep", "-f", f"{folder}/ray"], capture_output=True, text=True).stdout
        shutil.rmtree(folder, ignore_errors=True)
    assert left == "", "processes of the cluster outlived its head"


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.5)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_goes_to_a_real_cluster_is_stopped_and_continued(
    cluster_address: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    place = ("--address", cluster_address, "--working-dir", ROOT)
    assert main(["doctor", "--cluster", "--preset", PRESET, "cluster.workers=1", *map(str, place)]) == 0
    assert "authentication" in capsys.readouterr().out

    # A budget that is not reached: the job is stopped in the middle and leaves a checkpoint.
    small = ("selfplay.boards=32", "evaluate.every=0", "replay.min_positions=500", "checkpoint.every=1000")
    named = ("--name", "mine", "--runs-dir", str(tmp_path))
    output = run(capsys, PRESET, "budget=10000000", *small, *named, *place, "--no-follow", "--env", "MY_KEY")
    name = re.search(r"job (mine-\w+):", output)
    assert name is not None
    record = tmp_path / "mine" / "metrics.jsonl"
    wait_for(lambda: record.is_file() and len(record.read_text().splitlines()) >= 2)
    run(capsys, "--stop", name[1], "--address", cluster_address)
    wait_for(lambda: "STOPPED" in run(capsys, "--status", name[1], "--address", cluster_address))
    assert list((tmp_path / "mine" / "checkpoints").iterdir())

    reached = json.loads(record.read_text().splitlines()[-1])["counters"]["positions"]
    output = run(capsys, PRESET, f"budget={reached + 500}", *small, *named, *place)
    assert "continuing run mine" in output
    assert "complete:" in output
