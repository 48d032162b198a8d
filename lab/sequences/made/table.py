"""The table of made texts; a new set is a module and a line here."""

from collections.abc import Callable, Mapping

from lab.sequences.made.commands import commands
from lab.sequences.made.reviews import reviews
from lab.sequences.pair import Pair

MADE: Mapping[str, Callable[[], tuple[list[Pair], list[Pair]]]] = {"commands": commands, "reviews": reviews}
"""Training and test examples by the name of the set."""
