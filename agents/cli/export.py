"""`lab export` of an AlphaZero run: its policy and value network."""

from pathlib import Path

from agents.alphazero import export as exporting
from lab.cli.export import export_verb


@export_verb()
def export(run: Path, checkpoint: str, out: Path) -> float:
    """Export the network and check the result.

    The input is observation [N, C, H, W], the outputs are policy_logits [N, A] and value [N] in [-1, 1] for the player
    to move. Illegal moves are not masked. The metadata of the file names the game and its actions.
    """
    return exporting.export(run, checkpoint, out)
