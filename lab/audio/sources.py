"""The WAV files of a folder or a zip."""

import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lab.audio.wav import LARGEST, Recording, parse_wav, read_wav
from lab.errors import UserError
from lab.terminal.text import one_line

_HIDDEN = (".", "/", "__MACOSX")  # parts of a path outside the archive as well: images get the names of recordings
# What a damaged, encrypted or unusually compressed member raises.
_DAMAGED = (OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError)


@dataclass(frozen=True)
class Recordings:
    """names: paths within the source, with `/`, sorted. read: the recording of a name; it raises UserError."""

    source: Path
    names: tuple[str, ...]
    read: Callable[[str], Recording]

    def matching(self, pattern: re.Pattern[str]) -> "Recordings":
        """Those whose name holds a match of `pattern`."""
        return Recordings(self.source, tuple(name for name in self.names if pattern.search(name)), self.read)


def open_recordings(source: Path) -> Recordings:
    """The files that end in .wav, at any depth. Hidden ones are left out. Raises UserError if there are none."""
    if source.is_dir():
        files = [path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()]
        return _found(source, files, lambda name: read_wav(source / name))
    if not source.exists():
        raise UserError(f"{source} does not exist; name a folder or a zip of WAV files")
    if not zipfile.is_zipfile(source):
        raise UserError(f"{source} is neither a folder nor a zip; name one that holds WAV files")
    with zipfile.ZipFile(source) as archive:
        files = [info.filename for info in archive.infolist() if not info.is_dir()]
    return _found(source, files, lambda name: _read_member(source, name))


def _found(source: Path, files: list[str], read: Callable[[str], Recording]) -> Recordings:
    names = sorted(
        name
        for name in files
        if name.lower().endswith(".wav") and not any(part.startswith(_HIDDEN) for part in PurePosixPath(name).parts)
    )
    if not names:
        raise UserError(f"{source} holds no .wav files")
    return Recordings(source, tuple(names), read)


def _read_member(source: Path, name: str) -> Recording:
    where = f"{source}: {one_line(name)}"
    try:
        with zipfile.ZipFile(source) as archive:
            info = archive.getinfo(name)
            if info.file_size > LARGEST:
                raise UserError(f"{where} has {info.file_size:,} bytes; at most {LARGEST:,} are read")
            content = archive.read(info)
    except _DAMAGED as error:
        raise UserError(f"{where} cannot be read ({error}); make the zip again") from None
    return parse_wav(content, where)
