"""An example as text."""

from typing import NamedTuple


class Pair(NamedTuple):
    """An input and its answer, as text; `where` names its line in messages."""

    input: str
    target: str
    where: str
