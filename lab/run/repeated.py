"""Messages that would repeat: said once, then counted."""

import re
from collections.abc import Callable


class RepeatedMessage:
    """Says a message and counts those that follow and differ from it in numbers alone, until `end`.

    more: what is said of `{count}` further ones at the end.
    """

    def __init__(self, say: Callable[[str], object], more: str) -> None:
        self._say, self._more = say, more
        self._said, self._count = "", 0

    def __bool__(self) -> bool:
        """Whether a message was said since the last end."""
        return bool(self._said)

    def __call__(self, text: str) -> None:
        same = re.sub(r"\d+", "0", text)
        if same == self._said:
            self._count += 1
            return
        self.end()
        self._said = same
        self._say(text)

    def end(self) -> None:
        """The cause is gone, or nothing more comes: say how often the message was left out."""
        if self._count:
            self._say(self._more.format(count=self._count))
        self._said, self._count = "", 0
