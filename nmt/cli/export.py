"""`nmt export`: export a translator for onnxruntime."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options import FileOption, Model, Output, TrustCode
from nmt.cli.paths import READ
from nmt.errors import UsageError


class ExportFormat(StrEnum):
    """Formats of exported translators."""

    onnx = "onnx"


def export(
    model: Model,
    output: Output,
    to: Annotated[ExportFormat, typer.Option("--to", help="Format.")] = ExportFormat.onnx,
    int8: Annotated[
        bool, typer.Option("--int8", help="Eight-bit weights: smaller (about 0.35 of the size), faster.")
    ] = False,
    check: Annotated[
        Path | None,
        FileOption(help="Source sentences for the comparison; by default the validation pairs."),
        READ,
    ] = None,
    ref: Annotated[Path | None, FileOption(help="References of --check, for BLEU and chrF."), READ] = None,
    trust_code: TrustCode = False,
) -> None:
    """Export a translator for onnxruntime, so that `nmt translate` needs no torch.

    The exported model is compared with the trained one. The lines that differ,
    scores, sizes and times of both are printed, and written to report.json.
    """
    if ref is not None and check is None:
        raise UsageError("--ref is the reference of --check: give both files")
    from nmt.export import run

    report = run.export(model, output, int8=int8, check=run.read_texts(check, ref) if check else None)
    skipped = "not compared: there are no validation pairs here (use --check)"
    typer.echo(run.format_report(report) if report else skipped)
    typer.echo(f"{output}: translate with `nmt translate {output}`")
