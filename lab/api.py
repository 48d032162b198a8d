"""The Python API for notebooks and scripts: presets, training, and open runs.

`import lab` offers these names without importing torch; it is loaded by the first call that needs it.

    import lab

    run = lab.train_preset("alphazero/tic_tac_toe", {"budget": 20_000}, name="first")
    run.curve("eval/optimal_outcome")
    run.agent().think("51").best_move
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

from lab.config import presets
from lab.config.loading import load_preset, load_run_config
from lab.config.registry import find_kind, load
from lab.config.sections import ExperimentConfig
from lab.config.suggestions import did_you_mean, shortened
from lab.errors import UserError
from lab.run import lookup
from lab.run.metrics import read
from lab.terminal import records

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Overrides = Mapping[str, Any] | Sequence[str]
"""Settings that override those of a preset: {"search.simulations": 64} or ["search.simulations=64"]."""


def list_presets() -> dict[str, str]:
    """Name and description of every shipped preset."""
    return {name: str(presets.resolve(name).get("description", "")) for name in presets.preset_names()}


def preset_config(preset: str, overrides: Overrides = ()) -> ExperimentConfig:
    """The validated configuration of a preset (a shipped name or a YAML file) under overrides. Raises UserError."""
    return load_preset(preset, _texts(overrides))


def list_runs(runs_dir: str | Path | None = None) -> list[str]:
    """Names of the runs in a directory, sorted; `runs_dir` is $LAB_RUNS or "runs" unless given."""
    return lookup.run_names(Path(runs_dir or lookup.default_runs_dir()))


def open_run(run: str | Path, runs_dir: str | Path | None = None) -> Run:
    """A run by its name in the runs directory or by its path. Raises UserError that names the nearest run."""
    return Run(lookup.find_run(str(run), Path(runs_dir or lookup.default_runs_dir())))


def train_preset(
    preset: str,
    overrides: Overrides = (),
    *,
    name: str = "",
    resume: bool = False,
    overwrite: bool = False,
    runs_dir: str | Path | None = None,
) -> Run:
    """Train a preset until its budget is reached and open the run; the same as `lab train`.

    name: of the run; PRESET-001, -002 ... unless given. resume: continue the run of that name if it exists. overwrite:
    replace it. An interrupt (Ctrl-C, "stop" in a notebook) finishes the iteration, leaves a checkpoint and returns.
    Raises UserError for unknown presets and settings, FloatingPointError when a loss is NaN or infinite.
    """
    from lab.run.launch import continue_run, start_run
    from lab.run.run_dir import RunDir

    if resume and overwrite:
        raise UserError("resume and overwrite contradict each other: give one of them")
    if (resume or overwrite) and not name:
        raise UserError("resume and overwrite need the name of the run: name=...")
    texts, root = _texts(overrides), Path(runs_dir or lookup.default_runs_dir())
    config = load_preset(preset, texts)
    name = name or RunDir.next_numbered(root, lookup.run_stem(preset))
    if resume and lookup.locate_run(name, root) is not None:
        continue_run(root / name, texts)
    else:
        start_run(config, root, name, overwrite=overwrite)
    return Run(root / name)


@dataclass(frozen=True)
class Run:
    """An open run. Everything is read from its directory on use, so a run in training can be looked at too."""

    path: Path

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.resolve().name

    @property
    def kind(self) -> str:
        """The kind of experiment, such as "alphazero"."""
        return lookup.stored_kind(self.path)

    @cached_property
    def config(self) -> ExperimentConfig:
        """The resolved configuration; sections are attributes: `run.config.training.batch_size`."""
        return load_run_config(self.path / "config.yaml")

    @property
    def finished(self) -> bool:
        """Whether the budget is reached or the run stopped early."""
        from lab.run.run_dir import RunDir

        return RunDir.open(self.path).finished

    @property
    def counters(self) -> dict[str, int]:
        """Work done so far: iterations, and the kind's own counters (positions, images ...)."""
        entries = read(self.path / "metrics.jsonl")
        return {"iterations": entries[-1].iteration, **entries[-1].counters} if entries else {"iterations": 0}

    @property
    def checkpoints(self) -> list[int]:
        """Iterations of the numbered checkpoints, oldest first; methods also take "best" and "latest"."""
        from lab.run import checkpoint

        return sorted(int(path.name) for path in checkpoint.numbered(self.path / "checkpoints"))

    def metrics(self) -> dict[str, np.ndarray]:
        """The record as columns of equal length, one row per iteration.

        "iteration" is int64, "seconds" (of training so far), the counters and the metrics are float64; NaN where
        an iteration has no value. `lab show RUN` and the metrics reference give units and meaning.
        """
        import numpy as np

        rows: dict[int, dict[str, float]] = {}
        for entry in read(self.path / "metrics.jsonl"):
            row = rows.setdefault(entry.iteration, {})
            row |= {"seconds": entry.seconds, **entry.counters, **entry.metrics}
        names = list(dict.fromkeys(name for row in rows.values() for name in row))
        columns = {name: np.array([row.get(name, np.nan) for row in rows.values()]) for name in names}
        return {"iteration": np.array(list(rows), dtype=np.int64), **columns}

    def curve(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Iterations int64 [N] and finite values float64 [N] of one metric. Raises UserError that names the nearest."""
        import numpy as np

        columns = self.metrics()
        if name not in columns:
            raise UserError(f"no metric {name!r} in run {self.name!r}; {did_you_mean(name, columns)}")
        present = np.isfinite(columns[name])
        return columns["iteration"][present], columns[name][present]

    def frame(self) -> pd.DataFrame:
        """`metrics()` as a pandas DataFrame indexed by iteration. Raises UserError without pandas."""
        try:
            import pandas
        except ImportError:
            raise UserError("run.frame() needs pandas: pip install pandas, or use run.metrics()") from None
        return pandas.DataFrame(self.metrics()).set_index("iteration")

    def resume(self, overrides: Overrides = ()) -> Run:
        """Train on, exactly from the last checkpoint; the same as `lab resume`. Raises UserError."""
        from lab.run.launch import continue_run

        continue_run(self.path, _texts(overrides))
        return Run(self.path)

    def evaluate(self, **options: Any) -> dict[str, Any]:
        """The record of `lab eval RUN`; options are those of the verb: `evaluate(simulations=64)`.

        Raises UserError for an unknown option, and where the verb does.
        """
        name = find_kind(self.kind).verbs.get("eval")
        if name is None:
            raise UserError(f"runs of kind {self.kind!r} have no `lab eval`")
        verb = load(name)
        self._check_options("evaluate", verb, options)
        with records.collected() as found:
            verb(str(self.path), as_json=True, **_as_the_command_line(verb, options))
        return found[-1]

    def sample(self, count: int = 16, *, seed: int = 0, device: str = "auto", **options: Any) -> Any:
        """Samples of a generator or a language model; sample i is a function of (seed, i).

        Images uint8 [N, H, W, C], time series float64 [N, T, C] in the units of the data, texts list[str]. options:
        `checkpoint`, and by kind `label` (conditional GANs) or `chars`, `prompt`, `temperature`, `top_k`.
        """
        return self._call("sample", device, count=count, seed=seed, **options)

    def predict(self, inputs: Any, *, device: str = "auto", **options: Any) -> list[dict[str, Any]]:
        """Predictions of a supervised, sequences, AlphaZero or PPO run, one record per input.

        inputs: supervised: images uint8 [N, H, W] or [N, H, W, C] of the run's size, rows [N, F] of its table (numbers,
        or objects where it has texts; None or NaN for a blank), or the path of an image, a folder, a zip or a CSV file;
        sequences: a text or a list of texts;
        speech: a text or a list of texts, whose records hold the samples;
        AlphaZero: moves from the initial position, such as "443", or a list of them;
        PPO: a list of observations. options: `checkpoint`, for sequences `beam` and `steps`, for AlphaZero
        `simulations`, for PPO `masks`.
        """
        return list(self._call("predict", device, inputs, **options))

    def agent(self, checkpoint: str = "best", *, device: str = "auto") -> Any:
        """The agent of an AlphaZero run: `agent.think("443", simulations=64)` analyses a position.

        The analysis has `policy`, `value`, `visits`, `best_move` and `principal_variation`; see
        `agents.alphazero.agent.Agent`.
        """
        return self._call("agent", device, str(checkpoint))

    def _call(self, name: str, device: str, *arguments: Any, **options: Any) -> Any:
        """Call a function of the run's kind on a device. Raises UserError if the kind has no such function."""
        from lab.train import device as devices

        functions = find_kind(self.kind).functions
        if name not in functions:
            raise UserError(f"runs of kind {self.kind!r} have no {name}(); they have {', '.join(functions) or 'none'}")
        function = load(functions[name])
        self._check_options(name, function, options)
        if "checkpoint" in options:  # an iteration may be given as a number
            options["checkpoint"] = str(options["checkpoint"])
        resolved = devices.apply(devices.resolve(device))
        return function(self.path, resolved, *arguments, **options)

    def _check_options(self, name: str, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        """Raise UserError for an option that a function of the run's kind does not have."""
        parameters = inspect.signature(function).parameters
        known = set(parameters) - {"run", "as_json", "runs_dir"}
        for option in options:
            if option not in known:
                near = did_you_mean(option, known)
                raise UserError(f"{name}() of a {self.kind} run has no option {option!r}; {near}")

    def __repr__(self) -> str:
        counters = ", ".join(f"{name} {value:,}" for name, value in self.counters.items())
        return f"Run({self.name!r}, {self.kind}, {counters})"


def _as_the_command_line(verb: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with the types and limits that the command line of a verb checks. Raises UserError."""
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    hints, found = get_type_hints(verb, include_extras=True), {}
    for option, value in options.items():
        kind, *marks = get_args(hints[option]) if get_origin(hints[option]) is Annotated else (hints[option],)
        try:
            valid = TypeAdapter(kind, config=ConfigDict(coerce_numbers_to_str=True)).validate_python(value)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise UserError(f"{option}={shortened(value)}: {reason[:1].lower()}{reason[1:]}") from None
        for mark in marks:
            least, most = getattr(mark, "min", None), getattr(mark, "max", None)
            too_small = valid is not None and least is not None and valid < least
            if too_small or (valid is not None and most is not None and valid > most):
                raise UserError(f"{option}={valid} is out of range: {least} to {'any' if most is None else most}")
        found[option] = valid
    return found


def _texts(overrides: Overrides) -> list[str]:
    if isinstance(overrides, Mapping):
        return [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
    return list(overrides)
