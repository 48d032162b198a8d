"""An engine of UCI for Breakthrough on 8x8 that plays the first legal move, and misbehaves as its arguments say.

`crash`, `none`, `illegal`, `mute`: what it does at `go`; `deaf`: no uciok; `log=FILE`: commands are appended to FILE.
"""

import sys
import time


def main() -> None:
    options = dict(argument.partition("=")[::2] for argument in sys.argv[1:])
    board: dict[tuple[int, int], int] = {}
    side = 1
    for text in sys.stdin:
        words = text.split()
        if "log" in options:
            with open(options["log"], "a", encoding="utf-8") as file:
                file.write(text)
        if words[0] == "uci" and "deaf" not in options:
            print("id name Fake\noption name UCI_Variant type combo default chess var chess var breakthrough")
            print(
                "option name Skill Level type spin default 20 min 0 max 20\noption name UCI_Elo type spin min 1 max 9"
            )
            print("option name UCI_LimitStrength type check default false\noption name Use Book type check")
            print("option name Clear Hash type button\nuciok")
        elif words[0] == "isready":
            print("readyok")
        elif words[0] == "position":
            board = {(row, column): 1 if row < 2 else -1 for row in (0, 1, 6, 7) for column in range(8)}
            side = 1
            for move in words[3:]:
                board[cell(move[2:])] = board.pop(cell(move[:2]))
                side = -side
        elif words[0] == "go":
            think(options, board, side)
        elif words[0] == "quit":
            return
        sys.stdout.flush()


def think(options: dict[str, str], board: dict[tuple[int, int], int], side: int) -> None:
    print("info depth 1 score cp 0\ninfo string hello")
    if "crash" in options:
        sys.exit(1)
    if "mute" in options:
        time.sleep(1000)
    if "none" in options:
        print("bestmove (none)")
    elif "illegal" in options:
        print("bestmove a1h8 ponder a2a3")
    else:
        print("bestmove", next(moves(board, side)))


def moves(board: dict[tuple[int, int], int], side: int):  # type: ignore[no-untyped-def]
    for (row, column), owner in sorted(board.items()):
        for step in (-1, 0, 1):
            ahead = (row + side, column + step)
            blocked = board.get(ahead, 0)
            if owner == side and 0 <= ahead[1] < 8 and blocked != side and not (step == 0 and blocked):
                yield name((row, column)) + name(ahead)


def cell(text: str) -> tuple[int, int]:
    return int(text[1]) - 1, "abcdefgh".index(text[0])


def name(place: tuple[int, int]) -> str:
    return f"{'abcdefgh'[place[1]]}{place[0] + 1}"


if __name__ == "__main__":
    main()
