"""`nmt export`: a trained translator for machines without torch."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nmt.errors import UsageError


class Form(StrEnum):
    """What a translator can be exported to."""

    onnx = "onnx"


def export(
    model: Annotated[Path, typer.Argument(help="A run or a model directory.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The directory to make.", show_default=False)
    ],
    to: Annotated[Form, typer.Option("--to", help="The form.")] = Form.onnx,
    int8: Annotated[
        bool, typer.Option("--int8", help="Weights in eight bits: a quarter of the size, faster.")
    ] = False,
    check: Annotated[
        Path | None, typer.Option(help="Lines to compare on; without it, the recipe's validation pairs.")
    ] = None,
    ref: Annotated[Path | None, typer.Option(help="Their references, for BLEU and chrF.")] = None,
) -> None:
    """Make a directory that `nmt translate` runs with onnxruntime, without torch.

    What it translates is compared with what the trained model does: the
    lines that differ, the scores, sizes and times of both are printed, and
    kept in report.json.
    """
    if ref is not None and check is None:
        raise UsageError("--ref is the reference of --check: name both files")
    try:
        from nmt.export import run
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise UsageError("exporting needs onnx: pip install 'nmt[export]'") from None
    from nmt.export.parity import summary

    report = run.export(model, output, int8=int8, check=run.texts(check, ref) if check else None)
    typer.echo(summary(report) if report else "not compared: the validation pairs are not here (--check SRC)")
    typer.echo(f"{output}: translate with it:  echo '...' | nmt translate {output}")
