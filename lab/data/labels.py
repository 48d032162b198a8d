"""Labels of images: from a dataset.json in StyleGAN's format, or from the folders that the images lie in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lab.config.suggestions import shortened
from lab.data.file_tree import Parts, normal, parts_of
from lab.data.left_out import EMPTY_FOLDER, LOOSE, LeftOut
from lab.errors import UserError
from lab.files.plain import parse_json
from lab.terminal.text import one_line

LISTING = "dataset.json"
LabelSource = Literal["auto", "folders", "none"]
_SPLITS = frozenset(("train", "training", "val", "valid", "validation", "test", "testing", "dev", "eval"))
_LARGEST = 2**63 - 1
_SHOWN = 6  # classes or names in a message


@dataclass(frozen=True)
class Labelled:
    """The images that are packed, by name; labels: by name, None unless every image has one; a description of both."""

    names: list[str]
    labels: dict[str, int] | None
    classes: tuple[str, ...]
    origin: str
    notes: tuple[str, ...] = ()


def numbered(found: Mapping[str, int]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Labels from 0 without gaps, and classes named by the numbers that occur."""
    numbers = sorted(set(found.values()))
    index = {number: place for place, number in enumerate(numbers)}
    return {name: index[label] for name, label in found.items()}, tuple(str(number) for number in numbers)


def outer_folder(paths: Sequence[Parts]) -> Parts:
    """The folder that holds all paths, as deep as possible: an archive often has one folder around its content."""
    if not paths:
        return ()
    first, last = min(paths)[:-1], max(paths)[:-1]
    depth = 0
    while depth < min(len(first), len(last)) and first[depth] == last[depth]:
        depth += 1
    # Paths sort by parts: what the first and the last share, all share, except a file among folders.
    return first[: min(depth, min(len(path) for path in paths) - 1)]


def unlabelled(images: Mapping[str, Parts], origin: str = "none") -> Labelled:
    return Labelled(sorted(images), None, (), origin)


def from_folders(images: Mapping[str, Parts], folders: set[Parts], left_out: LeftOut, *, forced: bool) -> Labelled:
    """Classes are the folders below the outermost one, if there are several.

    Images beside them are left out if they are fewer than those inside. Raises UserError where it is not clear whether
    the folders are classes, unless that is `forced`.
    """
    outer = outer_folder(list(images.values()))
    depth, where = len(outer), f" in {'/'.join(outer)}/" if outer else ""
    top = {name: parts[depth] if len(parts) > depth + 1 else None for name, parts in images.items()}
    classes = tuple(sorted({folder for folder in top.values() if folder is not None}))
    loose = sorted(name for name, folder in top.items() if folder is None)
    if len(classes) < 2:
        if forced and not classes:
            raise UserError(f"--labels folders: the images{where} are not in several folders")
        if not forced:
            return unlabelled(images, "none (no class folders, no dataset.json)")
    if not forced and {folder.casefold() for folder in classes} <= _SPLITS:
        raise UserError(
            f"the folders {_listed(classes)}{where} look like parts of a set, not classes: pack each by itself, or "
            "give --labels folders or --labels none"
        )
    if not forced and len(loose) * 2 >= len(images):
        raise UserError(
            f"{len(loose):,} images lie beside the folders {_listed(classes)}{where} ({_listed(loose)}): give "
            "--labels folders to leave them out, or --labels none to pack all without labels"
        )
    for name in loose:
        left_out.add(LOOSE, name)
    for folder in sorted(folders):
        if len(folder) == depth + 1 and folder[:depth] == outer and folder[depth] not in classes:
            left_out.add(EMPTY_FOLDER, "/".join(folder) + "/")
    index = {folder: place for place, folder in enumerate(classes)}
    names = sorted(name for name in images if top[name] is not None)
    labels = {name: index[str(top[name])] for name in names}
    return Labelled(names, labels, classes, f"from the folders {_listed(classes)}{where}", _merged(images, depth))


