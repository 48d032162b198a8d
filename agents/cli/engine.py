"""`lab engine`: a run as an engine for graphical interfaces and match controllers, by GTP or UCI."""

from typing import Annotated

import typer

from agents.alphazero.agent import load_agent
from agents.arena.analysis import MAX_SIMULATIONS
from agents.engines.channel import Channel
from agents.engines.gtp_server import GtpServer
from agents.engines.thinking import DEFAULT_MEMORY_MB, LARGEST_MEMORY_MB, Thinker
from agents.engines.uci_positions import uci_game
from agents.engines.uci_server import UciServer
from agents.engines.vertices import Coordinates, check_game
from lab.cli.arguments import Run, RunsDir
from lab.cli.options import Checkpoint, DeviceName, device_of
from lab.errors import UserError
from lab.run.lookup import RUNS_DIR, find_run


def engine(
    run: Run,
    simulations: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MAX_SIMULATIONS,
            help="Simulations per move where the client sets no limit; by default those of the run.",
            show_default=False,
        ),
    ] = None,
    resign_below: Annotated[
        float | None,
        typer.Option(
            min=-1.0,
            max=0.0,
            help="GTP: resign where the value, from -1 to 1, is below this; by default never.",
            show_default=False,
        ),
    ] = None,
    coordinates: Annotated[
        Coordinates,
        typer.Option(
            help="GTP: names of moves. gtp: letters without I, rows from the bottom, as GoGui draws every game. "
            "game: as everywhere else in the lab, and in gtp-rhino and programs of Hex."
        ),
    ] = Coordinates.gtp,
    memory: Annotated[
        int, typer.Option("--memory", min=1, max=LARGEST_MEMORY_MB, help="MiB of the search tree.")
    ] = DEFAULT_MEMORY_MB,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Speak GTP or UCI on standard input and output, chosen by the game of the run.

    GTP: go, othello, hex, gomoku, connect_four, tic_tac_toe. UCI: chess, breakthrough. The engine ends with `quit`, at
    the end of its input, and by SIGINT or SIGTERM; all but the protocol goes to standard error.
    """
    channel = Channel.standard()
    agent = load_agent(find_run(run, runs_dir), device_of(device), checkpoint)
    count = agent.config.search.simulations if simulations is None else simulations
    thinker = Thinker(agent, count, memory)
    chess_like = uci_game(agent.game, agent.device)
    if chess_like is None:
        check_game(agent.game)
        GtpServer(thinker, channel, coordinates=coordinates, resign_below=resign_below).serve()
        return
    if resign_below is not None:
        raise UserError("UCI engines do not resign; leave --resign-below out")
    UciServer(thinker, chess_like, channel).serve()
