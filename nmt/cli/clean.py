"""`nmt clean`: the pairs of a corpus that are worth learning from."""

from pathlib import Path
from typing import Annotated

import typer

from nmt.errors import UsageError

In = Annotated[
    list[str],
    typer.Argument(
        metavar="IN...",
        help="A file of pairs (.tsv, .jsonl, .tmx, .parquet), two files, or a prefix with --src and --tgt.",
        show_default=False,
    ),
]
Out = Annotated[
    str,
    typer.Option("--output", "-o", help="A .tsv or .jsonl file, or the prefix of two.", show_default=False),
]
Src = Annotated[str | None, typer.Option(metavar="DE", help="Source: suffix or column.")]
Tgt = Annotated[str | None, typer.Option(metavar="EN", help="Target.")]
MinWords = Annotated[int, typer.Option(min=1, metavar="N", help="Of either side, at least.")]
MaxWords = Annotated[int | None, typer.Option(min=1, metavar="N", help="Of either side, at most.")]
MaxCharacters = Annotated[int | None, typer.Option(min=1, metavar="N", help="Of either side.")]
MaxRatio = Annotated[
    float | None, typer.Option(min=1.0, metavar="X", help="Words of one side per word of the other.")
]
Scripts = Annotated[
    str | None, typer.Option(metavar="SRC,TGT", help="As Hangul,Latin or Han+Hiragana,Latin.")
]
Share = Annotated[
    float, typer.Option(min=0.0, max=1.0, metavar="X", help="Of a side's letters in its scripts.")
]
Identical = Annotated[bool, typer.Option("--identical/--no-identical", help="Remove equal sides.")]
Duplicates = Annotated[
    bool, typer.Option("--duplicates/--no-duplicates", help="Remove pairs that came before.")
]


def clean(
    names: In,
    output: Out,
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
    """Write the pairs of a corpus without those that teach nothing, and say what each rule removed.

    Blank sides and control characters (line ends and tabs inside a text, too) are always removed.
    """
    from rich.console import Console

    from nmt.data import pair_rules
    from nmt.data.pairs import find_corpus, written
    from nmt.data.script import read_scripts

    if len(names) > 2:
        raise UsageError(f"{len(names)} files: give one file of pairs, two files, or a prefix")
    if max_words is not None and min_words > max_words:
        raise UsageError(f"--min-words {min_words} is more than --max-words {max_words}")
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
    reading = Console(stderr=True).status(f"reading {corpus}")  # shown on a terminal only
    with reading, written(output, languages, beside=corpus.files) as write:
        for pair in pair_rules.clean(corpus, rules, report):
            write(*pair)
    typer.echo(report)


def _languages(names: list[str], output: str, src: str | None, tgt: str | None) -> tuple[str, str]:
    """As they are given, or as two files are called; UsageError where they are needed and not known."""
    from nmt.data.formats import form_of
    from nmt.data.text import bare_name

    called = [Path(bare_name(name)).suffix[1:] for name in names] if len(names) == 2 else ["", ""]
    found = src or called[0], tgt or called[1]
    named = (len(names) == 2 or form_of(names[0]) == ".tsv") and form_of(output) == ".tsv"
    if not (named or all(found)):
        raise UsageError("say which languages the pairs are in: --src de --tgt en")
    return found
