"""`lab predict` of an AlphaZero run: policy, value and best move of one position."""

from typing import Annotated

import typer
from rich.table import Table

from agents.alphazero.agent import load_agent
from agents.arena.analysis import MAX_SIMULATIONS, Analysis
from agents.arena.play import board_text
from agents.games.moves import move_names, play_moves
from lab.cli.arguments import Json, Run, RunsDir, print_json
from lab.cli.options import Checkpoint, DeviceName, device_of
from lab.run.lookup import RUNS_DIR, find_run
from lab.terminal.consoles import Console

_SHOWN = 20  # moves printed on a terminal


def predict(
    run: Run,
    moves: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help='Moves from the initial position: 443, or "4 4 10" where names are longer, or "" for none.',
            show_default=False,
        ),
    ],
    simulations: Annotated[
        int | None,
        typer.Option(
            "--simulations",
            min=0,
            max=MAX_SIMULATIONS,
            help="Simulations of the search, by default the run's; 0 is the network alone.",
            show_default=False,
        ),
    ] = None,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Predict the policy, the value and the best move of a position, for the player to move."""
    agent = load_agent(find_run(run, runs_dir), device_of(device), checkpoint)
    game, count = agent.game, agent.config.search.simulations if simulations is None else simulations
    state, actions = play_moves(game, moves, agent.device)
    found = agent.think(state, simulations=count)
    mover = int(game.player(state)[0])
    if as_json:
        names = move_names(game, actions)
        about = {"run": run, "checkpoint": agent.name.partition(":")[2] or "best", "game": game.name}
        print_json(about | {"moves": names, "player": mover, "simulations": count} | found.as_record())
        return
    console = Console()
    console.print(board_text(game, state, unicode=console.encoding.lower().startswith("utf")))
    console.say(
        f"{('first', 'second')[mover]} player to move, {count} simulations: value {found.value:+.3f} "
        f"({(found.value + 1) / 2:.0%} of the points), best move {found.best_move}"
    )
    console.say("expected line: " + " ".join(found.principal_variation))
    console.print(_table(found))


def _table(found: Analysis) -> Table:
    searched = bool(found.visits.any())
    table = Table(box=None, pad_edge=False)
    for column in ("move", "policy", *(("visits", "value") if searched else ()), ""):
        table.add_column(column, justify="left" if column == "" else "right")
    ranking = found.ranking()
    for action in ranking[:_SHOWN]:
        policy = float(found.policy[action])
        numbers = (str(int(found.visits[action])), f"{float(found.q[action]):+.3f}") if searched else ()
        style = "bold green" if action == ranking[0] else ""
        table.add_row(found.moves[action], f"{policy:.1%}", *numbers, "#" * round(20 * policy), style=style)
    if len(ranking) > _SHOWN:
        table.caption = f"{len(ranking) - _SHOWN} more legal moves; --json has all"
    return table
