"""A person against an agent in the terminal. `GameSession` holds the game; `play` reads and prints."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import torch
from rich.table import Table
from rich.text import Text

from agents.arena.analysis import MAX_SIMULATIONS, Analysis, analyse
from agents.arena.players import AgentLike, to_device
from agents.arena.positions import CPU
from agents.games.board import STONES
from agents.games.board_terminal import STYLES, stone, terminal_text
from agents.games.game import Game
from agents.games.moves import legal_names, refusal
from agents.games.played import PlayedGame
from lab.terminal.consoles import Console
from lab.terminal.text import printable

STRENGTHS = {"easy": 0, "medium": 32, "hard": 400}
_HINT_SIMULATIONS = 64  # least simulations of a hint at every level
_LINE_PLIES = 8

_COMMANDS = {
    "undo": "take your last move back",
    "hint": "what the agent thinks of each move (also: eval)",
    "line": "the moves that the agent expects next",
    "side": "change sides (also: side first, side second)",
    "level N": "set the agent's simulations per move (0: no search; now {level})",
    "new": "start again",
    "quit": "leave (also: Ctrl-D)",
}


@dataclass
class GameSession:
    """A game between a person and the agent, with its history.

    simulations: the agent's, per move.
    side: 0 if the person moves first, else 1.
    states: the boards so far, B = 1 each, the initial one first. moves: the actions between them. values: of the moves,
    the agent's evaluation for the player to move; None for the person's. earlier: games that were left for a new one.
    """

    agent: AgentLike
    simulations: int
    side: int = 0
    device: torch.device = CPU
    states: list[Any] = field(default_factory=list)
    moves: list[int] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)
    earlier: list[PlayedGame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    @property
    def game(self) -> Game:
        return self.agent.game

    @property
    def state(self) -> Any:
        return self.states[-1]

    @property
    def over(self) -> bool:
        return bool(self.game.done(self.state)[0])

    @property
    def persons_turn(self) -> bool:
        return not self.over and int(self.game.player(self.state)[0]) == self.side

    @property
    def outcome(self) -> float:
        """1 if the person has won, -1 if the agent has, else 0."""
        return float(self.game.reward(self.state)[0, self.side])

    def restart(self) -> None:
        """An empty board."""
        self.earlier = self.games()
        self.states, self.moves, self.values = [self.game.initial(1, self.device)], [], []

    def games(self) -> list[PlayedGame]:
        """All games that have moves, the current one last."""
        if not self.moves:
            return self.earlier
        names = ("person", self.agent.name)
        played = PlayedGame(
            self.game,
            to_device(self.states[0], CPU),
            list(self.moves),
            list(self.values),
            players=names if self.side == 0 else (names[1], names[0]),
            date=date.today().isoformat(),
        )
        return [*self.earlier, played]

    def move(self, action: int, value: float | None = None) -> None:
        """Plays a legal action for the side to move."""
        self.states.append(self.game.step(self.state, torch.tensor([action], device=self.device)))
        self.moves.append(action)
        self.values.append(value)

    def reply(self) -> tuple[int, float]:
        """Plays the agent's move; returns it with the agent's expected score in [0, 1]."""
        decision = self.agent.decide(self.state, self.simulations)
        action = int(decision.action[0])
        self.move(action, float(decision.value[0]))
        return action, float(decision.value[0] + 1) / 2

    def undo(self) -> bool:
        """Go back to the person's last turn; False when the person has not moved yet."""
        own = [ply for ply in range(len(self.moves)) if ply % 2 == self.side]
        if not own:
            return False
        del self.states[own[-1] + 1 :], self.moves[own[-1] :], self.values[own[-1] :]
        return True

    def parse_move(self, text: str) -> int | str:
        """The action that `text` names, or why it cannot be played."""
        action = self.game.find_move(self.state, text)
        return refusal(self.game, self.state, text) if action is None else action

    def player_name(self, player: int, unicode: bool) -> Text:
        """What a player is called: the stone, or a name such as White."""
        names = self.game.player_names
        return Text(stone(player, unicode) if names == STONES else names[player], STYLES[player])

    def analysis(self, line_plies: int) -> Analysis:
        """The agent's analysis of the position, with at least `_HINT_SIMULATIONS` simulations."""
        simulations = max(self.simulations, _HINT_SIMULATIONS)
        return analyse(self.agent, self.state, simulations=simulations, line_plies=line_plies)


Ask = Callable[[str], str]
"""Shows a prompt and returns a line; raises EOFError or KeyboardInterrupt when the person leaves."""


def play(session: GameSession, console: Console, ask: Ask) -> None:
    """Play until the person leaves."""
    try:
        _run(session, console, ask)
    except (EOFError, KeyboardInterrupt):
        console.print()
    console.print("until next time")


