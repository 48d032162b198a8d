"""`lab arena --referee`: matches inside an environment of PettingZoo."""

from collections.abc import Sequence
from importlib import metadata
from typing import Annotated

import typer

from agents.arena.players import AgentLike, AgentPlayer, Player
from agents.environments.faults import described
from agents.games import Game
from lab.errors import UserError

POLICIES = "rivals.policies"
"""Group of entry points: a name -> a function without arguments that makes a policy of PettingZoo."""

Referee = Annotated[
    str | None,
    typer.Option(
        "--referee",
        metavar="pettingzoo:MODULE",
        help="Play inside this environment, which decides; OPTION=VALUE may follow commas. --against policy:NAME seats "
        "a policy.",
        show_default=False,
    ),
]


def seated(
    referee: str | None, game: Game, agents: Sequence[AgentLike], simulations: int
) -> tuple[Game, Sequence[Player]]:
    """The game of a match and its agents: inside the environment `referee`, else on their own board."""
    if referee is None:
        return game, [AgentPlayer(agent, simulations) for agent in agents]
    from agents.pettingzoo import seats

    environment = seats.referee(referee)
    return environment, [seats.SeatedAgent(agent, simulations, environment) for agent in agents]


def policy(name: str, game: Game) -> Player:
    """The policy of an entry point. Raises UserError without an environment, and for one that cannot be made."""
    from agents.pettingzoo.game import PettingZooGame
    from agents.pettingzoo.seats import SeatedPolicy

    if not isinstance(game, PettingZooGame):
        raise UserError(f"policy:{name} plays in environments; name one with --referee pettingzoo:MODULE")
    known = metadata.entry_points(group=POLICIES)
    if name not in known.names:
        raise UserError(
            f"unknown policy {name!r}; installed are {', '.join(sorted(known.names)) or 'none'}, as entry points of "
            f"the group {POLICIES}"
        )
    try:
        made = known[name].load()()
    except Exception as error:  # whatever the other package raises
        raise UserError(f"policy {name!r} cannot be made: {described(error)}") from error
    return SeatedPolicy(made, game, name)