def from_listing(images: Mapping[str, Parts], content: bytes, place: Parts) -> Labelled:
    """Classes of a dataset.json in the folder `place`.

    They are named by its list `classes`, as `lab sample` writes it, by folders that hold one number each, or by their
    numbers.

    Raises UserError if it is not of that form, contradicts itself or lacks an image.
    """
    listed, stated = _parse(content)
    if listed is None:
        return unlabelled(images, f"none ({LISTING} has none)")
    given: dict[str, int] = {}
    depth = len(place)
    names = sorted(images)
    for name in names:
        parts = images[name][depth:]
        if parts not in listed:
            raise UserError(f"{LISTING} has no label for {one_line(name)}")
        given[name] = listed[parts]
    labels, classes = numbered(given)
    outer = outer_folder(list(images.values()))
    pairs = {(labels[name], images[name][len(outer)]) for name in names if len(images[name]) > len(outer) + 1}
    is_one_to_one = len(pairs) == len({folder for _, folder in pairs}) == len(classes) > 1
    if is_one_to_one and all(len(images[name]) > len(outer) + 1 for name in names):
        classes = tuple(folder for _, folder in sorted(pairs))
    classes = _stated_names(stated, sorted(set(given.values()))) or classes
    missing = listed.keys() - {parts[depth:] for parts in images.values()}
    notes: tuple[str, ...] = ()
    if missing:
        shown = _listed(sorted("/".join(parts) for parts in missing))
        notes = (f"{LISTING} lists {len(missing):,} images that are not there: {shown}",)
    return Labelled(names, labels, classes, f"from {LISTING}, classes {_listed(classes)}", notes)


def find_class(name: str, classes: Sequence[str]) -> int | None:
    """Index of a class by its name, None if there is none.

    macOS and others store accents differently, in the names as in what a user types: another form of the name counts
    where it means one class.
    """
    if name in classes:
        return classes.index(name)
    wanted = normal(name)
    same = [index for index, known in enumerate(classes) if normal(known) == wanted]
    return same[0] if len(same) == 1 else None


def check_links(labels: Mapping[str, int], classes: Sequence[str], identities: Mapping[str, tuple[int, int]]) -> None:
    """Raise UserError where two names of one file, linked to each other, have different labels."""
    first: dict[tuple[int, int], str] = {}
    for name, label in labels.items():
        if name not in identities:
            continue
        other = first.setdefault(identities[name], name)
        if labels[other] != label:
            both = f"{one_line(other)} ({classes[labels[other]]}) and {one_line(name)} ({classes[label]})"
            raise UserError(f"{both} are the same file with different labels: remove one of the links")


def _parse(content: bytes) -> tuple[dict[Parts, int] | None, Any]:
    """Labels by path, None if the listing holds null, and whatever it has as `classes`."""
    try:
        listing = parse_json(content)
        listed = _listed_labels(listing)
    except ValueError as error:
        raise UserError(f'{LISTING} is not {{"labels": [[name, label], ...]}} ({error})') from None
    if listed is None:
        return None, None
    labels: dict[Parts, int] = {}
    for name, label in listed:
        parts = parts_of(name)
        if type(label) is not int or not 0 <= label <= _LARGEST:
            raise UserError(f"{LISTING} labels {one_line(name)} with {shortened(label)}, not with an integer from 0")
        if labels.setdefault(parts, label) != label:
            raise UserError(f"{LISTING} labels {one_line(name)} with {labels[parts]} and with {label}: correct it")
    return labels, listing.get("classes")


def _listed_labels(listing: Any) -> list[tuple[str, Any]] | None:
    """The pairs of a listing that was read. Raises ValueError that says what it holds in their place."""
    if not isinstance(listing, dict):
        raise ValueError(f"it is {_json_kind(listing)}")
    if "labels" not in listing:
        names = ", ".join(one_line(name, 60) for name in [*listing][:_SHOWN])
        raise ValueError(f'it has no "labels", only {names}' if names else "it is empty")
    labels = listing["labels"]
    if labels is None:
        return None
    if not isinstance(labels, list):
        raise ValueError(f'its "labels" are {_json_kind(labels)}')
    for number, pair in enumerate(labels, 1):
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
            raise ValueError(f"its entry {number:,} is {shortened(pair)}")
    return [(name, label) for name, label in labels]


def _json_kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _stated_names(stated: Any, numbers: Sequence[int]) -> tuple[str, ...]:
    """Names of these labels in `stated`, the list `classes` of a dataset.json; none where it is no such list."""
    if not isinstance(stated, list) or not all(isinstance(name, str) for name in stated):
        return ()
    if len(set(stated)) < len(stated) or not numbers or numbers[-1] >= len(stated):
        return ()
    return tuple(stated[number] for number in numbers)


def _merged(images: Mapping[str, Parts], depth: int) -> tuple[str, ...]:
    """A note on folders whose names differ only in how accents are stored."""
    stored: dict[str, set[str]] = {}
    for name, parts in images.items():
        folders = name.replace("\\", "/").split("/")
        if len(parts) > depth + 1 and len(folders) == len(parts):
            stored.setdefault(parts[depth], set()).add(folders[depth])
    twice = sorted(folder for folder, names in stored.items() if len(names) > 1)
    return (f"folders of the same name in different Unicode forms are one class: {_listed(twice)}",) if twice else ()


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(one_line(normal(name)) for name in names[:_SHOWN])
    return f"{shown}, ... ({len(names):,})" if len(names) > _SHOWN else shown
