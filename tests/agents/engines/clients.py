"""Clients of engine servers: one in this process, over pipes, and the agents and runs that tests serve."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.alphazero.agent import Agent
from agents.engines.channel import Channel, Lines
from agents.engines.gtp_server import GtpServer
from agents.engines.thinking import Thinker
from agents.engines.uci_positions import uci_game
from agents.engines.uci_server import UciServer
from agents.games import make
from lab.cli import main
from tests.agents.small_alphazero import CPU, config, hashed, preset

SECONDS = 60.0


def agent(name: str, **options: Any) -> Agent:
    """An agent of a game whose network is a hash of the position."""
    game = make(name, **options)

    def outcomes(observation: Tensor) -> Tensor:
        return torch.tensor([[0.3, 0.5, 0.2]]).expand(len(observation), -1)

    return Agent("hashed", game, hashed(game.num_actions), config(game={"name": name}), CPU, outcomes)


def run_of(folder: Path, name: str, **options: Any) -> Path:
    """A run that has trained for an iteration or two on the game `name` with these options."""
    small = {"search": {"simulations": 2}, "selfplay": {"boards": 2}, "budget": 10, "replay": {"min_positions": 5}}
    settings = preset(folder, game={"name": name, "options": options}, **small)
    assert main.main(["train", str(settings), "--name", "small"]) == 0
    return Path(os.environ["LAB_RUNS"]) / "small"


class Client:
    """Talks to a server that runs in a thread."""

    def __init__(self, reading: int, writing: int) -> None:
        self._lines, self._writing = Lines(reading), writing
        self.received: list[str] = []

    def send(self, *lines: str) -> None:
        os.write(self._writing, "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass"))

    def close(self) -> None:
        """Close the server's input."""
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1

    def line(self) -> str | None:
        """The next line; None at the end."""
        line = self._lines.next()
        if line is not None:
            self.received.append(line)
        return line

    def until(self, beginning: str) -> list[str]:
        """Lines up to one that begins so."""
        found = list[str]()
        while (line := self.line()) is not None:
            found.append(line)
            if line.startswith(beginning):
                return found
        raise AssertionError(f"no {beginning!r} in {found}")

    def rest(self) -> list[str]:
        """All lines to the end, after closing the server's input."""
        self.close()
        found = list[str]()
        while (line := self.line()) is not None:
            found.append(line)
        return found

    def gtp(self, command: str) -> str:
        """The answer to a GTP command, with its status."""
        self.send(command)
        return self.answer()

    def answer(self) -> str:
        """The next answer of a GTP engine."""
        found = list[str]()
        while line := self.line():
            found.append(line)
        return "\n".join(found)


@contextmanager
def served(server: Any) -> Iterator[Client]:
    """A client of `server(channel)`, whose thread must end after the client has closed the input."""
    (their_input, ours), (our_input, theirs) = os.pipe(), os.pipe()
    failed = list[BaseException]()

    def serve() -> None:
        try:
            server(Channel(their_input, theirs)).serve()
        except BaseException as error:
            failed.append(error)
        finally:
            os.close(theirs)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    client = Client(our_input, ours)
    try:
        yield client
    finally:
        client.close()
        began = time.monotonic()
        thread.join(SECONDS)
        assert time.monotonic() - began < SECONDS and not thread.is_alive(), "the server did not end"
        if failed:
            raise failed[0]


def gtp(name: str = "go", simulations: int = 4, **settings: Any) -> Any:
    """`served` a GTP engine; options of the game among `settings` are those that the game knows."""
    server = {key: settings.pop(key) for key in ("coordinates", "resign_below") if key in settings}
    thinker = Thinker(agent(name, **settings), simulations)
    return served(lambda channel: GtpServer(thinker, channel, **server))


def uci(name: str = "chess", simulations: int = 4, memory_mb: int = 64, **settings: Any) -> Any:
    """`served` a UCI engine."""
    thinker = Thinker(agent(name, **settings), simulations, memory_mb)
    game = uci_game(thinker.game, CPU)
    assert game is not None
    return served(lambda channel: UciServer(thinker, game, channel))
