"""A trained network with its search, used by evaluations, the arena, `lab play` and PettingZoo policies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents.alphazero.config import AlphaZeroConfig
from agents.alphazero.network import InferenceNet, PolicyValueNet
from agents.alphazero.precision import SELF_PLAY
from agents.alphazero.search import make_dynamics, make_search
from agents.arena.analysis import Analysis, analyse
from agents.games.game import Game
from agents.games.moves import Moves
from agents.search import Search, SearchResult
from agents.search.cache import Evaluate
from agents.search.dynamics import GameDynamics
from agents.search.symmetric import averaged
from lab.errors import UserError
from lab.run.checkpoint import BEST
from lab.run.load import load_run
from lab.train.device import Device
from lab.train.measured_precision import kept_choice


@dataclass(frozen=True)
class Agent:
    """A network (EMA weights) with its game and configuration. It plays without noise.

    outcomes: observations float32 [B, C, H, W] -> probabilities of a win, a draw and a loss for the mover, [B, 3].
    """

    name: str
    game: Game
    evaluate: Evaluate
    config: AlphaZeroConfig
    device: torch.device
    outcomes: Callable[[Tensor], Tensor]

    def search(self, simulations: int) -> Search:
        """The run's search with this many simulations, without noise; moves as `evaluate.lcb_stdevs` says."""
        return make_search(
            self.config.search,
            game=self.game,
            device=self.device,
            simulations=simulations,
            noise=False,
            lcb_stdevs=self.config.evaluate.lcb_stdevs,
        )

    def dynamics(self) -> GameDynamics:
        """The game's rules with this network at the leaves."""
        return make_dynamics(self.game, self.evaluate, None, self.device, discount=self.config.search.discount)

    @cached_property
    def _dynamics(self) -> GameDynamics:
        return self.dynamics()

    @torch.inference_mode()
    def decide(self, state: Any, simulations: int) -> SearchResult:
        """Decisions for B running boards. With 0 simulations those of the network alone; `q` is then NaN."""
        ids = torch.arange(len(self.game.done(state)), device=self.device)
        root = self._dynamics.root(state, game_id=ids, ply=torch.zeros_like(ids))
        if simulations == 0:
            zeros = torch.zeros_like(root.logits)
            policy = torch.softmax(root.logits, -1)
            action = root.action_of(root.logits.argmax(-1))
            return SearchResult(action, policy, root.value, zeros, zeros + torch.nan, root.slot_actions())
        return self.search(simulations)(root, dynamics=self._dynamics, seed=0, temperature=0.0)

    def think(
        self, position: Moves | tuple[Any, ...] = "", *, simulations: int | None = None, line_plies: int = 8
    ) -> Analysis:
        """Analysis of one position: policy, value, visit counts, best move and principal variation.

        position: moves from the initial position, such as "443" or ["4", "4", "3"], or a state with B = 1.
        simulations: per decision, by default those of the run; 0 is the network alone.
        Raises UserError for illegal moves and for a game that is over.
        """
        count = self.config.search.simulations if simulations is None else simulations
        return analyse(self, position, simulations=count, line_plies=line_plies)


def make_agent(name: str, config: AlphaZeroConfig, net: PolicyValueNet, device: Device) -> Agent:
    """An agent that plays with a copy of `net`, which is on the device."""
    game = config.game.make()
    network = InferenceNet(net, precision=device.precision, form=device.form)
    evaluate: Evaluate = network
    if config.search.average_symmetries:
        evaluate = averaged(evaluate, game)
    return Agent(name, game, evaluate, config, device.device, network.outcomes)


def make_network(config: AlphaZeroConfig, game: Game) -> PolicyValueNet:
    """A new network of the configured size."""
    return PolicyValueNet(
        *(game.observation_shape, game.num_actions),
        layout=game.action_layout,
        auxiliary=config.learner.auxiliary,
        **config.network.model_dump(),
    )


@dataclass(frozen=True)
class TrainedNetwork:
    """The network (EMA weights) of a checkpoint on the CPU.

    name: of the run, with the iteration unless it is best. directory: of the run; None for a network without one.
    """

    name: str
    config: AlphaZeroConfig
    net: PolicyValueNet
    directory: Path | None = None


def load_network(path: str | Path, which: str = BEST) -> TrainedNetwork:
    """The network of a run directory, or of one of its checkpoint directories.

    which: "best", "latest" or an iteration, for a run; "best" falls back to the latest where none is marked.
    Raises UserError when there is no such checkpoint or it is not one of an AlphaZero run.
    """
    found = load_run(Path(path), AlphaZeroConfig, which)
    net = make_network(found.config, found.config.game.make())
    with found.restoring() as state:
        net.load_state_dict(state["learner"]["average"]["module"])
    run = found.checkpoint.parent.parent
    name = run.name if found.checkpoint.name == BEST else f"{run.name}:{found.iteration}"
    return TrainedNetwork(name, found.config, net, run)


def load_agent(path: str | Path, device: Device, which: str = BEST) -> Agent:
    """The agent of a run directory, or of one of its checkpoint directories; arguments and errors of `load_network`."""
    trained = load_network(path, which)
    if trained.config.precision == "fp32":  # a run in fp32 plays in fp32; bf16 is for devices that have it
        place = replace(device, precision="fp32", automatic=False)
    else:
        assert trained.directory is not None
        place = kept_choice(trained.directory, SELF_PLAY, device)
    return make_agent(trained.name, trained.config, trained.net.to(device.device), place)


def predict(
    run: Path,
    device: Device,
    positions: str | Sequence[Moves],
    *,
    checkpoint: str = BEST,
    simulations: int | None = None,
) -> list[dict[str, Any]]:
    """Records of `Agent.think` for one position, such as "443", or for each of a list of positions.

    Each has `input` and what `Analysis.as_record` gives. Raises UserError as `Agent.think`.
    """
    if not isinstance(positions, Sequence):
        raise UserError(f'positions are a text such as "443" or a list of them, not {type(positions).__name__}')
    agent = load_agent(run, device, checkpoint)
    several = [positions] if isinstance(positions, str) else positions
    return [{"input": moves} | agent.think(moves, simulations=simulations).as_record() for moves in several]
