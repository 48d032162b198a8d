"""`lab replay` of an AlphaZero run: a recorded self-play game with its searches, rebuilt from the checkpoints."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.game_records import RecordedMove, read_record, recorded_ids
from agents.alphazero.precision import SELF_PLAY
from agents.alphazero.rebuilt_game import RebuiltGame, RebuiltMove, kept_versions, rebuild
from agents.arena.play import board_text
from agents.cli.options import progress_bar
from agents.games.game_files import check_suffix, games_text
from agents.games.played import PlayedGame
from lab.cli.arguments import Json, Run, RunsDir, print_json
from lab.cli.options import Overwrite, check_absent
from lab.config.loading import load_run_config
from lab.errors import UserError
from lab.files.durable import replacing
from lab.run.lookup import RUNS_DIR, find_run
from lab.terminal.consoles import Console
from lab.train import device as devices
from lab.train.measured_precision import kept_choice

_SHOWN = 6  # actions of a search
_LISTED = 20  # games


def replay(
    run: Run,
    game_id: Annotated[
        int | None,
        typer.Argument(
            metavar="GAME_ID", min=0, help="A recorded game; without it they are listed.", show_default=False
        ),
    ] = None,
    ply: Annotated[int | None, typer.Option("--move", min=1, help="Show this move alone.", show_default=False)] = None,
    save: Annotated[
        Path | None, typer.Option("--save", help="Write the game as SGF, PGN or JSON, with values as comments.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps; by default the run's.")] = "",
    overwrite: Overwrite = False,
    as_json: Json = False,
    runs_dir: RunsDir = RUNS_DIR,
) -> None:
    """Show a self-play game move by move, with the searches that chose the moves.

    Searches are rebuilt from the checkpoints whose weights played and compared with the recorded visit counts.
    """
    path = find_run(run, runs_dir)
    config = load_run_config(path / "config.yaml")
    if not isinstance(config, AlphaZeroConfig):
        raise UserError(f"{run} is a run of kind {config.kind!r}; only runs of alphazero play games")
    if game_id is None:
        _list(path, as_json)
        return
    record, game = read_record(path, game_id), config.game.make()
    if ply is not None and ply - 1 not in {move.ply for move in record.moves}:
        first, last = record.moves[0].ply + 1, record.moves[-1].ply + 1
        raise UserError(f"game {game_id} has the searched moves {first} to {last}, not {ply}")
    if save is not None:
        check_suffix(save, game)
        check_absent(save, overwrite)
    place = devices.apply(devices.resolve(device or config.device, config.precision, config.threads))
    place = kept_choice(path, SELF_PLAY, place)
    kept = kept_versions(path)
    searched = {move.version for move in record.moves} & kept.keys()
    total = len(searched) * config.selfplay.moves_per_iteration
    with progress_bar("searching", total, hidden=as_json or not total) as advance:
        rebuilt = rebuild(path, record, config, place, advance)
    if save is not None:
        with replacing(save) as temporary:
            temporary.write_text(games_text([_played(rebuilt, path.name)]), encoding="utf-8")
    if as_json:
        print_json({"run": run, "game": game.name} | _as_json(rebuilt))
        return
    console = Console()
    _print_moves(console, rebuilt, ply)
    _print_summary(console, rebuilt, kept)
    if save is not None:
        console.say(f"wrote {save}")


def _list(run: Path, as_json: bool) -> None:
    """The recorded games, and which of their moves have weights."""
    ids, kept = recorded_ids(run), kept_versions(run)
    rows = []
    for game_id in ids if as_json else ids[-_LISTED:]:
        moves = read_record(run, game_id).moves
        rows.append({"game_id": game_id, "moves": len(moves), "kept": sum(move.version in kept for move in moves)})
    if as_json:
        print_json({"run": run.name, "versions": list(kept), "games": rows})
        return
    console = Console()
    if not ids:
        console.say("no games are recorded (selfplay.recorded_boards says on how many boards they are)")
        return
    table = Table("game", "moves", "with weights", box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(str(row[name]) for name in ("game_id", "moves", "kept")))
    console.print(table)
    console.say(f"{len(ids):,} games are recorded; weights of versions {', '.join(map(str, kept)) or 'none'} are kept")


def _print_moves(console: Console, rebuilt: RebuiltGame, only: int | None) -> None:
    game, record = rebuilt.game, rebuilt.record
    unicode = console.encoding.lower().startswith("utf")
    console.print(board_text(game, rebuilt.states[0], unicode=unicode))
    for number, (move, search) in enumerate(zip(record.moves, rebuilt.searches, strict=True)):
        if only is not None and move.ply + 1 != only:
            continue
        state, after = rebuilt.states[number : number + 2]
        who = game.player_names[int(game.player(state)[0])]
        console.say(
            f"move {move.ply + 1}: {who} plays {game.move_name(state, move.action)}, value {move.value:+.3f}, "
            f"weights {move.version} ({_comparison(move, search)})"
        )
        console.print(_search_table(game, state, move, search))
        console.print(board_text(game, after, previous=state, unicode=unicode))


def _comparison(move: RecordedMove, search: RebuiltMove | None) -> str:
    if search is None:
        return "not kept; from the record"
    if search.equals(move):
        return f"checkpoint {search.checkpoint}: the recorded search, bit for bit"
    if search.has_visits(move):
        return f"checkpoint {search.checkpoint}: the recorded visits, value differs by {search.value - move.value:.0e}"
    return f"checkpoint {search.checkpoint}: differs from the recorded search"


def _search_table(game: Any, state: Any, move: RecordedMove, search: RebuiltMove | None) -> Table:
    """The most visited actions; the recorded counts beside those of a search that differs."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    differs = search is not None and not search.has_visits(move)
    for column in ("", "prior", "visits", *(["recorded"] if differs else []), "value"):
        table.add_column(column, justify="right")
    visits = move.visits if search is None else search.visits
    ranking = sorted({*visits, *move.visits}, key=lambda action: (-visits.get(action, 0), action))
    for action in ranking[:_SHOWN]:
        prior = "" if search is None else f"{search.prior.get(action, 0.0):.1%}"
        q = "" if search is None or action not in search.q else f"{search.q[action]:+.3f}"
        recorded = [str(move.visits.get(action, 0))] if differs else []
        style = "bold green" if action == move.action else ""
        name = game.move_name(state, action)
        table.add_row(name, prior, str(visits.get(action, 0)), *recorded, q, style=style)
    if len(ranking) > _SHOWN:
        table.caption = f"{len(ranking) - _SHOWN} more visited moves; --json has all"
    return table


