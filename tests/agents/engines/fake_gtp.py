"""An engine of GTP for tic-tac-toe that plays the first empty cell, and misbehaves as its arguments say.

`WHAT=N`: at its N-th move of a process (from 1) it does WHAT: hang, crash, illegal, resign, silent (no blank line),
wrong-number. `refuse`: it gives no move; `no-clear=N`: its N-th answer to clear_board is an error; `mute`: it answers
nothing at all; `chatter`: lines that are no answers; `flood`: it writes for ever at its first move; `stubborn`: it
ignores SIGTERM and `quit`; `child=FILE`: it starts a process that sleeps, and writes both process numbers to FILE;
`log=FILE`: commands are appended to FILE.
"""

import os
import signal
import subprocess
import sys
import time

LETTERS = "ABC"


def main() -> None:
    options = dict(argument.partition("=")[::2] for argument in sys.argv[1:])
    start(options)
    taken: set[str] = set()
    moves = clears = 0
    for text in sys.stdin:
        number, command, *rest = text.split()
        if "log" in options:
            with open(options["log"], "a", encoding="utf-8") as file:
                file.write(" ".join([command, *rest]) + "\n")
        sign, answer = "=", ""
        if command == "list_commands":
            answer = "list_commands\nplay\ngenmove\nclear_board\nboardsize\nquit"
        elif command == "boardsize" and rest != ["3"]:
            sign, answer = "?", "unacceptable size"
        elif command == "clear_board":
            taken.clear()
            clears += 1
            if options.get("no-clear") == str(clears):
                sign, answer = "?", "I keep it"
        elif command == "play":
            if rest[1].upper() in taken:
                sign, answer = "?", "illegal move"
            taken.add(rest[1].upper())
        elif command == "genmove":
            moves += 1
            if "refuse" in options:
                sign, answer = "?", "I do not want to"
            else:
                answer = chosen({name for name, at in options.items() if at == str(moves)}, taken)
                taken.add(answer)
            number = "7777" if options.get("wrong-number") == str(moves) else number
            if "flood" in options:
                while True:
                    print("thinking", "." * 100, flush=False)
        if "chatter" in options:
            print("info: I think\n\n  about this", file=sys.stdout)
            print("warning", file=sys.stderr)
        if "mute" in options:
            continue
        end = "" if command == "genmove" and options.get("silent") == str(moves) else "\n"
        print(f"{sign}{number} {answer}\n", end=end, flush=True)
        if command == "quit" and "stubborn" not in options:
            return
    while "stubborn" in options:
        time.sleep(1)


def start(options: dict[str, str]) -> None:
    if "stubborn" in options:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "child" in options:
        child = subprocess.Popen(["sleep", "1000"])
        with open(options["child"], "a", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {child.pid}\n")


def chosen(faults: set[str], taken: set[str]) -> str:
    if "hang" in faults:
        time.sleep(1000)
    if "crash" in faults:
        print("out of ideas", file=sys.stderr, flush=True)
        time.sleep(0.05)
        os._exit(3)
    if "illegal" in faults:
        return sorted(taken)[0] if taken else "Z9"
    if "resign" in faults:
        return "resign"
    return next(f"{letter}{row}" for row in (1, 2, 3) for letter in LETTERS if f"{letter}{row}" not in taken)


if __name__ == "__main__":
    main()
