"""Sample game of an agent against itself, as text and as heat maps of its policies."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.alphazero.agent import Agent
from agents.games.game import Game
from agents.games.line_game import LineGame
from agents.games.played import CPU, PlayedGame
from lab.plots.figures import Matrix, matrices
from lab.plots.media import Image, Media, Text

_BOARDS_IN_A_ROW = 5  # of a game with an action per cell; two rows at most
_WIDEST = 1600  # pixels of a row of boards, if more than one fits
_MOST_WITH_NUMBERS = 6  # rows and columns of boards whose cells hold percentages
_LARGEST = 64  # rows and columns of the matrix of any other game
_WHITE = 255


class SampleGame(NamedTuple):
    """One game from the empty board, without noise. text: moves, values and the last board.

    policies: float32 [plies, A], the searched policy at each ply. actions: the moves. players: who made them, 0 or 1.
    names: what the moves are called. first_reward: the result for the first player. values: after search, for the
    player to move. agent: its name.
    """

    game: Game
    text: str
    policies: NDArray[np.float32]
    actions: Sequence[int]
    players: Sequence[int]
    names: Sequence[str]
    first_reward: float
    values: Sequence[float] = ()
    agent: str = ""

    def media(self) -> list[Media]:
        """The game as text, its last board as a picture, and its policies as heat maps."""
        *_, before, last = self.played().states()
        board = self.game.image(last, 0, before)
        caption = "policy after search (%) at each ply; the title or the row names the player and the move"
        return [
            Text("eval/game", self.text),
            Image("eval/board", board, "the last position"),
            Image("eval/policy", heat_map(self), caption),
        ]

    def played(self) -> PlayedGame:
        """The game as a record, with the values."""
        start = self.game.initial(1, CPU)
        return PlayedGame(self.game, start, self.actions, self.values, players=(self.agent, self.agent))


def play_sample_game(agent: Agent, simulations: int) -> SampleGame:
    """Plays both sides with `simulations` per move."""
    game = agent.game
    state, previous = game.initial(1, agent.device), None
    lines = [f"{'ply':>3}  {'move':>4}  {'value':>6}  for the side to move"]
    policies, actions, players, names, values = [], [], [], [], []
    while not bool(game.done(state)[0]):
        result = agent.decide(state, simulations)
        players.append(int(game.player(state)[0]))
        actions.append(int(result.action[0]))
        names.append(game.move_name(state, actions[-1]))
        values.append(float(result.value[0]))
        lines.append(f"{len(lines):>3}  {names[-1]:>4}  {values[-1]:>+6.2f}")
        policies.append(result.over_actions(game.num_actions).policy[0].cpu().numpy())
        state, previous = game.step(state, result.action), state
    first_reward = float(game.reward(state)[0, 0])
    first, second = game.player_names
    winner = {1.0: f"{first} wins", 0.0: "a draw", -1.0: f"{second} wins"}[first_reward]
    text = "\n".join([*lines, "", game.render(state, 0, previous), winner, ""])
    return SampleGame(game, text, np.stack(policies), actions, players, names, first_reward, values, agent.name)


def heat_map(played: SampleGame) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] of the policies, white at 0 and dark blue at 1, with percentages where there is room.

    A game with an action per cell has one board per ply, evenly spaced in at most two rows; large boards are coloured
    by the square root. Any other game has one matrix with a row per ply and a column per action: evenly spaced plies of
    a long game, the most likely of many actions.
    """
    game, plies = played.game, len(played.policies)
    if isinstance(game, LineGame) and not game.gravity:
        in_row = min(_BOARDS_IN_A_ROW, max(1, _WIDEST // (20 * game.columns + 80)))
        shown = _spaced(plies, 2 * in_row)
        boards = [_board(played, ply, game.rows, game.columns) for ply in shown]
        rows = [boards[start : start + in_row] for start in range(0, len(boards), in_row)]
        return _stacked([matrices(row) for row in rows])
    plies_shown = _spaced(plies, _LARGEST)
    likely = np.argsort(-played.policies.max(0), kind="stable")[:_LARGEST]
    actions = np.sort(likely)
    policies = played.policies[plies_shown][:, actions]
    matrix = Matrix(
        policies,
        rows=[_move(played, ply) for ply in plies_shown],
        columns=[game.action_names[action] for action in actions],
        title="policy",
        row_label="ply: player and move",
        column_label="column" if isinstance(game, LineGame) else "action",
        numbers=_percent(policies),
    )
    return matrices([matrix])


def _spaced(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` of the numbers below `count`, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _board(played: SampleGame, ply: int, rows: int, columns: int) -> Matrix:
    policy = played.policies[ply].reshape(rows, columns)
    small = max(rows, columns) <= _MOST_WITH_NUMBERS
    return Matrix(
        policy if small else np.sqrt(policy),  # the square root keeps small probabilities visible
        rows=[str(row + 1) for row in range(rows)],
        columns=[str(column + 1) for column in range(columns)],
        title=_move(played, ply),
        row_label="row",
        column_label="column",
        numbers=_percent(policy) if small else None,
    )


def _move(played: SampleGame, ply: int) -> str:
    return f"{ply + 1}: {played.game.player_names[played.players[ply]]} {played.names[ply]}"


def _percent(policy: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.rint(100 * policy).astype(np.int64)


def _stacked(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Images below each other, with white on the right of narrow ones."""
    width = max(image.shape[1] for image in images)
    padded = [np.pad(image, ((0, 0), (0, width - image.shape[1]), (0, 0)), constant_values=_WHITE) for image in images]
    return np.concatenate(padded)
