"""Checks of positions as the network, records and search trees see them: observations, keys, codes, symmetries."""

import math
from itertools import pairwise

import torch

from agents.games.checks.playout import CPU, Playout, require, same
from agents.games.codec import decode, encode
from agents.games.game import ObservableGame


def observations(playout: Playout) -> None:
    """Observations."""
    game = playout.game
    bits = game.observation_shape[0] - game.number_planes
    for state in playout.states:
        player = game.player(state)
        observation, other = game.observe(state), game.observe(state, 1 - player)
        for seen in (observation, other):
            require(
                ((seen[:, :bits] == 0) | (seen[:, :bits] == 1)).all(),
                "`observe` has values other than 0 and 1",
                "use planes of bits, and put planes of one number each last and count them in `number_planes`",
            )
            require(
                (seen[:, bits:] == seen[:, bits:, :1, :1]).all() and seen.isfinite().all(),
                "a plane of `number_planes` is not one finite number on each board",
                "put the same number into all cells; what differs from cell to cell is planes of bits",
            )
        require(
            torch.equal(game.observe(state, player), observation),
            "`observe` with the player to move is not `observe`",
            "let `player` be by default the player to move",
        )
        if isinstance(game, ObservableGame):
            rebuilt = game.from_observation(observation)
            for name in ("observe", "legal", "player", "plies", "done", "reward", "key"):
                function = getattr(game, name)
                require(
                    torch.equal(function(rebuilt), function(state)),
                    f"`from_observation` rebuilds a state with another `{name}`",
                    "let `observe` contain all that the rules depend on, or leave `from_observation` out",
                )


def codes(playout: Playout) -> None:
    """Codes of states."""
    game, states, actions = playout
    for state in states:
        require(
            same(decode(game, encode(state)), state),
            "a state that was encoded and decoded is another one",
            "give all fields of the state the dtypes and shapes of `initial`",
        )
    for state, action, after in zip(states, actions, states[1:], strict=False):
        require(
            same(game.step(decode(game, encode(state)), action), after),
            "a decoded state plays on otherwise than the state that was encoded",
            "keep all that the rules depend on in the fields of the state",
        )


def history(playout: Playout) -> None:
    """The history."""
    game, states, _ = playout
    for name in game.history:
        require(
            name in states[0]._fields and getattr(states[0], name).dim() > 1,
            f"`history` names {name}, which is no state field [B, T, ...]",
            "name fields of the state that are rings of entries",
        )
        for before, after in pairwise(states):
            old, new = getattr(before, name), getattr(after, name)
            places = torch.arange(old.shape[1]) == (game.plies(after) % old.shape[1])[:, None]
            kept = ~places | game.done(before)[:, None]
            require(
                torch.equal(old[kept], new[kept]),
                f"`step` changes an entry of {name} that belongs to an earlier position",
                "write only entry p % T of the new position after p plies, on running boards",
            )


def keys(playout: Playout) -> None:
    """Keys."""
    game, states, _ = playout
    keys = torch.cat([game.key(state) for state in states]).tolist()
    content = [torch.cat([game.observe(state) for state in states]).flatten(1)]
    if game.num_slots < game.num_actions:
        content.append(torch.cat([game.legal_actions(state) for state in states]))
    rows = zip(*(part.numpy() for part in content), strict=True)
    positions = [b"".join(part.tobytes() for part in row) for row in rows]
    pairs, different = len(set(zip(keys, positions, strict=True))), len(set(positions))
    require(
        pairs <= len(set(keys)),
        "two different observations have the same `key`",
        "hash all of the observation, and the legal actions where num_slots is below num_actions",
    )
    require(pairs == different, "equal observations have different keys", "hash only the observation")


def symmetries(playout: Playout) -> None:
    """Symmetries."""
    game, states, actions = playout
    tables = game.symmetries(CPU)
    sizes = (math.prod(game.observation_shape), game.num_actions)
    for name, table, size in zip(("planes", "actions"), tables, sizes, strict=True):
        identity = torch.arange(size)
        require(
            table.dtype == torch.int64 and torch.equal(table.sort(1).values, identity.expand(len(table), -1)),
            f"a row of `symmetries().{name}` is no permutation",
            f"give int64 rows that each hold 0 to {size - 1} once",
        )
        is_first = torch.equal(table[0], identity)
        require(is_first, f"row 0 of `symmetries().{name}` is not the identity", "put the identity first")
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
            require(
                agree,
                f"a game played through symmetry {number} is not the mapped game",
                "remove that symmetry, or let its planes and actions describe the same map",
            )


def layout(playout: Playout) -> None:
    """The layout of actions."""
    game, layout = playout.game, playout.game.action_layout
    if layout is None:
        return
    _, height, width = game.observation_shape
    count, width_of_plane = layout.num_actions(height, width), width if layout.columns else height * width
    require(
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
        require(
            torch.equal(order[on_board] % width_of_plane, expected) and bool((order[~on_board] >= len(expected)).all()),
            "`action_layout` and `symmetries` contradict each other",
            "give an action the number plane * cells + cell, where a symmetry maps the cell as it maps the planes",
        )


def final_boards(playout: Playout) -> None:
    """Final boards."""
    game, last = playout.game, playout.states[-1]
    if not game.has_final_board:
        return
    first = torch.zeros_like(game.player(last))
    _, height, width = game.observation_shape
    views = [game.final_board(last, player) for player in (first, first + 1)]
    for view in views:
        require(
            tuple(view.shape) == (len(first), 2, height, width) and view.dtype == torch.bool,
            f"`final_board` returns {view.dtype} {list(view.shape)}",
            f"return torch.bool {[len(first), 2, height, width]}",
        )
        require(not view.all(1).any(), "`final_board` gives a cell to both sides", "give it to one or to neither")
    held = [view.flatten(2).sum(2) for view in views]
    require(
        torch.equal(held[0], held[1].flip(1)) and bool(held[0].any()),
        "the players do not see the same `final_board`",
        "return the cells of `player` first, then those of the opponent",
    )
    tables = game.symmetries(CPU)
    for number, (planes, order) in enumerate(zip(*tables, strict=True)):
        cells, mapped_action, mapped = planes[: height * width] % (height * width), order.argsort(), playout.states[0]
        for action in playout.actions:
            mapped = game.step(mapped, mapped_action[action])
        require(
            torch.equal(game.final_board(mapped, first).flatten(2), views[0].flatten(2)[:, :, cells]),
            f"`final_board` of a game played through symmetry {number} is not the mapped final board",
            "let the board lie as in the observation, and symmetries map every plane alike",
        )
