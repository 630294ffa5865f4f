"""`nmt clean`: a corpus without pairs that are not worth training on."""

from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.terminal import spinner
from nmt.errors import UsageError

Input = Annotated[
    list[str],
    typer.Argument(
        metavar="IN...",
        help="A file of pairs (.tsv, .jsonl, .tmx, .parquet), two files, or a prefix with --src and --tgt.",
    ),
]
CleanOutput = Annotated[
    str, typer.Option("--output", "-o", metavar="OUT", help="A .tsv or .jsonl file, or a prefix for two.")
]
Src = Annotated[str | None, typer.Option(metavar="DE", help="Source suffix or column.")]
Tgt = Annotated[str | None, typer.Option(metavar="EN", help="Target suffix or column.")]
MinWords = Annotated[int, typer.Option(min=1, metavar="N", help="Minimum words per side.")]
MaxWords = Annotated[int | None, typer.Option(min=1, metavar="N", help="Maximum words per side.")]
MaxCharacters = Annotated[int | None, typer.Option(min=1, metavar="N", help="Maximum characters per side.")]
MaxRatio = Annotated[
    float | None, typer.Option(min=1.0, metavar="X", help="Maximum ratio of words between sides.")
]
Scripts = Annotated[str | None, typer.Option(metavar="SRC,TGT", help="Scripts, such as Hangul,Latin.")]
Share = Annotated[
    float,
    typer.Option(min=0.0, max=1.0, metavar="X", help="Minimum share of a side's letters in its scripts."),
]
Identical = Annotated[
    bool, typer.Option("--identical/--no-identical", help="Remove pairs with two equal sides.")
]
Duplicates = Annotated[bool, typer.Option("--duplicates/--no-duplicates", help="Remove repeated pairs.")]


def clean(
    names: Input,
    output: CleanOutput,
    src: Src = None,
    tgt: Tgt = None,
    min_words: MinWords = 1,
    max_words: MaxWords = None,
    max_characters: MaxCharacters = None,
    max_ratio: MaxRatio = None,
    scripts: Scripts = None,
    share: Share = 0.5,
    identical: Identical = True,
    duplicates: Duplicates = True,
) -> None:
    """Filter a corpus, and report how many pairs each rule removed.

    Pairs with a blank side or with control characters (also line ends and tabs
    inside a text) are always removed.
    """
    from nmt.data import pair_rules
    from nmt.data.pairs import find_corpus, pair_writer
    from nmt.data.script import read_scripts

    if len(names) > 2:
        raise UsageError(f"{len(names)} input files: give one file of pairs, two files, or a prefix")
    if max_words is not None and min_words > max_words:
        raise UsageError(f"--min-words {min_words} is greater than --max-words {max_words}")
    languages = _languages(names, output, src, tgt)
    pairs = names[0] if len(names) == 1 else names
    corpus = find_corpus(pairs, root=Path(), src=languages[0], tgt=languages[1])
    rules = pair_rules.CleaningRules(
        min_words=min_words,
        max_words=max_words,
        max_characters=max_characters,
        max_ratio=max_ratio,
        scripts=None if scripts is None else read_scripts(scripts),
        share=share,
        identical=identical,
        duplicates=duplicates,
    )
    report = pair_rules.FilterReport()
    with spinner(f"reading {corpus}"), pair_writer(output, languages, inputs=corpus.files) as write:
        for pair in pair_rules.clean(corpus, rules, report):
            write(*pair)
    typer.echo(report)


def _languages(names: list[str], output: str, src: str | None, tgt: str | None) -> tuple[str, str]:
    """Return the languages that are given, or the suffixes of two files.

    Raises UsageError if they are needed but not known.
    """
    from nmt.data.pairs import pair_format
    from nmt.data.text import bare_name

    two = len(names) == 2
    suffixes = [Path(bare_name(name)).suffix[1:] for name in names] if two else ["", ""]
    languages = src or suffixes[0], tgt or suffixes[1]
    unnamed = (two or pair_format(names[0]) == ".tsv") and pair_format(output) == ".tsv"
    if not (unnamed or all(languages)):
        raise UsageError(
            "the languages of the pairs are not known: add --src and --tgt, as --src de --tgt en"
        )
    return languages
