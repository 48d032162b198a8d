"""Players, matches between them, Elo ratings and evaluation on solved positions."""
