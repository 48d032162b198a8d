"""`lab export`: one command; each kind supplies the function that writes the file."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.arguments import Json, Run, RunsDir, print_json
from lab.cli.options import Checkpoint, Overwrite, check_absent
from lab.nets.export import SUFFIXES, check_suffix
from lab.run.lookup import RUNS_DIR, find_run
from lab.terminal.streams import say

Write = Callable[[Path, str, Path], float]


def export_verb(
    *, suffixes: tuple[str, ...] = SUFFIXES, companion: str = "", checkpoint: str = "best"
) -> Callable[[Write], Callable[..., None]]:
    """Decorator that makes `write(run directory, checkpoint, file) -> largest difference` a kind's `lab export`.

    The docstring of `write` is the help. companion: suffix of a second file that it writes.
    checkpoint: the default.
    """
    default = checkpoint
    files = "FILE.onnx, or FILE.pt2 for torch.export." if ".pt2" in suffixes else "FILE.onnx."

    def decorate(write: Write) -> Callable[..., None]:
        def export(
            run: Run,
            out: Annotated[Path, typer.Option("--out", help=files)],
            checkpoint: Checkpoint = default,
            overwrite: Overwrite = False,
            as_json: Json = False,
            runs_dir: RunsDir = RUNS_DIR,
        ) -> None:
            check_suffix(out, suffixes)
            for path in (out, out.with_suffix(companion)) if companion else (out,):
                check_absent(path, overwrite)
            difference = write(find_run(run, runs_dir), checkpoint, out)
            if as_json:
                print_json({"file": str(out), "largest_difference": difference})
            else:
                say(f"{out}: largest difference to the network {difference:.1e}")

        export.__doc__ = write.__doc__
        return export

    return decorate
