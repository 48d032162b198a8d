"""What players need of an external engine, whatever its protocol."""

from typing import Protocol

from agents.arena.line import Line


class EngineClient(Protocol):
    """One engine process that plays a game after the other. Methods may raise EngineFailure.

    A client that raised is of no use any more but for `kill`.
    """

    def new_game(self, seed: int) -> None:
        """The moves that follow are of another game. seed: for engines that take one."""
        ...

    def ask(self, line: Line) -> None:
        """Have the engine think about the next move of a game; several engines can think at the same time."""
        ...

    def answer(self) -> str:
        """The move after `ask`, as the protocol names it, or "resign"."""
        ...

    def find(self, line: Line, text: str) -> int | None:
        """The legal action that an answer names; None if it names none."""
        ...

    def why_illegal(self, line: Line, text: str) -> str | None:
        """Why an answer that `find` does not find is illegal; None where the rules do not tell."""
        ...

    def close(self) -> None:
        """End the engine; it has a second to end by itself."""
        ...

    def kill(self) -> None:
        """End the engine at once."""
        ...
