"""`nmt export`: export a translator for onnxruntime, or as a page that translates in the browser."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nmt.cli.options import FileOption, Model, Output, TrustCode
from nmt.cli.paths import READ
from nmt.cli.progress import spinner
from nmt.errors import UsageError
from nmt.outputs import check_new_directory

if TYPE_CHECKING:
    from nmt.export.export_model import ParityReport, ParityTexts


def export(
    model: Model,
    output: Output,
    to: Annotated[
        Literal["onnx", "web"],
        typer.Option("--to", help="`web`: a page that translates in the browser (8-bit)."),
    ] = "onnx",
    int8: Annotated[
        bool, typer.Option("--int8", help="Eight-bit weights: smaller (about 0.35 of the size), faster.")
    ] = False,
    check: Annotated[
        Path | None,
        FileOption(help="Source sentences for the comparison; by default the validation pairs."),
        READ,
    ] = None,
    ref: Annotated[Path | None, FileOption(help="References of --check, for BLEU and chrF."), READ] = None,
    runtime: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="For `web`: npm archives, in place of a download."),
        READ,
    ] = None,
    trust_code: TrustCode = False,
) -> None:
    """Export a translator for onnxruntime, so that `nmt translate` needs no torch.

    The exported model is compared with the trained one. The lines that differ,
    scores, sizes and times of both are printed, and written to report.json.
    """
    if ref is not None and check is None:
        raise UsageError("--ref is the reference of --check: give both files")
    if runtime is not None and to != "web":
        raise UsageError("--runtime is for --to web: omit it")
    from nmt.export.export_model import export_translator, format_report, read_texts

    texts = read_texts(check, ref) if check else None
    report = (
        _export_site(model, output, runtime, texts)
        if to == "web"
        else export_translator(model, output, int8=int8, check=texts)
    )
    skipped = "not compared: there are no validation pairs here (use --check)"
    typer.echo(format_report(report) if report else skipped)
    if to == "web":
        typer.echo(f"{output}: open http://localhost:8000 after `python -m http.server -d {output}`")
    else:
        typer.echo(f"{output}: translate with `nmt translate {output}`")


def _export_site(
    model: Path, output: Path, runtime: Path | None, texts: "ParityTexts | None"
) -> "ParityReport | None":
    """Write the page, after the packages that it runs with have been fetched."""
    from nmt.export.web import packages, site

    check_new_directory(output, [model])
    if runtime is None:
        with spinner("fetching the packages of npm"):
            runtime = packages.fetch_packages(warn=lambda message: typer.echo(message, err=True))
    return site.write_site(model, output, runtime, check=texts)
