"""The verbs of `lab` that concern agents: eval, play, arena and bench selfplay, one module each."""
