"""The files of pairs that a command line names, and their languages."""

import re
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from nmt.data.formats import find_languages
from nmt.data.pairs import Corpus, find_corpus, pair_format, read_pairs
from nmt.data.text import COMPRESSIONS, strip_compression
from nmt.errors import DataError, UsageError
from nmt.lab.project.languages import find_side_language

SAMPLED = 1000
"""Pairs at the beginning of the files from which languages are detected."""
LANGUAGE = re.compile(r"[a-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
SIDES = (("source", "target"), ("src", "tgt"), ("src", "trg"))
"""Names of the two sides, in a file or as suffixes, that do not tell their languages."""
UNSUPPORTED_SUFFIXES = frozenset([".csv", ".json", ".xlsx", ".ods", ".docx", ".xml", ".zip"])
"""Suffixes of files that are neither lines nor a format of pairs."""
NO_LANGUAGES = frozenset(
    [*chain(*SIDES), *("ref", "hyp", "out"), *("txt", "csv", "tok", "bpe", "raw", "xz", "gz", "zip")]
)
"""Suffixes of files that look like languages."""


class PairInputs(NamedTuple):
    """Corpora of one pair of languages."""

    corpora: list[Corpus]
    languages: tuple[str, str]
    origin: str  # of the languages, for messages: "(as given)"

    @property
    def files(self) -> list[Path]:
        """All files."""
        return [file for corpus in self.corpora for file in corpus.files]

    def describe_files(self, side: int | None = None) -> str:
        """List the names of all files, or of those of a side."""
        if side is None:
            return ", ".join(file.name for file in self.files)
        return ", ".join(corpus.files[min(side, len(corpus.files) - 1)].name for corpus in self.corpora)


class NamedCorpus(NamedTuple):
    """A corpus of the command line: the argument of `find_corpus`, and the languages that the files name."""

    pairs: str | list[str]
    languages: list[str]
    is_ordered: bool = True  # whether the first language is the source
    keys: tuple[str, str] | None = None  # names of its texts, if they are not languages


def find_pair_files(words: Sequence[str], src: str | None, tgt: str | None) -> PairInputs:
    """Find the corpora that words name: files of pairs, two files each, or prefixes.

    The languages are those given, else those that the files name, else those that are detected. UsageError
    if they are not known, DataError if a file is missing.
    """
    for option, language in (("--src", src), ("--tgt", tgt)):
        if language is not None and not LANGUAGE.fullmatch(language):
            raise UsageError(f"{option} {language!r}: expected the code of a language, such as de or zh-TW")
    named = list(_group_words(words, src, tgt))
    languages, origin = _choose_languages(named, src, tgt)
    if languages[0] == languages[1]:
        raise UsageError(
            f"both sides are in '{languages[0]}' {origin}: give the languages by --src and --tgt"
        )
    return PairInputs([_find_named(one, *languages) for one in named], languages, origin)


def _find_named(one: NamedCorpus, src: str | None, tgt: str | None) -> Corpus:
    """Find a corpus, with its source first if a suffix tells which file that is."""
    pairs = one.pairs
    if isinstance(pairs, list):
        first, second = one.languages
        is_swapped = (first == tgt or second == src) and first != src and second != tgt
        pairs = pairs[::-1] if is_swapped else pairs
    src, tgt = one.keys or (src or "", tgt or "")
    return find_corpus(pairs, root=Path(), src=src, tgt=tgt)


def _group_words(words: Sequence[str], src: str | None, tgt: str | None) -> list[NamedCorpus]:
    """Divide the words of a command line into corpora."""
    named, texts = [], list[str]()
    for word in words:
        if Path(word).is_dir():
            raise UsageError(f"{word} is a directory: name the files with the pairs")
        if pair_format(word):
            [path] = find_corpus(word, root=Path(), src="", tgt="").files
            named.append(_name_texts(word, *find_languages(path)))
        elif any(Path(word + ending).is_file() for ending in COMPRESSIONS):
            texts.append(word)
            if len(texts) == 2:
                named.append(_name_files(texts))
                texts = []
        else:
            named.append(_name_prefix(word, src, tgt))
    if texts and (suffix := Path(strip_compression(texts[0])).suffix.lower()) in UNSUPPORTED_SUFFIXES:
        raise UsageError(
            f"{texts[0]}: {suffix} files are not read: convert it to pairs in .tsv or .jsonl, or to two "
            "files of lines"
        )
    if texts:
        raise UsageError(
            f"{texts[0]} has one side only: name the file of the other side after it, or one file of pairs "
            "(.tsv, .jsonl, .tmx, .parquet)"
        )
    return named


def _name_texts(word: str, names: list[str], is_ordered: bool) -> NamedCorpus:
    """Return a file of pairs whose texts have these names, which are languages or those of `SIDES`."""
    for keys in SIDES:
        if set(keys) <= set(names):
            return NamedCorpus(word, [], keys=keys)
    return NamedCorpus(word, names, is_ordered)


def _name_files(texts: list[str]) -> NamedCorpus:
    """Return a corpus of two files, whose suffixes are languages or those of `SIDES`."""
    suffixes = tuple(map(_find_suffix, texts))
    if suffixes[::-1] in SIDES:
        texts = texts[::-1]
    return NamedCorpus(texts, [_find_suffix_language(text) for text in texts])


def _find_suffix(name: str) -> str:
    return Path(strip_compression(name)).suffix[1:]


def _find_suffix_language(name: str) -> str:
    """Return the language that the suffix of a file names; empty if it names none."""
    suffix = _find_suffix(name)
    return suffix if LANGUAGE.fullmatch(suffix) and suffix not in NO_LANGUAGES else ""


def _name_prefix(prefix: str, src: str | None, tgt: str | None) -> NamedCorpus:
    """Return the corpus PREFIX.LANGUAGE, or with the suffixes of `SIDES`; DataError if there is none."""
    path = Path(prefix)
    files = path.parent.glob("*") if path.parent.is_dir() else []
    names = [strip_compression(file.name) for file in files if file.is_file()]
    names = [name for name in names if Path(name).stem == path.name]
    suffixes, languages = set(map(_find_suffix, names)), sorted({*map(_find_suffix_language, names)} - {""})
    if len(languages) < 2 and not {src, tgt} <= suffixes:
        for keys in SIDES:
            if set(keys) <= suffixes:
                return NamedCorpus(prefix, [], keys=keys)
    if src and tgt:
        return NamedCorpus(prefix, [src, tgt], is_ordered=False)
    if len(languages) < 2:
        raise DataError(f"no file {prefix}, nor files {prefix}.LANGUAGE for two languages")
    return NamedCorpus(prefix, languages, is_ordered=False)


def _choose_languages(
    named: Sequence[NamedCorpus], src: str | None, tgt: str | None
) -> tuple[tuple[str, str], str]:
    """Return the languages of source and target, and their origin."""
    if src and tgt:
        return (src, tgt), "(as given)"
    for languages in (one.languages for one in named if len(one.languages) == 2 and all(one.languages)):
        first, second = languages
        if src or tgt:
            given = src or tgt
            if given not in languages:
                raise UsageError(f"the files are in {first} and {second}, not in {given}: check --src, --tgt")
            other = second if given == first else first
            return ((given, other) if src else (other, given)), "(by the files)"
        if all(one.is_ordered for one in named if one.languages == languages):
            return (first, second), "(by the files)"
        raise UsageError(
            f"found texts in {first} and {second}: say which is the source, by --src {first} --tgt {second} "
            f"or --src {second} --tgt {first}"
        )
    several = next((one.languages for one in named if len(one.languages) > 2), None)
    if several:
        raise UsageError(f"found texts in {', '.join(several)}: choose two by --src and --tgt")
    src, tgt = _add_suffix(named, src, tgt)
    if src and tgt:
        return (src, tgt), "(by the files)"
    return _detect_languages(named, src, tgt), "(detected in the text)"


def _add_suffix(
    named: Sequence[NamedCorpus], src: str | None, tgt: str | None
) -> tuple[str | None, str | None]:
    """Return the given languages with that of two files of which one alone has a language as its suffix."""
    for one in named:
        if isinstance(one.pairs, list) and any(one.languages):
            [language] = filter(None, one.languages)
            if not src and not tgt:
                return one.languages[0] or None, one.languages[1] or None
            return (src, tgt) if language in (src, tgt) else (src or language, tgt or language)
    return src, tgt


def _detect_languages(named: Sequence[NamedCorpus], src: str | None, tgt: str | None) -> tuple[str, str]:
    """Detect the languages in the text; UsageError if one is uncertain."""
    for one in named:
        if isinstance(one.pairs, str) and one.keys is None and pair_format(one.pairs) not in (None, ".tsv"):
            texts = ", ".join(map(repr, one.languages)) or "no text"
            raise DataError(
                f"{one.pairs}: its first entry has {texts}: expected texts in two languages, such as "
                '{"de": "…", "en": "…"} in JSON lines'
            )
    corpora = (_find_named(one, src, tgt) for one in named)
    pairs = list(islice(chain.from_iterable(map(read_pairs, corpora)), SAMPLED))
    found = [
        given or find_side_language([pair[side] for pair in pairs]) for side, given in enumerate((src, tgt))
    ]
    sides = (("--src", "de", "source"), ("--tgt", "en", "target"))
    for (option, code, side), language in zip(sides, found, strict=True):
        if language is None:
            raise UsageError(
                f"the language of the {side} side is not known: give it by {option} {code} "
                "(the extra `detect` installs py3langid, which detects it)"
            )
    return str(found[0]), str(found[1])
