"""`nmt clean`: filter unsuitable pairs out of a corpus."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options import CountOption, NumberOption
from nmt.cli.paths import CHECKED_LATER, READ
from nmt.cli.progress import spinner
from nmt.data.pairs import find_corpus, open_pair_writer, pair_format
from nmt.data.text import strip_compression
from nmt.errors import UsageError

if TYPE_CHECKING:
    from nmt.data.pair_rules import CleaningRules, FilterReport

Input = Annotated[
    list[str],
    typer.Argument(
        metavar="IN...",
        help="A file of pairs (.tsv, .jsonl, .tmx, .parquet), two files, or a prefix with --src and --tgt.",
    ),
    READ,
]


def _check_share(share: float) -> float:
    """Refuse a number that is not a share; a range of the option would widen its column in the help."""
    if not 0.0 <= share <= 1.0:
        raise typer.BadParameter(f"{share:g} is not between 0 and 1")
    return share


def clean(
    names: Input,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="OUT", help="A .tsv or .jsonl file, or a prefix for two."),
        CHECKED_LATER,
    ],
    src: Annotated[str | None, typer.Option(metavar="DE", help="Source suffix or column.")] = None,
    tgt: Annotated[str | None, typer.Option(metavar="EN", help="Target suffix or column.")] = None,
    min_words: Annotated[int, CountOption(help="Minimum words per side.")] = 1,
    max_words: Annotated[int | None, CountOption(help="Maximum words per side.")] = None,
    max_characters: Annotated[int | None, CountOption(help="Maximum characters per side.")] = None,
    max_ratio: Annotated[
        float | None, NumberOption(min=1.0, help="Maximum ratio of words between sides.")
    ] = None,
    scripts: Annotated[
        str | None, typer.Option(metavar="SRC,TGT", help="Scripts, such as Hangul,Latin.")
    ] = None,
    share: Annotated[
        float,
        NumberOption(
            callback=_check_share, help="Minimum share, 0 to 1, of a side's letters in its scripts."
        ),
    ] = 0.5,
    identical: Annotated[bool, typer.Option(help="Remove, or keep, pairs with two equal sides.")] = True,
    duplicates: Annotated[bool, typer.Option(help="Remove, or keep, repeated pairs.")] = True,
) -> None:
    """Filter a corpus, and report how many pairs each rule removed.

    Pairs with a blank side or with control characters (also line ends and tabs
    inside a text) are always removed.
    """
    from nmt.data.pair_rules import CleaningRules
    from nmt.data.script import parse_scripts

    if max_words is not None and min_words > max_words:
        raise UsageError(f"--min-words {min_words} is greater than --max-words {max_words}")
    rules = CleaningRules(
        min_words=min_words,
        max_words=max_words,
        max_characters=max_characters,
        max_ratio=max_ratio,
        scripts=None if scripts is None else parse_scripts(scripts),
        share=share,
        identical=identical,
        duplicates=duplicates,
    )
    typer.echo(_write_clean_pairs(names, output, find_languages(names, output, src, tgt), rules))


def _write_clean_pairs(
    names: list[str], output: str, languages: tuple[str, str], rules: "CleaningRules"
) -> "FilterReport":
    """Write the pairs that pass the rules, and report on all of them."""
    from nmt.data.pair_rules import FilterReport, clean_pairs

    pairs = names[0] if len(names) == 1 else names
    corpus = find_corpus(pairs, root=Path(), src=languages[0], tgt=languages[1])
    report = FilterReport()
    with spinner(f"reading {corpus}"), open_pair_writer(output, languages, inputs=corpus.files) as write:
        for pair in clean_pairs([corpus], rules, [report]):
            write(*pair)
    return report


def find_languages(names: list[str], output: str, src: str | None, tgt: str | None) -> tuple[str, str]:
    """Return the given languages, or the suffixes of two files; UsageError if needed but unknown."""
    if len(names) > 2:
        raise UsageError(f"{len(names)} input files: give one file of pairs, two files, or a prefix")
    two = len(names) == 2
    suffixes = [Path(strip_compression(name)).suffix[1:] for name in names] if two else ["", ""]
    languages = src or suffixes[0], tgt or suffixes[1]
    unnamed = (two or pair_format(names[0]) == ".tsv") and pair_format(output) == ".tsv"
    if not (unnamed or all(languages)):
        raise UsageError(
            "the languages of the pairs are not known: add --src and --tgt, as --src de --tgt en"
        )
    return languages
