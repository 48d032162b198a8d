"""The precision on a CPU: chosen by measured times, kept in the run, and used again by a resumed run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lab.train import device as devices
from lab.train import measured_precision
from lab.train.device import Device
from lab.train.measured_precision import Calls, Candidate, PrecisionChoices, kept_choice, measure

FP32, BF16 = Candidate("fp32", "fused"), Candidate("bf16", "fused")
PLAIN = Candidate("bf16", "plain")
AUTO = Device(torch.device("cpu"), "fp32", 1, automatic=True)


class Machine:
    """A clock that calls advance: seconds of each candidate for a row."""

    def __init__(self, **seconds_per_row: float) -> None:
        self.now, self.calls = 0.0, list[str]()
        self._seconds = seconds_per_row

    def clock(self) -> float:
        return self.now

    def of(self, name: str) -> Callable[[int], object]:
        def call(rows: int) -> None:
            self.calls.append(name)
            self.now += rows * self._seconds[name]

        return call

    def candidates(self) -> Calls:
        return {FP32: self.of("fp32"), BF16: self.of("fused"), PLAIN: self.of("plain")}


@pytest.fixture(autouse=True)
def _measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(measured_precision.SWITCH, "1")


def choose(machine: Machine, directory: Path | None = None, device: Device = AUTO) -> PrecisionChoices:
    choices = PrecisionChoices(directory, device, clock=machine.clock)
    choices.choose("self-play", machine.candidates, rows=256)
    return choices


def chosen(machine: Machine, directory: Path | None = None, device: Device = AUTO) -> Device:
    return PrecisionChoices(directory, device, clock=machine.clock).choose("self-play", machine.candidates, rows=256)


def test_the_fastest_form_is_taken() -> None:
    found = chosen(Machine(fp32=4e-5, fused=1e-5, plain=2e-5))
    assert (found.precision, found.form, found.automatic) == ("bf16", "fused", False)
    found = chosen(Machine(fp32=4e-5, fused=2e-5, plain=1e-5))
    assert (found.precision, found.form) == ("bf16", "plain")


def test_bf16_needs_a_clear_margin() -> None:
    assert chosen(Machine(fp32=1.1e-5, fused=1e-5, plain=2e-5)).precision == "fp32"
    assert chosen(Machine(fp32=1.2e-5, fused=1e-5, plain=2e-5)).precision == "bf16"


def test_a_cpu_without_amx_stays_in_fp32_and_tries_bf16_once() -> None:
    machine = Machine(fp32=5e-5, fused=4e-4, plain=4e-4)
    assert chosen(machine).precision == "fp32"
    assert machine.calls.count("fused") == 1 and machine.calls.count("plain") == 0
    assert machine.now < 0.3


def test_later_measurements_leave_out_bf16_where_it_was_slow() -> None:
    machine = Machine(fp32=5e-5, fused=4e-4, plain=4e-4)
    choices = choose(machine)
    machine.calls.clear()
    assert choices.choose("training", machine.candidates, rows=256).precision == "fp32"
    assert set(machine.calls) == {"fp32"}


@pytest.mark.parametrize("seconds", [1e-7, 1e-5, 1e-3, 2e-2])
def test_a_measurement_takes_at_most_two_seconds(seconds: float) -> None:
    machine = Machine(fp32=seconds, fused=seconds / 2, plain=seconds / 2)
    measure(machine.candidates(), rows=256, clock=machine.clock)
    assert machine.now < 2.0


def test_one_line_says_what_was_chosen_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    choices = choose(Machine(fp32=3.4e-5, fused=1e-5, plain=2e-5))
    choices.choose("training", Machine(fp32=1e-5, fused=1e-4, plain=1e-4).candidates, rows=256)
    choices.report()
    line = capsys.readouterr().out
    assert line.startswith("precision: self-play bf16 fused (3.4x fp32 fused), training fp32 fused (")
    assert line.count("\n") == 1


def test_a_resumed_run_uses_the_kept_choice_without_a_measurement(tmp_path: Path) -> None:
    chosen(Machine(fp32=4e-5, fused=1e-5, plain=2e-5), tmp_path)
    machine = Machine(fp32=1e-5, fused=4e-5, plain=4e-5)
    assert chosen(machine, tmp_path).precision == "bf16"
    assert machine.calls == []


def test_another_cpu_measures_again_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen(Machine(fp32=4e-5, fused=1e-5, plain=2e-5), tmp_path)
    assert kept_choice(tmp_path, "self-play", AUTO).form == "fused"
    monkeypatch.setattr(measured_precision, "processor", lambda: "an abacus")
    assert kept_choice(tmp_path, "self-play", AUTO) == AUTO
    choices = choose(Machine(fp32=1e-5, fused=4e-5, plain=4e-5), tmp_path)
    choices.report()
    line = capsys.readouterr().out
    assert "self-play fp32 fused" in line and "measured again: this run was on another CPU" in line
    assert json.loads((tmp_path / measured_precision.FILE).read_text())["processor"] == "an abacus"


def test_a_given_precision_is_not_measured_and_a_kept_choice_yields_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine(fp32=4e-5, fused=1e-5, plain=2e-5)
    chosen(machine, tmp_path)
    machine.calls.clear()
    given = devices.resolve("cpu", "fp32", 1)
    choices = choose(machine, tmp_path, given)
    choices.report()
    assert machine.calls == []
    assert chosen(machine, tmp_path, given) == given
    assert "not used (precision is given)" in capsys.readouterr().out


def test_the_environment_switches_the_measurement_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(measured_precision.SWITCH, "0")
    machine = Machine(fp32=4e-5, fused=1e-5, plain=2e-5)
    assert chosen(machine).precision == "fp32" and machine.calls == []


def test_a_run_with_checkpoints_and_no_choice_goes_on_in_fp32(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "checkpoints" / "000004").mkdir(parents=True)
    machine = Machine(fp32=4e-5, fused=1e-5, plain=2e-5)
    choose(machine, tmp_path).report()
    assert machine.calls == []
    assert capsys.readouterr().out == "precision: fp32, as this run has kept no choice\n"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"processor": "x", "choices": {"self-play": ["fp8", null]}}'])
def test_a_damaged_file_is_measured_again(tmp_path: Path, text: str) -> None:
    (tmp_path / measured_precision.FILE).write_text(text)
    assert chosen(Machine(fp32=4e-5, fused=1e-5, plain=2e-5), tmp_path).precision == "bf16"


def test_the_training_step_is_measured_on_a_copy_without_global_randomness() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    seen: list[torch.dtype] = []

    def loss(net: nn.Module, rows: int) -> Tensor:
        out: Tensor = net(torch.rand(rows, 4))
        seen.append(net[0](torch.rand(rows, 4)).dtype)  # type: ignore[index]
        return out.float().sum()

    found = PrecisionChoices(None, AUTO).training(network, loss, rows=16)
    assert found.precision in ("fp32", "bf16") and not found.automatic
    assert {torch.float32, torch.bfloat16} == set(seen)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in network.parameters())
