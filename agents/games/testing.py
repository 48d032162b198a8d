"""`test_game`: the invariants that every game must satisfy, checked on random games."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.games.codec import decode, encode
from agents.games.game import Game, ObservableGame, actions_of, select

CPU = torch.device("cpu")
_ACTIONS_TRIED = 128  # of games with more actions, on boards that are over


class Playout(NamedTuple):
    """B random games side by side: T + 1 states and the T actions between them, until every board is over."""

    game: Any
    states: list[Any]
    actions: list[Tensor]


def test_game(game: Game, *, boards: int = 128, seed: int = 0) -> None:
    """Checks a game's invariants on `boards` random games. Call it in the tests of your own rules.

    Checked: shapes and dtypes, legal actions and slots, turns, ends and rewards, observations, keys, codes of states,
    the history, symmetries and the layout of actions, independence of the boards, tensors without data (no wait for the
    device), and the end within `max_plies`.
    Raises AssertionError that names the broken invariant and the fix.
    """
    what = "random games"
    try:
        playout = random_playout(game, boards, seed)
        for check in CHECKS:
            what = (check.__doc__ or "").rstrip(".").lower()
            check(playout)
    except AssertionError as error:
        raise AssertionError(f"{game.name}: {error}") from None
    except Exception as error:
        raise AssertionError(f"{game.name}: the check of {what} raised {type(error).__name__}: {error}") from error


test_game.__test__ = False  # type: ignore[attr-defined]  # pytest does not collect it where it is imported


def random_playout(game: Game, boards: int, seed: int = 0) -> Playout:
    """Random games. Raises AssertionError when one has more than `max_plies` plies."""
    generator = torch.Generator().manual_seed(seed)
    states = [game.initial(boards, CPU)]
    actions: list[Tensor] = []
    while not game.done(states[-1]).all():
        _require(
            len(actions) < game.max_plies,
            f"a game lasts longer than max_plies {game.max_plies}",
            "raise max_plies to the longest possible game, or end games in `done`",
        )
        legal = game.legal(states[-1])
        # Boards that are over get any action: `step` must not change them.
        weight = torch.where(legal.any(1, keepdim=True), legal, True).float()
        actions.append(torch.multinomial(weight, 1, generator=generator)[:, 0])
        states.append(game.step(states[-1], actions[-1]))
    return Playout(game, states, actions)


def same(a: Any, b: Any) -> bool:
    """Whether two states are equal, dtypes included."""
    return all(x.dtype == y.dtype and torch.equal(x, y) for x, y in zip(a, b, strict=True))


def _require(holds: bool | Tensor, broken: str, fix: str) -> None:
    if not holds:
        raise AssertionError(f"{broken}. Fix: {fix}.")


def _shapes(playout: Playout) -> None:
    """Shapes and dtypes."""
    game, states, _ = playout
    first, batch = states[0], len(states[0][0])
    for state in states:
        _require(
            type(state) is type(first) and [(x.dtype, x.shape) for x in state] == [(x.dtype, x.shape) for x in first],
            "`step` changes the type, shape or dtype of the state",
            "return the same NamedTuple with fields of the same shape and dtype",
        )
    _require(
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
        _require(
            tuple(answer.shape) == shape and answer.dtype == dtype,
            f"`{name}` returns {answer.dtype} {list(answer.shape)}",
            f"return {dtype} {list(shape)}",
        )
    _require(
        len(game.action_names) == len(set(game.action_names)) == game.num_actions,
        "`action_names` has missing or repeated names",
        f"give each of the {game.num_actions} actions a different name",
    )
    _require(bool(game.render(states[-1], batch - 1)), "`render` returns no text", "return one board as text")


def _empty_batch(playout: Playout) -> None:
    """An empty batch."""
    game = playout.game
    state = game.step(game.initial(0, CPU), torch.zeros(0, dtype=torch.int64))
    functions = (game.legal, game.legal_actions, game.observe, game.key)
    shapes = [function(state).shape for function in functions]
    expected = ((0, game.num_actions), (0, game.num_slots), (0, *game.observation_shape), (0,))
    _require(tuple(map(tuple, shapes)) == expected, "0 boards get other shapes", "use -1 only where B is not 0")


def _legality(playout: Playout) -> None:
    """Legal actions."""
    game = playout.game
    _require(game.num_actions < 2**15, "there are more actions than records can number", "have at most 32,767 actions")
    _require(
        1 <= game.num_slots <= game.num_actions, "`num_slots` is not 1 to `num_actions`", "give the most legal moves"
    )
    for state in playout.states:
        legal = game.legal(state)
        _require(
            torch.equal(legal.any(1), ~game.done(state)),
            "`legal` and `done` contradict each other",
            "a running board has a legal action, a board that is over has none",
        )
        _require(
            int(legal.sum(1).max()) <= game.num_slots,
            f"a position has {int(legal.sum(1).max())} legal actions and num_slots is {game.num_slots}",
            "raise num_slots to the largest number of legal actions that the rules allow",
        )
        _require(
            torch.equal(game.legal_actions(state), actions_of(legal, game.num_slots)),
            "`legal_actions` and `legal` contradict each other",
            "list the legal actions in ascending order, then -1",
        )


def _finished_boards(playout: Playout) -> None:
    """Boards that are over."""
    game, last = playout.game, playout.states[-1]
    for action in range(0, game.num_actions, max(1, game.num_actions // _ACTIONS_TRIED)):
        _require(
            same(game.step(last, torch.full_like(game.player(last), action)), last),
            f"`step` with action {action} changes boards that are over",
            "keep their fields with torch.where(running, new, old)",
        )


def _rewards(playout: Playout) -> None:
    """Rewards."""
    game, states, _ = playout
    for state in states:
        reward = game.reward(state)
        _require(not reward[~game.done(state)].any(), "`reward` is not 0 on a running board", "multiply it by `done`")
        _require((reward.sum(1) == 0).all(), "`reward` is not zero-sum", "return [x, -x]")
        _require(torch.isin(reward, torch.tensor([-1.0, 0.0, 1.0])).all(), "`reward` is not -1, 0 or 1", "scale it")
    _require(game.reward(states[-1]).any(), "no random game has a winner", "check the winner in `reward`")


def _turns(playout: Playout) -> None:
    """Turns and plies."""
    game, states, _ = playout
    _require(not game.player(states[0]).any(), "player 0 does not begin", "return 0 for the initial state")
    _require(not game.plies(states[0]).any(), "`plies` is not 0 at the start", "count moves from 0")
    for before, after in pairwise(states):
        running = ~game.done(before)
        _require(
            torch.equal(game.player(after)[running], 1 - game.player(before)[running]),
            "the players do not alternate",
            "let `player` change with every move of a running board",
        )
        _require(
            torch.equal(game.plies(after), game.plies(before) + running),
            "`plies` does not count the moves of running boards",
            "add 1 for each move, and nothing on boards that are over",
        )


def _observations(playout: Playout) -> None:
    """Observations."""
    game = playout.game
    bits = game.observation_shape[0] - game.number_planes
    for state in playout.states:
        player = game.player(state)
        observation, other = game.observe(state), game.observe(state, 1 - player)
        for seen in (observation, other):
            _require(
                ((seen[:, :bits] == 0) | (seen[:, :bits] == 1)).all(),
                "`observe` has values other than 0 and 1",
                "use planes of bits, and put planes of one number each last and count them in `number_planes`",
            )
            _require(
                (seen[:, bits:] == seen[:, bits:, :1, :1]).all() and seen.isfinite().all(),
                "a plane of `number_planes` is not one finite number on each board",
                "put the same number into all cells; what differs from cell to cell is planes of bits",
            )
        _require(
            torch.equal(game.observe(state, player), observation),
            "`observe` with the player to move is not `observe`",
            "let `player` be by default the player to move",
        )
        if isinstance(game, ObservableGame):
            rebuilt = game.from_observation(observation)
            for name in ("observe", "legal", "player", "plies", "done", "reward", "key"):
                function = getattr(game, name)
                _require(
                    torch.equal(function(rebuilt), function(state)),
                    f"`from_observation` rebuilds a state with another `{name}`",
                    "let `observe` contain all that the rules depend on, or leave `from_observation` out",
                )


def _codes(playout: Playout) -> None:
    """Codes of states."""
    game, states, _ = playout
    for state in states:
        _require(
            same(decode(game, encode(state)), state),
            "a state that was encoded and decoded is another one",
            "give all fields of the state the dtypes and shapes of `initial`",
        )


def _history(playout: Playout) -> None:
    """The history."""
    game, states, _ = playout
    for name in game.history:
        _require(
            name in states[0]._fields and getattr(states[0], name).dim() > 1,
            f"`history` names {name}, which is no state field [B, T, ...]",
            "name fields of the state that are rings of entries",
        )
        for before, after in pairwise(states):
            old, new = getattr(before, name), getattr(after, name)
            places = torch.arange(old.shape[1]) == (game.plies(after) % old.shape[1])[:, None]
            kept = ~places | game.done(before)[:, None]
            _require(
                torch.equal(old[kept], new[kept]),
                f"`step` changes an entry of {name} that belongs to an earlier position",
                "write only entry p % T of the new position after p plies, on running boards",
            )


def _keys(playout: Playout) -> None:
    """Keys."""
    game, states, _ = playout
    keys = torch.cat([game.key(state) for state in states]).tolist()
    content = [torch.cat([game.observe(state) for state in states]).flatten(1)]
    if game.num_slots < game.num_actions:
        content.append(torch.cat([game.legal_actions(state) for state in states]))
    rows = zip(*(part.numpy() for part in content), strict=True)
    positions = [b"".join(part.tobytes() for part in row) for row in rows]
    pairs, different = len(set(zip(keys, positions, strict=True))), len(set(positions))
    _require(
        pairs <= len(set(keys)),
        "two different observations have the same `key`",
        "hash all of the observation, and the legal actions where num_slots is below num_actions",
    )
    _require(pairs == different, "equal observations have different keys", "hash only the observation")


def _layout(playout: Playout) -> None:
    """The layout of actions."""
    game, layout = playout.game, playout.game.action_layout
    if layout is None:
        return
    _, height, width = game.observation_shape
    count, width_of_plane = layout.num_actions(height, width), width if layout.columns else height * width
    _require(
        count == game.num_actions,
        f"`action_layout` describes {count} actions and there are {game.num_actions}",
        "number the actions plane by plane, then the others",
    )
    tables = game.symmetries(CPU)
    on_board = torch.arange(count) < layout.planes * width_of_plane
    for planes, order in zip(*tables, strict=True):
        cells = planes[: height * width] % (height * width)
        places = cells[:width] % width if layout.columns else cells
        expected = places.repeat(layout.planes)
        _require(
            torch.equal(order[on_board] % width_of_plane, expected) and bool((order[~on_board] >= len(expected)).all()),
            "`action_layout` and `symmetries` contradict each other",
            "give an action the number plane * cells + cell, where a symmetry maps the cell as it maps the planes",
        )


def _symmetries(playout: Playout) -> None:
    """Symmetries."""
    game, states, actions = playout
    tables = game.symmetries(CPU)
    sizes = (math.prod(game.observation_shape), game.num_actions)
    for name, table, size in zip(("planes", "actions"), tables, sizes, strict=True):
        identity = torch.arange(size)
        _require(
            table.dtype == torch.int64 and torch.equal(table.sort(1).values, identity.expand(len(table), -1)),
            f"a row of `symmetries().{name}` is no permutation",
            f"give int64 rows that each hold 0 to {size - 1} once",
        )
        is_first = torch.equal(table[0], identity)
        _require(is_first, f"row 0 of `symmetries().{name}` is not the identity", "put the identity first")
    for number, (planes, order) in enumerate(zip(*tables, strict=True)):
        mapped_action = order.argsort()  # policy' = policy[order]: action a is found at its place in `order`
        mapped = states[0]
        for action, state in zip(actions, states[1:], strict=True):
            mapped = game.step(mapped, mapped_action[action])
            agree = (
                torch.equal(game.observe(mapped).flatten(1), game.observe(state).flatten(1)[:, planes])
                and torch.equal(game.legal(mapped), game.legal(state)[:, order])
                and torch.equal(game.reward(mapped), game.reward(state))
                and torch.equal(game.done(mapped), game.done(state))
            )
            _require(
                agree,
                f"a game played through symmetry {number} is not the mapped game",
                "remove that symmetry, or let its planes and actions describe the same map",
            )


def _independence(playout: Playout) -> None:
    """Independence of the boards."""
    game, states, actions = playout
    some = torch.arange(0, len(states[0][0]), 3).flip(0)
    state = game.initial(len(some), CPU)
    for action, batch in zip(actions, states[1:], strict=True):
        state = game.step(state, action[some])
        functions = (game.legal, game.observe, game.key, game.reward)
        _require(
            same(state, select(batch, some)) and all(torch.equal(f(state), f(batch)[some]) for f in functions),
            "a board depends on the other boards of its batch",
            "reduce over the dimensions of a board only, never over dimension 0",
        )


def _no_data(playout: Playout) -> None:
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
        _require(False, broken, "use tensor operations on the state's device; no if, item() or nonzero() on tensors")
    _require(
        all(x.device == device for x in results),
        "a result is on another device",
        "create tensors on the state's device",
    )


CHECKS: tuple[Callable[[Playout], None], ...] = (
    _shapes,
    _empty_batch,
    _legality,
    _finished_boards,
    _rewards,
    _turns,
    _observations,
    _keys,
    _codes,
    _history,
    _symmetries,
    _layout,
    _independence,
    _no_data,
)
