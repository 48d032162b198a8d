"""Rivals: the shared core (networks, configuration, run loop, checkpoints, tracking, command line)."""

__version__ = "0.1.0"
