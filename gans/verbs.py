"""Output of `lab eval` for every kind of GAN."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table


def print_metrics(values: Mapping[str, float], floor: Mapping[str, float]) -> None:
    """A table of metrics eval/NAME beside eval/NAME_floor, the same metric of real samples."""
    table = Table()
    for column in ("metric", "samples", "floor"):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for name, value in values.items():
        table.add_row(name.removeprefix("eval/"), f"{value:.4g}", f"{floor[name + '_floor']:.4g}")
    Console(highlight=False).print(table)
