"""What can end a sweep before its table is whole."""

__all__ = ["Interrupted", "StoreError", "SweepError", "Unfinished"]


class SweepError(RuntimeError):
    """The sweep could not be carried out; `failures` lists the units that failed, if that is why.

    Parameters
    ----------
    message : str
        What happened and what to do.
    failures : sequence of Failure
        The units without rows, each with its error.
    """

    def __init__(self, message, failures=()):
        """Keep the failures beside the message."""
        super().__init__(message)
        self.failures = tuple(failures)


class StoreError(SweepError):
    """The store cannot be used: damaged, of another version, in use, or not writable."""


class Unfinished(SweepError):
    """The time that was given is over, and units are left; what was done is stored."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C; what was done is stored, and the message says how much."""
