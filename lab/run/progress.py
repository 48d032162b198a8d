"""Output of a run while it trains: a live line on a terminal, plain lines elsewhere, and log.txt."""

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.live import Live
from rich.text import Text

from lab.config.registry import PACKAGES
from lab.run.memory import memory_mb
from lab.run.metrics import Catalogue
from lab.terminal import streams
from lab.terminal.consoles import Console
from lab.terminal.text import printable

PLAIN_INTERVAL_S = 10.0
_SPEED_WINDOW = 50  # iterations: steady, but follows a change of batch size
_HEADLINES = 3


class Progress:
    """The lines of one run. `say` prints a line; `iteration` refreshes the status; both also reach log.txt.

    `console` is standard output unless given (with --json, pass one on standard error). work: that of
    `lab.run.experiment.Experiment`.
    """

    def __init__(
        self,
        log_path: Path,
        counter: str,
        budget: int,
        console: Console | None = None,
        *,
        work: Callable[[int], float] = float,
    ) -> None:
        self._work = work
        self._console = console or Console()
        self._counter, self._budget = counter, budget
        self._log = log_path.open("a", encoding="utf-8", buffering=1)
        self._live: Live | None = None
        self._window: deque[tuple[float, int]] = deque(maxlen=_SPEED_WINDOW)
        self._latest: dict[str, float] = {}
        self._plain_at = -PLAIN_INTERVAL_S  # the first iteration is always shown
        self._handler = _Forward(self)
        self._output_lost = False

    def __enter__(self) -> Self:
        for package in PACKAGES:
            logging.getLogger(package).addHandler(self._handler)
        if self._console.is_terminal:
            self._live = Live(Text(""), console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for package in PACKAGES:
            logging.getLogger(package).removeHandler(self._handler)
        if error is not None:
            with contextlib.suppress(OSError):  # a full disk may be the very error
                self._write_log(f"{type(error).__name__}: {error}")
        if self._live is not None:
            self._live.stop()
        self._log.close()

    def say(self, line: str) -> None:
        """Print one line, and log it with the time."""
        self._console.say(line)
        self._write_log(line)
        self._note_lost_output()

    def iteration(self, number: int, count: int, metrics: Mapping[str, float], headline: list[str]) -> None:
        """Show the status after iteration `number`, at `count` of the budget."""
        now = time.monotonic()
        self._window.append((now, count))
        self._latest.update(metrics)
        line = self._status(number, count, headline)
        if self._live is not None:
            self._live.update(Text(printable(line), no_wrap=True, overflow="ellipsis"), refresh=True)
        if now - self._plain_at >= PLAIN_INTERVAL_S:
            self._plain_at = now
            self._write_log(line) if self._live is not None else self.say(line)
            self._note_lost_output()

    def _status(self, number: int, count: int, headline: list[str]) -> str:
        parts = [f"iteration {number}", f"{count:,}/{self._budget:,} {self._counter}"]
        (first_time, first_count), (last_time, last_count) = self._window[0], self._window[-1]
        if last_time > first_time and last_count > first_count:
            speed = (last_count - first_count) / (last_time - first_time)
            parts.append(f"{speed:,.1f} {self._counter}/s")
            # Estimated anew at each call: a kind may have measured itself since.
            done = self._work(last_count) - self._work(first_count)
            left = max(0.0, self._work(self._budget) - self._work(count))
            parts.append(f"{timedelta(seconds=round(left / done * (last_time - first_time)))} left")
        if "time/iteration_s" in self._latest:
            parts.append(f"{self._latest['time/iteration_s']:.2f} s/iteration")
        if memory := memory_mb():
            parts.append(f"{sum(memory.values()) / 1000:.2f} GB")
        parts += [f"{name} {self._latest[name]:.4g}" for name in headline if name in self._latest]
        return " | ".join(parts)

    def _note_lost_output(self) -> None:
        if self._output_lost or not streams.lost():
            return
        self._output_lost = True
        note = f"standard output is gone ({streams.lost()}): training goes on, its lines are in"
        streams.warn(f"lab: {note} {self._log.name}")
        self._write_log(f"{note} this file alone")

    def _write_log(self, line: str) -> None:
        self._log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {printable(line)}\n")


def headline(catalogue: Catalogue, best: str | None) -> list[str]:
    """The metrics of the status line: evaluate.best, then losses and what should rise, in the catalogue's order."""
    names = [best] if best else []
    shown = {name: metric for name, metric in catalogue.items() if metric.panel != "speed"}
    names += [name for name, metric in shown.items() if "loss" in name or metric.higher_is_better]
    return list(dict.fromkeys(names))[:_HEADLINES]


class _Forward(logging.Handler):
    """Sends warnings of the lab's loggers to the terminal and log.txt."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        self._progress.say(f"{record.levelname.lower()}: {record.getMessage()}")
