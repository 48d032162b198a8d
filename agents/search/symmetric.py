"""An evaluator averaged over the symmetries of a board."""

from functools import cache

import torch
from torch import Tensor

from agents.games.game import Game
from agents.search.cache import Evaluate


def averaged(evaluate: Evaluate, game: Game) -> Evaluate:
    """Evaluate each position in all S symmetric forms and average logits and values.

    The network is trained on all forms but its outputs for them differ; the mean has a smaller error and costs S
    evaluations. Silver et al. 2017, Methods, use one random form instead. Without symmetries `evaluate` is returned.
    """
    tables = cache(game.symmetries)
    if len(tables(torch.device("cpu")).actions) == 1:
        return evaluate

    def evaluate_all(observation: Tensor) -> tuple[Tensor, Tensor]:
        planes, actions = tables(observation.device)
        forms = observation.flatten(1)[:, planes].transpose(0, 1)  # [S, N, C*H*W]
        logits, value = evaluate(forms.reshape(-1, *observation.shape[1:]))
        count, rows = len(planes), len(observation)
        back = torch.argsort(actions, dim=1)[:, None].expand(-1, rows, -1)
        return logits.view(count, rows, -1).gather(2, back).mean(0), value.view(count, rows).mean(0)

    return evaluate_all
