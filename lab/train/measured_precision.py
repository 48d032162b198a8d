"""Precision on a CPU by measurement: bf16 is several times faster with AMX and several times slower on many others.

With `precision=auto` a run times the candidate forms of its own networks for a fraction of a second at its start and
keeps the choice in its directory, so that a resumed run computes as before.
"""

from __future__ import annotations

import copy
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lab.errors import UserError
from lab.files import durable
from lab.terminal.streams import say
from lab.train import random_state
from lab.train.collectives import ranks
from lab.train.device import Device, Form, Precision, autocast
from lab.train.step import LossSum

FILE = "precision.json"
SWITCH = "LAB_MEASURE_PRECISION"  # 0: auto is fp32 on every CPU, so that all runs compute alike
MARGIN = 1.15  # bf16 must be this many times faster than the best form in fp32
_HOPELESS = 2.0  # a first call that is this many times slower ends the measurement of bf16
_FIRST_CALL_S = 0.05  # oneDNN generates code in the first call
_INFERENCE_S, _TRAINING_S = 0.02, 0.06  # of a call in fp32: small batches hide the gain behind overheads
_BUDGET_S, _ROUNDS, _WALL_S = 0.3, 9, 1.0
_FEW_ROWS = 8


class Candidate(NamedTuple):
    """Precision, and the form of inference where there are several."""

    precision: Precision
    form: Form | None = None

    def __str__(self) -> str:
        return self.precision if self.form is None else f"{self.precision} {self.form}"


Calls = Mapping[Candidate, Callable[[int], object]]
"""What is timed: a call with this many rows for each candidate."""


class PrecisionChoices:
    """The choices of one run: measured at its start, kept in its directory, said in one line by `report`.

    Only `precision=auto` on a CPU is open to a choice; any other device is returned as it is. Without a directory
    nothing is kept. Networks of several data-parallel ranks, which must agree, stay in fp32, and so does a run that has
    checkpoints and no kept choice.
    """

    def __init__(
        self, directory: Path | None, device: Device, *, clock: Callable[[], float] = time.process_time
    ) -> None:
        self._path, self.device, self._clock = directory and directory / FILE, device, clock
        self._kept, self._notes, self._lines = _read(self._path), list[str](), list[str]()
        self._slow = False  # bf16 was far slower in an earlier measurement
        if self._kept is not None and (why := self._closed):
            self._notes.append(f"the measured choice of this run is not used ({why})")
        elif self._kept is not None and self._kept["processor"] != processor():
            self._notes.append(f"measured again: this run was on another CPU ({self._kept['processor']})")
            self._kept = None
        elif self._kept is None and not self._closed and _has_checkpoints(directory):
            self._notes.append("fp32, as this run has kept no choice")
            self.device = replace(device, automatic=False)

    @property
    def _closed(self) -> str:
        """Why there is nothing to choose; "" if there is."""
        if self.device.device.type != "cpu":
            return f"device={self.device.device}"
        if not self.device.automatic:
            return "precision is given"
        if ranks().size > 1:
            return "several learners compute in fp32"
        return f"{SWITCH}=0" if os.environ.get(SWITCH) == "0" else ""

    def choose(self, use: str, calls: Callable[[], Calls], *, rows: int, call_s: float = _INFERENCE_S) -> Device:
        """The device with the fastest candidate of `calls()`; fp32 candidates come first, rows are at most `rows`.

        use: name of the choice, such as "training". call_s: as of `measure`.
        """
        if self._closed:
            return self.device
        kept = None if self._kept is None else self._kept["choices"].get(use)
        if kept is not None:
            self._lines.append(f"{use} {Candidate(*kept)} (kept)")
            return self._with(Candidate(*kept))
        with random_state.preserved():
            seconds = measure(calls(), rows=rows, call_s=call_s, clock=self._clock, only_fp32=self._slow)
        chosen, reason = decide(seconds)
        self._slow |= all(candidate.precision == "fp32" for candidate in seconds)
        self._lines.append(f"{use} {chosen} ({reason})")
        self._keep(use, chosen)
        return self._with(chosen)

    def training(
        self, network: nn.Module, loss: Callable[[nn.Module, int], Tensor], *, rows: int, use: str = "training"
    ) -> Device:
        """The device for gradient steps of `network`, by forward and backward passes of a copy.

        loss: of this copy on so many rows, a 0-d tensor; it runs under the autocast of the candidate.
        """

        def calls() -> Calls:
            own = copy.deepcopy(network).train()

            def step(precision: Precision) -> Callable[[int], object]:
                device = replace(self.device, precision=precision)

                def call(count: int) -> None:
                    own.zero_grad(set_to_none=True)
                    with torch.enable_grad():
                        with autocast(device):
                            value = loss(own, count)
                        value.backward()

                return call

            return {Candidate("fp32"): step("fp32"), Candidate("bf16"): step("bf16")}

        return self.choose(use, calls, rows=rows, call_s=_TRAINING_S)

    def report(self) -> None:
        """Print one line on the choices, if there were any."""
        parts = [", ".join(self._lines), *self._notes]
        if text := "; ".join(part for part in parts if part):
            say(f"precision: {text}")

    def _with(self, chosen: Candidate) -> Device:
        return replace(self.device, precision=chosen.precision, form=chosen.form, automatic=False)

    def _keep(self, use: str, chosen: Candidate) -> None:
        kept = self._kept or {"processor": processor(), "choices": {}}
        self._kept = {**kept, "choices": {**kept["choices"], use: list(chosen)}}
        if self._path is None:
            return
        try:
            durable.write_durably(self._path, json.dumps(self._kept, indent=1).encode())
        except OSError as error:
            raise UserError(durable.explain(error, self._path, "try again")) from error


