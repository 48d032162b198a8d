"""`lab analyse` of an AlphaZero run: a record move by move, with each move's loss against the agent's choice."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from agents.alphazero.agent import load_agent
from agents.arena.review import Review, ReviewedMove, review
from agents.cli.options import Simulations, progress_bar
from agents.games.game_files import check_suffix, games_text, read_game
from lab.cli.arguments import Json, Run, RunsDir, print_json
from lab.cli.options import Checkpoint, DeviceName, Overwrite, check_absent, check_suffix_of, device_of
from lab.errors import UserError
from lab.files.durable import replacing
from lab.run.lookup import RUNS_DIR, find_run
from lab.terminal.consoles import Console


def analyse(
    run: Run,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A game: PGN of chess, SGF of the games that have it, JSON, or moves.",
            show_default=False,
        ),
    ],
    simulations: Simulations = 200,
    graph: Annotated[
        Path | None, typer.Option("--graph", help="Draw the expected points after each move to FILE.png.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", help="Write the game with the agent's values and choices as comments.")
    ] = None,
    checkpoint: Checkpoint = "best",
    device: DeviceName = "auto",
    overwrite: Overwrite = False,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Review a game with a run's agent: the loss of every move, and the five worst ones.

    The loss is the difference in expected points (win 1, draw 1/2) between the positions after the agent's choice and
    after the move, each searched with as many simulations.
    """
    if graph is not None:
        check_suffix_of("--graph", graph, (".png",))
        check_absent(graph, overwrite)
    agent = load_agent(find_run(run, runs_dir), device_of(device), checkpoint)
    if save is not None:
        check_suffix(save, agent.game)
        check_absent(save, overwrite)
    read = read_game(file, agent.game)
    if not read.played.actions:
        raise UserError(f"{file}: the game has no moves")
    with progress_bar("searching", len(read.played.actions) + 1, hidden=as_json) as advance:
        found = review(agent, read.played, simulations, advance)
    if graph is not None:
        from PIL import Image

        with replacing(graph) as temporary:
            Image.fromarray(found.graph()).save(temporary, format="PNG")
    if save is not None:
        with replacing(save) as temporary:
            temporary.write_text(games_text([found.annotated()]), encoding="utf-8")
    if as_json:
        about = {"run": run, "checkpoint": agent.name.partition(":")[2] or "best", "game": agent.game.name}
        print_json(about | {"moves_after_the_end": read.left_out} | found.as_json())
        return
    _print(found, read.left_out, [path for path in (graph, save) if path is not None])


def _print(found: Review, left_out: int, written: list[Path]) -> None:
    console = Console()
    console.print(_table(found, found.moves))
    names = _players(found)
    for player, name in enumerate(names):
        mean = found.mean_loss(player)
        if mean is not None:
            console.say(f"{name}: mean loss {mean:.1%} of a point per move")
    worst = found.worst()
    console.say("worst moves:" if worst else "no move loses anything against the agent's choice")
    if worst:
        console.print(_table(found, worst))
    if left_out:
        moves = "move" if left_out == 1 else f"{left_out} moves"
        console.say(f"the game is over by these rules before the last {moves} of the record")
    for path in written:
        console.say(f"wrote {path}")


def _players(found: Review) -> list[str]:
    kinds = found.played.game.player_names
    return [f"{kind} ({name})" if name else kind for kind, name in zip(kinds, found.played.players, strict=True)]


def _table(found: Review, moves: Any) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("move", "", "played", "best", "expects", "loss"):
        table.add_column(column, justify="left" if column == "" else "right")
    names = found.played.game.player_names
    for move in moves:
        table.add_row(*_cells(move, names[move.player]), style=_style(move.loss))
    return table


def _cells(move: ReviewedMove, player: str) -> tuple[str, ...]:
    same = move.move == move.best_move
    expects = f"{(move.value + 1) / 2:.0%}"
    return str(move.ply + 1), player, move.move, "" if same else move.best_move, expects, f"{move.loss:.1%}"


def _style(loss: float) -> str:
    return "bold red" if loss >= 0.2 else "yellow" if loss >= 0.05 else ""
