"""The run loop: trains any experiment to its budget and resumes it exactly."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.config.sections import ExperimentConfig
from lab.errors import ExperimentStopped, UserError
from lab.files import durable
from lab.run.evaluator import Evaluator
from lab.run.experiment import Experiment
from lab.run.interrupt import Interrupt
from lab.run.metrics import Sink
from lab.run.progress import Progress
from lab.run.run_dir import RunDir
from lab.run.session import Session
from lab.terminal.consoles import Console

_WAIT_S = 0.5  # for an evaluation, before signals are checked again


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `exit_code` is 0 at the budget, 130 after SIGINT, 143 after SIGTERM."""

    exit_code: int
    iteration: int
    counters: dict[str, int]
    checkpoint: Path | None


def run(
    experiment: Experiment,
    config: ExperimentConfig,
    run_dir: RunDir,
    *,
    console: Console | None = None,
    interrupt: Interrupt | None = None,
    evaluator: Evaluator | None = None,
    sinks: Sequence[Sink] = (),
) -> Outcome:
    """Train `experiment` until its progress counter reaches `config.budget`, from the newest checkpoint if any.

    SIGINT or SIGTERM ends it after the iteration, with a checkpoint; a second SIGINT at once. Lines go to
    `console`, standard output unless given. `interrupt`: for a caller that handles the signals itself.
    `evaluator`: evaluates checkpoints beside training; without it evaluations run between iterations.
    `sinks` get every entry that is written to metrics.jsonl.
    Raises UserError when no checkpoint is valid, a loss is NaN or infinite, a file cannot be written, or another
    process trains this run.
    """
    run_dir.check_layout()
    run_dir.lock()
    with (
        Interrupt() if interrupt is None else interrupt as interrupt,
        Progress(run_dir.log_path, experiment.progress, config.budget, console, work=experiment.work) as progress,
        Session(experiment, config, run_dir, progress, evaluator=evaluator, sinks=sinks) as session,
    ):
        try:
            session.restore()
            while not interrupt:
                session.collect_evaluation()
                if session.evaluation_due():
                    session.evaluate()
                if session.checkpoint_due():
                    session.save()
                if interrupt:
                    break
                if not session.complete():
                    session.iterate()
                elif session.waiting():
                    session.collect_evaluation(timeout_s=_WAIT_S)
                else:
                    break
            session.save()  # nothing to do unless interrupted
        except KeyboardInterrupt as error:
            if not interrupt:  # no signal has come: the code of an environment, say, raised it
                raise UserError(f"KeyboardInterrupt was raised without a signal, in {_where(error)}") from error
            progress.say("stopped at once: the iterations after the last checkpoint are lost")
        except ExperimentStopped:
            session.save()
            raise
        except OSError as error:
            if not durable.is_full(error):
                raise
            raise UserError(durable.explain(error, run_dir.path)) from error
        if interrupt.signal:
            where = f"at iteration {session.saved_at}" if session.saved_at is not None else "before any checkpoint"
            progress.say(f"{interrupt.signal.name}: stopped {where}; continue with: lab resume {run_dir.path}")
        else:
            progress.say(session.summary())
        session.exit_code = interrupt.exit_code
        return Outcome(interrupt.exit_code, session.state.iteration, dict(experiment.counters), session.saved)


def _where(error: BaseException) -> str:
    """The line of code that raised an error."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}, line {frame.lineno}"
