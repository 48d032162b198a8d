"""Tables of the commands in the terminal."""

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.table import Table

from lab.terminal.consoles import Console


def print_table(columns: Sequence[str], rows: Iterable[Sequence[RenderableType]], *, wrap: bool = True) -> None:
    """Print rows under their column names. wrap=False keeps long cells whole, so that they can be copied."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    Console().print(table, soft_wrap=not wrap)
