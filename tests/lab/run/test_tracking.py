"""W&B gets what metrics.jsonl has, offline too, and whatever happens to it training goes on."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lab.cli.curves import catalogue_of
from lab.config.registry import KINDS
from lab.run import checkpoint, metrics, tracking
from lab.run.origin import origin_of
from lab.run.run_dir import RunDir
from tests.lab.run.test_loop import train
from tests.lab.toy import config
from tests.same_run import assert_same_run

ROOT = Path(__file__).parents[3]
OFFLINE = {"wandb": "offline", "project": "rivals"}


def inspect(segment: Path, *options: str) -> str:
    """What wandb itself reads from an offline directory."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", *options, str(segment)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def history(segment: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in inspect(segment).splitlines()]
    return [record["history"]["item"] for record in records if record["type"] == "history"]


def described(run: Path) -> dict[str, Any]:
    """What wandb has of the first segment of a run, besides its history."""
    records = [json.loads(line) for line in inspect(segments(run)[0]).splitlines()]
    return next(dict(record["run"]) for record in records if record["type"] == "run")


def segments(run: Path) -> list[Path]:
    return sorted((run / "wandb").glob("offline-run-*"))


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 10 iterations and its continuation to 20."""
    run = tmp_path_factory.mktemp("tracked") / "run"
    train(run, config(tracking=OFFLINE, budget=80))
    train(run, config(tracking=OFFLINE))
    return run


def test_an_offline_run_lies_in_the_run_directory_with_its_configuration(tracked: Path) -> None:
    summary = json.loads(inspect(segments(tracked)[-1], "--summary"))
    assert summary["name"] == "run" and summary["project"] == "rivals" and summary["state"] == "finished"
    assert summary["config"]["evaluate"] == {
        "every": 5,
        "best": "toy/score",
        "target": None,
        "patience": None,
        "device": None,
    }
    assert summary["summary"]["iteration"] == 20 and "toy/score" in summary["summary"]


def test_wandb_gets_exactly_the_records_of_metrics_jsonl(tracked: Path) -> None:
    sent = [item for segment in segments(tracked) for item in history(segment)]
    names = {name for entry in metrics.read(tracked / "metrics.jsonl") for name in entry.metrics} | {"counters/samples"}
    written = [
        {"iteration": entry.iteration, "counters/samples": entry.counters["samples"], **entry.metrics}
        for entry in metrics.read(tracked / "metrics.jsonl")
    ]
    assert [{k: v for k, v in item.items() if k in names | {"iteration"}} for item in sent] == written


def test_a_continuation_is_a_segment_under_the_same_id_that_repeats_nothing(tracked: Path) -> None:
    first, second = segments(tracked)
    newest = checkpoint.latest_valid(tracked / "checkpoints", pytest.fail)
    assert newest is not None
    run_id = checkpoint.load(newest)[0]["loop"]["wandb_id"]
    assert first.name.endswith(run_id) and second.name.endswith(run_id)
    assert max(item["iteration"] for item in history(first)) == 10
    assert [item["iteration"] for item in history(second) if "toy/loss" in item] == list(range(11, 21))


def test_the_summary_has_the_best_value_of_a_metric_with_a_direction(tracked: Path) -> None:
    entries = [entry.metrics for entry in metrics.read(tracked / "metrics.jsonl")]
    scores = [values["toy/score"] for values in entries if "toy/score" in values][2:]  # of the second segment
    summary = json.loads(inspect(segments(tracked)[-1], "--summary"))["summary"]
    assert summary["toy/score"] == {"max": max(scores), "last": scores[-1]}
    assert summary["toy/loss"]["min"] <= summary["toy/loss"]["last"]


@pytest.mark.slow
def test_group_job_type_tags_and_notes_come_from_the_configuration(tmp_path: Path) -> None:
    settings = {"wandb": "offline", "group": "g", "job_type": "j", "tags": ["a", "[b] :ok:"], "notes": "why"}
    train(tmp_path / "run", config(tracking=settings, budget=8, description="ignored"))
    header = next(json.loads(r) for r in inspect(segments(tmp_path / "run")[0]).splitlines() if '"type":"run"' in r)[
        "run"
    ]
    assert (header["run_group"], header["job_type"], header["tags"]) == ("g", "j", ["a", "[b] :ok:"])
    assert (header["notes"], header["project"]) == ("why", "rivals-toy")


@pytest.mark.slow
def test_a_run_without_notes_has_the_description_of_its_preset(tmp_path: Path) -> None:
    train(tmp_path / "run", config(tracking={"wandb": "offline", "project": "own"}, budget=8, description="what it is"))
    header = next(json.loads(r) for r in inspect(segments(tmp_path / "run")[0]).splitlines() if '"type":"run"' in r)[
        "run"
    ]
    assert (header["notes"], header["project"], header["job_type"]) == ("what it is", "own", "train")


@pytest.mark.parametrize("project", ["", "a/b", "a\\b", "what?", "50%", "a:b", "#1", "a\nb", 129 * "x"])
def test_a_project_that_wandb_would_refuse_is_refused_at_once(project: str) -> None:
    with pytest.raises(ValueError, match="project"):
        config(tracking={"project": project})


def test_every_metric_has_a_section() -> None:
    for kind in KINDS:
        assert all("/" in name.strip("/") for name in catalogue_of(kind))


def test_points_are_placed_by_iteration(tracked: Path) -> None:
    records = [json.loads(line) for line in inspect(segments(tracked)[1]).splitlines()]
    defined = [record["metric"] for record in records if record["type"] == "metric"]
    steps = {metric["glob_name"]: metric["step_metric"] for metric in defined if "glob_name" in metric}
    assert steps == {"*": "iteration"}  # counters as well as metrics
    assert "iteration" in {metric.get("name") for metric in defined}


def test_tables_and_text_arrive_as_media_and_stay_in_the_run_directory(tracked: Path) -> None:
    graded = next(item for item in history(segments(tracked)[0]) if "toy/score" in item)
    assert graded["toy/table._type"] == "table-file" and graded["toy/table.nrows"] == 3
    page = segments(tracked)[0] / "files" / graded["toy/text.path"]
    assert "<pre>x &lt; y</pre>" in page.read_text()
    artifact = next(json.loads(r) for r in inspect(segments(tracked)[0]).splitlines() if '"type":"artifact"' in r)
    staged = artifact["artifact"]["manifest"]["contents"][0]["local_path"]
    assert Path(staged).is_relative_to(tracked.resolve())


def test_images_arrive_as_media(tracked: Path) -> None:
    pytest.importorskip("PIL")
    graded = next(item for item in history(segments(tracked)[0]) if "toy/score" in item)
    assert (graded["toy/picture.width"], graded["toy/picture.height"]) == (8, 8)


def test_tracking_does_not_alter_training(tracked: Path, tmp_path: Path) -> None:
    train(tmp_path / "run", config(budget=80))
    train(tmp_path / "run", config())
    run_id = checkpoint.load(tracked / "checkpoints" / "000020")[0]["loop"]["wandb_id"]
    for path in checkpoint.numbered(tmp_path / "run" / "checkpoints"):
        state, manifest = checkpoint.load(path)
        assert state["loop"]["wandb_id"] is None
        state["loop"]["wandb_id"] = run_id
        origin = origin_of(tmp_path / "run")
        checkpoint.save(path.parent, state, iteration=manifest.iteration, counters=manifest.counters, origin=origin)
    assert_same_run(tracked, tmp_path / "run")


def fail(*arguments: object, **settings: object) -> None:
    raise RuntimeError("the service\nis down")


@pytest.mark.parametrize("target", ["wandb.init", "wandb.Run.log", "wandb.Run.finish", "wandb.Run.define_metric"])
def test_a_failing_wandb_costs_one_line_and_no_training(
    tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb  # noqa: F401

    monkeypatch.setattr(target, fail)
    outcome, output = train(tmp_path / "run", config(tracking=OFFLINE, budget=40))
    assert outcome.exit_code == 0 and outcome.iteration == 5
    lines = [line for line in output.splitlines() if "W&B is off" in line]
    assert len(lines) == 1 and lines[0].endswith("(RuntimeError: the service is down)")


def test_without_wandb_installed_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    outcome, output = train(tmp_path / "run", config(tracking=OFFLINE, budget=40))
    assert outcome.exit_code == 0 and output.count("W&B is off") == 1


def test_off_writes_nothing(tmp_path: Path) -> None:
    train(tmp_path / "run", config(budget=8))
    assert list((tmp_path / "run" / "wandb").iterdir()) == []


@pytest.mark.parametrize(
    ("wanted", "key", "environment", "mode"),
    [
        ("auto", "", "", "offline"),
        ("auto", "k" * 40, "", "online"),
        ("auto", "k" * 40, "offline", "offline"),
        ("auto", "k" * 40, "disabled", "off"),
        ("online", "k" * 40, "disabled", "online"),
        ("online", "", "", "offline"),
        ("offline", "k" * 40, "", "offline"),
        ("off", "k" * 40, "online", "off"),
    ],
)
def test_the_mode_follows_the_configuration_then_the_login(
    wanted: str, key: str, environment: str, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "absent"))
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setenv("WANDB_MODE", environment)
    assert tracking.choose_mode(wanted) == mode


def test_a_netrc_entry_is_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine elsewhere.example login user password x\n")
    assert not tracking.has_login()
    for host in ("api.wandb.ai", "api.forge.coreweave.com"):
        (tmp_path / "netrc").write_text(f"machine {host} login user password x\n")
        assert tracking.has_login()


def test_the_entry_that_wandb_itself_would_write_is_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    host = urlsplit(wandb.Settings().base_url).netloc
    (tmp_path / "netrc").write_text(f"machine {host} login user password x\n")
    assert tracking.has_login()
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:8080")
    assert not tracking.has_login()
    (tmp_path / "netrc").write_text("machine 127.0.0.1:8080 login user password x\n")
    assert tracking.has_login()


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00", b"machine api.wandb.ai login", b"machine", b"{}", b'machine "api.wandb.ai', 2_000_000 * b"x "],
)
def test_a_broken_netrc_is_no_login(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_bytes(content)
    assert not tracking.has_login()
    assert tracking.choose_mode("auto") == "offline"


@pytest.mark.parametrize("kind", ["folder", "fifo", "device", "loop", "long"])
def test_a_netrc_that_is_no_file_is_no_login(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "netrc"
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    match kind:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "device":
            path = Path("/dev/zero")
        case "loop":
            path.symlink_to(path)
        case "long":
            path = tmp_path / (5000 * "n")
    monkeypatch.setenv("NETRC", str(path))
    assert not tracking.has_login()


@pytest.mark.parametrize(
    "address", ["http://[::1", "not a url", "ftp://wandb.example.com", "https://", "http://a:port", "https://a:99999"]
)
def test_a_malformed_address_of_the_server_costs_one_line(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_BASE_URL", address)
    assert tracking.choose_mode("auto") == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    outcome, output = train(tmp_path / "run", config(tracking={"wandb": "auto"}, budget=8))
    assert outcome.exit_code == 0
    assert [line for line in output.splitlines() if "WANDB_BASE_URL" in line and "W&B is off" in line]
    assert output.count("W&B") == 1


_IN_A_PROCESS = """
import os, signal, subprocess, sys
from pathlib import Path
from lab.run import tracking
from tests.lab.run.test_loop import train
from tests.lab.toy import config

