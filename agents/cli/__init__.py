"""The verbs of `lab` that concern agents: eval, play, watch, arena, bench selfplay and bench games, one module each."""
