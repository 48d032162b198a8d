"""Consoles of rich that print text as it is: brackets are no markup, `:ok:` is no emoji, escape sequences are shown."""

from collections.abc import Iterable
from typing import IO, Any, Literal

import rich.console
from rich.console import ConsoleOptions
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.text import Text

from lab.terminal.text import printable

_NARROWEST = 40
"""Columns for output where the terminal, or $COLUMNS, has fewer: in one column a table is lines of spaces."""


class Console(rich.console.Console):
    """The console for all output with tables and styles. Styles are given by rich's objects, never within a text.

    file: standard output unless given, or standard error with `stderr`.
    """

    def __init__(
        self,
        *,
        stderr: bool = False,
        file: IO[str] | None = None,
        width: int | None = None,
        force_terminal: bool | None = None,
        color_system: Literal["auto", "standard", "256", "truecolor"] | None = "auto",
    ) -> None:
        super().__init__(
            stderr=stderr,
            file=file,
            width=width,
            force_terminal=force_terminal,
            color_system=color_system,
            markup=False,
            emoji=False,
            highlight=False,
        )
        if width is None and self.width < _NARROWEST:
            self.width = _NARROWEST

    def say(self, text: str) -> None:
        """Print one text without wrapping."""
        self.print(Text(printable(text)), soft_wrap=True)

    def render_str(self, text: str, **options: Any) -> Text:
        """Text as it is, so that widths count what is shown."""
        return super().render_str(printable(text), **options)

    def render(self, renderable: Any, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Segments in which only rich's own control codes remain."""
        for segment in super().render(renderable, options):
            safe = segment.text if segment.control else printable(segment.text)
            yield segment if safe == segment.text else Segment(safe, segment.style)


def progress_bar(*, hidden: bool = False) -> Progress:
    """A progress bar on standard error that disappears at the end; its descriptions are plain text."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=hidden or not console.is_terminal)
