"""`nmt recipes`: list, show, check and copy recipes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options import RecipeWords
from nmt.cli.paths import READ, WRITTEN_FILE
from nmt.cli.terminal import format_table, to_json
from nmt.errors import UsageError
from nmt.files import find_shipped_files, read_purpose, write_file

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, show, check and copy recipes.")


@app.command("ls")
def list_recipes() -> None:
    """List the recipes that come with nmt."""
    typer.echo(list_files(find_shipped_files()))


def list_files(paths: Sequence[Path]) -> str:
    """List the names of YAML files with their purpose."""
    return format_table([[f"{path.stem} ", read_purpose(path)] for path in paths], align="ll")


@app.command()
def show(words: RecipeWords) -> None:
    """Print a recipe in full: inherited settings, changes, and every default."""
    from nmt.recipe.reader import dump, read_any_recipe, split_arguments

    typer.echo(dump(read_any_recipe(*split_arguments(words))), nl=False)


@app.command()
def validate(
    files: Annotated[list[str], typer.Argument(help="Recipe files, or names of shipped recipes."), READ],
) -> None:
    """Check recipes, and report every mistake with its file, line and column."""
    from nmt.recipe.reader import read_any_recipe

    mistakes = []
    for name in files:
        try:
            read_any_recipe([name])
        except UsageError as error:
            mistakes.append(str(error))
        else:
            typer.echo(f"{name}: valid")
    if mistakes:
        raise UsageError("\n".join(mistakes))


@app.command()
def copy(
    name: Annotated[str, typer.Argument(help="A recipe of `nmt recipes ls`.")],
    dest: Annotated[
        Path | None,
        typer.Argument(help="File or directory to write to; by default NAME.yaml here."),
        WRITTEN_FILE,
    ] = None,
) -> None:
    """Copy a shipped recipe with its comments, to edit it."""
    from nmt.recipe.reader import shipped_file

    dest = dest or Path()
    dest = dest / f"{name}.yaml" if dest.is_dir() else dest
    if dest.suffix not in (".yaml", ".yml"):
        raise UsageError(f"{dest}: the name of a recipe must end in .yaml")
    text = shipped_file(name).read_text(encoding="utf-8")
    if dest.exists() or dest.is_symlink():
        raise UsageError(f"{dest} already exists; choose another name, or remove it first")
    write_file(dest, text.encode())
    typer.echo(f"wrote {dest}; train it with `nmt run {dest}`")


@app.command()
def schema() -> None:
    """Print the JSON Schema of recipes, for completion and checks in an editor."""
    from nmt.recipe.reference import build_json_schema

    typer.echo(to_json(build_json_schema(), indent=2))


@app.command()
def reference() -> None:
    """Print the reference page: every setting with its type, default and meaning."""
    from nmt.recipe.reference import format_reference_page

    typer.echo(format_reference_page(), nl=False)
