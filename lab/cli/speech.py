"""The verbs of `lab` for a voice: eval and say."""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import torch
import typer
from torch import Tensor

from lab.audio.distortion import mel_cepstral_distortion
from lab.audio.mel import log_mel
from lab.audio.resample import resample
from lab.cli.arguments import Json, Run, RunsDir, print_json
from lab.cli.options import Checkpoint, DeviceName, Overwrite, check_absent, check_suffix_of, device_of
from lab.config.registry import find_kind, load
from lab.errors import UserError
from lab.files.durable import explain, replacing
from lab.files.plain import read_regular
from lab.plots.images import save_png
from lab.run.lookup import RUNS_DIR, find_run, stored_kind
from lab.speech.dataset import open_speech, read_held_out
from lab.speech.evaluation import evaluate as measure
from lab.speech.experiment import check_same_data
from lab.speech.figures import spectrogram_picture
from lab.speech.metrics import CATALOGUE
from lab.speech.recognise import RATE, Recogniser, word_error_rate
from lab.speech.synthesis import Said, Vocoder, Voice, load_voice
from lab.speech.wave_stream import WaveStream
from lab.terminal.streams import say as show
from lab.terminal.streams import warn

_LARGEST_TEXT = 2**24  # bytes
_PICTURED_S = 60.0  # of speech, at most

VocoderRun = Annotated[
    str, typer.Option("--vocoder", help="A run whose vocoder makes the waves; by default Griffin-Lim.")
]


