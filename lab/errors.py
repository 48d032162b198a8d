"""Errors meant for people."""


class UserError(Exception):
    """A mistake the user can correct: one line that names the cause and the fix.

    The command line prints it without a traceback and exits with code 2.
    """
