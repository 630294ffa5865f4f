"""Errors with a message for the user: what is wrong, where, and what to do."""


class NmtError(Exception):
    """An error whose message is shown to the user without a traceback."""

    exit_code = 1


class UsageError(NmtError):
    """An invalid request (recipe, option, name): exit code 2."""

    exit_code = 2


class DataError(NmtError):
    """An invalid input or file: exit code 1."""
