"""W&B as a sink of a run's metrics. The only module that imports wandb; it never blocks or stops training.

Offline runs of wandb 0.31 cannot be resumed: a resumed run writes another offline directory with the same run id, and
the x axis is the metric "iteration" instead of wandb's own step.
"""

import html
import netrc
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlparse

from lab.config.sections import ExperimentConfig
from lab.plots.media import Image, Media, Table
from lab.run.run_dir import RunDir

if TYPE_CHECKING:
    import wandb

Mode = Literal["online", "offline", "off"]
STEP = "iteration"
_INIT_TIMEOUT_S = 20
_FINISH_TIMEOUT_S = 20  # short of the 30 s a job manager commonly grants between SIGTERM and SIGKILL
_ARTIFACT_TIMEOUT_S = 300
Say = Callable[[str], None]
_DATA_DIR = "WANDB_DATA_DIR"
_MODE_OF_ENVIRONMENT = {"online": "online", "offline": "offline", "dryrun": "offline", "disabled": "off"}
_SECRET = re.compile(r"key$|token|secret|password|credential", re.IGNORECASE)


def _silent(line: str) -> None:
    pass


class Tracker:
    """A W&B run. Without one, or after the first failure, every call is a no-op."""

    def __init__(
        self,
        run: "wandb.Run | None",
        folder: Path = Path(),
        resumed_at: int = 0,
        sent_until: int = 0,
        say: Say = _silent,
    ) -> None:
        self.run_id: str | None = run.id if run is not None else None
        self._run, self._folder, self._say = run, folder, say
        self._resumed_at, self._sent_until = resumed_at, sent_until
        self._failed_media: set[str] = set()

    def log(
        self,
        iteration: int,
        counters: Mapping[str, int],
        metrics: Mapping[str, float],
        media: Sequence[Media] = (),
    ) -> None:
        """Send one record of metrics.jsonl, with the media shown beside it.

        Iterations that are repeated after an online resume are skipped: W&B has them. The iteration of the checkpoint
        is not skipped: its evaluation may follow.
        """
        if self._run is None or self._resumed_at < iteration <= self._sent_until:
            return
        try:
            with _staging_in(self._folder):
                self._run.log({STEP: iteration, **counters, **metrics, **self._shown(media)})
        except Exception as error:  # tracking must never end a run
            self._give_up(error)

    def finish(self, exit_code: int, artifact: Path | None = None) -> None:
        """End the W&B run, uploading the checkpoint `artifact` first when online."""
        if self._run is None:
            return
        try:
            if artifact is not None and not self._run.offline:
                self._upload(artifact)
            self._run.finish(exit_code=exit_code)
        except Exception as error:
            self._give_up(error)
        self._run = None

    def _shown(self, media: Sequence[Media]) -> dict[str, Any]:
        """Media as wandb's own objects. Items that wandb cannot convert are left out, with one message each."""
        shown: dict[str, Any] = {}
        for item in media:
            try:
                shown[item.name] = _to_wandb(item)
            except Exception as error:
                if item.name not in self._failed_media:
                    self._failed_media.add(item.name)
                    self._say(f"W&B: {item.name} is left out ({_one_line(error)})")
        return shown

    def _upload(self, directory: Path) -> None:
        import wandb

        assert self._run is not None
        artifact = wandb.Artifact(f"{self._run.id}-best", type="checkpoint")
        artifact.add_dir(str(directory))
        self._run.log_artifact(artifact).wait(timeout=_ARTIFACT_TIMEOUT_S)

    def _give_up(self, error: Exception) -> None:
        self._run = None
        self._say(f"W&B is off from here, training goes on ({_one_line(error)})")


def start(
    config: ExperimentConfig,
    run_dir: RunDir,
    resumed_at: int,
    run_id: str | None,
    say: Say,
) -> Tracker:
    """Start (None) or resume the W&B run `run_id`; a failure prints one line and gives a Tracker without a run."""
    mode = choose_mode(config.tracking.wandb, say)
    if mode == "off":
        return Tracker(None)
    # Read on import and at login, which ignores `Settings.silent`.
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        import wandb

        settings = wandb.Settings(
            init_timeout=_INIT_TIMEOUT_S,
            finish_timeout=_FINISH_TIMEOUT_S,
            silent=True,
            console="off",  # log.txt has the lines
            disable_git=True,  # a remote's address can hold a token
            disable_code=True,
            disable_job_creation=True,
        )
        run = wandb.init(
            id=run_id or secrets.token_hex(4),
            name=run_dir.name,
            project=config.tracking.project,
            group=config.tracking.group,
            dir=str(run_dir.path.resolve()),  # wandb makes the folder wandb/ in it
            mode=mode,
            resume="allow" if mode == "online" else None,
            config=without_secrets(config.model_dump(mode="json")),
            allow_val_change=True,  # a resumed run may have another budget
            reinit="create_new",
            settings=settings,
        )
        run.define_metric(STEP)
        run.define_metric("*", step_metric=STEP)  # counters too, which have no group
        sent_until = int(run.summary.get(STEP) or 0) if mode == "online" and run.resumed else 0
        return Tracker(run, run_dir.path.resolve() / "wandb", resumed_at, sent_until, say)
    except Exception as error:
        say(f"W&B is off, training goes on ({_one_line(error)})")
        return Tracker(None)


def choose_mode(wanted: str, say: Say = _silent) -> Mode:
    """The mode for a configuration's `tracking.wandb`: "auto" is online with a login, else offline.

    Under "auto" the environment's WANDB_MODE decides first. Online without a login would prompt for one:
    it becomes offline.
    """
    if wanted == "auto":
        wanted = _MODE_OF_ENVIRONMENT.get(os.environ.get("WANDB_MODE", ""), "auto")
    if wanted == "off":
        return "off"
    if wanted == "online" and not has_login():
        say("W&B has no login (set WANDB_API_KEY or run `wandb login`): tracking offline")
    return "online" if wanted in ("auto", "online") and has_login() else "offline"


def has_login() -> bool:
    """Whether there is a key for W&B in the environment or the netrc file; asks no server."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    files = [os.environ["NETRC"]] if "NETRC" in os.environ else ["~/.netrc", "~/_netrc"]
    for file in files:
        try:
            if host in netrc.netrc(Path(file).expanduser()).hosts:
                return True
        except (OSError, netrc.NetrcParseError, RuntimeError):
            continue
    return False


def without_secrets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` without the keys, at any depth, that are named like a secret."""
    return {
        key: without_secrets(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
        if not _SECRET.search(key)
    }


@contextmanager
def _staging_in(folder: Path) -> Iterator[None]:
    """Stage tables for `wandb sync` in the run's directory, not in the home directory, unless the user set another."""
    if _DATA_DIR in os.environ:
        yield
        return
    os.environ[_DATA_DIR] = str(folder)
    try:
        yield
    finally:
        del os.environ[_DATA_DIR]


def _to_wandb(item: Media) -> Any:
    import wandb

    if isinstance(item, Table):
        return wandb.Table(columns=list(item.columns), data=[list(row) for row in item.rows])
    if isinstance(item, Image):
        # wandb expects grey images without a channel axis.
        pixels = item.pixels[..., 0] if item.pixels.shape[2] == 1 else item.pixels
        return wandb.Image(pixels, caption=item.caption or None)
    caption = f"<p>{html.escape(item.caption)}</p>" if item.caption else ""
    return wandb.Html(f"<pre>{html.escape(item.text)}</pre>{caption}")


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
