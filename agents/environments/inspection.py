"""What an environment is: its spaces and masks, and the errors of one that is not what its spaces say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym

from agents.environments.actions import ActionSpec, action_spec
from agents.environments.environments import Spaces
from agents.environments.faults import begin, described, failed, name_of
from agents.environments.observations import MASK, ObservationCodec
from lab.errors import UserError


def inspect(env: gym.Env[Any, Any]) -> Spaces:
    """The spaces of an environment; it is reset once. Raises UserError for one that is not supported."""
    return inspect_spaces(env, lambda: (env.observation_space, env.action_space))


def inspect_spaces(env: Any, spaces_of: Callable[[], tuple[Any, Any]]) -> Spaces:
    """The spaces of an environment from those of observations and actions; it is reset once.

    Raises UserError for one that is not supported.
    """
    try:
        observation_space, action_space = spaces_of()
        codec, actions = ObservationCodec(observation_space), action_spec(action_space)
    except UserError as error:
        raise UserError(f"environment {name_of(env)}: {error}") from None
    except (AttributeError, TypeError) as error:
        raise failed(env, "its spaces", error) from error
    check_spaces(codec, actions, name_of(env))
    _, info = begin(env, seed=0)
    masks = codec.has_mask or MASK in info
    check_masks(masks, actions, name_of(env))
    return Spaces(codec, actions, masks)


def check_spaces(codec: ObservationCodec, actions: ActionSpec, name: str) -> None:
    """Raise UserError if there is nothing to observe or nothing to decide."""
    if not codec.shapes:
        raise UserError(f"environment {name}: there is nothing in its observations (besides a mask of actions)")
    if not actions.columns:
        raise UserError(f"environment {name}: its actions have no numbers to decide on")


def check_masks(masks: bool, actions: ActionSpec, name: str) -> None:
    """Raise UserError for masks of actions that are not discrete."""
    if masks and actions.continuous:
        raise UserError(f"environment {name} has action masks, which are for discrete actions, and a Box of actions")


def refuse_late_mask(info: Mapping[str, Any], env: Any) -> None:
    """Raise UserError for a mask from an environment whose first reset gave none."""
    if MASK in info:
        raise UserError(
            f"environment {name_of(env)} gives an action mask in step and gave none in reset; a mask must come with "
            "every observation"
        )


def not_of_its_space(env: Any, error: Exception) -> UserError:
    """The user error for an observation that could not be encoded."""
    reason = str(error) if isinstance(error, UserError) else f"an observation is not of its space: {described(error)}"
    return UserError(f"environment {name_of(env)}: {reason}")