def for_gradient_steps(
    directory: Path, device: Device, network: nn.Module, loss: Callable[[Any, slice], LossSum], *, rows: int
) -> Device:
    """The device with the precision of a run's gradient steps, whose choice is printed.

    loss: of these rows of a batch by a network. rows: of a micro-batch.
    """

    def mean(network: nn.Module, count: int) -> Tensor:
        found = loss(network, slice(0, count))
        return found.total / found.weight

    choices = PrecisionChoices(directory, device)
    measured = choices.training(network, mean, rows=rows)
    choices.report()
    return measured


def kept_choice(directory: Path, use: str, device: Device) -> Device:
    """`device` with the choice that the run in `directory` keeps; as it is on another CPU or without one."""
    kept = _read(directory / FILE)
    if kept is None or not device.automatic or kept["processor"] != processor() or use not in kept["choices"]:
        return device
    precision, form = kept["choices"][use]
    return replace(device, precision=precision, form=form, automatic=False)


def measure(
    calls: Calls,
    *,
    rows: int,
    call_s: float = _INFERENCE_S,
    clock: Callable[[], float] = time.process_time,
    only_fp32: bool = False,
) -> dict[Candidate, float]:
    """Median seconds of each candidate, in interleaved rounds on as many rows as take `call_s` in fp32, at most `rows`.

    The first candidate is one in fp32. Those in bf16 are left out when a call of one takes twice the time of fp32.
    """

    def seconds(call: Callable[[int], object], count: int) -> float:
        start = clock()
        call(count)
        return clock() - start

    first, few = next(iter(calls.values())), min(_FEW_ROWS, rows)
    first(few)
    count = few
    for _ in range(3):
        larger = min(rows, int(count * call_s / max(seconds(first, count), 1e-6)))
        if larger <= count:
            break
        count = larger
    tried: list[Candidate] = []
    fastest = float("inf")
    for candidate, call in calls.items():
        if candidate.precision != "fp32":
            # A second call only where the first may have been slow for the code that it generated.
            if only_fp32 or seconds(call, count) > _HOPELESS * fastest + _FIRST_CALL_S:
                break
            if seconds(call, count) > _HOPELESS * fastest:
                break
        else:
            call(count)
            fastest = min(fastest, seconds(call, count))
        tried.append(candidate)
    if len(tried) == 1:
        return {tried[0]: fastest}
    samples: dict[Candidate, list[float]] = {candidate: [] for candidate in tried}
    begin, begin_wall = clock(), time.monotonic()
    for number in range(_ROUNDS):
        # Of wall time as well: on a busy machine it is far longer.
        if number >= 3 and (clock() - begin > _BUDGET_S or time.monotonic() - begin_wall > _WALL_S):
            break
        for candidate in tried:
            samples[candidate].append(seconds(calls[candidate], count))
    return {candidate: statistics.median(found) for candidate, found in samples.items()}


def decide(seconds: Mapping[Candidate, float]) -> tuple[Candidate, str]:
    """The candidate to use and why: the fastest in bf16 if it is `MARGIN` times faster than the fastest in fp32."""

    def fastest(precision: str) -> Candidate | None:
        own = [candidate for candidate in seconds if candidate.precision == precision]
        return min(own, key=lambda candidate: seconds[candidate], default=None)

    full, half = fastest("fp32"), fastest("bf16")
    assert full is not None, "a candidate in fp32 is always measured"
    if half is None:
        return full, "bf16 is slower"
    ratio = seconds[full] / max(seconds[half], 1e-9)
    if ratio >= MARGIN:
        return half, f"{ratio:.1f}x {full}"
    return full, f"{half} is {ratio:.1f}x"


def processor() -> str:
    """The CPU and those of its features that decide: model, and AMX or AVX-512 in bfloat16."""
    fields: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    except OSError:
        return f"{platform.processor() or platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    flags = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in fields.get("flags", "").split()]
    name = fields.get("model name", platform.machine())
    return ", ".join([name, torch.backends.cpu.get_cpu_capability(), *flags])


def _has_checkpoints(directory: Path | None) -> bool:
    return directory is not None and any((directory / "checkpoints").glob("[0-9]*"))


def _read(path: Path | None) -> dict[str, Any] | None:
    """The kept choices; None if there are none or the file is damaged."""
    if path is None:
        return None
    try:
        found = json.loads(path.read_bytes())
        str(found["processor"])
        for precision, form in found["choices"].values():
            if precision not in ("fp32", "bf16") or form not in (None, "fused", "plain"):
                return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return dict(found)
