"""W&B as a sink of a run's metrics. The only module that imports wandb; it never blocks or stops training.

Offline runs of wandb 0.31 cannot be resumed: a resumed run writes another offline directory with the same run id, and
the x axis is the metric "iteration" instead of wandb's own step.
"""

import atexit
import functools
import html
import netrc
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlparse

from lab.config.sections import ExperimentConfig
from lab.config.suggestions import shortened
from lab.plots.media import Image, Media, Table, Video
from lab.run.metrics import Catalogue, Metric
from lab.run.run_dir import RunDir

if TYPE_CHECKING:
    import wandb

Mode = Literal["online", "offline", "off"]
STEP = "iteration"
_INIT_TIMEOUT_S = 20
_FINISH_TIMEOUT_S = 20  # short of the 30 s a job manager commonly grants between SIGTERM and SIGKILL
_ARTIFACT_TIMEOUT_S = 300
LONGEST_NAME = 128
"""Characters of a name or group that W&B takes."""
_LARGEST_NETRC = 1 << 20  # bytes
_HOSTS = ("api.wandb.ai", "api.forge.coreweave.com")
"""Names of W&B's own server: the key of either is good for both, and it depends on wandb's version which is asked."""
COUNTERS = "counters/"
"""Prefix of the counters in W&B, which makes a section of them."""
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
                counted = {COUNTERS + name: value for name, value in counters.items()}
                self._run.log({STEP: iteration, **counted, **metrics, **self._shown(media)})
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
    catalogue: Catalogue = Catalogue(),  # noqa: B008  immutable
) -> Tracker:
    """Start (None) or resume the W&B run `run_id`; a failure prints one line and gives a Tracker without a run.

    The run's summary holds the best value of every metric of the catalogue that has a direction, besides the last.
    """
    mode = choose_mode(config.tracking.wandb, say)
    if mode == "off":
        return Tracker(None)
    tracking, folder = config.tracking, run_dir.path.resolve() / "wandb"
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
        _check_address()
        with _cache_in(folder):
            run = wandb.init(
                id=run_id or secrets.token_hex(4),
                name=run_dir.name[:LONGEST_NAME],
                project=project_of(config),
                group=tracking.group,
                job_type=tracking.job_type,
                tags=tracking.tags or None,
                notes=tracking.notes or config.description or None,
                dir=str(run_dir.path.resolve()),  # wandb makes the folder wandb/ in it
                mode=mode,
                resume="allow" if mode == "online" else None,
                config=without_secrets(config.model_dump(mode="json")),
                allow_val_change=True,  # a resumed run may have another budget
                reinit="create_new",
                settings=settings,
            )
        _end_quietly_at_exit()
        run.define_metric(STEP)
        run.define_metric("*", step_metric=STEP)
        for metric in catalogue.values():
            run.define_metric(metric.name, step_metric=STEP, summary=_summary_of(metric))
        sent_until = int(run.summary.get(STEP) or 0) if mode == "online" and run.resumed else 0
        return Tracker(run, folder, resumed_at, sent_until, say)
    except Exception as error:
        say(f"W&B is off, training goes on ({_one_line(error)})")
        return Tracker(None)


def project_of(config: ExperimentConfig) -> str:
    """The W&B project: as configured, else one for each kind."""
    return config.tracking.project or default_project(config.kind)


def default_project(kind: str) -> str:
    """The W&B project of the runs of a kind that name no other."""
    return f"rivals-{kind}"


def default_entity() -> str:
    """The entity of the login; asks the server."""
    import wandb

    return str(wandb.Api(timeout=_INIT_TIMEOUT_S).default_entity or "")


def _summary_of(metric: Metric) -> str:
    if metric.higher_is_better is None:
        return "last"
    return "max,last" if metric.higher_is_better else "min,last"


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
    try:
        host = _check_address()
    except ValueError:
        return False
    files = [os.environ["NETRC"]] if "NETRC" in os.environ else ["~/.netrc", "~/_netrc"]
    for file in files:
        try:
            path = Path(os.path.expanduser(file))
            found = path.stat()
            # A device or FIFO would block or fill the memory.
            if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST_NETRC:
                continue
            known = netrc.netrc(path)
            entries = [known.authenticators(name) for name in (_HOSTS if host in _HOSTS else (host,))]
            if any(entry is not None and entry[2] for entry in entries):  # the password
                return True
        except (OSError, netrc.NetrcParseError, RuntimeError, ValueError):  # ValueError: not UTF-8
            continue
    return False


def _check_address() -> str:
    """The host of W&B's server, with the port if one is given. Raises ValueError for a malformed WANDB_BASE_URL."""
    address = os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai"
    try:
        parsed = urlparse(address)
        host, port = parsed.hostname, parsed.port
    except ValueError as error:
        raise ValueError(f"WANDB_BASE_URL={shortened(address, 200)} is no address: {error}") from None
    if parsed.scheme not in ("http", "https") or not host:
        raise ValueError(
            f"WANDB_BASE_URL={shortened(address, 200)} is no address: give it as in https://wandb.example.com"
        )
    return host if port is None else f"{host}:{port}"


def without_secrets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` without the keys, at any depth, that are named like a secret."""
    return {
        key: without_secrets(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
        if not _SECRET.search(key)
    }


@contextmanager
def _cache_in(folder: Path) -> Iterator[None]:
    """Start wandb-core with a cache in `folder` if the user has none: without one it logs to standard error."""
    cache = os.environ.get("XDG_CACHE_HOME") or (os.environ["HOME"] + "/.cache" if os.environ.get("HOME") else "")
    try:
        logs = Path(cache, "wandb", "logs")
        if not logs.is_absolute():
            raise OSError(f"{logs} is not absolute")
        logs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=logs):
            pass
    except OSError:
        before = os.environ.get("XDG_CACHE_HOME")
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        try:
            yield
        finally:
            if before is None:
                del os.environ["XDG_CACHE_HOME"]
            else:
                os.environ["XDG_CACHE_HOME"] = before
    else:
        yield


@functools.cache
def _end_quietly_at_exit() -> None:
    """Before wandb's own hook, which shows a traceback when wandb-core has been killed."""
    atexit.register(_end_quietly)


def _end_quietly() -> None:
    import wandb

    with suppress(Exception, SystemExit):
        wandb.teardown()


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
    if isinstance(item, Video):
        return wandb.Video(str(item.path), caption=item.caption or None, format=_format(item.path))
    caption = f"<p>{html.escape(item.caption)}</p>" if item.caption else ""
    return wandb.Html(f"<pre>{html.escape(item.text)}</pre>{caption}")


def _format(path: Path) -> Literal["gif", "mp4"]:
    return "gif" if path.suffix.lower() == ".gif" else "mp4"


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