log = tracking.Tracker.log
def kill_first(self, iteration, *rest):
    if iteration == 2 and "kill" in sys.argv:
        children = subprocess.run(["pgrep", "-P", str(os.getpid()), "-f", "wandb-core"], capture_output=True, text=True)
        os.kill(int(children.stdout.split()[0]), signal.SIGKILL)
    log(self, iteration, *rest)
tracking.Tracker.log = kill_first
outcome, output = train(Path(sys.argv[1]) / "run", config(tracking={"wandb": "offline"}, budget=80))
assert outcome.exit_code == 0 and outcome.iteration == 10
print(output.count("W&B is off"))
"""


def in_a_process(tmp_path: Path, *arguments: str, without: str = "", **environment: str) -> tuple[str, str]:
    """Both outputs of a tracked run in a process of its own."""
    dropped = ("XDG_CACHE_HOME", "WANDB_SERVICE", "WANDB_MODE", without)
    values = {name: value for name, value in os.environ.items() if name not in dropped}
    done = subprocess.run(
        [sys.executable, "-c", _IN_A_PROCESS, str(tmp_path), *arguments],
        cwd=ROOT,
        env=values | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.slow
def test_a_wandb_core_killed_in_mid_run_costs_one_line(tmp_path: Path) -> None:
    assert in_a_process(tmp_path, "kill") == ("1\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("home", ["", "/proc", "/dev/null"])
def test_wandb_core_writes_nothing_to_the_terminal_without_a_home(home: str, tmp_path: Path) -> None:
    assert in_a_process(tmp_path, **{"HOME": home} if home else {}, without="" if home else "HOME") == ("0\n", "")
    assert segments(tmp_path / "run")
    assert not (ROOT / ".wandb_cache").exists()


def test_an_unreachable_server_delays_the_start_by_a_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "_INIT_TIMEOUT_S", 1)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    outcome, output = train(tmp_path / "run", config(tracking={"wandb": "online"}, budget=8))
    assert outcome.exit_code == 0 and output.count("W&B is off") == 1
    assert "0" * 40 not in output


class Recorder:
    """Stands for a wandb run that the server knew already."""

    id, offline = "known", False

    def __init__(self) -> None:
        self.sent: list[int] = []

    def log(self, data: dict[str, Any]) -> None:
        self.sent.append(data["iteration"])


def test_what_an_online_run_has_already_is_not_sent_again(tmp_path: Path) -> None:
    run = Recorder()
    tracker = tracking.Tracker(run, tmp_path, sent_until=12)  # type: ignore[arg-type]
    for iteration in (10, 11, 12, 13, 13, 14):
        tracker.log(iteration, {}, {})
    assert run.sent == [13, 13, 14]


def test_an_evaluation_still_due_when_an_online_run_is_continued_is_sent(tmp_path: Path) -> None:
    run = Recorder()
    tracker = tracking.Tracker(run, tmp_path, resumed_at=10, sent_until=12)  # type: ignore[arg-type]
    for iteration in (10, 11, 12, 13):
        tracker.log(iteration, {}, {})
    assert run.sent == [10, 13]


def test_the_loop_tells_the_tracker_where_it_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []

    def start(settings: object, run_dir: object, resumed_at: int, *rest: object, **more: object) -> tracking.Tracker:
        told.append(resumed_at)
        return tracking.Tracker(None)

    monkeypatch.setattr(tracking, "start", start)
    train(tmp_path / "run", config(budget=80))
    train(tmp_path / "run", config(budget=88))
    assert told == [0, 10]


def test_secrets_are_left_out_of_the_configuration_at_any_depth() -> None:
    settings = {"seed": 1, "api_key": "x", "cluster": {"address": "a", "auth_token": "x", "password": "x"}}
    assert tracking.without_secrets(settings) == {"seed": 1, "cluster": {"address": "a"}}


def test_one_module_imports_wandb_and_only_when_it_tracks() -> None:
    sources = [path for package in ("lab", "agents", "gans", "cluster") for path in (ROOT / package).rglob("*.py")]
    importers = [path.name for path in sources if re.search(r"^\s*(import|from) wandb\b", path.read_text(), re.M)]
    assert importers == ["tracking.py"]
    code = "import sys, lab.run.loop; sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


def test_a_run_that_is_complete_starts_no_new_segment(tracked: Path) -> None:
    assert RunDir.open(tracked).finished
    before = segments(tracked)
    _, output = train(tracked, config(tracking=OFFLINE))
    assert segments(tracked) == before and "complete" in output


def test_a_long_name_is_cut_to_what_wandb_takes(tmp_path: Path) -> None:
    train(tmp_path / (200 * "n"), config(tracking={"wandb": "offline"}, budget=8))
    assert described(tmp_path / (200 * "n"))["display_name"] == tracking.LONGEST_NAME * "n"
