"""What people start clusters with: valid, closed to strangers, and without a secret in it."""

import copy
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cluster.jobs import secret_names
from lab import __version__
from lab.config import yaml_values
from lab.config.loading import load_preset
from tests.command_line import ROOT

MANIFESTS = ROOT / "cluster" / "manifests"
SCRIPTS = sorted(MANIFESTS.glob("*.sh"))
LAUNCHERS = ["onpremise.yaml", "aws.yaml"]
Settings = dict[str, Any]


def read(name: str) -> Settings:
    content = yaml_values.parse((MANIFESTS / name).read_text())
    assert isinstance(content, dict)
    return content


def launcher_schema() -> Settings:
    spec = find_spec("ray")
    assert spec is not None and spec.submodule_search_locations, "Ray, whose schema this is, is not installed"
    return dict(json.loads((Path(spec.submodule_search_locations[0]) / "autoscaler" / "ray-schema.json").read_text()))


def job_schema() -> Settings:
    return dict(json.loads((MANIFESTS / "rayjob.schema.json").read_text()))


@pytest.mark.parametrize("name", LAUNCHERS)
def test_launchers_are_valid_for_ray(name: str) -> None:
    pytest.importorskip("ray")
    from ray.autoscaler._private.util import prepare_config, validate_config

    jsonschema.validate(read(name), launcher_schema())
    validate_config(prepare_config(read(name)))


@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_slip_in_a_launcher_is_noticed(name: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**read(name), "max_worker": 2}, launcher_schema())


