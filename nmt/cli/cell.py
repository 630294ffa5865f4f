"""`nmt cell`: what a cell consists of, and whether it is right and fast; a user's own cell as well."""

import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.errors import DataError

if TYPE_CHECKING:
    from nmt.lab.cell_check import Product, Work

app = typer.Typer(no_args_is_help=True, help="Cells: list, take apart, check, your own too.")

NAME = typer.Argument(
    metavar="NAME|FILE.py:Class", help="A cell of `nmt cell ls`, or one in a file of yours."
)
INPUT = typer.Option(help="Size of the input.", min=1)
HIDDEN = typer.Option(help="Size of the state.", min=1)


@app.command("ls")
def list_cells() -> None:
    """List the cells that come with the program."""
    from nmt.cells import CELLS

    margin = max(map(len, CELLS)) + 2
    for name, kind in CELLS.items():
        typer.echo(_filled(f"{name:{margin}}{_purpose(kind)}", margin))


def _filled(text: str, margin: int) -> str:
    return textwrap.fill(text, 80, subsequent_indent=" " * margin)


def _purpose(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


@app.command()
def show(
    name: Annotated[str, NAME],
    input: Annotated[int, INPUT] = 256,
    hidden: Annotated[int, HIDDEN] = 512,
) -> None:
    """Print a cell's equations, parameters, and what is computed at every position, there and back."""
    from nmt.cells import find_cell
    from nmt.cells.cell import read_equations
    from nmt.lab import cell_check as laboratory

    cell = find_cell(name)(input, hidden)
    typer.echo(_filled(f"{name}: {_purpose(type(cell))}", 0) + "\n")
    typer.echo(read_equations(cell) + "\n")
    typer.echo(f"Parameters, {input} -> {hidden}")
    for parameter, value in cell.named_parameters():
        typer.echo(f"  {parameter:<13}{list(value.shape)!s:<14}{value.numel():>11,}")
    typer.echo(f"  {'together':<27}{sum(p.numel() for p in cell.parameters()):>11,}")
    typer.echo(f"\nBefore the loop, all positions at once\n  W x + b      {list(cell.W.shape)}")
    typer.echo("\nAt every position")
    _steps(laboratory.forward_steps(cell))
    typer.echo("\nAt every position on the way back")
    _steps(laboratory.backward_steps(cell))
    typer.echo("\nAfter it, all positions at once\n  gradients of W, b" + (", U" if cell.recurrent else ""))
    kept = laboratory.kept_for_backward(cell)
    typer.echo(
        f"\n{laboratory.operations(cell):,} floating-point operations in products, a position and sentence"
    )
    typer.echo(f"{kept:,} numbers kept for the way back, a position and sentence")


def _steps(steps: "list[Product | Work]") -> None:
    from nmt.lab.cell_check import Product

    for step in steps:
        if isinstance(step, Product):
            typer.echo(f"  product      {list(step.shape)} by {step.reads}: {step.gives}")
        else:
            runs = "C" if step.compiled else "torch"
            typer.echo(f"  kernel       {step.operations} operations in {runs}")
            _names("reads", step.reads)
            _names("gives", step.gives)


def _names(verb: str, names: tuple[str, ...]) -> None:
    typer.echo(_filled(f"{' ' * 15}{verb} {', '.join(names)}", 21))


@app.command()
def check(
    name: Annotated[str, NAME],
    input: Annotated[int, INPUT] = 256,
    hidden: Annotated[int, HIDDEN] = 512,
    batch: Annotated[int, typer.Option(help="Sentences, for the speed.", min=1)] = 64,
    positions: Annotated[int, typer.Option(help="Words, for the speed.", min=1)] = 20,
    rounds: Annotated[int, typer.Option(help="How often the speed is taken; 0 leaves it out.", min=0)] = 7,
) -> None:
    """Check a cell: gradients, engines, padding, steps, batch; then what it costs and how fast it is."""
    from nmt.cells import find_cell
    from nmt.lab import cell_check as laboratory

    kind = find_cell(name)
    wrong = 0
    for question, right, detail in laboratory.checks(kind, name):
        typer.echo(f"{'right' if right else 'WRONG':7}{question:55} {detail}")
        wrong += not right
    if wrong:
        raise DataError(f"{name}: {wrong} of the checks failed")
    cell = kind(input, hidden)
    lstm = find_cell("lstm")(input, hidden)
    parameters, of_lstm = (sum(p.numel() for p in c.parameters()) for c in (cell, lstm))
    typer.echo(f"\n{input} -> {hidden}{'':14}{name:>14}{'lstm':>14}")
    typer.echo(f"{'parameters':24}{parameters:>14,}{of_lstm:>14,}")
    typer.echo(
        f"{'operations a word':24}{laboratory.operations(cell):>14,}{laboratory.operations(lstm):>14,}"
    )
    if rounds:
        ours, theirs = laboratory.speed(cell, batch, positions, rounds)
        typer.echo(
            f"\nForward and backward, {batch} sentences of {positions} words: "
            f"{theirs / ours:.2f} times the speed of torch.nn.LSTM"
        )
