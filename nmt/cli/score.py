"""`nmt score`: score translations with sacreBLEU."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options import FileOption, Json
from nmt.cli.paths import READ
from nmt.cli.progress import spinner
from nmt.cli.terminal import UNLIMITED, echo_note, format_table, to_json
from nmt.data.text import read_lines
from nmt.errors import UsageError
from nmt.evaluation.metrics import METRICS, Score, SystemScores, compare
from nmt.evaluation.metrics import score as evaluate
from nmt.evaluation.tokenizers import AUTO, choose_tokenizer, is_known_language
from nmt.operating_system import STANDARD_INPUT

STDIN = Path("-")
TOKENIZED_LINES = 100  # lines that end in " .", from which on text is taken to be tokenized, as by sacreBLEU
LOW_BLEU, HIGH_CHRF = 1.0, 30.0  # scores that one tokenizer can hardly give to the same translations


TestSet = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="References of a public test set, such as wmt17, with -l en-de."),
]
Language = Annotated[
    str | None,
    typer.Option("--language", "-l", metavar="CODE", help="Target language, such as zh, or en-zh."),
]
Metrics = Annotated[str, typer.Option("--metrics", "-m", metavar="NAME,...", help=f"{', '.join(METRICS)}.")]
PairedTestName = Annotated[
    str | None,
    typer.Option(
        metavar="bs|ar", help="Test: bs (paired bootstrap, the default) or ar (approximate randomization)."
    ),
]
Tokenize = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="BLEU tokenizer: auto, 13a, intl, char, zh, ja-mecab, ko-mecab, none ..."
    ),
]


def score(
    hyp: Annotated[
        list[Path], typer.Argument(help="Translations, one file for each system; - is stdin."), READ
    ],
    ref: Annotated[
        list[Path] | None, FileOption("--ref", "-r", help="Reference; repeat for several."), READ
    ] = None,
    test_set: TestSet = None,
    language: Language = None,
    metrics: Metrics = "bleu,chrf,ter",
    baseline: Annotated[Path | None, FileOption(help="Baseline system for significance tests."), READ] = None,
    paired: PairedTestName = None,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Bootstrap 95% confidence intervals.")
    ] = False,
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Ignore case.")] = False,
    tokenize: Tokenize = AUTO,
    json: Json = False,
) -> None:
    """Score translations with sacreBLEU, and print the signature of each score.

    The text must be detokenized, with one line for each line of the references.

    BLEU counts words. By default its tokenizer is chosen by --language, or else by
    the script of the references: zh for Chinese; for Japanese ja-mecab, for Korean
    ko-mecab, if installed (sacrebleu's extras ja and ko), else char; char for Thai,
    Khmer, Lao, Burmese and Tibetan; 13a, which splits words at spaces, for all others.
    The signature names it (tok:). chrF needs no tokenizer.
    """
    if paired and not baseline:
        raise UsageError("--paired tests the difference to a baseline: add --baseline FILE")
    names = [name.strip() for name in metrics.split(",")]
    refs = _read_references(ref or [], test_set, language)
    systems = _read_systems(([baseline] if baseline else []) + hyp, ref or [])
    if tokenize == AUTO:
        tokenize = choose_tokenizer(_find_target_language(language), refs[0])
    with spinner("scoring"):
        if baseline:
            test = paired or "bs"
            results = compare(systems, refs, names, test=test, lowercase=lowercase, tokenize=tokenize)
        else:
            evaluator = partial(evaluate, lowercase=lowercase, tokenize=tokenize, confidence=confidence)
            results = {name: evaluator(lines, refs, names, name=name) for name, lines in systems.items()}
    if json:
        typer.echo(to_json([SystemScores(*item).to_dict() for item in results.items()], indent=2))
    else:
        typer.echo(_format_blocks(results))
    _hint_at_tokenizer(results, refs[0])
    _hint_at_tokenized_text(systems)


def _read_references(files: Sequence[Path], test_set: str | None, language: str | None) -> list[list[str]]:
    if bool(files) == (test_set is not None):
        raise UsageError("give the references: either --ref FILE, or --test-set NAME --language en-de")
    if test_set is None:
        return [list(_read_text(path)) for path in files]
    from nmt.evaluation.public_test_sets import read_references

    return read_references(test_set, language)


def _read_systems(files: Sequence[Path], refs: Sequence[Path]) -> dict[str, list[str]]:
    if [*files, *refs].count(STDIN) > 1:
        raise UsageError("standard input (-) can be read once only")
    return {str(path): list(_read_text(path)) for path in files}


def _read_text(path: Path) -> list[str]:
    """Read lines; segments of words are joined, since scores are of words."""
    from nmt.data.vocabulary.codes import is_segmented, join_segments

    lines = list(read_lines(STANDARD_INPUT if path == STDIN else path))
    if not is_segmented(lines):
        return lines
    echo_note(f"{path}: the segments of subword-nmt (be@@ tter) were joined before scoring")
    return list(map(join_segments, lines))


def _find_target_language(language: str | None) -> str | None:
    """Return the target of a pair such as `en-zh`; a tag such as `zh-TW` is one language."""
    source, _, target = (language or "").partition("-")
    return target if is_known_language(source) and is_known_language(target) else language


def _hint_at_tokenizer(results: Mapping[str, Sequence[Score]], ref: Sequence[str]) -> None:
    """Explain a BLEU near 0 next to a high chrF."""
    for system, scores in results.items():
        values = {score.name.rstrip("+0123456789"): score for score in scores}
        bleu, chrf = values.get("BLEU"), values.get("chrF")
        if bleu and chrf and bleu.value < LOW_BLEU and chrf.value >= HIGH_CHRF:
            fitting = choose_tokenizer(None, ref)
            if f"tok:{fitting}" in bleu.signature:
                why = "BLEU needs runs of four words, which few or short lines hardly have; compare by chrF"
            else:
                why = f"its tokenizer does not split this text into words; try --tokenize {fitting}"
            echo_note(f"{system}: BLEU is {bleu.value:.2f}, but chrF {chrf.value:.2f}: {why}")


def _hint_at_tokenized_text(systems: Mapping[str, Sequence[str]]) -> None:
    for system, lines in systems.items():
        count = sum(line.endswith(" .") for line in lines)
        if count >= TOKENIZED_LINES:
            echo_note(f"{system}: {count:,} lines end in ' .'; scores need detokenized text")


def _format_blocks(results: dict[str, list[Score]]) -> str:
    """Format a block for each system, then the signatures, which all systems share."""
    blocks = []
    for system, scores in results.items():
        table = format_table(map(_format_row, scores), align="lrl", widths=(7, 7), indent=2, width=UNLIMITED)
        blocks.append(f"{system}\n{table}\n")
    signatures = [score.full_signature for score in next(iter(results.values()))]
    return "\n".join(blocks + signatures)


def _format_row(score: Score) -> list[str]:
    notes = []
    if score.interval is not None:
        notes.append(f"  95%: {score.mean:.2f} ± {score.interval:.2f}")
    if score.p_value is not None:
        verdict = "significant" if score.beyond_chance else "not significant"
        notes.append(f"  p = {score.p_value:.4f} ({verdict})")
    return [score.name, f"{score.value:.2f}", " ".join(notes)]
