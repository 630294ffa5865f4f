"""Errors meant for people: what was wrong, where, and what to do about it."""


class NmtError(Exception):
    """An error whose message is shown to the user as it stands, without a traceback."""

    exit_code = 1


class UsageError(NmtError):
    """The request was wrong (recipe, option, name): exit code 2."""

    exit_code = 2


class DataError(NmtError):
    """The input or a file on disk was wrong: exit code 1."""
