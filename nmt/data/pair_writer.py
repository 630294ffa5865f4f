"""Pairs on their way to files, which have their names when all pairs are written."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from nmt.data.formats import form_of
from nmt.data.text import bare_name
from nmt.data.whole import written_whole
from nmt.errors import UsageError

Write = Callable[[str, str], object]
FORMS = (".tsv", ".jsonl", None)


@contextmanager
def written(output: str, languages: tuple[str, str], *, beside: Sequence[Path]) -> Iterator[Write]:
    """Takes pairs, for a .tsv or .jsonl file or two files `output.LANGUAGE`.

    UsageError for another form, two sides of one name, a file that is one of those read, `beside`, or a
    place where no file can be.
    """
    form = form_of(output)
    if form not in FORMS or bare_name(output) != output:
        raise UsageError(f"{output}: pairs are written as .tsv, .jsonl, or two files by their prefix, plain")
    if form != ".tsv" and languages[0] == languages[1]:
        raise UsageError(f"both sides are called '{languages[0]}': give each a name, --src and --tgt")
    paths = [Path(output)] if form else [Path(f"{output}.{language}") for language in languages]
    for path in paths:
        if path.exists() and any(path.samefile(one) for one in beside):
            raise UsageError(f"{path} is what is read: choose another --output")
    with ExitStack() as stack:
        asides = [stack.enter_context(written_whole(path)) for path in paths]
        files = [stack.enter_context(aside.open("w", encoding="utf-8", newline="\n")) for aside in asides]
        yield _writer(form, languages, files)


def _writer(form: str | None, languages: tuple[str, str], files: Sequence[IO[str]]) -> Write:
    if form == ".tsv":
        return lambda src, tgt: files[0].write(f"{src}\t{tgt}\n")
    if form == ".jsonl":
        return lambda src, tgt: files[0].write(_object(languages, src, tgt))
    return lambda src, tgt: (files[0].write(f"{src}\n"), files[1].write(f"{tgt}\n"))


def _object(languages: tuple[str, str], src: str, tgt: str) -> str:
    return json.dumps({languages[0]: src, languages[1]: tgt}, ensure_ascii=False) + "\n"
