"""Errors meant for people."""


class UserError(Exception):
    """A mistake the user can correct: one line that names the cause and the fix.

    The command line prints it without a traceback and exits with code 2.
    """


class ExperimentStopped(UserError):
    """The experiment cannot continue, but its state is valid: the run loop saves a checkpoint before it exits."""


class CheckpointError(UserError):
    """A checkpoint that cannot be read or written; the message names the path and the reason."""


class ForeignCheckpointError(CheckpointError):
    """A checkpoint of another run, or of other settings than those of its run."""
