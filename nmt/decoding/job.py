"""The description of a translation job: its model, its options, and the lines to translate."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, get_args

from nmt.arguments import check_choice, check_flag, check_whole_number
from nmt.data.pipes import PAUSE, PipeLines
from nmt.data.protection import Protection
from nmt.data.text import read_lines
from nmt.data.trained_lengths import TrainedLengths
from nmt.decoding import LONGEST_PART, READ_AHEAD
from nmt.decoding.model import Model
from nmt.decoding.options import Options, Utility
from nmt.errors import DataError, UsageError

if TYPE_CHECKING:
    from nmt.decoding.glossary import Glossary
    from nmt.decoding.translation import Candidate, Translation

V0_1_ERRORS = {
    "invalid JSON: nested too deeply": "not JSON that can be read: nested too deep",
    "invalid JSON: ": "not JSON: ",
    " is not a JSON number": " is not a number of JSON",
}
"""Messages about lines, and their wording in version 0.1, which the digest of an input uses."""

WINDOW_CHARACTERS = 1_000_000  # per window at most, which bounds memory with long lines


Split = Literal["auto", "never"]


class Tokenizer(Protocol):
    """The part of a vocabulary that a job uses."""

    def encode(self, line: str, /) -> list[int]: ...

    def decode(self, ids: Sequence[int], /) -> str: ...

    def tokens(self, ids: Sequence[int], /) -> list[str]: ...

    def tag(self, line: str, /) -> str: ...

    @property
    def copies(self) -> range: ...

    def fingerprint(self) -> str: ...

    def encode_phrase(self, phrase: str, /) -> list[int]: ...

    def can_write(self, ids: Sequence[int], /) -> bool: ...

    def continuations(self) -> Sequence[int]: ...

    def openings(self) -> Sequence[int]: ...

    def case_tokens(self) -> Sequence[int]: ...

    def normalise(self, line: str, /) -> str: ...

    def join(self, text: str, /) -> str: ...


class QualityEstimator(Protocol):
    """A model's estimate of the quality of a line."""

    def estimate(self, candidates: "list[Candidate]", /) -> float:
        """Return the probability that the first of an n-best list is good."""


class QualityStep(Protocol):
    """A function that adds the quality to a translation, and the settings that it depends on."""

    def __call__(self, translation: "Translation", /) -> "Translation": ...

    def settings(self) -> Mapping[str, Any]: ...


class Job(NamedTuple):
    """Everything that determines the translations of lines."""

    model: Model
    source: Tokenizer
    target: Tokenizer
    options: Options
    attends: bool = True  # whether the model has attention
    longest_part: int = LONGEST_PART  # source tokens; longer lines are translated in parts
    read_ahead: int = READ_AHEAD  # batches of lines; 0 translates each line as it comes
    n_best: int = 1  # candidates of each line
    aligned: bool = False  # whether the best one is aligned with its source
    soft_attention: bool = False  # whether candidates carry their attention weights
    copy_unknown: bool = False  # whether unk is replaced by the most attended source word
    utility: Utility | None = None  # of minimum Bayes risk decoding
    bleu_tokenizer: str = "13a"  # of that utility
    glossary: "Glossary | None" = None  # of all lines; a line can have its own terms too
    protection: Protection | None = None  # of what is copied instead of translated
    split: Split = "auto"  # whether lines are divided into sentences
    languages: tuple[str, str] = ("", "")  # codes of source and target language
    lengths: TrainedLengths | None = None  # of the lines that the model was trained on, if known
    estimator: QualityEstimator | None = None  # of the model, if it was calibrated
    quality: QualityStep | None = None  # adds the quality of each line, if requested

    def with_lengths(self, lengths: TrainedLengths | None) -> "Job":
        """Return the job of a model that was trained on lines of these lengths; longer ones are cut."""
        longest = max(LONGEST_PART, lengths.tokens if lengths else 0)
        return self._replace(lengths=lengths, longest_part=longest)

    def configure(
        self,
        *,
        beam: int | None = None,
        n_best: int | None = None,
        aligned: bool = False,
        attention: bool = False,
        split: Split = "auto",
    ) -> "Job":
        """Return the job with the settings of a call from Python or of a request; the rest stays.

        Raises UsageError for arguments of a wrong type, values out of range, and a model without attention.
        """
        options, aligned, soft = (
            self.options,
            check_flag("aligned", aligned),
            check_flag("attention", attention),
        )
        n_best = options.n_best if n_best is None else check_whole_number("n_best", n_best, 1)
        beam = max(options.beam, n_best) if beam is None else check_whole_number("beam", beam, 1)
        check_choice("split", split, get_args(Split))
        if (aligned or soft) and not self.attends:
            raise UsageError("this model has no attention, so it gives no alignments: omit the option")
        options = replace(options, beam=beam, n_best=n_best, attention=options.attention or aligned or soft)
        return self._replace(
            options=options, n_best=n_best, aligned=aligned, soft_attention=soft, split=split
        )

    def settings(self) -> dict[str, Any]:
        """Return the settings that determine the output, without models and functions, as JSON values."""
        options = {name: value for name, value in asdict(self.options).items() if name != "batch"}
        if self.options.suggestion_margin == Options.suggestion_margin:
            del options["suggestion_margin"]  # version 0.2 had none
        glossary = {"glossary": self.glossary.digest()} if self.glossary else {}
        division = {"split": self.split, **self._division()} if self.split == "auto" else {}
        own = {"longest_part": self.longest_part, "copy_unknown": self.copy_unknown}
        protected = {"protection": asdict(self.protection)} if self.protection else {}
        quality = {"quality": dict(self.quality.settings())} if self.quality else {}
        return options | own | glossary | division | protected | quality

    def _division(self) -> dict[str, Any]:
        lengths = asdict(self.lengths) if self.lengths else None
        return {"languages": list(self.languages), "trained_lengths": lengths}