def evaluate(
    run: Run,
    recognise: Annotated[
        bool, typer.Option("--recognise", help="Word error rate by pocketsphinx, beside that of the recordings.")
    ] = False,
    sentences: Annotated[int, typer.Option(min=1, max=10**5, help="Held-out sentences that are spoken, at most.")] = 50,
    vocoder: VocoderRun = "",
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Evaluate a voice on held-out sentences: errors, distortion of its waves, speed, and how it is understood."""
    voice = _voice(run, vocoder, checkpoint, device, runs_dir)
    recogniser = Recogniser() if recognise else None
    data = open_speech(voice.config.data, voice.config.mel)
    check_same_data(voice.config, data.fingerprint, voice.fingerprint)
    found = measure(voice.model, data, voice.config.mel, sentences, voice.device)
    lines = list(data.held_out_lines)[:sentences]
    start = time.perf_counter()
    spoken = [_joined(list(voice.say(line.words))) for line in lines]
    seconds = time.perf_counter() - start
    true = read_held_out(voice.config.data, lines, voice.rate)
    distortion = sum(
        mel_cepstral_distortion(*(log_mel(wave[None], voice.config.mel)[0] for wave in pair))
        for pair in zip(spoken, true, strict=True)
    )
    record: dict[str, Any] = {
        "run": run,
        "examples_trained": voice.examples,
        "sentences": len(lines),
        **{name.removeprefix("eval/"): value for name, value in found.metrics.items()},
        "wave_distortion": distortion / len(lines),
        "real_time_factor": seconds / (sum(map(len, spoken)) / voice.rate),
    }
    if recogniser is not None:
        texts = [line.words for line in lines]
        vocoded = [voice.sound(log_mel(wave[None], voice.config.mel)[0].T) for wave in true]
        judged = {"word_error_rate": spoken, "recordings_word_error_rate": true, "vocoded_word_error_rate": vocoded}
        for name, waves in judged.items():
            record[name] = word_error_rate(recogniser, [resample(wave, voice.rate, RATE) for wave in waves], texts)
    if as_json:
        print_json(record)
        return
    show(f"{run}: trained on {voice.examples:,} sentences, repetitions included; {len(lines)} held-out sentences")
    for name, value in list(record.items())[3:]:
        metric = CATALOGUE.get(f"eval/{name}")
        unit, meaning = (metric.unit, metric.meaning) if metric else _MEANINGS[name]
        show(f"{name:30} {value:9.4f} {unit:9} {meaning}")


_MEANINGS = {
    "wave_distortion": ("dB", "mel-cepstral distortion of the waves, aligned in time"),
    "real_time_factor": ("", "seconds of computing per second of speech"),
    "word_error_rate": ("fraction", "of the voice, by pocketsphinx"),
    "recordings_word_error_rate": ("fraction", "of the recordings of the same sentences"),
    "vocoded_word_error_rate": ("fraction", "of the recordings through the vocoder of the voice"),
}


def say(
    run: Run,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="A text, a text file, or - for standard input.", show_default=False)
    ],
    out: Annotated[
        str, typer.Option("--out", help="FILE.wav; with --stream also - for standard output.", show_default=False)
    ],
    stream: Annotated[
        bool, typer.Option("--stream", help="Write every sentence as soon as it is spoken, for a player to follow.")
    ] = False,
    pace: Annotated[float, typer.Option(min=0.25, max=4.0, help="2 speaks twice as fast.")] = 1.0,
    picture: Annotated[
        Path | None, typer.Option(help="FILE.png: the log-mel spectrogram of the first minute.", show_default=False)
    ] = None,
    vocoder: VocoderRun = "",
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    overwrite: Overwrite = False,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Speak a text into a WAV file; numbers, dates, money and abbreviations are read out."""
    if out == "-" and not stream:
        raise UserError("--out - needs --stream; or give FILE.wav")
    if out == "-" and as_json:
        raise UserError("--json and the sound cannot both go to standard output; give --out FILE.wav")
    if out != "-":
        check_suffix_of("--out", Path(out), (".wav",))
        check_absent(Path(out), overwrite)
    if picture is not None:
        check_suffix_of("--picture", picture, (".png",))
        check_absent(picture, overwrite)
    text = _text(text)
    voice = _voice(run, vocoder, checkpoint, device, runs_dir)
    words: list[str] = []
    frames: list[Tensor] = []
    start, first = time.perf_counter(), 0.0
    said, pictured = voice.say(text, pace=pace), round(_PICTURED_S * voice.config.mel.frames_per_s)
    with _opened(out, stream) as file, WaveStream(file, voice.rate) as growing:
        for part in said:
            growing.write(part.wave)
            first = first or time.perf_counter() - start
            words.append(part.words)
            if sum(map(len, frames)) < pictured:
                frames.append(part.mel)
    if picture is not None:
        save_png(picture, spectrogram_picture([torch.cat(frames)[:pictured]]))
    seconds, computed = growing.seconds, time.perf_counter() - start
    record = {"file": out, "seconds": seconds, "first_sound_s": first, "real_time_factor": computed / seconds}
    if as_json:
        print_json({"run": run, **record, "words": " ".join(words)})
        return
    line = f"{out}: {seconds:.1f} s, first sound after {first:.2f} s, real-time factor {computed / seconds:.2f}"
    (warn if out == "-" else show)(line)


def _joined(parts: list[Said]) -> Tensor:
    return torch.cat([part.wave for part in parts])


def _voice(run: str, vocoder: str, checkpoint: str, device: str, runs_dir: Path) -> Voice:
    chosen = device_of(device)
    return load_voice(find_run(run, runs_dir), chosen, checkpoint, _vocoder(vocoder, runs_dir, chosen))


def _vocoder(run: str, runs_dir: Path, device: Any) -> Vocoder | None:
    """The vocoder of a run of another kind, which the registry knows. Raises UserError if its kind has none."""
    if not run:
        return None
    path = find_run(run, runs_dir)
    kind = stored_kind(path)
    target = find_kind(kind).functions.get("vocoder")
    if target is None:
        raise UserError(f"--vocoder {run}: runs of kind {kind!r} have no vocoder; give a run of kind vocoder")
    made: Vocoder = load(target)(path, device)
    return made


def _text(given: str) -> str:
    """A text, the content of a file or of standard input.

    Raises UserError for one that is not UTF-8, and for the name of a text file that is not there.
    """
    if given == "-":
        try:
            return sys.stdin.buffer.read(_LARGEST_TEXT).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise UserError("standard input is not UTF-8 text") from None
    try:
        is_file = Path(given).is_file()
    except (OSError, ValueError):  # too long for a file name, or with a zero byte: a text
        is_file = False
    if not is_file:
        if re.fullmatch(r"\S+\.txt", given):  # a slip of the pen, which would be read out as "dot t x t"
            raise UserError(f"{given} does not exist; give a text or the name of a text file")
        return given
    try:
        return read_regular(Path(given), _LARGEST_TEXT).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{given} is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{given} cannot be read: {error.strerror or error}") from None


@contextmanager
def _opened(out: str, stream: bool) -> Iterator[BinaryIO]:
    """Standard output, a file that can be read while it grows (`stream`), or one that appears once it is complete.

    Raises UserError if it cannot be written.
    """
    if out == "-":
        yield sys.stdout.buffer
    elif not stream:
        with replacing(Path(out)) as temporary, temporary.open("wb") as file:
            yield file
    else:
        try:
            Path(out).parent.mkdir(parents=True, exist_ok=True)
            with Path(out).open("wb") as file:
                yield file
        except OSError as error:
            raise UserError(explain(error, Path(out), "try again")) from error
