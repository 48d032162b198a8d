"""A person against an agent in the terminal. `Sitting` knows the game; `play` alone reads and prints."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.arena.analysis import Analysis, analyse
from agents.arena.board_text import STYLES, board, signs
from agents.arena.players import AgentLike
from agents.arena.position_file import CPU
from agents.games.line_game import LineGame
from lab.errors import UserError

STRENGTHS = {"easy": 0, "medium": 32, "hard": 400}
_HINT_SIMULATIONS = 64  # advice is never worse than this, however low the level
_LINE_PLIES = 8
_MOST_SIMULATIONS = 100_000

HELP = """[bold]{move:<12}[/] play there
[bold]undo[/]         take your last move back
[bold]hint[/]         what the agent thinks of each move (also: eval)
[bold]line[/]         how the agent expects the game to go on
[bold]side[/]         change sides (also: side first, side second)
[bold]level N[/]      let the agent think for N simulations a move (0: no search; now {level})
[bold]new[/]          start again
[bold]quit[/]         leave (also: Ctrl-D)"""


@dataclass
class Sitting:
    """A game between a person and the agent, with its history.

    side: 0 if the person moves first, else 1. simulations: the agent's effort a move. states: the boards so far,
    B = 1 each, the start first. moves: the actions between them.
    """

    agent: AgentLike
    simulations: int
    side: int = 0
    device: torch.device = CPU
    states: list[Any] = field(default_factory=list)
    moves: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    @property
    def game(self) -> LineGame:
        game = self.agent.game
        if not isinstance(game, LineGame):
            raise UserError(f"the terminal cannot show {game.name}; it knows games of stones in a row")
        return game

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
        self.states, self.moves = [self.game.initial(1, self.device)], []

    def put(self, action: int) -> None:
        """Plays a legal action for whoever is to move."""
        self.states.append(self.game.step(self.state, torch.tensor([action], device=self.device)))
        self.moves.append(action)

    def reply(self) -> tuple[int, float]:
        """Plays the agent's move; returns it with the share of the points the agent expects."""
        decision = self.agent.decide(self.state, self.simulations)
        action = int(decision.action[0])
        self.put(action)
        return action, float(decision.value[0] + 1) / 2

    def undo(self) -> bool:
        """Goes back to the person's last turn; False when the person has not moved yet."""
        own = [ply for ply in range(len(self.moves)) if ply % 2 == self.side]
        if not own:
            return False
        del self.states[own[-1] + 1 :], self.moves[own[-1] :]
        return True

    def parse_move(self, text: str) -> int | str:
        """The action that `text` names, or why it cannot be played."""
        game = self.game
        kind = "column" if game.gravity else "cell"
        names, legal = game.action_names, self.game.legal(self.state)[0].tolist()
        if not text.removeprefix("-").isdecimal():
            return f"{text[:40]!r} is no move: type a {kind} from {names[0]} to {names[-1]}, or help"
        if text not in names:
            return f"there is no {kind} {text[:12]}: choose from {names[0]} to {names[-1]}"
        if not legal[names.index(text)]:
            free = ", ".join(name for name, open_ in zip(names, legal, strict=True) if open_)
            return f"{kind} {text} is {'full' if game.gravity else 'taken'}: choose from {free}"
        return names.index(text)

    def analysis(self, line_plies: int) -> Analysis:
        """The agent's analysis of the position, with at least `_HINT_SIMULATIONS` simulations."""
        simulations = max(self.simulations, _HINT_SIMULATIONS)
        return analyse(self.agent, self.state, simulations=simulations, line_plies=line_plies)


Ask = Callable[[str], str]
"""Shows a prompt and returns a line; raises EOFError or KeyboardInterrupt when the person leaves."""


def play(sitting: Sitting, console: Console, ask: Ask) -> None:
    """Plays until the person leaves."""
    try:
        _converse(sitting, console, ask)
    except (EOFError, KeyboardInterrupt):
        console.print()
    console.print("until next time")


