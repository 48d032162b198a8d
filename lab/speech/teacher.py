"""The teacher: flite, a synthesizer that tells the phones it speaks and when each of them ends.

Black and Lenzo 2001, "Flite: a small fast run-time synthesis engine". Voice `slt` is a statistical voice of 16 kHz.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lab.audio.wav import Recording, read_wav
from lab.errors import UserError
from lab.speech.phones import PAUSE

_TIMED = re.compile(r"([a-z]+):(\d+\.\d+)")
_TIMEOUT_S = 120
_WORDS = 100  # in one call


class TimedPhone(NamedTuple):
    """A phone and its end in seconds from the start of the recording."""

    phone: str
    end_s: float


class Spoken(NamedTuple):
    """What the teacher said."""

    recording: Recording
    phones: tuple[TimedPhone, ...]


def find() -> str:
    """The path of the program. Raises UserError if it is not installed."""
    found = shutil.which("flite")
    if found is None:
        raise UserError("flite, the teacher, is not on the PATH; on Debian: apt-get install flite")
    return found


def check_voice(voice: str) -> None:
    """Raise UserError for a voice that is not installed: flite itself would speak with another one."""
    known = _run([find(), "-lv"]).partition(":")[2].split()
    if voice not in known:
        raise UserError(f"flite has no voice {voice!r}; it has {', '.join(known) or 'none'}")


def speak(text: str, voice: str = "slt") -> Spoken:
    """Speak a text, words and punctuation alone (see `normalise`). Raises UserError."""
    with tempfile.TemporaryDirectory(prefix="lab-teacher-") as folder:
        out = Path(folder) / "spoken.wav"
        shown = _run([find(), "-voice", voice, "-psdur", "-t", text, "-o", str(out)])
        phones = tuple(TimedPhone(phone, float(end)) for phone, end in _TIMED.findall(shown))
        if not out.is_file() or not phones:
            raise UserError(
                f"flite spoke nothing for {text!r:.80}; is its voice {voice!r} installed? `flite -lv` lists"
            )
        return Spoken(read_wav(out), phones)


def pronounce(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Phones of words spoken one by one, without those that the teacher does not speak as one. Raises UserError."""
    found: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(words), _WORDS):
        part = list(words[start : start + _WORDS])
        spoken = _phones_between_pauses(part)
        if len(spoken) == len(part):
            found.update(zip(part, spoken, strict=True))
        elif len(part) > 1:  # some word was spoken with a pause within: halves find it
            middle = len(part) // 2
            found |= pronounce(part[:middle]) | pronounce(part[middle:])
    return found


def _phones_between_pauses(words: Sequence[str]) -> list[tuple[str, ...]]:
    shown = _run([find(), "-voice", "kal", "-ps", "-o", "none", "-t", " ".join(f"{word}." for word in words)])
    groups: list[list[str]] = [[]]
    for phone in shown.split():
        if phone == PAUSE:
            groups.append([])
        else:
            groups[-1].append(phone)
    return [tuple(group) for group in groups if group]


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"flite did not run: {error}") from None
    if done.returncode:
        raise UserError(f"flite failed ({done.returncode}): {done.stderr.strip()[-200:] or 'no message'}")
    return done.stdout
