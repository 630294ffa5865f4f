"""`nmt.Translator`: translations, scores and pages of a model on disk."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from reprlib import repr as shorten
from typing import TYPE_CHECKING, Any, get_args, overload

import numpy as np

from nmt.api.loading import Precision, check_path, load_job
from nmt.arguments import (
    check_choice,
    check_flag,
    check_strings,
    check_text,
    check_whole_number,
    is_list,
    replace_surrogates,
)
from nmt.decoding.ensemble import combine_jobs
from nmt.decoding.glossary import SUGGESTED, Glossary, TermTarget, is_term, list_fields
from nmt.decoding.job import Line, LineConstraints, Split
from nmt.decoding.options import Options
from nmt.decoding.rescore import rescore_lines
from nmt.decoding.translation import Candidate, Translation, translate_window
from nmt.errors import UsageError
from nmt.evaluation.quality import request_quality
from nmt.hub import find_model
from nmt.trust import allow_code

if TYPE_CHECKING:
    from nmt.lab.inspect.page import SentencePage

MODEL_PATH = "a model is the path of a run, a checkpoint, a model directory or an export, or hf:user/name"


class Translator:
    """A model on disk, or an ensemble of several, that translates lines.

    `models` are run directories (their best checkpoint), checkpoints, averaged models, exports, or names on
    the Hugging Face Hub, `hf:user/name`; exports are loaded without torch. A model with a custom cell is
    loaded if the user trusts the cell's file, or with `trust_code`, which runs it and trusts it from then on.
    With `precision` "int8" weights are rounded to 8-bit integers, which is faster and needs a C compiler.
    Raises UsageError without a model or for another precision, DataError for a damaged or untrusted file.

        translator = nmt.Translator("runs/mine")
        translator("하나")             # 'One'
        translator(["하나", "둘"])     # ['One', 'Two']
    """

    def __init__(
        self, *models: str | Path, trust_code: bool = False, precision: Precision = "float32"
    ) -> None:
        if not models:
            raise UsageError("a Translator needs a model: give a run or a model directory")
        check_choice("precision", precision, get_args(Precision))
        self._precision = precision
        self._paths = [find_model(check_path(MODEL_PATH, model)) for model in models]
        with allow_code(check_flag("trust_code", trust_code)):
            loaded = [load_job(path, int8=precision == "int8") for path in self._paths]
        self._loaded = [one.translator for one in loaded]
        self._job = combine_jobs([one.job for one in loaded])

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what a pickle holds: paths, from which another process loads the models."""
        load = partial(type(self), precision=self._precision)
        return load, tuple(path.resolve() for path in self._paths)

    def __repr__(self) -> str:
        return f"Translator({', '.join(repr(str(path)) for path in self._paths)})"

    @property
    def options(self) -> Options:
        """The options of the recipe's search; change them with `dataclasses.replace`."""
        return self._job.options

    @overload
    def __call__(self, text: str) -> str: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, text: Mapping[str, Any], *, column: str = "text", output: str = "translation"
    ) -> dict[str, Any]: ...
    @overload
    def __call__(self, text: Iterable[str]) -> list[str]: ...

    def __call__(self, text: Any, *, column: str = "text", output: str = "translation") -> Any:
        """Translate a string to a string, a list to a list, and a batch to a batch with another column.

        A batch is a mapping of columns, as Ray Data and `datasets.map` pass it: `column` has the text (one
        string, or many as a list or an array), and the column `output` is added.
        """
        if not isinstance(text, Mapping):
            return self._translate_text(text)
        if check_text("column", column) not in text:
            columns = ", ".join(map(str, text)) or "none"
            raise UsageError(
                f"the batch has no column {column!r} (columns: {columns}): name the text's, column="
            )
        lines = text[column]
        translated = self._translate_text(lines.tolist() if isinstance(lines, np.ndarray) else lines)
        if isinstance(lines, np.ndarray):
            translated = np.array(translated, dtype=object)
        return {**text, check_text("output", output): translated}

    def _translate_text(self, text: Any) -> Any:
        """Translate a string to a string, a list to a list; not by `__call__`, which Ray Data overrides."""
        found: Any = self.translate(text)
        return [one.text for one in found] if isinstance(found, list) else found.text

    @overload
    def translate(  # type: ignore[overload-overlap]
        self,
        lines: str | Line,
        *,
        beam: int | None = None,
        n_best: int | None = None,
        options: Options | None = None,
        prefix: str = "",
        must: Sequence[str] = (),
        must_not: Sequence[str] = (),
        glossary: Mapping[str, TermTarget] | None = None,
        aligned: bool = False,
        attention: bool = False,
        quality: bool = False,
        split: Split = "auto",
    ) -> Translation: ...
    @overload
    def translate(
        self,
        lines: Iterable[str | Line],
        *,
        beam: int | None = None,
        n_best: int | None = None,
        options: Options | None = None,
        prefix: str = "",
        must: Sequence[str] = (),
        must_not: Sequence[str] = (),
        glossary: Mapping[str, TermTarget] | None = None,
        aligned: bool = False,
        attention: bool = False,
        quality: bool = False,
        split: Split = "auto",
    ) -> list[Translation]: ...

    def translate(
        self,
        lines: str | Line | Iterable[str | Line],
        *,
        beam: int | None = None,
        n_best: int | None = None,
        options: Options | None = None,
        prefix: str = "",
        must: Sequence[str] = (),
        must_not: Sequence[str] = (),
        glossary: Mapping[str, TermTarget] | None = None,
        aligned: bool = False,
        attention: bool = False,
        quality: bool = False,
        split: Split = "auto",
    ) -> Translation | list[Translation]:
        """Translate a line, or a list of lines in order, with scores.

        A translation has `text`, `score`, and `candidates`, the `n_best` best ones with the log probability
        of every token. `beam` and `n_best` override those of `options`, which are the recipe's by default.

        The output begins with `prefix` and contains the phrases `must` and none of `must_not`; a `Line` has
        constraints of its own. `glossary` maps source terms to translations that the output contains where
        the terms occur; a pair `(translation, "suggested")` leaves one out where it lowers the score by more
        than `options.suggestion_margin`. `aligned` adds `alignment`, pairs of a source word and a target
        word, and `attention` the weights of each candidate as an array [tokens, source tokens]. `quality`
        adds `quality`, the probability that a line is good, if `nmt tune` has calibrated it; None for a blank
        line. With `split` "auto" a line is divided into its sentences, with "never" it is translated as one.

        Raises UsageError for arguments of a wrong type and values out of range.
        """
        if not isinstance(options, Options | None):
            raise UsageError(f"options must be Options (got {shorten(options)}): change Translator.options")
        common = check_constraints("", LineConstraints(prefix, must, must_not))  # type: ignore[arg-type]
        terms = None if glossary is None else Glossary({}).add_terms(check_terms("glossary", glossary))
        job = self._job._replace(options=options or self.options, glossary=terms).configure(
            beam=beam, n_best=n_best, aligned=aligned, attention=attention, split=split
        )
        if check_flag("quality", quality):
            job = request_quality(job)
        is_one = isinstance(lines, str | Line)
        found = translate_window(list(check_lines([lines] if is_one else lines, common)), job)
        return found[0] if is_one else found

    @overload
    def score(self, src: str, tgt: str) -> Candidate: ...  # type: ignore[overload-overlap]
    @overload
    def score(self, src: Iterable[str], tgt: Iterable[str]) -> list[Candidate]: ...

    def score(self, src: str | Iterable[str], tgt: str | Iterable[str]) -> Candidate | list[Candidate]:
        """Score given translations, as `nmt rescore` does: a pair of strings, or two lists.

        Each result has `log_prob`, the natural logarithm of p(tgt | src), `tokens` with `token_log_probs`,
        and `score`, by which a search ranks it. Of a blank source all are zero or empty. Raises UsageError
        for lists of different lengths.
        """
        if isinstance(src, str) and isinstance(tgt, str):
            return self.score([src], [tgt])[0]
        sources, targets = (
            [replace_surrogates(line) for line in check_strings(name, lines)]
            for name, lines in (("src", src), ("tgt", tgt))
        )
        if len(sources) != len(targets):
            raise UsageError(f"src has {len(sources):,} lines, tgt has {len(targets):,}: give one for each")
        return list(rescore_lines(zip(sources, targets, strict=True), self._job))

    def explain(self, text: str) -> "SentencePage":
        """Translate a sentence, and show attention, gates, states and beam, as `nmt inspect sentence` does.

        A notebook shows the page that is returned; `.save("page.html")` writes it, and `.trace` has the
        numbers. Raises UsageError for an export, an ensemble, and a sentence without tokens.
        """
        loaded = self._loaded[0]
        if len(self._loaded) > 1 or loaded is None:
            what = "an ensemble" if loaded is not None else "an export"
            raise UsageError(f"explain shows one model with its weights, not {what}: open the run itself")
        from nmt.lab.inspect.page import SentencePage
        from nmt.lab.inspect.sentence import trace_sentence

        trace = trace_sentence(loaded.model, self._job, replace_surrogates(check_text("text", text)))
        return SentencePage(trace, self._paths[0].resolve().name)


