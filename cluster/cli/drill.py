"""`lab drill`: inject faults into runs and report whether and how fast they recover."""

from dataclasses import asdict
from typing import Annotated

import typer

from cluster.cli.tables import print_table
from cluster.drills.faults import DRILLS, drill_config, run_drill
from cluster.pool.connection import connect
from lab.cli.arguments import Json, RunsDir, print_json
from lab.config.sections import ClusterConfig
from lab.errors import UserError
from lab.run.lookup import RUNS_DIR
from lab.terminal.streams import say


def drill(
    run_or_preset: Annotated[
        str,
        typer.Argument(metavar="[RUN|PRESET]", help="Settings of the drilled runs.", show_default="a tiny preset"),
    ] = "",
    workers: Annotated[int, typer.Option(min=1, help="Number of self-play workers.")] = 2,
    address: Annotated[str, typer.Option(help="A running cluster, as in cluster.address.")] = "",
    spare_node: Annotated[str, typer.Option(help="Address or id of a node that may be killed.")] = "",
    only: Annotated[str, typer.Option(help="Only the drills with this text in their name.", show_default="all")] = "",
    runs_dir: RunsDir = RUNS_DIR,
    as_json: Json = False,
) -> None:
    """Inject faults into runs and check that they recover: killed and hanging processes, no W&B, a lost node.

    Each drill trains a separate run in a temporary folder and removes it. The exit code is 1 if a drill failed.
    """
    drills = [each for each in DRILLS if only in each.name]
    if not drills:
        raise UserError(f"no drill has {only!r} in its name; the drills are: {', '.join(each.name for each in DRILLS)}")
    results = []
    with connect(ClusterConfig(workers=workers, worker_cpus=0, address=address or None)) as connection:
        config = drill_config(run_or_preset, runs_dir, workers, connection.address)
        for each in drills:
            result = run_drill(each, config, spare_node)
            results.append(result)
            if not as_json:
                say(f"{result.drill}: {result.result}" + (f" ({result.detail})" if result.detail else ""))
    failed = any(result.result == "failed" for result in results)
    if as_json:
        print_json({"ok": not failed, "drills": [asdict(result) for result in results]})
    else:
        rows = [[one.drill, one.result, _seconds(one.seconds), _seconds(one.limit_s)] for one in results]
        print_table(["drill", "result", "seconds", "limit"], rows)
    if failed:
        raise typer.Exit(1)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
