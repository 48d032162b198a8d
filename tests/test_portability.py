"""The core works on systems that lack what Unix has: modules, signals, renames of open files."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.pool.connection import import_ray
from lab.errors import UserError
from tests.test_packaging import ROOT, modules
from tests.windows import CALLS, MODULES, SIGNALS

TINY = (
    *("selfplay.boards=16", "selfplay.moves_per_iteration=4", "search.simulations=2", "replay.min_positions=16"),
    *("learner.batch_size=16", "network.channels=4", "network.blocks=1", "checkpoint.every=1", "checkpoint.keep=1"),
    *("evaluate.every=0", "tracking.wandb=off"),
)


def windows(*commands: str, runs: Path, code: int = 0) -> str:
    """Run `lab` commands in one process as if on Windows; elsewhere than on Linux as they are."""
    words = [word for command in commands for word in (*command.split(), ";")][:-1]
    environment = {**os.environ, "LAB_RUNS": str(runs)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.windows", *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_every_module_imports_without_the_modules_of_unix(tmp_path: Path) -> None:
    names = [name for name, path in modules() if path.name != "__main__.py"]
    windows(" ".join(["--import", *names]), runs=tmp_path)


@pytest.mark.slow
def test_a_run_trains_resumes_and_is_replaced_without_the_modules_of_unix(tmp_path: Path) -> None:
    train = " ".join(["train alphazero/tic_tac_toe --name a budget=60", *TINY])
    said = windows(train, "resume a budget=200", f"{train} --overwrite", runs=tmp_path)
    assert "continuing from iteration" in said
    assert not (tmp_path / "a" / ".replaced").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_kind_trains_and_its_verbs_work_without_the_modules_of_unix(tmp_path: Path) -> None:
    gan = "growth.fade_images=64 growth.stable_images=64 network.fmap_max=8 training.images_per_iteration=256"
    pictures, packed = tmp_path / "pictures", tmp_path / "packed.safetensors"
    windows(
        "train supervised/digits_mlp --name digits budget=3000 tracking.wandb=off",
        f"train progressive_gan/digits --name gan budget=512 {gan} tracking.wandb=off",
        f"sample gan --count 4 --out {pictures}",
        f"data pack {pictures} {packed} --workers 2",
        f"train progressive_gan/digits --name own budget=256 data.source={packed} {gan} tracking.wandb=off",
        f"data pack {pictures} {packed} --overwrite",
        "train sequences/bit_count --name bits budget=2000 tracking.wandb=off",
        f"export digits --out {tmp_path / 'digits.onnx'}",
        "show digits",
        "eval digits",
        runs=tmp_path / "runs",
    )


# In a function: `getattr(os, name, ...)`, `hasattr` or `except AttributeError` guards it, or the cluster needs it.
GUARDED = {
    ("lab/run/memory.py", "sysconf"),
    ("lab/child_processes.py", "pthread_sigmask"),
    ("agents/engines/process.py", "killpg"),
    ("agents/engines/process.py", "SIGKILL"),
    ("lab/cli/doctor.py", "sched_getaffinity"),
}


def test_no_module_of_the_core_uses_what_windows_lacks_without_a_guard() -> None:
    absent = {*CALLS, *SIGNALS}
    found = set()
    for _, path in modules():
        name = path.relative_to(ROOT).as_posix()
        if name.startswith("cluster/"):
            continue  # Ray runs on Linux and macOS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("os", "signal") and node.attr in absent:
                found.add((name, node.attr))
            if isinstance(node, ast.Import):
                found |= {(name, alias.name) for alias in node.names if alias.name in MODULES}
    assert found - GUARDED == {("lab/run/memory.py", "resource"), ("agents/cli/play.py", "readline")}


def test_ray_is_refused_on_windows_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UserError, match="WSL 2"):
        import_ray()


def text_files_without_encoding(tree: ast.AST) -> list[int]:
    """Lines that read or write text in the encoding of the system, which differs between systems."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(keyword.arg == "encoding" for keyword in node.keywords):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        modes = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        opens_text = name == "open" and any(mode in ("r", "w", "a", "x", "r+", "w+", "a+") for mode in modes)
        positional = {"write_text": 2, "read_text": 1}.get(name)
        if opens_text or (positional is not None and len(node.args) < positional):
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("source", ["p.write_text(x)", "p.read_text()", 'open(p, "w")', 'p.open("a", buffering=1)'])
def test_the_search_for_text_files_finds_them(source: str) -> None:
    assert text_files_without_encoding(ast.parse(source)) == [1]


def test_text_files_state_their_encoding() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): lines
        for _, path in modules()
        if (lines := text_files_without_encoding(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found == {}
