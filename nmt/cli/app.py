"""The command `nmt`: its verbs, and what becomes of errors.

Each verb is a module of this folder that holds a function of its name, or a Typer app where it has verbs of
its own. These modules import the heavy rooms (torch, sacrebleu, pydantic) inside their functions, so that
`nmt --help` answers at once.

Exit codes: 0 done, 1 the input was wrong, 2 the request was wrong, 70 a bug, 130 stopped by Ctrl-C,
141 nobody reads the output any more.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nmt import __version__
from nmt.errors import DataError, NmtError

VERBS = (
    *("run", "train", "translate", "rescore", "merge", "score", "average", "export"),
    *("sample", "perplexity", "shortlist", "doctor", "plot", "inspect", "study"),
    *("recipes", "corpus", "clean", "cell"),
)
BUG, INTERRUPTED, BROKEN_PIPE = 70, 130, 141


class Verbs(TyperGroup):
    """The group of all verbs: the one place where errors turn into messages and exit codes."""

    def invoke(self, ctx: Any) -> Any:
        with messages_for_people():
            return super().invoke(ctx)


@contextmanager
def messages_for_people() -> Iterator[None]:
    """Errors meant for people are printed as they stand; anything else is a bug and says so."""
    try:
        yield
        sys.stdout.flush()
    except NmtError as error:
        typer.echo(f"nmt: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        typer.echo("nmt: stopped", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        _abandon_standard_output()
        raise typer.Exit(BROKEN_PIPE) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        typer.echo(f"nmt: {where}{error.strerror or error}", err=True)
        try:
            sys.stdout.flush()
        except OSError:
            _abandon_standard_output()
        raise typer.Exit(DataError.exit_code) from None
    except (typer.Exit, typer.Abort, typer.TyperException):  # exits and usage errors, which Typer prints
        raise
    except Exception as error:
        if os.environ.get("NMT_DEBUG") == "1":
            raise
        typer.echo(f"nmt: a bug, sorry: {type(error).__name__}: {error}", err=True)
        typer.echo("nmt: NMT_DEBUG=1 shows where; please report it with what that prints", err=True)
        raise typer.Exit(BUG) from error


def _abandon_standard_output() -> None:
    """Python flushes standard output once more as it exits; there is nobody left to take it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nmt {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Recurrent neural machine translation, from a recipe and sentence pairs to a scored translation.

    Start with `nmt run quickstart-lstm`, or look at the recipes with `nmt recipes ls`.
    """


def _add(verb: str) -> None:
    module = import_module(f"nmt.cli.{verb}")
    if hasattr(module, "app"):
        app.add_typer(module.app, name=verb)
    else:
        app.command(verb)(getattr(module, verb))


for _verb in VERBS:
    if find_spec(f"nmt.cli.{_verb}"):
        _add(_verb)


def main() -> None:
    """Entry point of the console script."""
    _open_closed_streams()
    app(prog_name="nmt")


def _open_closed_streams() -> None:
    """A standard stream that the caller closed (`<&-`) is empty, or takes what comes: Python leaves None."""
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115 - open to the end
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
