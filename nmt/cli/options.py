"""The options of `nmt translate`, each with its help, in the tuple that carries them."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import typer

from nmt.decoding import LONGEST_PART, READ_AHEAD
from nmt.evaluation.metrics import METRICS

# An option, in its panel of the help.
in_files = partial(typer.Option, rich_help_panel="Files")
in_form = partial(typer.Option, rich_help_panel="Form of the output")
in_search = partial(typer.Option, rich_help_panel="Search")
in_sampling = partial(typer.Option, rich_help_panel="Sampling and diversity")
in_wishes = partial(typer.Option, rich_help_panel="Wishes")
in_several = partial(typer.Option, rich_help_panel="Several models or outputs")
in_job = partial(typer.Option, rich_help_panel="Job")

Kind = Literal["none", "gnmt", "average", "reward"]
Average = Literal["mean", "log"]
Format = Literal["plain", "scored", "moses", "fairseq", "json"]


class Command(NamedTuple):
    """What `nmt translate` is asked for: the one list of its options. None is as the recipe says."""

    model: Annotated[Path, typer.Argument(help="A run or a model directory.", show_default=False)]
    source: Annotated[Path | None, in_files("--input", "-i", "--src", help="Lines; else standard input.")] = (
        None
    )
    output: Annotated[Path | None, in_files("--output", "-o", help="Translations; else standard output.")] = (
        None
    )
    alignments: Annotated[Path | None, in_files(help="What each word looked at, as 0-0 1-2.")] = None
    form: Annotated[
        Format | None, in_form("--format", metavar="FORM", help="plain, scored, moses, fairseq or json.")
    ] = None
    scores: Annotated[bool, in_form("--scores", help="Score, tab, translation.")] = False
    n_best: Annotated[
        int | None,
        in_form("--n-best", "--n_best", min=1, metavar="N", help="Candidates of each line, as Moses writes."),
    ] = None
    json: Annotated[bool, in_form("--json", help="A JSON object a line, in and out.")] = False
    field: Annotated[str, in_form(help="Where a JSON object has its text.")] = "text"
    details: Annotated[bool, in_form("--details", help="In JSON: pieces, their log probs, alignment.")] = (
        False
    )
    beam: Annotated[
        int | None, in_search("--beam", "--beam_size", min=1, metavar="N", help="Width; 1 is greedy.")
    ] = None
    length_penalty_kind: Annotated[Kind, in_search(metavar="KIND", help="none, gnmt, average or reward.")] = (
        "gnmt"
    )
    length_penalty: Annotated[
        float | None, in_search(metavar="X", help="GNMT's alpha, or the reward of a piece.")
    ] = None
    coverage_penalty: Annotated[
        float, in_search(min=0.0, metavar="X", help="GNMT's beta: source not looked at costs.")
    ] = 0.0
    min_ratio: Annotated[
        float, in_search(min=0.0, metavar="X", help="Pieces per source piece, at least.")
    ] = 0.0
    max_ratio: Annotated[
        float | None, in_search(min=0.0, metavar="X", help="Pieces per source piece, at most ...")
    ] = None
    max_extra: Annotated[int | None, in_search(min=0, metavar="N", help="... and so many more.")] = None
    no_unk: Annotated[bool, in_search("--no-unk", help="Never write <unk>.")] = False
    no_repeat_ngram: Annotated[
        int, in_search(min=0, metavar="N", help="No sequence of N pieces twice; 0: any.")
    ] = 0
    max_length: Annotated[int, in_search(min=1, metavar="N", help="Pieces; longer lines go in parts.")] = (
        LONGEST_PART
    )
    unk_replace: Annotated[
        bool, in_search("--unk-replace", help="For <unk> the most attended source word.")
    ] = False
    sample: Annotated[bool, in_sampling("--sample", help="Draw instead of searching.")] = False
    temperature: Annotated[float, in_sampling(metavar="X", help="Below 1 is tamer.")] = 1.0
    top_k: Annotated[int, in_sampling(min=0, metavar="N", help="Of the K best pieces; 0: all.")] = 0
    top_p: Annotated[float, in_sampling(metavar="X", help="Of the best pieces that have this share.")] = 1.0
    seed: Annotated[int, in_sampling(min=0, metavar="N", help="The same seed, the same draws.")] = 1
    groups: Annotated[
        int, in_sampling(min=1, metavar="N", help="Of the beam, each led away from others.")
    ] = 1
    diversity: Annotated[
        float, in_sampling(min=0.0, metavar="X", help="What a piece of an earlier group costs.")
    ] = 0.5
    prefix: Annotated[Path | None, in_wishes(metavar="FILE", help="How each output begins.")] = None
    must: Annotated[Path | None, in_wishes(metavar="FILE", help="Phrases, by tab, that it must hold.")] = None
    must_not: Annotated[Path | None, in_wishes(metavar="FILE", help="Phrases it must not hold.")] = None
    ensemble: Annotated[
        list[Path] | None, in_several(metavar="RUN", help="Another model; repeat for more.")
    ] = None
    weights: Annotated[str | None, in_several(metavar="W,W,...", help="Of MODEL and the others.")] = None
    average: Annotated[Average, in_several("--average", help="Of probabilities, or their logarithms.")] = (
        "mean"
    )
    lm: Annotated[Path | None, in_several(metavar="RUN", help="A language model of the same pieces.")] = None
    lm_weight: Annotated[float, in_several(metavar="W", min=0.0, help="Of its log probabilities.")] = 0.2
    mbr: Annotated[
        str | None,
        in_several(metavar="METRIC", help=f"Minimum Bayes risk by {', '.join(METRICS)}."),
    ] = None
    samples: Annotated[
        int | None, in_several(min=1, metavar="N", help="Draws to choose from; else the beam.")
    ] = None
    shortlist: Annotated[
        bool, in_search("--shortlist/--no-shortlist", help="Likely pieces only: nmt shortlist.")
    ] = False
    batch: Annotated[int | None, in_job(min=1, metavar="N", help="Sentences at a time.")] = None
    read_ahead: Annotated[
        int, in_job(min=0, metavar="N", help="Batches; 0 answers each line as it comes.")
    ] = READ_AHEAD
    workers: Annotated[
        int, in_job("--workers", min=1, metavar="N", help="Processes, of one thread each.")
    ] = 1
    threads: Annotated[int, in_job(min=1, metavar="N", help="CPU threads; one is best if in doubt.")] = 1
    resume: Annotated[bool, in_job("--resume", help="Go on with OUTPUT.part after a kill.")] = False
    shard: Annotated[str | None, in_job("--shard", metavar="K/N", help="Only this share; see nmt merge.")] = (
        None
    )
    verify: Annotated[int, in_job(min=0, metavar="N", help="Prove N lines in other batches.")] = 0
    quiet: Annotated[bool, in_job("--quiet", "-q", help="Only notes on lines.")] = False

    @property
    def written_as(self) -> Format:
        """The form of the output."""
        implied: Format = (
            "json" if self.json else "moses" if self.n_best else "scored" if self.scores else "plain"
        )
        return self.form or implied

    @property
    def outputs(self) -> list[Path | None]:
        """A place for each stream of the output; None is standard output."""
        return [self.output, self.alignments] if self.alignments else [self.output]

    def shape(self) -> dict[str, Any]:
        """What decides what comes out besides models and search, in plain JSON values."""
        return {
            "--format": self.written_as,
            "--n-best": self.n_best,
            "--json": self.json,
            "--field": self.field if self.json else None,
            "--details": self.details,
            "--mbr": self.mbr,
            "--weights": self.weights,
            "--average": self.average,
            "--lm-weight": self.lm_weight if self.lm else None,
            "--alignments": str(self.alignments) if self.alignments else None,
            "--shard": self.shard,
        }