def _run(session: GameSession, console: Console, ask: Ask) -> None:
    unicode = console.encoding.lower().startswith("utf")
    name = (printable(session.agent.name), "bold")
    console.print(Text.assemble(name, f" plays {session.game.name.replace('_', ' ')} against you; type help for help"))
    show = True
    while True:
        if not session.over and not session.persons_turn:
            before = session.state
            with console.status("thinking ..."):
                action, expected = session.reply()
            move = session.game.move_name(before, action)
            console.print(f"the agent plays {move} and expects {expected:.0%} of the points")
            show = True
        if show:
            show_board(session, console, unicode)
        typed = ask(_prompt(session)).strip()
        words = typed.lower().split()
        if words[:1] in (["quit"], ["q"], ["exit"]) or (session.over and words[:1] in (["n"], ["no"])):
            return
        show = _execute(session, typed, console, unicode)


def show_board(session: GameSession, console: Console, unicode: bool) -> None:
    """Print the board, and whose turn it is or the result."""
    previous = session.states[-2] if len(session.states) > 1 else None
    console.print(board_text(session.game, session.state, previous=previous, unicode=unicode))
    own = session.player_name(session.side, unicode)
    if session.over:
        result = {1.0: ("you win", "bold green"), -1.0: ("the agent wins", "bold red"), 0.0: ("a draw", "bold")}
        console.print(Text(*result[session.outcome]))
    else:
        console.print(
            Text.assemble("you are ", own, f", to move; the agent thinks for {session.simulations} simulations")
        )


def board_text(game: Game, state: Any, *, previous: Any = None, unicode: bool) -> Text:
    """The one board of a state for a terminal. previous: the state one move earlier, to mark the last move."""
    board = game.board(state, 0, previous)
    return Text(game.render(state, 0, previous)) if board is None else terminal_text(board, unicode=unicode)


def _help(moves: str, level: int) -> Text:
    commands = {moves: "a move: play it", **_COMMANDS}
    lines = [((f"{name:<12}", "bold"), f" {meaning.format(level=level)}\n") for name, meaning in commands.items()]
    return Text.assemble(*(part for line in lines for part in line), end="")


def _prompt(session: GameSession) -> str:
    if session.over:
        return "play again? [Y/n/undo] "
    return f"your move, such as {_example(session)}: "


def _example(session: GameSession) -> str:
    """The name of a move: a legal one, if there is one."""
    return [*legal_names(session.game, session.state), *session.game.action_names][0]


def _execute(session: GameSession, typed: str, console: Console, unicode: bool) -> bool:
    """Executes a typed command or plays a move; returns whether to show the board again."""
    match typed.lower().split():
        case ["help" | "?" | "h"]:
            console.print(_help(_example(session), session.simulations))
        case ["undo" | "u"]:
            if session.undo():
                return True
            console.print("there is no move of yours to take back")
        case ["new"]:
            session.restart()
            return True
        case ["side", *to] if to in ([], ["first"], ["second"]):
            session.side = ["first", "second"].index(to[0]) if to else 1 - session.side
            if session.over:
                session.restart()
            return True
        case ["level", number] if number.isdecimal() and len(number) < 7 and int(number) <= MAX_SIMULATIONS:
            session.simulations = int(number)
            console.print(f"the agent now uses {number} simulations per move")
        case ["level", *_]:
            console.print(f"level takes a whole number of simulations, 0 to {MAX_SIMULATIONS}")
        case [] | ["y" | "yes"] if session.over:
            session.restart()
            return True
        case _ if session.over:
            console.print("the game is over: Enter starts a new one, undo goes back, quit leaves")
        case ["hint" | "eval"]:
            console.print(_advice_table(session))
        case ["line"]:
            console.print(_line_text(session, unicode))
        case _:
            return _move(session, typed, console)
    return False


def _move(session: GameSession, text: str, console: Console) -> bool:
    move = session.parse_move(text)
    if isinstance(move, str):
        console.print(move)
        return False
    session.move(move)
    return session.over  # otherwise the board is shown after the reply


def _advice_table(session: GameSession) -> Table:
    table = Table("move", "expects", "", box=None, pad_edge=False)
    analysis = session.analysis(line_plies=1)
    for number, action in enumerate(analysis.ranking()):
        expected, bar = (float(analysis.q[action]) + 1) / 2, "#" * round(20 * float(analysis.policy[action]))
        table.add_row(analysis.moves[action], f"{expected:.0%}", bar, style="bold green" if number == 0 else "")
    return table


def _line_text(session: GameSession, unicode: bool) -> Text:
    text = Text("expected: ")
    first = int(session.game.player(session.state)[0])
    for ply, move in enumerate(session.analysis(_LINE_PLIES).principal_variation):
        who = (first + ply) % 2
        sign = stone(who, unicode) if session.game.player_names == STONES else ""
        text.append(f"{sign}{move} ", STYLES[who])
    return text