class LineConstraints(NamedTuple):
    """Lexical constraints on the translation of one line; the fields are named as in JSON input."""

    prefix: str = ""  # the output begins with it
    must: tuple[str, ...] = ()  # phrases that it contains
    must_not: tuple[str, ...] = ()  # phrases that it does not contain
    seed: int | None = None  # of sampling, instead of the job's
    glossary: tuple[tuple[str, ...], ...] = ()  # source terms with their translations, perhaps `suggested`

    @property
    def has_phrases(self) -> bool:
        """Whether any phrase is required or forbidden."""
        return bool(self.prefix or self.must or self.must_not)


class Line(NamedTuple):
    """One line to translate."""

    number: int  # in its file, from 1
    text: str
    notes: tuple[str, ...] = ()  # for the user, on how it was read
    constraints: LineConstraints = LineConstraints()
    record: dict[str, Any] | None = None  # the JSON object that contained it
    error: str | None = None  # why it cannot be translated

    def digest_text(self) -> str:
        """Return the text that is hashed to compare inputs: the line in the form of version 0.1.

        Checkpoints of jobs depend on it: when you reword an error, add the old wording to V0_1_ERRORS.
        """
        prefix, must, must_not, seed, glossary = self.constraints
        error = self.error
        for message, old_message in V0_1_ERRORS.items():
            error = error and error.replace(message, old_message)
        return (
            f"Line(number={self.number!r}, text={self.text!r}, notes={self.notes!r}, "
            f"wishes=Wishes(prefix={prefix!r}, must={must!r}, must_not={must_not!r}, seed={seed!r}), "
            f"record={self.record!r}, error={error!r})" + (f"glossary={glossary!r}" if glossary else "")
        )


class JobProgress(NamedTuple):
    """The progress of a job: all these lines are written, and none after them."""

    lines: int = 0
    notes: int = 0  # about these lines
    digest: str = hashlib.sha256().hexdigest()  # of these lines as read
    failed: int = 0  # of these lines: not valid JSON, so that they were not translated


class Window(NamedTuple):
    """Lines that are translated together."""

    lines: list[Line]
    digest: str  # of all lines up to the last of these


class LineReader:
    """Lines in order, with a digest of those read so far."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self._digest = hashlib.sha256()

    def __iter__(self) -> Iterator[Line]:
        for line in self._lines:
            self._digest.update(line.digest_text().encode("utf-8", "surrogatepass"))
            yield line

    def skip(self, done: JobProgress) -> None:
        """Skip the lines that were already translated; raise DataError if they have changed since."""
        read = sum(1 for _, _line in zip(range(done.lines), self, strict=False))
        if read < done.lines or self._digest.hexdigest() != done.digest:
            raise DataError(
                f"the input has changed: the {done.lines:,} lines that are translated already differ from "
                f"its first {read:,}; start again without --resume"
            )

    def windows(self, size: int, pipe: PipeLines | None = None) -> Iterator[Window]:
        """Yield windows of `size` lines, fewer if they are long or the pipe that they come from pauses."""
        lines, characters = list[Line](), 0
        for line in self:
            lines.append(line)
            characters += len(line.text)
            is_full = len(lines) == size or characters >= WINDOW_CHARACTERS
            if is_full or (pipe is not None and not pipe.is_ready(PAUSE)):
                yield Window(lines, self._digest.hexdigest())
                lines, characters = [], 0
        if lines:
            yield Window(lines, self._digest.hexdigest())


def number_lines(texts: Iterable[tuple[str, str | None]], first: int = 1) -> Iterator[Line]:
    """Number plain lines; each comes with a note on how it was read, or None."""
    for number, (text, note) in enumerate(texts, first):
        yield Line(number, text, (note,) if note else ())


def add_constraints(
    lines: Iterable[Line], files: Mapping[str, Path], first: int, *, to_the_end: bool
) -> Iterator[Line]:
    """Add constraints from files, named by the fields of `LineConstraints`; the first line is number `first`.

    Raises DataError if a file has fewer lines than the text or, if the text is read `to_the_end`, more.
    """
    columns = {name: islice(read_lines(path), first - 1, None) for name, path in files.items()}
    for line in lines:
        values: dict[str, Any] = {
            name: _constraint(name, next(texts, None), files[name], line) for name, texts in columns.items()
        }
        yield line._replace(constraints=line.constraints._replace(**values))
        first = line.number + 1
    for name, texts in columns.items():
        if to_the_end and next(texts, None) is not None:
            raise DataError(f"{files[name]} has more lines than the text, which ends after {first - 1:,}")


def _constraint(name: str, text: str | None, path: Path, line: Line) -> str | tuple[str, ...]:
    if text is None:
        raise DataError(f"{path} ends before line {line.number:,} of the text: it needs a line for each")
    return text if name == "prefix" else tuple(phrase for phrase in text.split("\t") if phrase.strip())
