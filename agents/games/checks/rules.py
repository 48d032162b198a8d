"""Checks of the rules: shapes, legal actions, turns, ends, and that boards do not depend on each other or on values."""

from itertools import pairwise

import torch

from agents.games.checks.playout import CPU, Playout, require, same
from agents.games.codec import encode
from agents.games.game import actions_of, select

_ACTIONS_TRIED = 128  # of games with more actions, on boards that are over


def shapes(playout: Playout) -> None:
    """Shapes and dtypes."""
    game, states, _ = playout
    first, batch = states[0], len(states[0][0])
    for state in states:
        require(
            type(state) is type(first) and [(x.dtype, x.shape) for x in state] == [(x.dtype, x.shape) for x in first],
            "`step` changes the type, shape or dtype of the state",
            "return the same NamedTuple with fields of the same shape and dtype",
        )
    require(
        all(len(x) == batch for x in first),
        "a state field has no leading dimension B",
        "give every field shape [B, ...]",
    )
    expected = {
        "legal": ((batch, game.num_actions), torch.bool),
        "legal_actions": ((batch, game.num_slots), torch.int64),
        "player": ((batch,), torch.int64),
        "plies": ((batch,), torch.int64),
        "done": ((batch,), torch.bool),
        "reward": ((batch, 2), torch.float32),
        "observe": ((batch, *game.observation_shape), torch.float32),
        "key": ((batch,), torch.int64),
    }
    for name, (shape, dtype) in expected.items():
        answer = getattr(game, name)(states[1])
        require(
            tuple(answer.shape) == shape and answer.dtype == dtype,
            f"`{name}` returns {answer.dtype} {list(answer.shape)}",
            f"return {dtype} {list(shape)}",
        )
    require(
        len(game.action_names) == len(set(game.action_names)) == game.num_actions,
        "`action_names` has missing or repeated names",
        f"give each of the {game.num_actions} actions a different name",
    )


def empty_batch(playout: Playout) -> None:
    """An empty batch."""
    game = playout.game
    state = game.step(game.initial(0, CPU), torch.zeros(0, dtype=torch.int64))
    functions = (game.legal, game.legal_actions, game.observe, game.key)
    shapes = [function(state).shape for function in functions]
    expected = ((0, game.num_actions), (0, game.num_slots), (0, *game.observation_shape), (0,))
    require(tuple(map(tuple, shapes)) == expected, "0 boards get other shapes", "use -1 only where B is not 0")


def legality(playout: Playout) -> None:
    """Legal actions."""
    game = playout.game
    require(game.num_actions < 2**15, "there are more actions than records can number", "have at most 32,767 actions")
    require(
        1 <= game.num_slots <= game.num_actions, "`num_slots` is not 1 to `num_actions`", "give the most legal moves"
    )
    for state in playout.states:
        legal = game.legal(state)
        require(
            torch.equal(legal.any(1), ~game.done(state)),
            "`legal` and `done` contradict each other",
            "a running board has a legal action, a board that is over has none",
        )
        require(
            int(legal.sum(1).max()) <= game.num_slots,
            f"a position has {int(legal.sum(1).max())} legal actions and num_slots is {game.num_slots}",
            "raise num_slots to the largest number of legal actions that the rules allow",
        )
        require(
            torch.equal(game.legal_actions(state), actions_of(legal, game.num_slots)),
            "`legal_actions` and `legal` contradict each other",
            "list the legal actions in ascending order, then -1",
        )


def finished_boards(playout: Playout) -> None:
    """Boards that are over."""
    game, last = playout.game, playout.states[-1]
    for action in range(0, game.num_actions, max(1, game.num_actions // _ACTIONS_TRIED)):
        require(
            same(game.step(last, torch.full_like(game.player(last), action)), last),
            f"`step` with action {action} changes boards that are over",
            "keep their fields with torch.where(running, new, old)",
        )


def rewards(playout: Playout) -> None:
    """Rewards."""
    game, states, _ = playout
    for state in states:
        reward = game.reward(state)
        require(not reward[~game.done(state)].any(), "`reward` is not 0 on a running board", "multiply it by `done`")
        require((reward.sum(1) == 0).all(), "`reward` is not zero-sum", "return [x, -x]")
        require(torch.isin(reward, torch.tensor([-1.0, 0.0, 1.0])).all(), "`reward` is not -1, 0 or 1", "scale it")
    require(game.reward(states[-1]).any(), "no random game has a winner", "check the winner in `reward`")


def turns(playout: Playout) -> None:
    """Turns and plies."""
    game, states, _ = playout
    require(not game.player(states[0]).any(), "player 0 does not begin", "return 0 for the initial state")
    require(not game.plies(states[0]).any(), "`plies` is not 0 at the start", "count moves from 0")
    for before, after in pairwise(states):
        running = ~game.done(before)
        require(
            torch.equal(game.player(after)[running], 1 - game.player(before)[running]),
            "the players do not alternate",
            "let `player` change with every move of a running board",
        )
        require(
            torch.equal(game.plies(after), game.plies(before) + running),
            "`plies` does not count the moves of running boards",
            "add 1 for each move, and nothing on boards that are over",
        )


def independence(playout: Playout) -> None:
    """Independence of the boards."""
    game, states, actions = playout
    some = torch.arange(0, len(states[0][0]), 3).flip(0)
    state = game.initial(len(some), CPU)
    for action, batch in zip(actions, states[1:], strict=True):
        state = game.step(state, action[some])
        functions = (game.legal, game.observe, game.key, game.reward)
        require(
            same(state, select(batch, some)) and all(torch.equal(f(state), f(batch)[some]) for f in functions),
            "a board depends on the other boards of its batch",
            "reduce over the dimensions of a board only, never over dimension 0",
        )


def no_data(playout: Playout) -> None:
    """Tensors without data."""
    # Tensors of the meta device have shapes and no data: reading a value raises.
    game, device = playout.game, torch.device("meta")
    try:
        state = game.step(game.initial(8, device), torch.zeros(8, dtype=torch.int64, device=device))
        functions = (
            *(game.legal, game.legal_actions, game.player, game.plies, game.done, game.reward, game.observe, game.key),
            *(encode, lambda state: game.observe(state, game.player(state))),
        )
        results = [*state, *(function(state) for function in functions), *game.symmetries(device)]
    except (RuntimeError, NotImplementedError) as error:
        message = str(error).splitlines()[0]
        broken = f"the rules read values of a tensor or mix devices ({message})"
        require(False, broken, "use tensor operations on the state's device; no if, item() or nonzero() on tensors")
    require(
        all(x.device == device for x in results),
        "a result is on another device",
        "create tensors on the state's device",
    )
