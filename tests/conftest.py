"""What every test relies on: one thread, strict metric names, no tracking, runs in a temporary folder."""

import os
import signal
import tempfile

# Set before any package is imported; subprocesses inherit them. A test of tracking turns it on itself.
os.environ["LAB_STRICT_METRICS"] = "1"
os.environ["WANDB_MODE"] = "disabled"
os.environ["WANDB_SILENT"] = "true"
os.environ.pop("WANDB_API_KEY", None)
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["LAB_MEASURE_PRECISION"] = "0"  # of two runs that are compared, each could choose for itself
os.environ["SDL_VIDEODRIVER"] = "dummy"
os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"

# A script starts background jobs with SIGINT ignored, and their children inherit that. Tests send SIGINT to children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_home = tempfile.TemporaryDirectory(prefix="rivals-tests-")
os.environ["LAB_RUNS"] = os.path.join(_home.name, "runs")
os.environ["WANDB_DIR"] = _home.name

import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share Ray come last: it starts once and ends with the session.

    Other tests of the cluster use tokens of their own, and Ray keeps one in a process: a cluster at work would miss it.
    """
    items.sort(key=lambda item: "ray_here" in getattr(item, "fixturenames", ()))


@pytest.fixture(autouse=True)
def _runs_of_this_test(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests never see each other's runs, whatever names they choose."""
    monkeypatch.setenv("LAB_RUNS", str(tmp_path_factory.mktemp("runs")))
