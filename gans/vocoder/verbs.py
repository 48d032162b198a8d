"""The verbs of `lab` for a vocoder: eval and predict."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from torch import Tensor

from gans.verbs import check_output
from gans.vocoder.dataset import check_same, open_speech
from gans.vocoder.evaluation import Resynthesis
from gans.vocoder.metrics import CATALOGUE
from gans.vocoder.vocoder import Vocoder
from lab.audio.mel import log_mel
from lab.audio.wav import read_wav, write_wav
from lab.cli.arguments import Json, Run, RunsDir, print_json
from lab.cli.options import Checkpoint, DeviceName, Overwrite, device_of
from lab.run.lookup import RUNS_DIR, find_run
from lab.terminal.consoles import Console
from lab.terminal.streams import say


def evaluate(
    run: Run,
    recordings: Annotated[
        int | None, typer.Option(min=1, help="Held-out recordings; evaluate.recordings by default.")
    ] = None,
    checkpoint: Checkpoint = "latest",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Make held-out recordings again from their spectrograms, beside Griffin-Lim, and compare with the recordings."""
    trained = Vocoder.load(find_run(run, runs_dir), device_of(device), checkpoint)
    config = trained.config
    data = open_speech(config)
    otherwise = "its held-out recordings may have been trained on; restore the old data"
    check_same(config.data, data.fingerprint(), trained.fingerprint, otherwise)
    if recordings is not None:
        own = config.evaluate.model_copy(update={"recordings": recordings})
        config = config.model_copy(update={"evaluate": own})
    count = min(config.evaluate.recordings, len(data.held_out))
    resynthesis = Resynthesis(data.held_out, config)
    found = resynthesis.evaluate(trained) | resynthesis.baseline()
    found["eval/real_time_factor"] = _real_time_factor(trained, data.held_out[0])
    if as_json:
        print_json({"run": run, "windows_shown": trained.windows_shown, "recordings": count, **found})
        return
    say(f"{run}: {count:,} held-out recordings of {config.data.source} made again from their spectrograms")
    table = Table()
    for column in ("metric", "vocoder", "Griffin-Lim", "unit"):
        table.add_column(column, justify="left" if column in ("metric", "unit") else "right")
    for name, value in found.items():
        if f"{name}_griffin_lim" in found:
            other = f"{found[f'{name}_griffin_lim']:.4g}"
            table.add_row(name.removeprefix("eval/"), f"{value:.4g}", other, CATALOGUE[name].unit)
    Console().print(table)
    say(f"lower is better; real-time factor {found['eval/real_time_factor']:.3g}")


def predict(
    run: Run,
    recording: Annotated[Path, typer.Argument(metavar="INPUT", help="A WAV file.", show_default=False)],
    out: Annotated[Path, typer.Option(help="FILE.wav.")] = Path("vocoder.wav"),
    checkpoint: Checkpoint = "latest",
    overwrite: Overwrite = False,
    device: DeviceName = "auto",
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Make a recording again from its spectrogram."""
    check_output("--out", out, (".wav",), overwrite)
    trained = Vocoder.load(find_run(run, runs_dir), device_of(device), checkpoint)
    given = read_wav(recording)
    for remark in given.remarks:
        say(f"note: {recording}: {remark}")
    wave = given.at(trained.mel.rate)
    made = trained(log_mel(wave[None], trained.mel))[0, : len(wave)]
    write_wav(out, made, trained.mel.rate)
    say(f"{len(made) / trained.mel.rate:.3g} s at {trained.mel.rate} Hz in {out}")


def _real_time_factor(trained: Vocoder, recording: Tensor) -> float:
    """Seconds of computing per second of speech, the better of two runs: the first warms up."""
    spectrogram = log_mel(recording[None], trained.mel)
    taken = []
    for _ in range(2):
        start = time.perf_counter()
        wave = trained(spectrogram)
        taken.append(time.perf_counter() - start)
    return min(taken) / (wave.shape[1] / trained.mel.rate)
