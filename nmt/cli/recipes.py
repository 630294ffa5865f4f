"""`nmt recipes`: look at the recipes that come with the program, check your own, start from a copy."""

import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from nmt.errors import UsageError
from nmt.shipped import folder, purpose

app = typer.Typer(no_args_is_help=True, help="List, show, check and copy recipes.")

WORDS = typer.Argument(
    metavar="RECIPE|KEY=VALUE",
    help="Recipe files or names of shipped recipes, and settings that change them; the later wins.",
    show_default=False,
)


@app.command("ls")
def list_recipes() -> None:
    """List the recipes that come with the program."""
    typer.echo(listing(sorted(folder("recipes").glob("*.yaml"))))


def listing(paths: Sequence[Path]) -> str:
    """The names of files, each with what it is for, as wide as the terminal."""
    margin = max(len(path.stem) for path in paths) + 2
    width = max(shutil.get_terminal_size((80, 24)).columns, margin + 20)
    return "\n".join(
        textwrap.fill(
            purpose(path), width, initial_indent=path.stem.ljust(margin), subsequent_indent=" " * margin
        )
        for path in paths
    )


@app.command()
def show(words: Annotated[list[str], WORDS]) -> None:
    """Print a recipe in full: what it extends, the changes, and every default."""
    from nmt.recipe.reader import dump, read_any, split

    typer.echo(dump(read_any(*split(words))), nl=False)


@app.command()
def validate(
    files: Annotated[
        list[str], typer.Argument(help="Recipe files, or names of shipped recipes; each is checked.")
    ],
) -> None:
    """Check recipes: every mistake of every file, with its line and column."""
    from nmt.recipe.reader import read_any

    wrong = []
    for name in files:
        try:
            read_any([name])
        except UsageError as error:
            wrong.append(str(error))
        else:
            typer.echo(f"{name}: right")
    if wrong:
        raise UsageError("\n".join(wrong))


@app.command()
def copy(
    name: Annotated[str, typer.Argument(help="A recipe of `nmt recipes ls`.")],
    dest: Annotated[
        Path | None, typer.Argument(help="File or folder to write; without it, NAME.yaml in this folder.")
    ] = None,
) -> None:
    """Copy a shipped recipe, comments and all, to change it."""
    from nmt.recipe.reader import shipped_file

    dest = dest or Path()
    dest = dest / f"{name}.yaml" if dest.is_dir() else dest
    if dest.suffix not in (".yaml", ".yml"):
        raise UsageError(f"{dest}: the file of a recipe ends in .yaml")
    text = shipped_file(name).read_text(encoding="utf-8")
    try:
        with dest.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{dest} is there already; name another file, or remove it first") from None
    except OSError as error:
        raise UsageError(f"{dest}: {(error.strerror or 'cannot be written').lower()}") from None
    typer.echo(f"wrote {dest}; run it with `nmt run {dest}`")


@app.command()
def schema() -> None:
    """Print the JSON Schema of recipes, with which editors complete and check them."""
    import json

    from nmt.recipe.reference import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@app.command()
def reference() -> None:
    """Print the reference page: every setting with its type, default and meaning."""
    from nmt.recipe.reference import page

    typer.echo(page(), nl=False)
