"""The tutorial: its commands run, its sums are right, its pictures are there, its two languages agree."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.test_readme import find, options

CHECKOUT = Path(__file__).resolve().parent.parent
TUTORIAL = CHECKOUT / "docs" / "tutorial"
CHAPTERS = [path.name for path in sorted((TUTORIAL / "en").glob("*.md"))]

BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.M | re.S)
PICTURE = re.compile(r"!\[.+?\]\(\.\./pictures/([\w-]+\.svg)\)")
NMT = re.compile(r"(?:^|\| )nmt (.*)")
LINK = re.compile(r"\]\(([^)#:]+)\)")

SHORT = r"""
nmt() {
    case $1 in
        run | train)
            PYTHON -m nmt "$@" training.stop_after=4u training.validation.every=4u \
                training.learning_rate.warmup=0 ;;
        *) PYTHON -m nmt "$@" ;;
    esac
}
python() { PYTHON "$@"; }
""".replace("PYTHON", shlex.quote(sys.executable))
"""A shell in which the commands are the chapters', and runs end after four updates."""


class Block(NamedTuple):
    """What stands between fences: `sh` is run, a named block is a file, `text` is what was printed."""

    language: str
    file: str
    text: str


def page(language: str, chapter: str) -> str:
    return (TUTORIAL / language / chapter).read_text(encoding="utf-8")


def blocks(chapter: str, language: str = "en") -> list[Block]:
    return [Block(*found) for found in BLOCK.findall(page(language, chapter))]


def commands(chapter: str) -> list[str]:
    shell = "".join(block.text for block in blocks(chapter) if block.language == "sh")
    return shell.replace("\\\n", "").splitlines()


def test_there_are_seven_chapters_in_each_language() -> None:
    assert len(CHAPTERS) == 7
    assert [path.name for path in sorted((TUTORIAL / "ko").glob("*.md"))] == CHAPTERS


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_korean_chapter_has_the_blocks_and_pictures_of_the_english_one(chapter: str) -> None:
    assert blocks(chapter, "ko") == blocks(chapter)
    assert PICTURE.findall(page("ko", chapter)) == PICTURE.findall(page("en", chapter))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_korean_chapter_is_korean(chapter: str) -> None:
    prose = BLOCK.sub("", page("ko", chapter))
    assert len(re.findall("[가-힣]", prose)) > 500


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_command_has_its_verb_and_options(chapter: str) -> None:
    shown = [shlex.split(found[1]) for found in map(NMT.search, commands(chapter)) if found]
    assert shown
    for words in shown:
        command, rest = find(words)
        used = {word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert used <= options(command), f"{chapter}: {' '.join(words)}"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_picture_is_drawn_by_a_command_of_its_chapter(chapter: str) -> None:
    pictures = PICTURE.findall(page("en", chapter))
    assert [p for p in pictures if not (TUTORIAL / "pictures" / p).is_file()] == []
    assert [p for p in pictures if not any(p in command.split() for command in commands(chapter))] == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_what_a_chapter_works_out_by_hand_is_right(chapter: str) -> None:
    examples = [block.text for block in blocks(chapter) if ">>> " in block.text]
    assert examples
    test = doctest.DocTestParser().get_doctest("\n".join(examples), {}, chapter, None, None)
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


@pytest.mark.parametrize("page_", sorted(TUTORIAL.rglob("*.md")), ids=lambda p: str(p.relative_to(TUTORIAL)))
def test_every_link_leads_somewhere(page_: Path) -> None:
    links = LINK.findall(BLOCK.sub("", page_.read_text(encoding="utf-8")))
    assert [link for link in links if not (page_.parent / link).exists()] == []


def test_every_picture_is_shown_and_small() -> None:
    shown = {picture for chapter in CHAPTERS for picture in PICTURE.findall(page("en", chapter))}
    there = {path.name: path.stat().st_size for path in (TUTORIAL / "pictures").iterdir()}
    assert set(there) == shown
    assert max(there.values()) < 100_000


@pytest.mark.slow
def test_all_commands_run_one_chapter_after_the_other(tmp_path: Path) -> None:
    """In one folder, as a reader goes through them; only the runs are shorter."""
    for chapter in CHAPTERS:
        for block in blocks(chapter):
            if block.file:
                (tmp_path / block.file).write_text(block.text, encoding="utf-8")
        script = SHORT + "\n".join(["set -e -o pipefail", *commands(chapter)])
        ran = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            encoding="utf-8",
        )
        assert ran.returncode == 0, f"{chapter}\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"
