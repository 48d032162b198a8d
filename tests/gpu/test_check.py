"""`make gpu-check` without a GPU: what it says, and what it keeps of a part that fails or takes too long."""

from pathlib import Path

import pytest
import torch

from tests.gpu import check


def test_without_a_gpu_it_says_so_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert check.main(["--out", str(tmp_path / "found.json")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_all_time_limits_of_the_first_half_fit_into_eight_minutes() -> None:
    planned = check.parts(Path("tests.xml"))
    assert sum(part.limit_s for part in planned[:7]) <= check.LIMIT_S


def test_a_part_that_takes_too_long_is_stopped() -> None:
    found = check.run(check.Part("slow", ("timeit", "-n", "1", "-r", "1", "import time; time.sleep(60)"), 1), 0.5)
    assert found["status"] == "timed out"
    assert found["seconds"] < 30


def test_a_bench_without_json_has_failed() -> None:
    assert check.run(check.Part("text", ("timeit", "-n", "1", "-r", "1", "1"), 10), 10)["status"] == "failed"


def test_failed_tests_are_named(tmp_path: Path) -> None:
    report = tmp_path / "tests.xml"
    report.write_text(
        '<testsuites><testsuite tests="2" failures="1" errors="0" skipped="0">'
        '<testcase classname="a" name="b"><failure message="wrong"/></testcase><testcase classname="a" name="c"/>'
        "</testsuite></testsuites>"
    )
    found = check.tests_of(report)
    assert (found["tests"], found["failed_tests"]) == (2, {"a::b": "wrong"})
