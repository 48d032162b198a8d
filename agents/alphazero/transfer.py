"""Weights of one run for another: training that starts from them, and play on a board of another size."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from agents.alphazero.agent import TrainedNetwork, load_network, make_network
from agents.alphazero.config import AlphaZeroConfig, StartConfig
from agents.alphazero.network import AUXILIARY, PolicyValueNet
from lab.config.loading import validate
from lab.errors import UserError
from lab.run.lookup import locate_run


def start_from(network: PolicyValueNet, config: StartConfig, runs_dir: Path) -> None:
    """Load the EMA weights of the configured run. Raises UserError if there is no such run or they do not fit."""
    run = locate_run(config.run, runs_dir)
    if run is None:
        raise UserError(f"start.run: no run {config.run!r} in {runs_dir}, and no run at that path")
    _load(network, load_network(run, config.checkpoint).net, f"start.run: the network of {run.name}")


def on_board(trained: TrainedNetwork, **options: bool | int | float | str | None) -> TrainedNetwork:
    """The same weights for the game with other options, such as another size.

    Raises UserError for options that the game does not have and if the weights do not fit.
    """
    old = trained.config
    game = {"name": old.game.name, "options": {**old.game.options, **options}}
    settings = {**old.model_dump(exclude={"game"}), "game": game}
    config = validate(AlphaZeroConfig, settings, f"{old.game.name} with other options")
    net = make_network(config, config.game.make())
    _load(net, trained.net, f"the network of {trained.name}")
    return TrainedNetwork(trained.name, config, net)


def _load(network: nn.Module, source: nn.Module, what: str) -> None:
    own, loaded = _played(network), _played(source)
    for name in [*own, *loaded]:
        if _shape(own, name) != _shape(loaded, name):
            raise UserError(
                f"{what} does not fit this one: {name} is {_shape(loaded, name)} there and {_shape(own, name)} here; "
                "give both the same network, and for boards of different sizes network.heads=convolutional"
            )
    network.load_state_dict(loaded, strict=False)


def _played(network: nn.Module) -> dict[str, Tensor]:
    """The weights without those of auxiliary heads, which start anew."""
    return {name: tensor for name, tensor in network.state_dict().items() if not name.startswith(AUXILIARY)}


def _shape(tensors: Mapping[str, Tensor], name: str) -> str:
    return str(list(tensors[name].shape)) if name in tensors else "absent"
