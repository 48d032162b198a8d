"""Errors meant for people."""


class UserError(Exception):
    """A mistake the user can correct: one line that names the cause and the fix.

    The command line prints it without a traceback and exits with code 2.
    """


class Stopped(UserError):
    """The experiment cannot go on and its state is whole: the run loop saves it first."""


class CheckpointError(UserError):
    """A checkpoint that cannot be read or written; the message names the path and the reason."""
