"""`nmt study`: claims about cells, put to the test."""

import typer

from nmt.cli.memory import memory

app = typer.Typer(no_args_is_help=True, help="Compare cells in experiments with fixed seeds.")


@app.callback()
def about() -> None:
    """Compare cells in experiments with fixed seeds."""


app.command()(memory)