def _converse(sitting: Sitting, console: Console, ask: Ask) -> None:
    unicode = console.encoding.lower().startswith("utf")
    console.print(
        f"[bold]{sitting.agent.name}[/] plays {sitting.game.name.replace('_', ' ')} against you; type help for help"
    )
    show = True
    while True:
        if not sitting.over and not sitting.persons_turn:
            with console.status("thinking ..."):
                action, expected = sitting.reply()
            console.print(
                f"the agent plays {sitting.game.action_names[action]} and expects {expected:.0%} of the points"
            )
            show = True
        if show:
            show_board(sitting, console, unicode)
        words = ask(_prompt(sitting)).strip().lower().split()
        if words[:1] in (["quit"], ["q"], ["exit"]) or (sitting.over and words[:1] in (["n"], ["no"])):
            return
        show = _obey(sitting, words, console, unicode)


def show_board(sitting: Sitting, console: Console, unicode: bool) -> None:
    """Prints the board, and whose turn it is or how it ended."""
    previous = sitting.states[-2] if len(sitting.states) > 1 else None
    console.print(board(sitting.game, sitting.state, previous, unicode))
    stone = Text(signs(unicode)[sitting.side], STYLES[sitting.side])
    if sitting.over:
        said = {1.0: ("you win", "bold green"), -1.0: ("the agent wins", "bold red"), 0.0: ("a draw", "bold")}
        console.print(Text(*said[sitting.outcome]))
    else:
        console.print(
            Text.assemble("you are ", stone, f", to move; the agent thinks for {sitting.simulations} simulations")
        )


def _prompt(sitting: Sitting) -> str:
    if sitting.over:
        return "play again? [Y/n/undo] "
    names = sitting.game.action_names
    return f"your move ({names[0]}-{names[-1]}): "


def _obey(sitting: Sitting, words: list[str], console: Console, unicode: bool) -> bool:
    """Does what the person typed; returns whether to show the board again."""
    match words:
        case ["help" | "?" | "h"]:
            names = sitting.game.action_names
            console.print(HELP.format(move=f"{names[0]} ... {names[-1]}", level=sitting.simulations), highlight=False)
        case ["undo" | "u"]:
            if sitting.undo():
                return True
            console.print("there is no move of yours to take back")
        case ["new"]:
            sitting.restart()
            return True
        case ["side"] | ["side", "first" | "second"]:
            sitting.side = ["first", "second"].index(words[1]) if len(words) > 1 else 1 - sitting.side
            if sitting.over:
                sitting.restart()
            return True
        case ["level", number] if number.isdecimal() and len(number) < 7 and int(number) <= _MOST_SIMULATIONS:
            sitting.simulations = int(number)
            console.print(f"the agent now thinks for {number} simulations a move")
        case ["level", *_]:
            console.print(f"level takes a whole number of simulations, 0 to {_MOST_SIMULATIONS}")
        case [] | ["y" | "yes"] if sitting.over:
            sitting.restart()
            return True
        case _ if sitting.over:
            console.print("the game is over: Enter starts another, undo goes back, quit leaves")
        case ["hint" | "eval"]:
            console.print(_advice_table(sitting))
        case ["line"]:
            console.print(_line_text(sitting, unicode))
        case _:
            return _put(sitting, " ".join(words), console)
    return False


def _put(sitting: Sitting, text: str, console: Console) -> bool:
    move = sitting.parse_move(text)
    if isinstance(move, str):
        console.print(move, markup=False)
        return False
    sitting.put(move)
    return sitting.over  # else the reply comes first


def _advice_table(sitting: Sitting) -> Table:
    table = Table("move", "expects", "", box=None, pad_edge=False)
    analysis = sitting.analysis(line_plies=1)
    for number, action in enumerate(analysis.ranking()):
        expected, bar = (float(analysis.q[action]) + 1) / 2, "#" * round(20 * float(analysis.policy[action]))
        table.add_row(analysis.moves[action], f"{expected:.0%}", bar, style="bold green" if number == 0 else "")
    return table


def _line_text(sitting: Sitting, unicode: bool) -> Text:
    text = Text("expected: ")
    first = int(sitting.game.player(sitting.state)[0])
    for ply, move in enumerate(sitting.analysis(_LINE_PLIES).principal_variation):
        who = (first + ply) % 2
        text.append(f"{signs(unicode)[who]}{move} ", STYLES[who])
    return text
