"""Errors with a message for the user: what is wrong, where, and what to do."""

from collections.abc import Sequence
from difflib import get_close_matches


class NmtError(Exception):
    """An error whose message is shown to the user without a traceback."""

    exit_code = 1


class UsageError(NmtError):
    """An invalid request (recipe, option, name): exit code 2."""

    exit_code = 2


class DataError(NmtError):
    """An invalid input or file: exit code 1."""


class TerminationSignal(SystemExit):
    """The end of the program because of a signal, with the exit code that shells give for it."""


class UnknownName(ValueError):
    """A name that is not an entry of a table."""


def suggestion(name: str, names: Sequence[str]) -> str:
    """Return `did you mean 'lstm'?`, or all the names if none is similar."""
    near = get_close_matches(name, names, n=1)
    return f"did you mean '{near[0]}'?" if near else "choose one of " + ", ".join(names)
