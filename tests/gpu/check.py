"""All checks that need a GPU, in at most eight minutes and one JSON file: `make gpu-check`.

The tests marked `gpu`, then the benches, each a process with a time limit of its own. The file is written anew after
every part, so that a check that is stopped leaves what it has found. Exit codes: 0 all passed, 1 something failed,
2 no GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 480.0
LONGEST_OUTPUT = 4000  # last characters of a failed part's output that are kept


@dataclass(frozen=True)
class Part:
    """A command line after `python -m`, its time limit, and whether its output ends in the JSON of a bench."""

    name: str
    command: tuple[str, ...]
    limit_s: float
    json_output: bool = True


def selfplay(channels: int, blocks: int, boards: int, limit_s: float, *more: str) -> Part:
    """Self-play and the learner's step of one network."""
    size = ("--channels", str(channels), "--blocks", str(blocks), "--batch", str(boards), *more)
    name = " ".join(["selfplay", f"{channels}x{blocks}", str(boards), *more])
    return Part(name, ("lab", "bench", "selfplay", *size, "--seconds", "6", "--device", "cuda", "--json"), limit_s)


def parts(report: Path) -> list[Part]:
    """All parts, the most important first; those that the time does not suffice for are left out.

    report: where the tests write their results.
    """
    tests = ("pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", f"--junitxml={report}", "tests/gpu")
    gan = ("lab", "bench", "gan", "--seconds", "0.5", "--device", "cuda", "--json")
    games = ("lab", "bench", "games", "--batch", "4096", "--simulations", "8", "--seconds", "0.5", "--device", "cuda")
    supervised = ("lab", "bench", "supervised", "supervised/digits")  # its data need no download
    return [
        selfplay(32, 3, 4096, 45),
        Part("tests", tests, 170, json_output=False),
        selfplay(64, 5, 4096, 45),
        selfplay(128, 6, 4096, 50),
        Part("gan 32", (*gan, "--only-last", "--batch", "64"), 40),
        Part("gan 128", (*gan, "--resolution", "128", "--fmap-base", "8192", "--fmap-max", "512", "--only-last"), 40),
        Part("games", (*games, "--json"), 60),
        selfplay(64, 5, 16384, 45),
        selfplay(64, 5, 4096, 45, "--precision", "fp32"),
        selfplay(64, 5, 4096, 45, "--search", "puct"),
        Part("supervised", (*supervised, "device=cuda", "--seconds", "1", "--json"), 40),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts; returns the exit code."""
    parser = argparse.ArgumentParser(prog="gpu-check", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("gpu-check.json"), help="the JSON file")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds for everything")
    parser.add_argument("--only", help="only parts whose name contains this")
    chosen = parser.parse_args(arguments)
    import torch

    if not torch.cuda.is_available():
        print("gpu-check: this torch sees no CUDA GPU, so there is nothing to check", file=sys.stderr)
        return 2
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as scratch:
        report = Path(scratch, "tests.xml")
        record: dict[str, Any] = {"machine": machine(), "finished": False, "parts": {}, "failures": []}
        for part in parts(report):
            if chosen.only is not None and chosen.only not in part.name:
                continue
            left = chosen.limit - (time.monotonic() - start)
            result = run(part, min(part.limit_s, left)) if left > 5.0 else {"status": "left out", "seconds": 0.0}
            if part.name == "tests":
                result |= tests_of(report)
            record["parts"][part.name] = result
            if result["status"] != "passed":
                record["failures"].append(part.name)
            record["seconds"] = time.monotonic() - start
            write(chosen.out, record)
            print(f"{part.name}: {result['status']} in {result['seconds']:.0f} s", flush=True)
    record["finished"] = True
    write(chosen.out, record)
    print(f"{chosen.out}: {len(record['failures'])} of {len(record['parts'])} parts did not pass")
    return 1 if record["failures"] else 0


def machine() -> dict[str, Any]:
    """The GPU, torch and Triton."""
    import torch

    found = torch.cuda.get_device_properties(0)
    try:
        import triton

        version = triton.__version__
    except ImportError:
        version = None
    return {
        "device": found.name,
        "capability": f"{found.major}.{found.minor}",
        "memory_gb": found.total_memory / 1e9,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "triton": version,
        "python": sys.version.split()[0],
    }


def run(part: Part, limit_s: float) -> dict[str, Any]:
    """The result of one part: status passed, failed or timed out, seconds, and the bench's figures."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    start = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [sys.executable, "-m", *part.command],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            code = None
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        written = [_read(stream) for stream in (out, err)]
    result: dict[str, Any] = {
        "status": {0: "passed", None: "timed out"}.get(code, "failed"),
        "seconds": time.monotonic() - start,
        "limit_s": limit_s,
        "command": " ".join(part.command),
    }
    if warnings := [line for line in written[1].splitlines() if "slower" in line]:
        result["warnings"] = warnings  # a CUDA graph or a Triton kernel that did not work
    if result["status"] != "passed":
        return result | {"output": "".join(written)[-LONGEST_OUTPUT:]}
    if part.json_output:
        try:
            result["figures"] = json.loads(written[0])
        except ValueError:
            result |= {"status": "failed", "output": written[0][-LONGEST_OUTPUT:]}
    return result


def tests_of(report: Path) -> dict[str, Any]:
    """Numbers of tests, and the failed ones with the end of their message, from pytest's report if there is one."""
    if not report.exists():
        return {}
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    failed = {}
    for case in suite.iter("testcase"):
        for problem in [*case.findall("failure"), *case.findall("error")]:
            failed[f"{case.get('classname')}::{case.get('name')}"] = (problem.get("message") or "")[:500]
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    return counts | {"failed_tests": failed}


def write(path: Path, record: dict[str, Any]) -> None:
    """Replace the file at once, so that a stop leaves the old or the new one."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(json.dumps(record, indent=2) + "\n")
    temporary.replace(path)


def _read(stream: Any) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
