"""`nmt cell`: list, show and check recurrent cells, custom ones included."""

from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options import CountOption
from nmt.cli.terminal import format_table
from nmt.errors import DataError

if TYPE_CHECKING:
    from nmt.lab.cell_check import KernelStep, ProductStep

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="List, show and check cells, including custom ones."
)

CellName = Annotated[
    str, typer.Argument(metavar="NAME|FILE.py:Class", help="A cell of `nmt cell ls`, or a custom cell.")
]
InputSize = Annotated[int, CountOption(help="Input size.")]
HiddenSize = Annotated[int, CountOption(help="State size.")]


@app.command("ls")
def list_cells() -> None:
    """List the cells that come with nmt."""
    from nmt.cells import CELLS

    typer.echo(format_table([[f"{name} ", _summarise(kind)] for name, kind in CELLS.items()], align="ll"))


def _summarise(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


@app.command()
def show(name: CellName, input: InputSize = 256, hidden: HiddenSize = 512) -> None:
    """Print a cell's equations, parameters, and what a position computes, forward and backward."""
    from nmt.cells import find_named_cell
    from nmt.cells.cell import read_equations
    from nmt.lab import cell_check
    from nmt.recurrence.c import int8
    from nmt.recurrence.c.bfloat16 import find_bfloat16_obstacle, name_instructions

    cell = find_named_cell(name)(input, hidden)
    sizes = [[p, str(list(v.shape)), f"{v.numel():,}"] for p, v in cell.named_parameters()]
    total = [["total", "", f"{sum(p.numel() for p in cell.parameters()):,}"]]
    typer.echo(format_table([[f"{name}: {_summarise(type(cell))}"]]))
    typer.echo(f"\n{read_equations(cell)}\n\nParameters, {input} -> {hidden}")
    typer.echo(format_table(sizes + total, align="llr", widths=(12, 13, 11), indent=2))
    typer.echo(f"\nBefore the loop, all positions at once\n  W x + b      {list(cell.W.shape)}")
    typer.echo(f"\nAt every position\n{_format_steps(cell_check.list_forward_steps(cell))}")
    typer.echo(
        f"\nAt every position of the backward pass\n{_format_steps(cell_check.list_backward_steps(cell))}"
    )
    typer.echo("\nAfter it, all positions at once\n  gradients of W, b" + (", U" if cell.recurrent else ""))
    per = "per position and sentence"
    typer.echo(f"\n{cell_check.count_operations(cell):,} floating-point operations in products, {per}")
    typer.echo(f"{cell_check.count_saved_values(cell):,} numbers kept for the backward pass, {per}")
    obstacle = find_bfloat16_obstacle()
    typer.echo(f"training.precision: bfloat16: {obstacle or f'products with {name_instructions()}'}")
    obstacle = int8.Int8Backend.find_obstacle(cell.b)
    typer.echo(f"translate --int8: {obstacle or f'products with {int8.name_instructions()}'}")


def _format_steps(steps: "list[ProductStep | KernelStep]") -> str:
    from nmt.lab.cell_check import ProductStep

    rows = []
    for step in steps:
        if isinstance(step, ProductStep):
            rows.append(["product", f"{list(step.shape)} by {step.reads}: {step.gives}"])
            continue
        rows.append(["kernel", f"{step.operations} operations in {'C' if step.compiled else 'torch'}"])
        rows += [["", f"reads {', '.join(step.reads)}"], ["", f"gives {', '.join(step.gives)}"]]
    return format_table(rows, align="ll", widths=(12,), indent=2)


@app.command()
def check(
    name: CellName,
    input: InputSize = 256,
    hidden: HiddenSize = 512,
    batch: Annotated[int, CountOption(help="Sentences, for the speed.")] = 64,
    positions: Annotated[int, CountOption(help="Words, for the speed.")] = 20,
    rounds: Annotated[int, CountOption(min=0, help="Measurements of the speed; 0 for none.")] = 7,
) -> None:
    """Check a cell's gradients, engines, padding, steps and batches, and measure its speed."""
    from nmt.cells import CELLS, find_named_cell
    from nmt.lab import cell_check

    kind = find_named_cell(name)
    failed = 0
    for question, passed, detail in cell_check.check_cell(kind, name):
        typer.echo(f"{'ok' if passed else 'FAILED':8}{question:55} {detail}".rstrip())
        failed += not passed
    if failed:
        raise DataError(f"{name}: {failed} of the checks failed")
    cell = kind(input, hidden)
    cells = (cell, CELLS["lstm"](input, hidden))
    parameters = [f"{sum(p.numel() for p in one.parameters()):,}" for one in cells]
    operations = [f"{cell_check.count_operations(one):,}" for one in cells]
    rows = [["parameters", *parameters], ["operations per word", *operations]]
    typer.echo("\n" + format_table(rows, (f"{input} -> {hidden}", name, "lstm"), widths=(24, 13, 13)))
    if rounds:
        speed, reference = cell_check.measure_speed(cell, batch, positions, rounds)
        size = f"{batch} sentences of {positions} words"
        ratio = f"{reference / speed:.2f} times the speed of torch.nn.LSTM"
        typer.echo(f"\nForward and backward, {size}: {ratio}")
