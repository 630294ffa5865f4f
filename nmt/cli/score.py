"""`nmt score`: how good translations are, with everything that makes the number comparable."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.errors import UsageError
from nmt.evaluation.metrics import METRICS

if TYPE_CHECKING:
    from nmt.evaluation.metrics import Score


def score(
    hyp: Annotated[
        list[Path], typer.Argument(help="Translations, one file for each system.", show_default=False)
    ],
    ref: Annotated[
        list[Path], typer.Option("--ref", "-r", help="Reference; repeat it for several.", show_default=False)
    ],
    metrics: Annotated[
        str, typer.Option("--metrics", "-m", help=f"{', '.join(METRICS)}, by comma.")
    ] = "bleu,chrf,ter",
    baseline: Annotated[
        Path | None, typer.Option(help="Another system: is the difference to it more than chance?")
    ] = None,
    paired: Annotated[
        str | None,
        typer.Option(help="How that is tested: bs (bootstrap, the default) or ar (randomisation)."),
    ] = None,
    confidence: Annotated[bool, typer.Option("--confidence", help="95% intervals, by bootstrap.")] = False,
    lowercase: Annotated[bool, typer.Option("--lowercase", "-l", help="Score in lower case.")] = False,
    tokenize: Annotated[
        str | None,
        typer.Option(help="BLEU's tokenizer: 13a (default), intl, char, zh, ja-mecab, ko-mecab, none ..."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Score translations with sacreBLEU; each score has its signature, which belongs beside the number.

    The text must be detokenised, a line for each line of the references.
    BLEU splits words as 13a does, which suits text with spaces. A Korean
    word with its particles is one word to 13a: `--tokenize ko-mecab`
    (sacrebleu's extra `ko`) takes them apart, `char` counts syllables,
    and chrF needs no tokenizer.
    """
    from nmt.data.text import read_lines
    from nmt.evaluation import metrics as scores

    if paired and not baseline:
        raise UsageError("--paired tests the difference to a baseline: name one with --baseline FILE")
    names = [name.strip() for name in metrics.split(",")]
    refs = [list(read_lines(path)) for path in ref]
    systems = {str(path): list(read_lines(path)) for path in ([baseline] if baseline else []) + hyp}
    if baseline:
        found = scores.compare(
            systems, refs, names, test=paired or "bs", lowercase=lowercase, tokenize=tokenize
        )
    else:
        found = {
            name: scores.score(
                lines, refs, names, lowercase=lowercase, tokenize=tokenize, confidence=confidence, name=name
            )
            for name, lines in systems.items()
        }
    typer.echo(_json(found) if as_json else _table(found))


def _json(found: dict[str, list["Score"]]) -> str:
    systems = [
        {
            "system": system,
            "scores": [{k: v for k, v in s._asdict().items() if v is not None} for s in of_system],
        }
        for system, of_system in found.items()
    ]
    return json.dumps(systems, indent=2, ensure_ascii=False)


def _table(found: dict[str, list["Score"]]) -> str:
    """A block for each system, a line for each score; then the signatures, which all systems share."""
    lines = []
    for system, of_system in found.items():
        lines += [system, *(_line(one) for one in of_system), ""]
    return "\n".join(lines + [f"{one.name}|{one.signature}" for one in next(iter(found.values()))])


def _line(score: "Score") -> str:
    text = f"  {score.name:<8}{score.value:7.2f}"
    if score.interval is not None:
        text += f"   95%: {score.mean:.2f} ± {score.interval:.2f}"
    if score.p_value is not None:
        verdict = "differs" if score.beyond_chance else "may be chance"
        text += f"   p = {score.p_value:.4f} ({verdict})"
    return text
