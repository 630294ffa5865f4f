"""The Python interface: everything that `import nmt` offers."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from reprlib import repr as shorten
from typing import Any, Literal, get_args

from nmt.decoding.arguments import (
    check_choice,
    check_flag,
    check_strings,
    check_text,
    check_whole_number,
    replace_surrogates,
)
from nmt.decoding.ensemble import combine_jobs
from nmt.decoding.glossary import Glossary
from nmt.decoding.job import Job, Line, LineConstraints, Split
from nmt.decoding.options import Options
from nmt.decoding.translation import Translation, translate_window
from nmt.errors import UsageError
from nmt.export import directory
from nmt.trust import allow_code

Precision = Literal["float32", "int8"]


class Translator:
    """A model on disk, or an ensemble of several, that translates lines.

    Exported models are loaded without torch. A model with a custom cell is loaded if the user trusts the
    cell's file, or with `trust_code`, which runs it and trusts it from then on. With `precision` "int8"
    weights are rounded to 8-bit integers, which is faster and needs a C compiler. Raises UsageError if there
    is no model or no such precision, DataError if a file is damaged or not trusted.
    """

    def __init__(
        self, *models: str | Path, trust_code: bool = False, precision: Precision = "float32"
    ) -> None:
        if not models:
            raise UsageError("a Translator needs a model: give a run or a model directory")
        check_choice("precision", precision, get_args(Precision))
        paths = [_check_path(model) for model in models]
        with allow_code(check_flag("trust_code", trust_code)):
            self._job = combine_jobs([_load_job(path, int8=precision == "int8") for path in paths])

    @property
    def options(self) -> Options:
        """The options of the recipe's search; change them with `dataclasses.replace`."""
        return self._job.options

    def translate(
        self,
        lines: Iterable[str | Line],
        *,
        beam: int | None = None,
        n_best: int | None = None,
        options: Options | None = None,
        aligned: bool = False,
        glossary: Mapping[str, str] | None = None,
        split: Split = "auto",
    ) -> list[Translation]:
        """Translate each line, in order. A `Line` may have its own lexical constraints.

        `glossary` maps source terms to translations that the output contains where the terms occur.
        `beam` and `n_best` override those of `options`, which are the recipe's by default. With `split`
        "auto" a line is divided into its sentences, with "never" it is translated as one. Raises UsageError
        for arguments of a wrong type and values out of range.
        """
        if not isinstance(options, Options | None):
            raise UsageError(f"options must be Options (got {shorten(options)}): change Translator.options")
        chosen, aligned = options or self.options, check_flag("aligned", aligned)
        n_best = chosen.n_best if n_best is None else check_whole_number("n_best", n_best, 1)
        beam = max(chosen.beam, n_best) if beam is None else check_whole_number("beam", beam, 1)
        chosen = replace(chosen, beam=beam, n_best=n_best, attention=chosen.attention or aligned)
        check_choice("split", split, get_args(Split))
        terms = Glossary(dict(_check_terms("glossary", glossary))) if glossary is not None else None
        job = self._job._replace(options=chosen, n_best=n_best, aligned=aligned, glossary=terms, split=split)
        return translate_window(list(_check_lines(lines)), job)


def _check_path(path: Any) -> Path:
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(name, str) or "\0" in name:
        raise UsageError(
            f"a model is the path of a run, a model directory or an export (got {shorten(path)})"
        )
    return Path(name)


def _load_job(path: Path, *, int8: bool) -> Job:
    if directory.is_exported(path):
        return directory.load_export(path, int8=int8)
    from nmt.recipe.tasks.translation import build_job, load_translator  # import torch

    return build_job(load_translator(path), int8=int8)


def _check_lines(lines: Any) -> Iterator[Line]:
    """Yield lines with their numbers; UsageError for what is neither a string nor a valid `Line`."""
    if isinstance(lines, str | bytes | Line) or not isinstance(lines, Iterable):
        raise UsageError(
            f"lines must be a list of strings (got {shorten(lines)}): write [line] for a single one"
        )
    for number, line in enumerate(lines, 1):
        if isinstance(line, Line):
            yield line._replace(
                number=check_whole_number(f"the number of line {number}", line.number),
                text=replace_surrogates(check_text(f"the text of line {number}", line.text)),
                constraints=_check_constraints(number, line.constraints),
            )
        else:
            yield Line(number, replace_surrogates(check_text(f"line {number}", line)))


def _check_constraints(number: int, constraints: Any) -> LineConstraints:
    where = f"of line {number}"
    if not isinstance(constraints, LineConstraints):
        raise UsageError(f"the constraints {where} must be LineConstraints (got {shorten(constraints)})")
    seed = constraints.seed
    return LineConstraints(
        prefix=replace_surrogates(check_text(f"the prefix {where}", constraints.prefix)),
        must=tuple(map(replace_surrogates, check_strings(f"must {where}", constraints.must))),
        must_not=tuple(map(replace_surrogates, check_strings(f"must_not {where}", constraints.must_not))),
        seed=None if seed is None else check_whole_number(f"the seed {where}", seed, 0),
        glossary=_check_terms(f"the glossary {where}", dict(constraints.glossary)),
    )


def _check_terms(name: str, terms: Any) -> tuple[tuple[str, str], ...]:
    """Return the terms of a glossary; UsageError if one is not a string, or blank."""
    if not isinstance(terms, Mapping):
        raise UsageError(f"{name} must map source terms to translations (got {shorten(terms)})")
    pairs = [check_strings(f"the terms of {name}", pair) for pair in terms.items()]
    if not all(text.strip() for pair in pairs for text in pair):
        raise UsageError(f"the terms of {name} must not be blank")
    return tuple((replace_surrogates(source), replace_surrogates(target)) for source, target in pairs)
