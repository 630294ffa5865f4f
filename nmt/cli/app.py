"""The command `nmt`: its verbs, error messages and exit codes.

Each verb is a module of this folder with a function of its name, or a Typer app if it has verbs itself. The
modules import torch, sacrebleu, pydantic and the like inside their functions, so `nmt --help` is fast.

Exit codes: 0 success, 1 wrong input, 2 wrong request, 70 bug, 130 stopped by Ctrl-C, 141 broken pipe.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nmt import __version__
from nmt.cli import INTERRUPTED
from nmt.cli.help_page import VerbCommand
from nmt.cli.paths import check_paths
from nmt.cli.streams import abandon_output, flush_output, open_streams, restart_in_utf8
from nmt.cli.terminal import echo_note
from nmt.errors import (
    DataError,
    Interruption,
    NmtError,
    TerminationSignal,
    is_out_of_memory,
    raise_on_signals,
    report_missing_packages,
    show_notes,
)

VERBS = (
    *("new", "run", "train", "tune", "translate", "rescore", "merge", "score", "select", "average", "export"),
    *("push", "serve", "sample", "perplexity", "shortlist", "doctor", "plot", "inspect", "study", "pipeline"),
    *("recipes", "corpus", "clean", "cell"),
)
BUG, BROKEN_PIPE = 70, 141


class VerbGroup(TyperGroup):
    """The group of all verbs, which converts errors to messages and exit codes."""

    def invoke(self, ctx: Any) -> Any:
        with show_notes(echo_note), raise_on_signals(), report_errors():
            return super().invoke(ctx)


@contextmanager
def report_errors() -> Iterator[None]:
    """Print an error's message and exit with its code; report any other exception as an internal error."""
    try:
        with report_missing_packages():
            yield
            sys.stdout.flush()
    except NmtError as error:
        echo_note(str(error))
        raise typer.Exit(error.exit_code) from None
    except Interruption:
        echo_note("stopped")
        raise typer.Exit(INTERRUPTED) from None
    except OSError as error:
        raise typer.Exit(_report_system_error(error)) from None
    except typer.TyperException as error:  # a usage error, which Typer prints
        from nmt.recipe.settings_file import describe_option

        error.message = describe_option(error.__cause__) or error.message
        raise
    except (typer.Exit, typer.Abort):
        raise
    except TerminationSignal:
        raise
    except SystemExit as error:  # verbs raise typer.Exit
        echo_note(f"the code of a custom cell called sys.exit({error.code!r})")
        raise typer.Exit(DataError.exit_code) from None
    except Exception as error:
        if is_out_of_memory(error):
            reason = str(error).strip().partition("\n")[0]
            echo_note(
                f"out of memory{': ' if reason else ''}{reason[:200]}; use smaller batches "
                "(training.batch.size, --batch), a smaller beam or model, or a machine with more memory"
            )
            raise typer.Exit(DataError.exit_code) from None
        if os.environ.get("NMT_DEBUG") == "1":
            raise
        echo_note(f"this is a bug, sorry: {type(error).__name__}: {error}")
        echo_note("please report it with the traceback that NMT_DEBUG=1 prints")
        raise typer.Exit(BUG) from error
    except BaseException as error:
        message = f": {error}" if str(error) else ""
        echo_note(f"the code of a custom cell raised {type(error).__name__}{message}")
        raise typer.Exit(DataError.exit_code) from None


def _report_system_error(error: OSError) -> int:
    """Print a message, unless the reader of stdout has gone, and return the exit code."""
    if isinstance(error, BrokenPipeError):
        abandon_output()
        return BROKEN_PIPE
    where = error.filename or ("" if flush_output() else "standard output")
    echo_note(f"{where}: {error.strerror}" if where else str(error.strerror or error))
    return DataError.exit_code


app = typer.Typer(
    cls=VerbGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nmt {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Train and run recurrent neural machine translation models.

    Start with `nmt run quickstart-lstm`; `nmt recipes ls` lists the recipes.
    """


for _verb in VERBS:
    _module = import_module(f"nmt.cli.{_verb}")
    if hasattr(_module, "app"):
        for _command in _module.app.registered_commands:
            _command.callback, _command.cls = check_paths(_command.callback), VerbCommand
        app.add_typer(_module.app, name=_verb)
    else:
        app.command(_verb, cls=VerbCommand)(check_paths(getattr(_module, _verb)))


def main() -> None:
    """Run the command line."""
    restart_in_utf8()
    try:
        open_streams()
    except DataError as error:
        echo_note(str(error))
        sys.exit(error.exit_code)
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # child processes import nothing from the current directory
    try:
        try:
            app(prog_name="nmt")
        finally:
            sys.stdout.flush()
    except OSError as error:  # of --help and --version, which run before any verb
        sys.exit(_report_system_error(error))
