"""Two-player environments of PettingZoo whose agents act in turn (AEC), as rules that a search can step.

An environment can only be stepped forward. A search needs the position after any line of moves, so environments are
copied (`cloning`), and where none of the ways to copy is true, lines are replayed from the start. `fidelity` finds out
which it is, and refuses what is no game of two players with perfect information.
"""
