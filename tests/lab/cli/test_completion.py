"""Shell completion: what can come next in a command line."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.cli.completion import candidates
from lab.cli.main import main
from lab.config.registry import VERBS


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    # One cache for all tests of a session: making it loads every verb.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path))
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "config.yaml").write_text("kind: progressive_gan\n")
    return "first"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("lab tra", ["train"]),
        ("lab bench ", list(VERBS["bench"].verbs)),
        ("lab train alphazero/tic", ["alphazero/tic_tac_toe", "alphazero/tic_tac_toe_recurrent"]),
        ("lab train alphazero/connect_four search.alg", ["search.algorithm="]),
        ("lab train alphazero/connect_four search.algorithm=", ["search.algorithm=gumbel", "search.algorithm=puct"]),
        ("lab train --name a alphazero/connect_four search.alg", ["search.algorithm="]),
        ("lab train --overw", ["--overwrite"]),
        ("lab play --strength ", ["easy", "medium", "hard"]),
        ("lab completion ", ["bash", "zsh", "fish"]),
        ("lab nothing ", []),
    ],
)
def test_words_are_completed(line: str, expected: list[str]) -> None:
    assert candidates(line) == expected


def test_runs_are_completed_and_choose_the_options(run: str) -> None:
    assert candidates("lab show ") == [run]
    assert "--growth" in candidates(f"lab sample {run} --")
    assert "--temperature" not in candidates(f"lab sample {run} --")


def test_bash_gets_the_value_without_its_key() -> None:
    assert candidates("lab train alphazero/connect_four search.algorithm=p", split_at_equals=True) == ["puct"]


def test_keys_come_from_the_cache_without_heavy_imports() -> None:
    line = "lab train alphazero/connect_four search."
    candidates(line)  # makes the cache
    code = (
        "import sys; from lab.cli.completion import candidates; "
        f"found = candidates({line!r}); print(len(found) > 5, sorted({{'torch', 'pydantic'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True []"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_valid(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "lab completion" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    lab.write_text(f'#!/bin/sh\nexec {sys.executable} -m lab "$@"\n')
    lab.chmod(0o755)
    script = (
        f'PATH={tmp_path}:$PATH; eval "$(lab completion bash)"; COMP_LINE="lab train sup"; COMP_POINT=13; '
        'COMP_WORDS=(lab train sup); COMP_CWORD=2; _lab 2>/dev/null; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert "supervised/digits" in done.stdout.split()


def test_verbs_of_other_packages_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.py").write_text(
        "from lab.config.registry import Verb\n"
        "def weigh(heavy: bool = False) -> None:\n    pass\n"
        "VERB = Verb('Weigh.', 'other:weigh')\n"
    )
    info = tmp_path / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rivals.verbs]\nweigh = other:VERB\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert candidates("lab wei") == ["weigh"]
    assert "--heavy" in candidates("lab weigh --")


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"fingerprint": 1}',
        b'{"fingerprint": FINGERPRINT}',
        b'{"fingerprint": FINGERPRINT, "commands": [], "keys": {}}',
        b'{"fingerprint": FINGERPRINT, "commands": {"train:": {"options": 1, "arguments": []}}, "keys": {}}',
        b'{"fingerprint": FINGERPRINT, "commands": {}, "keys": {"supervised": {"budget": [1]}}}',
    ],
    ids=range(8),
)
def test_a_damaged_cache_is_made_again(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("lab.cli.completion._fingerprint", lambda: "this code")
    commands = {"train:": {"options": [{"names": ["--name"], "value": "TEXT", "choices": []}], "arguments": []}}
    monkeypatch.setattr("lab.cli.completion._all_commands", lambda: commands.items())
    monkeypatch.setattr("lab.cli.completion._all_keys", lambda: {}.items())
    cache = tmp_path / "rivals-lab" / "completion.json"
    cache.parent.mkdir()
    cache.write_bytes(content.replace(b"FINGERPRINT", b'"this code"'))
    assert candidates("lab train --na") == ["--name"]
    cache.write_bytes(cache.read_bytes()[:-20])
    assert candidates("lab train --na") == ["--name"]
