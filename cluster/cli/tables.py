"""Tables of the commands in the terminal."""

from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.table import Table


def print_table(columns: Sequence[str], rows: Iterable[Sequence[RenderableType]], *, wrap: bool = True) -> None:
    """Print rows under their column names. wrap=False keeps long cells whole, so that they can be copied."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    # Without markup: a cell may hold brackets, as in ray[default].
    Console(highlight=False, markup=False).print(table, soft_wrap=not wrap)
