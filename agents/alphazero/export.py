"""Export of a policy and value network: one graph that needs neither the lab nor the rules of its symmetries."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from agents.alphazero.agent import TrainedNetwork, load_network
from agents.alphazero.network import PolicyValueNet, expected_value
from agents.games.game import Game
from lab.nets import export as exporting

INPUT = "observation"
OUTPUTS = ("policy_logits", "value")


class ExportedNetwork(nn.Module):
    """What an agent's search asks of its network, as a module.

    observation [B, C, H, W] float32 -> policy logits [B, A], value [B] in [-1, 1]. With `average_symmetries` both are
    averaged over the symmetric forms of the board, as evaluation and play do.
    """

    planes: Tensor
    back: Tensor

    def __init__(self, net: PolicyValueNet, game: Game, *, average_symmetries: bool) -> None:
        super().__init__()
        self.net = net.eval().for_inference()
        self._average = average_symmetries
        planes, actions = game.symmetries(torch.device("cpu"))
        self.register_buffer("planes", planes)
        self.register_buffer("back", torch.argsort(actions, dim=1))

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        if not self._average:
            return self._evaluate(observation)
        # `agents.search.symmetric.averaged` for a batch size that torch.export leaves open.
        forms = observation.flatten(1)[:, self.planes]  # [B, S, C*H*W]
        logits, value = self._evaluate(forms.flatten(0, 1).unflatten(1, self.net.observation_shape))
        count = self.back.shape[0]
        by_form = logits.unflatten(0, (-1, count)).unbind(1)
        aligned = [one[:, self.back[form]] for form, one in enumerate(by_form)]
        return torch.stack(aligned).mean(0), value.unflatten(0, (-1, count)).mean(1)

    def _evaluate(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        logits, outcome = self.net(observation)
        return logits, expected_value(outcome)


def export(run: Path, checkpoint: str, out: Path) -> float:
    """Write the network of a run's checkpoint as .onnx or .pt2; returns its largest difference on random positions.

    Metadata names the game, its options and its actions. Raises UserError as `lab.nets.export.export`, `load_network`.
    """
    trained = load_network(run, checkpoint)
    config, game = trained.config, trained.config.game.make()
    module = ExportedNetwork(trained.net, game, average_symmetries=config.search.average_symmetries)
    inputs, others = ({INPUT: _observations(game, count, seed)} for count, seed in ((2, 0), (5, 1)))
    metadata = _metadata(trained, game)
    return exporting.export(module, inputs, others, out, outputs=OUTPUTS, metadata=metadata)


def _observations(game: Game, count: int, seed: int) -> Tensor:
    """float32 [count, C, H, W] of positions after a few random legal moves."""
    generator = torch.Generator().manual_seed(seed)
    device = torch.device("cpu")
    state = game.initial(count, device)
    for _ in range(min(4, game.max_plies // 2)):
        draws = torch.rand((count, game.num_actions), generator=generator)
        state = game.step(state, draws.masked_fill(~game.legal(state), -1.0).argmax(1))
    return game.observe(state)


def _metadata(trained: TrainedNetwork, game: Game) -> dict[str, Any]:
    return {
        "kind": "alphazero",
        "run": trained.name,
        "game": game.name,
        "game_options": dict(game.options),
        "actions": list(game.action_names),
        "observation": "[batch, planes, rows, columns]; the planes of the player to move are first, then other bits",
        "number_planes": game.number_planes,  # the last planes, each one number in all cells
        "policy_logits": "[batch, actions]; set illegal moves to -inf, then softmax",
        "value": "[batch]; expected outcome for the player to move: 1 win, 0 draw, -1 loss",
        "average_symmetries": trained.config.search.average_symmetries,
    }
