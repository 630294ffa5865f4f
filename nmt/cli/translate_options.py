"""The options of `nmt translate` as a named tuple."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import typer

from nmt.cli.options import INT8_HELP, TrustCode
from nmt.cli.paths import READ, READ_OR_STDIN, WRITTEN_FILE
from nmt.decoding import READ_AHEAD
from nmt.evaluation.metrics import METRICS

# Panels of the help.
in_files = partial(typer.Option, rich_help_panel="Files", metavar="FILE")
in_format = partial(typer.Option, rich_help_panel="Output format")
in_search = partial(typer.Option, rich_help_panel="Search")
search_count = partial(in_search, metavar="N", min=1)
search_number = partial(in_search, metavar="X", min=0.0)
in_sampling = partial(typer.Option, rich_help_panel="Sampling and diversity")
in_constraints = partial(typer.Option, rich_help_panel="Lexical constraints", metavar="FILE")
in_ensembles = partial(typer.Option, rich_help_panel="Ensembles and reranking")
in_job = partial(typer.Option, rich_help_panel="Job")
job_count = partial(in_job, metavar="N", min=1)

Normalisation = Literal["none", "gnmt", "average", "reward"]
Average = Literal["mean", "log"]
Split = Literal["auto", "never"]
Format = Literal["plain", "scored", "moses", "fairseq", "json"]


class TranslateOptions(NamedTuple):
    """Options of `nmt translate`. None: the recipe's setting."""

    model: Annotated[Path, typer.Argument(help="A run, a model directory, an export or hf:USER/NAME."), READ]
    source: Annotated[
        Path | None, in_files("--input", "-i", "--src", help="Input; by default stdin."), READ_OR_STDIN
    ] = None
    output: Annotated[
        Path | None, in_files("--output", "-o", help="Translations; by default stdout."), WRITTEN_FILE
    ] = None
    alignments: Annotated[
        Path | None, in_files(help="Word alignments by attention, as 0-0 1-2."), WRITTEN_FILE
    ] = None
    form: Annotated[
        Format | None, in_format("--format", metavar="FORMAT", help="plain, scored, moses, fairseq or json.")
    ] = None
    scores: Annotated[bool, in_format("--scores", help="Print score, tab, translation.")] = False
    quality: Annotated[
        bool, in_format("--quality", help="Add the probability that a line is good; see `nmt tune`.")
    ] = False
    n_best: Annotated[
        int | None,
        in_format("--n-best", "--n_best", min=1, metavar="N", help="Print n-best lists as Moses does."),
    ] = None
    json: Annotated[bool, in_format("--json", help="Read and write a JSON object per line.")] = False
    field: Annotated[str, in_format(metavar="NAME", help="JSON field of the text.")] = "text"
    details: Annotated[bool, in_format("--details", help="Add tokens and alignment to JSON.")] = False
    beam: Annotated[
        int | None, search_count("--beam", "--beam_size", help="Beam size; 1 is greedy search.")
    ] = None
    length_penalty_kind: Annotated[
        Normalisation, in_search(metavar="KIND", help="none, gnmt, average or reward.")
    ] = "gnmt"
    length_penalty: Annotated[float | None, in_search(help="GNMT's alpha, or the reward per token.")] = None
    coverage_penalty: Annotated[float, search_number(help="GNMT's beta (coverage).")] = 0.0
    min_ratio: Annotated[float, search_number(help="Minimum tokens per source token.")] = 0.0
    max_ratio: Annotated[float | None, search_number(help="Maximum tokens per source token ...")] = None
    max_extra: Annotated[int | None, search_count(min=0, help="... plus this many.")] = None
    no_unk: Annotated[bool, in_search("--no-unk", help="Never output <unk>.")] = False
    no_repeat_ngram: Annotated[
        int, search_count(min=0, help="Never repeat n-grams of this size; 0: allow.")
    ] = 0
    split: Annotated[Split, in_search(metavar="auto|never", help="Split lines into sentences, or never.")] = (
        "auto"
    )
    max_length: Annotated[
        int | None,
        search_count(
            help="Source tokens at most that are translated together; by default from the training data."
        ),
    ] = None
    unk_replace: Annotated[bool, in_search("--unk-replace", help="Copy the source word for <unk>.")] = False
    sample: Annotated[bool, in_sampling("--sample", help="Sample instead of beam search.")] = False
    temperature: Annotated[float, in_sampling(help="Below 1 makes likely tokens likelier.")] = 1.0
    top_k: Annotated[int, in_sampling(min=0, metavar="N", help="Sample from the best tokens; 0: all.")] = 0
    top_p: Annotated[float, in_sampling(help="Sample from this probability mass.")] = 1.0
    seed: Annotated[int, in_sampling(min=0, metavar="N", help="Random seed.")] = 1
    groups: Annotated[int, in_sampling(min=1, metavar="N", help="Groups of diverse beam search.")] = 1
    diversity: Annotated[
        float, in_sampling(min=0.0, metavar="X", help="Penalty for tokens of earlier groups.")
    ] = 0.5
    prefix: Annotated[Path | None, in_constraints(help="Line n: how translation n begins."), READ] = None
    must: Annotated[
        Path | None,
        in_constraints(help="Line n: phrases that translation n contains, with tabs between them."),
        READ,
    ] = None
    must_not: Annotated[
        Path | None, in_constraints(help="Line n: phrases that translation n does not contain."), READ
    ] = None
    glossary: Annotated[
        Path | None,
        in_constraints(help="Lines of a source term, a tab and its translation, or also suggested."),
        READ,
    ] = None
    suggestion_margin: Annotated[
        float | None,
        in_constraints(metavar="X", min=0.0, help="What a suggested term may cost in score (1)."),
    ] = None
    ensemble: Annotated[
        list[Path] | None, in_ensembles(metavar="RUN", help="Another model; repeat for more."), READ
    ] = None
    weights: Annotated[
        str | None, in_ensembles(metavar="W,W,...", help="Weights of MODEL and the other models.")
    ] = None
    average: Annotated[Average, in_ensembles("--average", help="Average probabilities, or their logs.")] = (
        "mean"
    )
    lm: Annotated[Path | None, in_ensembles(metavar="RUN", help="A language model to add."), READ] = None
    lm_weight: Annotated[float, in_ensembles(min=0.0, metavar="X", help="Weight of the language model.")] = (
        0.2
    )
    mbr: Annotated[
        str | None,
        in_ensembles(metavar="METRIC", help=f"Minimum Bayes risk decoding by {', '.join(METRICS)}."),
    ] = None
    samples: Annotated[int | None, in_ensembles(min=1, metavar="N", help="Sampled candidates for --mbr.")] = (
        None
    )
    shortlist: Annotated[
        bool,
        in_search("--shortlist/--no-shortlist", help="Consider likely tokens only; see `nmt shortlist`."),
    ] = False
    int8: Annotated[bool, in_job("--int8", help=INT8_HELP)] = False
    batch: Annotated[int | None, job_count("--batch", "--batch-size", help="Sentences per batch.")] = None
    read_ahead: Annotated[int, job_count(min=0, help="Batches to read ahead; 0: answer line by line.")] = (
        READ_AHEAD
    )
    workers: Annotated[int, job_count("--workers", help="Processes, with one thread each.")] = 1
    threads: Annotated[int, job_count(help="CPU threads; usually 1 is fastest.")] = 1
    resume: Annotated[bool, in_job("--resume", help="Resume the job of OUTPUT.part.")] = False
    shard: Annotated[
        str | None, in_job("--shard", metavar="K/N", help="Translate part K of N; see `nmt merge`.")
    ] = None
    verify: Annotated[int, job_count(min=0, help="Lines to translate again as a check.")] = 0
    quiet: Annotated[bool, in_job("--quiet", "-q", help="Print warnings only.")] = False
    trust_code: TrustCode = False

    @property
    def output_format(self) -> Format:
        """The format of --format, or the one that other options imply."""
        implied: Format = (
            "json" if self.json else "moses" if self.n_best else "scored" if self.scores else "plain"
        )
        return self.form or implied

    @property
    def outputs(self) -> list[Path | None]:
        """The file of each output stream; None is stdout."""
        return [self.output, self.alignments] if self.alignments else [self.output]

    def identity(self) -> dict[str, Any]:
        """Return the options besides models and search that determine the output, as JSON values."""
        names = ("n_best", "json", "details", "mbr", "weights", "average", "shard")
        return {
            **{f"--{name.replace('_', '-')}": getattr(self, name) for name in names},
            "--format": self.output_format,
            "--field": self.field if self.json else None,
            "--lm-weight": self.lm_weight if self.lm else None,
            "--alignments": str(self.alignments) if self.alignments else None,
        }
