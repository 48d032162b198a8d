"""`lab data speak` and `lab data align`: recordings with the times of their phones."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lab.config.limits import LARGEST_SEED
from lab.errors import UserError
from lab.speech import corpus, speaking
from lab.speech.aligning import align_folder
from lab.terminal.consoles import progress_bar
from lab.terminal.streams import say, say_next


class Voice(StrEnum):
    slt = "slt"
    rms = "rms"
    awb = "awb"
    kal16 = "kal16"


def speak(
    texts: Annotated[
        str, typer.Argument(metavar="TEXTS", help="A number of sentences to make, or a file with a text on each line.")
    ],
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    voice: Annotated[Voice, typer.Option(help="Voice of the teacher, flite.")] = Voice.slt,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the sentences.")] = 0,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Teachers at work at once.")] = 2,
) -> None:
    """Speak texts with a synthesizer that is installed, flite, for `data.source` of a voice.

    The folder has the layout of LJSpeech: metadata.csv, wavs/; beside it the phones with their times and a lexicon.
    """
    found = speaking.texts_of(texts, seed)
    with progress_bar() as bar:
        task = bar.add_task("speaking", total=len(found))
        lines = speaking.make_set(
            found,
            out,
            voice=voice.value,
            workers=workers,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    say(f"{out}: {len(lines):,} recordings")
    say_next([f"lab train speech/voice data.source={out}"])


def align(
    folder: Annotated[Path, typer.Argument(help="A folder with metadata.csv and wavs/ID.wav, as that of LJSpeech.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the times that the folder has.")] = False,
) -> None:
    """Find when each phone of one's own recordings is spoken, for `data.source` of a voice.

    Forced alignment with the transcripts alone: phones.csv and lexicon.csv are written beside them.
    """
    if (folder / corpus.PHONES).exists() and not overwrite:
        raise UserError(f"{folder / corpus.PHONES} exists; --overwrite replaces it")
    with progress_bar() as bar:
        task = bar.add_task("aligning", total=None)
        count = align_folder(folder, progress=lambda done, total: bar.update(task, completed=done, total=total))
    say(f"{folder}: {count:,} recordings aligned")
    say_next([f"lab train speech/voice data.source={folder}"])