def _print_summary(console: Console, rebuilt: RebuiltGame, kept: dict[int, Path]) -> None:
    record = rebuilt.record
    pairs = list(zip(record.moves, rebuilt.searches, strict=True))
    equal = sum(search is not None and search.equals(move) for move, search in pairs)
    missing = sorted({move.version for move, search in pairs if search is None})
    first, second = rebuilt.game.player_names
    result = {1: f"{first} wins", 0: "a draw", -1: f"{second} wins"}[record.first_reward]
    console.say(f"{result}{' by resignation' if record.resigned else ''}")
    console.say(f"{equal} of {len(pairs)} searches were rebuilt with the recorded visit counts, bit for bit")
    if missing:
        held = ", ".join(map(str, kept)) or "none"
        console.say(
            f"the weights of versions {', '.join(map(str, missing))} are no longer kept (kept: {held}; see "
            "checkpoint.keep): those moves are shown from the record"
        )
    if len(pairs) - equal > sum(search is None for _, search in pairs):
        alone = any(search is not None and search.alone for _, search in pairs)
        reason = (
            "the game was played by a worker, whose batch of games is in no checkpoint"
            if alone
            else "another processor, number of threads or version of PyTorch rounds differently"
        )
        visits = sum(search is not None and search.has_visits(move) for move, search in pairs)
        console.say(f"other searches differ ({visits} have the recorded visit counts): {reason}")


def _played(rebuilt: RebuiltGame, run: str) -> PlayedGame:
    record, game = rebuilt.record, rebuilt.game
    names = [
        f"visits {', '.join(f'{game.move_name(state, a)} {n}' for a, n in _most(move))}; weights {move.version}"
        for state, move in zip(rebuilt.states, record.moves, strict=False)
    ]
    return PlayedGame(
        game,
        rebuilt.states[0],
        [move.action for move in record.moves],
        values=[move.value for move in record.moves],
        comments=names,
        players=(run, run),
        winner=None if not record.resigned else int(record.first_reward < 0),
        ending="resignation" if record.resigned else "",
        event=f"self-play game {record.game_id}",
    )


def _most(move: RecordedMove) -> list[tuple[int, int]]:
    return sorted(move.visits.items(), key=lambda pair: (-pair[1], pair[0]))[:_SHOWN]


def _as_json(rebuilt: RebuiltGame) -> dict[str, Any]:
    game, record = rebuilt.game, rebuilt.record

    def named(state: Any, values: Any) -> dict[str, Any]:
        return {game.move_name(state, action): value for action, value in values.items()}

    rows = []
    for state, move, search in zip(rebuilt.states, record.moves, rebuilt.searches, strict=False):
        row: dict[str, Any] = {
            "move": move.ply + 1,
            "player": int(game.player(state)[0]),
            "action": game.move_name(state, move.action),
            "version": move.version,
            "value": move.value,
            "visits": named(state, move.visits),
            "rebuilt": None,
        }
        if search is not None:
            row["rebuilt"] = {
                "checkpoint": search.checkpoint,
                "equal": search.equals(move),
                "alone": search.alone,
                "action": game.move_name(state, search.action),
                "value": search.value,
                "visits": named(state, search.visits),
                "q": named(state, search.q),
                "prior": named(state, search.prior),
            }
        rows.append(row)
    return {
        "game_id": record.game_id,
        "first_reward": record.first_reward,
        "resigned": record.resigned,
        "moves": rows,
    }
