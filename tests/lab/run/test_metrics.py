"""The catalogue and the metrics log."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lab.errors import UserError
from lab.plots.media import Image, Table
from lab.run.metrics import LOOP_METRICS, Catalogue, Entry, Metric, MetricsLog, cut_back, read

LOSS = Metric("loss/policy", "nats", "cross-entropy", "loss", higher_is_better=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def append(path: Path, *iterations: int) -> None:
    with MetricsLog(path) as log:
        for iteration in iterations:
            log.append(iteration, {"steps": 10 * iteration}, {"loss/policy": 1 / iteration}, 2.5 * iteration)


def test_an_unlisted_metric_fails_when_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_STRICT_METRICS", "1")
    catalogue = Catalogue([LOSS])
    catalogue.check(["loss/policy"])
    with pytest.raises(KeyError, match="loss/value"):
        catalogue.check(["loss/policy", "loss/value"])


def test_an_unlisted_metric_warns_once_otherwise(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("LAB_STRICT_METRICS", raising=False)
    catalogue = Catalogue([LOSS])
    with caplog.at_level(logging.WARNING):
        catalogue.check(["loss/value"])
        catalogue.check(["loss/value"])
    assert len(caplog.records) == 1
    assert "loss/value" in caplog.text


def test_joined_catalogues_hold_both() -> None:
    joined = Catalogue([LOSS]) | LOOP_METRICS
    assert set(joined) == {"loss/policy", *LOOP_METRICS}


def test_one_name_has_one_meaning() -> None:
    other = Catalogue([Metric("loss/policy", "bits", "another thing", "loss")])
    with pytest.raises(ValueError, match="loss/policy"):
        Catalogue([LOSS]) | other


def test_entries_read_back_as_written(path: Path) -> None:
    append(path, 1, 2)
    assert read(path) == [
        Entry(1, {"steps": 10}, {"loss/policy": 1.0}, 2.5),
        Entry(2, {"steps": 20}, {"loss/policy": 0.5}, 5.0),
    ]


def test_a_line_is_visible_before_the_log_is_closed(path: Path) -> None:
    with MetricsLog(path) as log:
        log.append(1, {}, {"loss/policy": np.float32(0.5)}, 0.0)  # type: ignore[dict-item]
        assert len(read(path)) == 1


def test_nan_is_written_as_json_and_read_as_nan(path: Path) -> None:
    with MetricsLog(path) as log:
        log.append(1, {}, {"loss/policy": math.nan, "loss/value": math.inf}, 0.0)
    assert json.loads(path.read_text())["metrics"] == {"loss/policy": None, "loss/value": None}
    assert all(math.isnan(value) for value in read(path)[0].metrics.values())


def test_a_missing_log_is_empty(path: Path) -> None:
    assert read(path) == []
    assert cut_back(path, 3) == 0


@pytest.mark.parametrize(
    "tail", ['{"iteration": 3, "cou', '{"iteration": 3, "counters": {}, "metrics": {}, "seconds": 1}']
)
def test_a_line_still_being_written_is_left_out(path: Path, tail: str) -> None:
    append(path, 1, 2)
    with path.open("a") as file:
        file.write(tail)
    assert [entry.iteration for entry in read(path)] == [1, 2]


def line(iteration: str = "3", counters: str = "{}", metrics: str = "{}", seconds: str = "1") -> bytes:
    text = f'{{"iteration": {iteration}, "counters": {counters}, "metrics": {metrics}, "seconds": {seconds}}}\n'
    return text.encode()


DAMAGED = [
    *[b"\0\0\0\n", b"[]\n", b"{}\n", b"\xff\n", b'{"iteration": 1}\n', b"\n", b"null\n", b"1\n", b'"text"\n'],
    *[
        line(iteration=value)
        for value in ("-1", "1.5", '"3"', "true", "null", "9" * 25, "9" * 5000, "[]", "1e400", "NaN")
    ],
    *[line(seconds=value) for value in ("-1", "1e300", "1e400", "Infinity", "NaN", "null", '"1"', "true", "9" * 400)],
    *[line(counters=value) for value in ("[]", "null", '{"a": null}', '{"a": "1"}', '{"a": 1e300}', '{"a": {}}')],
    *[line(metrics=value) for value in ("[]", "3", '{"a": "1"}', '{"a": true}', '{"a": 1e999}', '{"a": [1]}')],
    *[line(metrics=f'{{"a": {"9" * 400}}}'), line(metrics=f'{{"a": {"9" * 5000}}}')],
    *[b"[" * 100_000 + b"\n", b'{"a":' * 100_000 + b"\n", line(metrics="[" * 500 + "]" * 500)],
    *[line(metrics=f'{{"{"a" * 10_000_000}": 1}}'), b"x" * 10_000_000 + b"\n", b"x" * (1 << 20) + b"\n"],
]


@pytest.mark.parametrize("damage", DAMAGED, ids=lambda damage: f"{damage[:40]!r}...{len(damage)}")
def test_a_damaged_line_costs_only_itself(path: Path, damage: bytes) -> None:
    append(path, 1)
    with path.open("ab") as file:
        file.write(damage)
    append(path, 2)
    assert [entry.iteration for entry in read(path)] == [1, 2]


def test_many_damaged_lines_are_one_warning(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    append(path, 1)
    with path.open("ab") as file:
        file.write(b"x\n" * 1000)
    assert len(read(path)) == 1
    assert len(caplog.records) == 1 and "1000 lines from line 2 on are damaged" in caplog.text


@pytest.mark.parametrize("size", [10, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_half_line_of_any_length_is_removed_before_the_next(path: Path, size: int) -> None:
    append(path, 1)
    with path.open("ab") as file:
        file.write(b"x" * size)
    append(path, 2)
    assert [entry.iteration for entry in read(path)] == [1, 2]
    assert path.read_bytes().count(b"\n") == 2 and path.stat().st_size < 1000


def test_a_log_that_is_only_a_half_line_is_emptied(path: Path) -> None:
    path.write_bytes(b"x" * (2 << 20))
    append(path, 1)
    assert [entry.iteration for entry in read(path)] == [1]


def _folder(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [_folder, _loop, _device, os.mkfifo])
def test_what_is_no_file_is_neither_read_nor_written(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    for use in (read, lambda path: cut_back(path, 1), MetricsLog):
        with pytest.raises(UserError, match=r"metrics\.jsonl"):
            use(path)


def test_a_link_is_not_written_through(path: Path) -> None:
    victim = path.with_name("victim")
    victim.write_text("years of work")
    path.symlink_to(victim)
    with pytest.raises(UserError, match="is not a regular file but a link"):
        MetricsLog(path)
    assert victim.read_text() == "years of work"


def test_appending_after_a_crash_does_not_glue_lines(path: Path) -> None:
    append(path, 1)
    with path.open("a") as file:
        file.write('{"iteration": 2, "cou')
    append(path, 2)
    assert [entry.iteration for entry in read(path)] == [1, 2]


def test_cutting_back_drops_later_iterations(path: Path) -> None:
    append(path, 1, 2, 3, 4)
    before = path.read_text().splitlines(keepends=True)
    assert cut_back(path, 2) == 2
    assert path.read_text() == "".join(before[:2])


def test_cutting_back_to_the_last_iteration_changes_nothing(path: Path) -> None:
    append(path, 1, 2)
    inode, text = path.stat().st_ino, path.read_text()
    assert cut_back(path, 2) == 0
    assert (path.stat().st_ino, path.read_text()) == (inode, text)


def test_cutting_back_drops_a_half_line(path: Path) -> None:
    append(path, 1)
    text = path.read_text()
    with path.open("a") as file:
        file.write('{"iter')
    assert cut_back(path, 5) == 1
    assert path.read_text() == text


def test_media_refuse_what_cannot_be_shown() -> None:
    with pytest.raises(ValueError, match="row 1"):
        Table("t", ["a", "b"], [[1, 2], [3]])
    with pytest.raises(ValueError, match="uint8"):
        Image("i", np.zeros((4, 4, 3), np.float32))
    with pytest.raises(ValueError, match="uint8"):
        Image("i", np.zeros((3, 4, 4), np.uint8)[..., :2])
    assert Image("i", np.zeros((4, 4, 3), np.uint8)).caption == ""
