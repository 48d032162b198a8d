"""The files of a folder or a zip, as names to read and as paths to compare; hidden and system files are left out."""

import os
import stat
import unicodedata
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from lab.data.left_out import HIDDEN, LINKED_TWICE, NO_IMAGE, NOT_REGULAR, STORED_TWICE, LeftOut
from lab.errors import UserError

Parts = tuple[str, ...]
_SYSTEM = frozenset(
    (
        *("__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "system volume information", "lost+found"),
        *("@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot"),
    )
)


@dataclass
class FileTree:
    """files: name to read -> the parts of its path, in Unicode normal form C. folders: all that were entered.

    identities: of the files of a folder; two names of one file (links) have the same.
    """

    files: dict[str, Parts] = field(default_factory=dict)
    folders: set[Parts] = field(default_factory=set)
    identities: dict[str, tuple[int, int]] = field(default_factory=dict)


def normal(text: str) -> str:
    """A name in normal form C: macOS stores accents as separate characters, others do not.

    A name that is not UTF-8 is taken as Latin-1, so that different names stay different.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        text = os.fsencode(text).decode("latin-1")
    return unicodedata.normalize("NFC", text)


def parts_of(name: str) -> Parts:
    """The parts of a path as an archive or a listing writes it."""
    return tuple(normal(part) for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def is_hidden(part: str) -> bool:
    """Whether a file or folder belongs to a desktop, a notebook or a storage device rather than to the data."""
    return (part.startswith(".") and part != "..") or part.casefold() in _SYSTEM


def walk_folder(root: Path, left_out: LeftOut) -> FileTree:
    """All files below a folder. Links to folders are followed, unless they lead to what is packed anyway.

    Raises UserError for a folder that cannot be read.
    """
    found, whole = FileTree(), Path(os.path.realpath(root))
    entered = {_identity(os.stat(root))}
    waiting: list[tuple[str, Parts]] = [("", ())]
    while waiting:
        folder, above = waiting.pop()
        found.folders.add(above)
        try:
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError as error:
            raise UserError(f"{root / folder} cannot be read ({error.strerror}): make it readable or move it") from None
        inside: list[tuple[str, Parts]] = []
        for entry in entries:
            name, parts = os.path.join(folder, entry.name), (*above, normal(entry.name))
            try:
                state = entry.stat()
            except OSError:  # a link to nothing or to itself, a path that is too long
                left_out.add(HIDDEN if is_hidden(entry.name) else NOT_REGULAR, name)
                continue
            is_folder = stat.S_ISDIR(state.st_mode)
            if is_hidden(entry.name):
                left_out.add(HIDDEN, name + "/" * is_folder)
            elif is_folder:
                if _identity(state) in entered or (entry.is_symlink() and _overlaps(Path(entry.path), whole)):
                    left_out.add(LINKED_TWICE, name)
                    continue
                entered.add(_identity(state))
                inside.append((name, parts))
            elif stat.S_ISREG(state.st_mode):
                found.files[name] = parts
                found.identities[name] = _identity(state)
            else:
                left_out.add(NOT_REGULAR, name)
        waiting.extend(reversed(inside))
    return found


def walk_zip(file: zipfile.ZipFile, left_out: LeftOut) -> FileTree:
    """All files of a zip. Raises UserError for two files of the same name with different content."""
    found, contents = FileTree(), dict[str, tuple[int, int]]()
    for info in file.infolist():
        name, parts = info.filename, parts_of(_member_name(info))
        if not parts:
            left_out.add(NO_IMAGE, repr(name))
            continue
        if any(is_hidden(part) for part in parts):
            left_out.add(HIDDEN, name)
            continue
        if info.is_dir():
            found.folders.add(parts)
            continue
        found.folders.add(parts[:-1])
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            left_out.add(NOT_REGULAR, name)
            continue
        content = info.CRC, info.file_size
        if contents.setdefault(name, content) != content:
            raise UserError(f"{file.filename}: it holds two different files named {name}; pack the unpacked folder")
        if name in found.files:
            left_out.add(STORED_TWICE, name)
        found.files[name] = parts
    return found


def _member_name(info: zipfile.ZipInfo) -> str:
    """A name that was stored as UTF-8 without saying so, as some programs do; else as zipfile reads it."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename


def _identity(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino


def _overlaps(link: Path, whole: Path) -> bool:
    target = Path(os.path.realpath(link))
    return target == whole or whole in target.parents or target in whole.parents
