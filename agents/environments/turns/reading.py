"""What an environment shows after a move: whose turn it is, observations, legal actions, rewards and the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agents.environments.faults import described, failed, name_of
from agents.environments.masks import legal_options
from agents.environments.observations import MASK
from lab.errors import UserError


class Agents(NamedTuple):
    """The two agents of an environment, the one that moves first first, and their common actions.

    actions: A, numbered from `start` in the environment and from 0 here.
    """

    names: tuple[Any, Any]
    actions: int
    start: int


class Position(NamedTuple):
    """What an environment shows of a position.

    turn: the agent to move. observations: of both agents, in their order. mask: bool [A], of the agent to move; None
    where the environment gives none. rewards: of the last move. ended, truncated: of both agents.
    """

    turn: Any
    observations: tuple[Any, Any]
    mask: NDArray[np.bool_] | None
    rewards: tuple[float, float]
    ended: tuple[bool, bool]
    truncated: tuple[bool, bool]


def begin(env: Any, seed: int) -> None:
    """Reset an environment. Raises UserError for whatever it raises."""
    try:
        env.reset(seed=seed)
    except (Exception, SystemExit) as error:
        raise failed(env, "reset", error) from error


def play(env: Any, agents: Agents, action: int) -> None:
    """Play an action, counted from 0. Raises UserError for whatever the environment raises."""
    try:
        env.step(agents.start + action)
    except (Exception, SystemExit) as error:
        raise failed(env, f"step with the legal action {agents.start + action}", error) from error


def observed(env: Any, agent: Any) -> Any:
    """An agent's observation. Raises UserError for whatever the environment raises."""
    try:
        return env.observe(agent)
    except (Exception, SystemExit) as error:
        raise failed(env, f"observe of {agent}", error) from error


def mask_of(env: Any, observation: Any, agents: Agents) -> NDArray[np.bool_] | None:
    """bool [A]: legal actions of the agent to move, from its observation or its info; None where there is none."""
    found = observation[MASK] if isinstance(observation, dict) and MASK in observation else None
    if found is None:
        found = (getattr(env, "infos", None) or {}).get(env.agent_selection, {}).get(MASK)
    if found is None:
        return None
    try:
        return legal_options(found, agents.actions)
    except UserError as error:
        raise UserError(f"environment {name_of(env)}: {error}") from None


def rewards_of(env: Any, agents: Agents) -> tuple[float, float]:
    """The rewards of the last move. Raises UserError for what is no finite number."""
    try:
        first, second = (float(env.rewards.get(agent, 0.0)) for agent in agents.names)
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"environment {name_of(env)}: its rewards are no numbers ({described(error)})") from None
    if not (np.isfinite(first) and np.isfinite(second)):
        raise UserError(f"environment {name_of(env)}: a reward is not finite")
    return first, second


def flags(env: Any, agents: Agents) -> tuple[tuple[bool, bool], tuple[bool, bool]]:
    """Whether each agent's game has ended, and whether it was truncated; an agent that is gone has ended."""
    first, second = agents.names
    gone = [agent not in env.terminations for agent in agents.names]
    cut = bool(env.truncations.get(first, False)), bool(env.truncations.get(second, False))
    return (
        bool(gone[0] or env.terminations[first] or cut[0]),
        bool(gone[1] or env.terminations[second] or cut[1]),
    ), cut


def read(env: Any, agents: Agents) -> Position:
    """All that is seen of a position."""
    ended, truncated = flags(env, agents)
    observations = tuple(_copied(observed(env, agent)) for agent in agents.names)
    turn = env.agent_selection
    mask = None if all(ended) else mask_of(env, observations[agents.names.index(turn)], agents)
    return Position(turn, (observations[0], observations[1]), mask, rewards_of(env, agents), ended, truncated)


def difference(expected: Position, found: Position, agents: Agents) -> str:
    """What differs between two positions, in a few words; "" if they are equal."""
    if expected.turn != found.turn and not all(expected.ended):
        return f"agent_selection is {found.turn} and was {expected.turn}"
    for name, one, other in zip(agents.names, expected.observations, found.observations, strict=True):
        if not same(one, other):
            return f"the observation of {name} differs"
    if not same(expected.mask, found.mask):
        return "the action mask differs"
    if expected.rewards != found.rewards:
        return f"the rewards are {list(found.rewards)} and were {list(expected.rewards)}"
    if (expected.ended, expected.truncated) != (found.ended, found.truncated):
        return "the end of the game differs"
    return ""


def agents_of(env: Any) -> Agents:
    """The agents and actions of an environment that was reset. Raises UserError for anything but two alike."""
    name, names = name_of(env), list(env.possible_agents)
    if len(names) != 2:
        raise UserError(f"environment {name} has {len(names)} agents; the lab searches games of two players")
    first = env.agent_selection
    if first not in names:
        raise UserError(f"environment {name}: agent_selection is {first!r}, which is none of its agents")
    spaces_found = [env.action_space(agent) for agent in names]
    if not all(isinstance(space, spaces.Discrete) for space in spaces_found) or spaces_found[0] != spaces_found[1]:
        kinds = " and ".join(sorted({str(space) for space in spaces_found}))
        raise UserError(f"environment {name} has the action spaces {kinds}; both must be the same Discrete space")
    if env.observation_space(names[0]) != env.observation_space(names[1]):
        raise UserError(f"environment {name}: its agents have different observation spaces; one network plays both")
    second = names[1 - names.index(first)]
    return Agents((first, second), int(spaces_found[0].n), int(spaces_found[0].start))


def same(one: Any, other: Any) -> bool:
    """Whether two observations are equal: arrays by shape, type and bits, containers part by part."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        first, second = np.asarray(one), np.asarray(other)
        return (first.dtype, first.shape) == (second.dtype, second.shape) and first.tobytes() == second.tobytes()
    return type(one) is type(other) and bool(one == other)


def _copied(observation: Any) -> Any:
    """A copy: environments may hand out arrays that they go on writing to."""
    if isinstance(observation, dict):
        return {key: _copied(value) for key, value in observation.items()}
    if isinstance(observation, tuple):
        return tuple(map(_copied, observation))
    return np.array(observation) if isinstance(observation, np.ndarray) else observation


def text_of(moves: Sequence[int], start: int, limit: int = 12) -> str:
    """A line of moves as the environment numbers them, for messages."""
    shown = " ".join(str(start + move) for move in moves[:limit]) + (" ..." if len(moves) > limit else "")
    return f"after the moves {shown}" if moves else "at the start"