def check_lines(lines: Any, common: LineConstraints) -> Iterator[Line]:
    """Yield lines with their numbers; UsageError for values that are neither strings nor valid `Line`s.

    Lines that are strings get the constraints `common`.
    """
    if not is_list(lines):
        raise UsageError(f"lines must be a string or a list of strings (got {shorten(lines)})")
    for number, line in enumerate(lines, 1):
        if isinstance(line, Line):
            yield line._replace(
                number=check_whole_number(f"the number of line {number}", line.number),
                text=replace_surrogates(check_text(f"the text of line {number}", line.text)),
                constraints=check_constraints(f" of line {number}", line.constraints),
            )
        else:
            text = replace_surrogates(check_text(f"line {number}", line))
            yield Line(number, text, constraints=common)


def check_constraints(where: str, constraints: Any) -> LineConstraints:
    """Return constraints with their declared types; `where` follows their names in messages."""
    if not isinstance(constraints, LineConstraints):
        raise UsageError(f"the constraints{where} must be LineConstraints (got {shorten(constraints)})")
    seed = constraints.seed
    return LineConstraints(
        prefix=replace_surrogates(check_text(f"the prefix{where}", constraints.prefix)),
        must=tuple(map(replace_surrogates, check_strings(f"must{where}", constraints.must))),
        must_not=tuple(map(replace_surrogates, check_strings(f"must_not{where}", constraints.must_not))),
        seed=None if seed is None else check_whole_number(f"the seed{where}", seed, 0),
        glossary=check_terms(f"the glossary{where}", constraints.glossary),
    )


def check_terms(name: str, terms: Any) -> tuple[tuple[str, ...], ...]:
    """Return the fields of each term of a glossary; UsageError if one is not a string, or blank."""
    is_list = isinstance(terms, tuple)  # of the fields of terms, as in `LineConstraints`
    given = list_fields(terms) if isinstance(terms, Mapping) else terms if is_list else [()]
    rows = [check_strings(f"the terms of {name}", fields) for fields in given]
    if any(len(fields) not in (2, 3) or fields[2:] not in ((), (SUGGESTED,)) for fields in rows):
        kinds = f'strings, or pairs ("...", "{SUGGESTED}")'
        raise UsageError(f"{name} must map source terms to translations: {kinds} (got {shorten(terms)})")
    if not all(map(is_term, rows)):
        raise UsageError(f"the terms of {name} must not be blank")
    return tuple(tuple(map(replace_surrogates, fields)) for fields in rows)
