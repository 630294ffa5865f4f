"""`nmt serve`: answer requests for translations over HTTP."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nmt.cli.options import INT8_HELP, FileOption, TrustCode
from nmt.cli.paths import READ


def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL...", help="Runs, model directories, exports or hf:USER/NAME."),
    ] = None,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to listen at; by default 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen at; by default 5000.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=1024, metavar="N", help="Processes that translate.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help=INT8_HELP)] = False,
    config: Annotated[Path | None, FileOption(help="Configuration (YAML); SIGHUP rereads it."), READ] = None,
    api_keys: Annotated[Path | None, FileOption(help="Keys, one a line; requests need one."), READ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL", help="Web site whose pages may send requests (CORS); *: all. Repeatable."
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Host name of this server, behind a proxy say. Repeatable."),
    ] = None,
    log_texts: Annotated[bool, typer.Option("--log-texts", help="Write texts to the log.")] = False,
    trust_code: TrustCode = False,
) -> None:
    """Serve models over HTTP: a JSON interface, LibreTranslate's and a web page.

    A model is named as the last part of its path, or by you: name=path.
    Requests choose one by name or by languages. Options replace settings of
    --config. Stops on Ctrl-C or SIGTERM when all requests are answered. Needs
    the extra `serve`.
    """
    from nmt.serve.configuration import ConfigurationSource, parse_model
    from nmt.serve.http.server import run_server

    given: dict[str, Any] = {
        "models": [parse_model(text, int8=int8) for text in models or ()] or None,
        "host": host,
        "port": port,
        "workers": workers,
        "api_keys": api_keys and str(api_keys),
        "origins": origin,
        "hosts": allow_host,
        "log_texts": log_texts or None,
        "trust_code": trust_code or None,
    }
    settings = {name: value for name, value in given.items() if value is not None}
    run_server(ConfigurationSource(config, settings), lambda url: typer.echo(f"{url} (Ctrl-C stops it)"))
