"""Pairs on their way to files, which have their names when all pairs are written."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from nmt.data.formats import form_of
from nmt.data.text import bare_name
from nmt.errors import UsageError

Write = Callable[[str, str], object]
FORMS = (".tsv", ".jsonl", None)


@contextmanager
def written(output: str, languages: tuple[str, str], *, beside: Sequence[Path]) -> Iterator[Write]:
    """Takes pairs, for a .tsv or .jsonl file or two files `output.LANGUAGE`.

    UsageError for another form, or a file that is one of those read, `beside`.
    """
    form = form_of(output)
    if form not in FORMS or bare_name(output) != output:
        raise UsageError(f"{output}: pairs are written as .tsv, .jsonl, or two files by their prefix, plain")
    paths = [Path(output)] if form else [Path(f"{output}.{language}") for language in languages]
    for path in paths:
        if path.exists() and any(path.samefile(one) for one in beside):
            raise UsageError(f"{path} is what is read: choose another --output")
    with ExitStack() as stack:
        asides = [path.with_name(f".{path.name}.part") for path in paths]
        for aside in asides:
            stack.callback(aside.unlink, missing_ok=True)
        files = [stack.enter_context(aside.open("w", encoding="utf-8", newline="\n")) for aside in asides]
        yield _writer(form, languages, files)
        for file in files:
            file.close()
        for aside, path in zip(asides, paths, strict=True):
            aside.replace(path)


def _writer(form: str | None, languages: tuple[str, str], files: Sequence[IO[str]]) -> Write:
    if form == ".tsv":
        return lambda src, tgt: files[0].write(f"{src}\t{tgt}\n")
    if form == ".jsonl":
        return lambda src, tgt: files[0].write(_object(languages, src, tgt))
    return lambda src, tgt: (files[0].write(f"{src}\n"), files[1].write(f"{tgt}\n"))


def _object(languages: tuple[str, str], src: str, tgt: str) -> str:
    return json.dumps({languages[0]: src, languages[1]: tgt}, ensure_ascii=False) + "\n"
