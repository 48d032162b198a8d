"""What a source holds and a packed set does not, with the reason: nothing is left out without a word."""

from lab.terminal.text import one_line

HIDDEN = "hidden and system files"
NO_IMAGE = "files that are not images"
UNREAD_FORMAT = "images of a format that is not read; convert them to PNG or JPEG"
NOT_REGULAR = "devices, pipes and broken links"
LINKED_TWICE = "links to folders that are packed already"
STORED_TWICE = "second copies of a file"
LOOSE = "images beside the class folders"
EMPTY_FOLDER = "folders without images, which are no classes"
OTHER_LISTING = "further dataset.json files; the uppermost counts"
_SHOWN = 3  # names in a line


class LeftOut:
    """Counts what is left out by reason, and keeps the first names of each."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._names: dict[str, list[str]] = {}

    def add(self, reason: str, name: str) -> None:
        self._counts[reason] = self._counts.get(reason, 0) + 1
        names = self._names.setdefault(reason, [])
        if len(names) < _SHOWN:
            names.append(one_line(name))

    def lines(self) -> list[str]:
        """One line for each reason, with the first names."""
        found = []
        for reason, count in self._counts.items():
            names = self._names[reason]
            more = f" and {count - len(names):,} more" if count > len(names) else ""
            found.append(f"{reason}: {', '.join(names)}{more}")
        return found