@pytest.mark.parametrize("name", LAUNCHERS)
def test_launchers_start_nodes_with_the_scripts_and_send_no_runs(name: str) -> None:
    settings = read(name)
    assert any("manifests/head.sh" in command for command in settings["head_start_ray_commands"])
    assert any("manifests/worker.sh $RAY_HEAD_IP" in command for command in settings["worker_start_ray_commands"])
    assert {"runs", "wandb", ".venv", ".git"} <= set(settings["rsync_exclude"])
    assert settings["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


def test_aws_lets_in_ssh_alone_and_not_everybody() -> None:
    rules = read("aws.yaml")["provider"]["security_group"]["IpPermissions"]
    assert {(rule["FromPort"], rule["ToPort"]) for rule in rules} == {(22, 22)}
    assert not any(place["CidrIp"].endswith("/0") for rule in rules for place in rule["IpRanges"])


def test_the_ray_job_is_valid() -> None:
    jsonschema.Draft7Validator.check_schema(job_schema())
    jsonschema.validate(read("rayjob.yaml"), job_schema())


def containers(job: Settings) -> list[Settings]:
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [one for group in groups for one in group["template"]["spec"]["containers"]]


SLIPS: list[Callable[[Settings], object]] = [
    lambda job: job["spec"].update(backofLimit=1),
    lambda job: job["spec"].pop("entrypoint"),
    lambda job: job.update(apiVersion="ray.io/v1alpha1"),
    lambda job: job["spec"]["rayClusterSpec"]["authOptions"].update(mode="tokens"),
    lambda job: job["spec"]["rayClusterSpec"]["headGroupSpec"].update(rayStartParams={"num-cpus": 0}),
    lambda job: containers(job)[0].pop("image"),
    lambda job: containers(job)[0].update(volumeMount=[]),
    lambda job: containers(job)[1]["resources"]["requests"].update(gpu="1"),
    lambda job: containers(job)[1]["resources"]["limits"].update(memory="16GB"),
]


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_the_ray_job_is_noticed(slip: Callable[[Settings], object]) -> None:
    job = copy.deepcopy(read("rayjob.yaml"))
    slip(job)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(job, job_schema())


def test_the_ray_job_runs_a_preset_that_exists_and_continues_it() -> None:
    words = shlex.split(read("rayjob.yaml")["spec"]["entrypoint"])
    assert words[:4] == ["python", "-m", "lab", "train"]
    options = words.index("--resume")
    config = load_preset(words[4], words[5:options])
    assert config.cluster.workers > 0
    assert "--name" in words


def test_runs_of_the_ray_job_outlive_its_cluster() -> None:
    job = read("rayjob.yaml")
    words = shlex.split(job["spec"]["entrypoint"])
    head = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    mounts = {mount["mountPath"]: mount["name"] for mount in head["containers"][0]["volumeMounts"]}
    volume = mounts[words[words.index("--runs-dir") + 1]]
    assert any(one["name"] == volume and "persistentVolumeClaim" in one for one in head["volumes"])


def test_the_workers_of_the_ray_job_find_room() -> None:
    job = read("rayjob.yaml")
    words = shlex.split(job["spec"]["entrypoint"])
    cluster = load_preset(words[4], words[5 : words.index("--resume")]).cluster
    (group,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    cpus = float(group["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"])
    assert group["replicas"] * (cpus // cluster.worker_cpus) >= cluster.workers


def test_versions_are_those_of_the_constraints_and_the_lab() -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    job = read("rayjob.yaml")
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == pins["ray"]
    assert {one["image"] for one in containers(job)} == {f"rivals:{__version__}"}
    assert f"rivals:{__version__}" in (MANIFESTS / "Dockerfile").read_text()


def test_the_ray_job_wants_a_token_and_takes_secrets_from_a_secret() -> None:
    job = read("rayjob.yaml")
    assert job["spec"]["rayClusterSpec"]["authOptions"]["mode"] == "token"
    variables = [variable for one in containers(job) for variable in one.get("env", [])]
    secret = [variable for variable in variables if re.search("KEY|TOKEN|SECRET|PASSWORD", variable["name"])]
    assert secret
    assert all("secretKeyRef" in variable["valueFrom"] for variable in secret)


# Keys of 32 hexadecimal digits or more (W&B, Ray), AWS access keys, private keys, assignments of a literal.
SECRETS = re.compile(
    r"\b[0-9a-f]{32,}\b|\bAKIA[0-9A-Z]{16}\b|BEGIN [A-Z ]*PRIVATE KEY"
    r"|(?:_KEY|_TOKEN|PASSWORD)[\"']?\s*[=:]\s*[\"']?[A-Za-z0-9]{6,}"
)


def test_no_file_holds_a_secret() -> None:
    files = [path for path in MANIFESTS.iterdir() if path.is_file()]
    assert len(files) >= 7
    assert [path.name for path in files if SECRETS.search(path.read_text())] == []


@pytest.mark.parametrize(
    "text", ["WANDB_API_KEY: " + "0a" * 20, "x " + "0a" * 32, "export RAY_AUTH_TOKEN=abcdef123", "AKIA" + "A" * 16]
)
def test_the_search_for_secrets_finds_them(text: str) -> None:
    assert SECRETS.search(text)


def test_scripts_pass_the_shell_checker() -> None:
    checker = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert checker is not None, "shellcheck is missing: it comes with the dev extra"
    found = subprocess.run([checker, *SCRIPTS], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_stop_at_the_first_error(script: Path) -> None:
    assert "\nset -euo pipefail\n" in script.read_text()
    assert script.stat().st_mode & stat.S_IXUSR


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script in a checkout whose `ray` only tells what it was called with."""
    shutil.copytree(MANIFESTS, tmp_path / "cluster" / "manifests")
    ray = tmp_path / ".venv" / "bin" / "ray"
    ray.parent.mkdir(parents=True)
    ray.write_text('#!/bin/sh\necho "$@"\necho "mode $RAY_AUTH_MODE"\n')
    ray.chmod(0o755)

    def run(name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "RAY_TMPDIR": str(tmp_path / "private"),
            **variables,
        }
        script = tmp_path / "cluster" / "manifests" / name
        return subprocess.run([script, *arguments], capture_output=True, text=True, env=environment)

    return run


@pytest.mark.parametrize(("name", "arguments"), [("head.sh", ()), ("worker.sh", ("10.0.0.1",))])
def test_nodes_start_with_tokens_and_named_ports(
    start: Callable[..., subprocess.CompletedProcess[str]], name: str, arguments: tuple[str, ...]
) -> None:
    started = start(name, *arguments, "--num-cpus=3", RAY_AUTH_TOKEN="not-shown")
    assert started.returncode == 0, started.stderr
    words = started.stdout.split()
    assert words[0] == "start"
    assert started.stdout.splitlines()[1] == "mode token"
    assert {"--object-manager-port=8076", "--node-manager-port=8077", "--min-worker-port=10002"} <= set(words)
    assert "--num-cpus=3" in words
    assert "not-shown" not in started.stdout + started.stderr


def ports(command: str) -> set[str]:
    """The ports, and ranges of them, in the options of `ray start`; 0 is a server that is not started."""
    found = dict(re.findall(r"--([a-z-]*port)=(\d+)", command))
    lowest, highest = found.pop("min-worker-port"), found.pop("max-worker-port")
    return {*found.values(), f"{lowest}-{highest}"} - {"0"}


@pytest.mark.parametrize(("name", "arguments"), [("head.sh", ()), ("worker.sh", ("10.0.0.1",))])
def test_the_guide_names_every_port(
    start: Callable[..., subprocess.CompletedProcess[str]], name: str, arguments: tuple[str, ...]
) -> None:
    guide = (ROOT / "cluster" / "GUIDE.md").read_text()
    named = set(re.findall(r"^\| `?([\d-]+)`? \|", guide, re.MULTILINE))
    used = ports(start(name, *arguments, RAY_AUTH_TOKEN="x").stdout)
    assert len(used) >= 7
    assert used <= named
    assert {"44217", "44227"} <= named  # metrics of the autoscaler and of the dashboard, which have no option


def test_the_folder_of_a_node_is_for_its_user_alone(
    start: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    for name, arguments in (("head.sh", ()), ("worker.sh", ("10.0.0.1",))):
        started = start(name, *arguments, RAY_AUTH_TOKEN="x")
        assert f"--temp-dir={tmp_path}/private/ray" in started.stdout.split()
        assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "private")
    refused = start("head.sh", RAY_AUTH_TOKEN="x", RAY_TMPDIR=str(tmp_path / "link"))
    assert refused.returncode == 2 and "RAY_TMPDIR" in refused.stderr


@pytest.mark.parametrize("name", LAUNCHERS)
def test_launchers_send_no_secrets(name: str) -> None:
    assert {*secret_names.FOLDERS, *secret_names.FILES} - {".ray"} <= set(read(name)["rsync_exclude"])


def test_the_dashboard_listens_to_the_head_alone(start: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert "--dashboard-host=127.0.0.1" in start("head.sh", RAY_AUTH_TOKEN="x").stdout.split()


def test_options_of_ones_own_come_last_and_so_win(start: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    words = start("head.sh", "--port=1234", RAY_AUTH_TOKEN="x").stdout.splitlines()[0].split()
    assert words.index("--port=1234") > words.index("--port=6379")


@pytest.mark.parametrize(("head", "address"), [("10.0.0.1", "10.0.0.1:6379"), ("10.0.0.1:99", "10.0.0.1:99")])
def test_a_worker_joins_the_head(
    start: Callable[..., subprocess.CompletedProcess[str]], head: str, address: str
) -> None:
    assert f"--address={address}" in start("worker.sh", head, RAY_AUTH_TOKEN="x").stdout.split()


@pytest.mark.parametrize(("arguments", "said"), [((), "usage"), (("--block",), "usage"), (("10.0.0.1",), "no token")])
def test_a_worker_without_head_or_token_says_so(
    start: Callable[..., subprocess.CompletedProcess[str]], arguments: tuple[str, ...], said: str
) -> None:
    started = start("worker.sh", *arguments)
    assert started.returncode == 2
    assert said in started.stderr
    assert started.stdout == ""


def dockerfile() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (MANIFESTS / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def test_the_image_is_pinned_and_its_user_is_not_root() -> None:
    steps = dockerfile()
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", steps[0][1])
    assert [value for step, value in steps if step == "USER"][-1] == "lab"
    assert all("-c constraints.txt" in value for step, value in steps if "pip install" in value)


def test_the_image_holds_all_packages_and_nothing_that_is_absent() -> None:
    copied = [value.split()[:-1] for step, value in dockerfile() if step == "COPY"]
    sources = {source for group in copied for source in group}
    assert {"lab", "agents", "gans", "cluster", "configs"} <= sources
    assert all((ROOT / source).exists() for source in sources)
