"""What README and docs say exists, exists: files, verbs, options, settings, recipes, examples."""

import doctest
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from nmt.cli.app import app
from nmt.recipe.reader import list_shipped_names, read_any_recipe, split_arguments

CHECKOUT = Path(__file__).resolve().parent.parent
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    *sorted(str(p.relative_to(CHECKOUT)) for p in CHECKOUT.glob("docs/*.md")),
    *sorted(str(p.relative_to(CHECKOUT)) for p in CHECKOUT.glob("docs/ko/*.md")),
]
DECISIONS = sorted(str(p.relative_to(CHECKOUT)) for p in CHECKOUT.glob("docs/decisions/*.md"))

NAMED_FILE = re.compile(r"`((?:nmt|docs|tests|benchmarks|recipes|corpora)/[\w./-]+)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
MAKE = re.compile(r"(?:^ {4}|`)make ([a-z-]+)", re.M)
COMMAND = re.compile(r"(?:^ {4}|`|\| )(?:\.venv/bin/)?(nmt [^`#|>\n]+)", re.M)
MODULE = re.compile(r"python -m (benchmarks\.\w+)")


def text(page: str) -> str:
    """A page with lines that a backslash continues joined."""
    return re.sub(r"\\\n\s*", "", (CHECKOUT / page).read_text(encoding="utf-8"))


def commands(page: str) -> list[list[str]]:
    """The words of every `nmt …` that a page shows, `nmt` left out."""
    return [shlex.split(match[1].rstrip("\\ "))[1:] for match in COMMAND.finditer(text(page))]


@cache
def build_command() -> Any:
    """The whole command line."""
    return typer.main.get_command(app)


def find(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words name, and the words that are left."""
    command = build_command()
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"no verb {words[0]} in {words}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def options(command: Any) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts} | {"--help", "-h"}


def tree() -> Iterator[str]:
    """The paths of README's annotated tree."""
    folders: list[str] = []
    for line in text("README.md").split("## Layout")[1].split("\n## ")[0].splitlines():
        match = re.match(r"^( {4,8})([\w.-]+/?)(?:$|  +\S)", line)
        if match:
            depth = (len(match[1]) - 4) // 2
            folders[depth:] = [match[2]]
            yield "".join(folders)


@pytest.mark.parametrize("page", [*PAGES, *DECISIONS])
def test_every_file_that_a_page_names_exists(page: str) -> None:
    prose = re.sub(r"^```.*?^```", "", text(page), flags=re.M | re.S)
    named = [path for path in NAMED_FILE.findall(prose) if "NAME" not in path]
    linked = [str((CHECKOUT / page).parent / link) for link in LINK.findall(prose)]
    assert [path for path in named + linked if not (CHECKOUT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_section_that_a_page_links_to_exists(page: str) -> None:
    links = re.findall(r"\]\(([^)#:\s]*)#([^)]+)\)", text(page))
    targets = [((CHECKOUT / page).parent / path if path else CHECKOUT / page, name) for path, name in links]
    assert [(path.name, name) for path, name in targets if name not in anchors(path)] == []


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", prose, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_path_of_the_tree_exists() -> None:
    paths = list(tree())
    assert len(paths) > 15
    assert [path for path in paths if not (CHECKOUT / path).exists()] == []


def test_the_tree_has_every_room() -> None:
    rooms = {f"nmt/{path.name}/" for path in (CHECKOUT / "nmt").iterdir() if (path / "__init__.py").is_file()}
    assert rooms <= set(tree())


@pytest.mark.parametrize("page", PAGES)
def test_every_command_has_its_verb_and_options(page: str) -> None:
    assert page not in ("README.md", "docs/guide.md") or len(commands(page)) > 12
    for words in commands(page):
        command, rest = find(words)
        used = {word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert used <= options(command), f"{page}: nmt {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES)
def test_every_recipe_and_setting_of_a_command_is_read(page: str) -> None:
    for words in commands(page):
        if words[0] in ("run", "train") and words[-1] != "--help":
            names, settings = split_arguments(
                [word for word in unoptioned(find(words)[1]) if "my_cells.py" not in word]
            )
            if set(names) <= set(list_shipped_names()) and names:
                read_any_recipe(names, [word.replace("DIR", ".") for word in settings])


def unoptioned(words: list[str]) -> list[str]:
    """Without `--output DIR` and flags."""
    kept, skip = [], False
    for word in words:
        if not skip and not word.startswith("-"):
            kept.append(word)
        skip = word in ("-o", "--output")
    return kept


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_and_benchmark_exists(page: str) -> None:
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    assert [t for t in MAKE.findall(text(page)) if f"\n{t}:" not in makefile] == []
    modules = [CHECKOUT / (name.replace(".", "/") + ".py") for name in MODULE.findall(text(page))]
    assert [path for path in modules if not path.is_file()] == []


def test_every_recipe_of_the_results_is_shipped() -> None:
    tables = text("README.md").split("## Results")[1].split("\n## ")[0]
    tables += text("docs/results.md").split("## Translation quality")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([\w-]+)` \|.*\|$", tables, re.M)
    assert len(rows) > 8
    assert set(rows) <= set(list_shipped_names())


def test_readme_is_short() -> None:
    assert len((CHECKOUT / "README.md").read_text(encoding="utf-8").splitlines()) <= 220


def test_the_examples_about_cells_are_true() -> None:
    failed, attempted = doctest.testfile(str(CHECKOUT / "docs/cells.md"), module_relative=False)
    assert attempted > 10
    assert failed == 0
