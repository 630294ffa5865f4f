"""The options of `nmt translate`, each with its help, and the tuple that carries them."""

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import typer

FILES, FORM, JOB = "Files", "Form of the output", "Job"
SEARCH, SAMPLING, WISHES, SEVERAL = "Search", "Sampling and diversity", "Wishes", "Several models or outputs"

Kind = Literal["none", "gnmt", "average", "reward"]
Average = Literal["mean", "log"]
Utility = Literal["chrf", "bleu"]
Format = Literal["plain", "scored", "moses", "fairseq", "json"]

Model = Annotated[Path, typer.Argument(help="A run or a model directory.", show_default=False)]

Source = Annotated[
    Path | None,
    typer.Option("--input", "-i", "--src", help="Lines; else standard input.", rich_help_panel=FILES),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Translations; else standard output.", rich_help_panel=FILES),
]
Alignments = Annotated[
    Path | None,
    typer.Option(help="What each word looked at, as 0-0 1-2.", rich_help_panel=FILES),
]

Form = Annotated[
    Format | None,
    typer.Option(
        "--format", metavar="FORM", help="plain, scored, moses, fairseq or json.", rich_help_panel=FORM
    ),
]
Scores = Annotated[bool, typer.Option("--scores", help="Score, tab, translation.", rich_help_panel=FORM)]
NBest = Annotated[
    int | None,
    typer.Option(
        "--n-best",
        "--n_best",
        min=1,
        metavar="N",
        help="Candidates of each line, as Moses writes.",
        rich_help_panel=FORM,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="A JSON object a line, in and out.", rich_help_panel=FORM)]
Field = Annotated[str, typer.Option(help="Where a JSON object has its text.", rich_help_panel=FORM)]
Details = Annotated[
    bool,
    typer.Option("--details", help="In JSON: pieces, their log probs, alignment.", rich_help_panel=FORM),
]

Beam = Annotated[
    int | None,
    typer.Option(
        "--beam", "--beam_size", min=1, metavar="N", help="Width; 1 is greedy.", rich_help_panel=SEARCH
    ),
]
LengthPenaltyKind = Annotated[
    Kind, typer.Option(metavar="KIND", help="none, gnmt, average or reward.", rich_help_panel=SEARCH)
]
LengthPenalty = Annotated[
    float | None,
    typer.Option(metavar="X", help="GNMT's alpha, or the reward of a piece.", rich_help_panel=SEARCH),
]
CoveragePenalty = Annotated[
    float,
    typer.Option(
        min=0.0, metavar="X", help="GNMT's beta: source not looked at costs.", rich_help_panel=SEARCH
    ),
]
MinRatio = Annotated[
    float,
    typer.Option(min=0.0, metavar="X", help="Pieces per source piece, at least.", rich_help_panel=SEARCH),
]
MaxRatio = Annotated[
    float | None,
    typer.Option(min=0.0, metavar="X", help="Pieces per source piece, at most ...", rich_help_panel=SEARCH),
]
MaxExtra = Annotated[
    int | None, typer.Option(min=0, metavar="N", help="... and so many more.", rich_help_panel=SEARCH)
]
NoUnk = Annotated[bool, typer.Option("--no-unk", help="Never write <unk>.", rich_help_panel=SEARCH)]
NoRepeatNgram = Annotated[
    int,
    typer.Option(min=0, metavar="N", help="No sequence of N pieces twice; 0: any.", rich_help_panel=SEARCH),
]
MaxLength = Annotated[
    int, typer.Option(min=1, metavar="N", help="Pieces; longer lines go in parts.", rich_help_panel=SEARCH)
]
UnkReplace = Annotated[
    bool,
    typer.Option("--unk-replace", help="For <unk> the most attended source word.", rich_help_panel=SEARCH),
]

Sample = Annotated[
    bool, typer.Option("--sample", help="Draw instead of searching.", rich_help_panel=SAMPLING)
]
Temperature = Annotated[float, typer.Option(metavar="X", help="Below 1 is tamer.", rich_help_panel=SAMPLING)]
TopK = Annotated[
    int, typer.Option(min=0, metavar="N", help="Of the K best pieces; 0: all.", rich_help_panel=SAMPLING)
]
TopP = Annotated[
    float,
    typer.Option(metavar="X", help="Of the best pieces that have this share.", rich_help_panel=SAMPLING),
]
Seed = Annotated[
    int, typer.Option(min=0, metavar="N", help="The same seed, the same draws.", rich_help_panel=SAMPLING)
]
Groups = Annotated[
    int,
    typer.Option(
        min=1, metavar="N", help="Of the beam, each led away from others.", rich_help_panel=SAMPLING
    ),
]
Diversity = Annotated[
    float,
    typer.Option(
        min=0.0, metavar="X", help="What a piece of an earlier group costs.", rich_help_panel=SAMPLING
    ),
]

Prefix = Annotated[
    Path | None, typer.Option(metavar="FILE", help="How each output begins.", rich_help_panel=WISHES)
]
Must = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Phrases, by tab, that it must hold.", rich_help_panel=WISHES),
]
MustNot = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Phrases it must not hold.", rich_help_panel=WISHES)
]

Ensemble = Annotated[
    list[Path] | None,
    typer.Option(metavar="RUN", help="Another model; repeat for more.", rich_help_panel=SEVERAL),
]
Weights = Annotated[
    str | None, typer.Option(metavar="W,W,...", help="Of MODEL and the others.", rich_help_panel=SEVERAL)
]
AverageOf = Annotated[
    Average,
    typer.Option("--average", help="Of probabilities, or their logarithms.", rich_help_panel=SEVERAL),
]
Lm = Annotated[
    Path | None,
    typer.Option(metavar="RUN", help="A language model of the same pieces.", rich_help_panel=SEVERAL),
]
LmWeight = Annotated[
    float,
    typer.Option(metavar="W", min=0.0, help="Of its log probabilities.", rich_help_panel=SEVERAL),
]
Mbr = Annotated[
    Utility | None,
    typer.Option(help="Choose the output that agrees best with others.", rich_help_panel=SEVERAL),
]
Samples = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Draws to choose from; else the beam.", rich_help_panel=SEVERAL),
]

Shortlist = Annotated[
    bool,
    typer.Option(
        "--shortlist/--no-shortlist", help="Likely pieces only: nmt shortlist.", rich_help_panel=SEARCH
    ),
]

Batch = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Sentences at a time.", rich_help_panel=JOB)
]
ReadAhead = Annotated[
    int,
    typer.Option(min=0, metavar="N", help="Batches; 0 answers each line as it comes.", rich_help_panel=JOB),
]
WorkerCount = Annotated[
    int,
    typer.Option("--workers", min=1, metavar="N", help="Processes, of one thread each.", rich_help_panel=JOB),
]
Threads = Annotated[
    int, typer.Option(min=1, metavar="N", help="CPU threads; one is best if in doubt.", rich_help_panel=JOB)
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with OUTPUT.part after a kill.", rich_help_panel=JOB)
]
ShardText = Annotated[
    str | None,
    typer.Option("--shard", metavar="K/N", help="Only this share; see nmt merge.", rich_help_panel=JOB),
]
Verify = Annotated[
    int,
    typer.Option(min=0, metavar="N", help="Prove N lines in other batches.", rich_help_panel=JOB),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only notes on lines.", rich_help_panel=JOB)]


class Command(NamedTuple):
    """What was asked for on the command line; None is as the recipe says."""

    model: Path
    source: Path | None
    output: Path | None
    alignments: Path | None
    form: Format | None
    scores: bool
    n_best: int | None
    json: bool
    field: str
    details: bool
    beam: int | None
    length_penalty_kind: Kind
    length_penalty: float | None
    coverage_penalty: float
    min_ratio: float
    max_ratio: float | None
    max_extra: int | None
    no_unk: bool
    no_repeat_ngram: int
    max_length: int
    unk_replace: bool
    sample: bool
    temperature: float
    top_k: int
    top_p: float
    seed: int
    groups: int
    diversity: float
    prefix: Path | None
    must: Path | None
    must_not: Path | None
    ensemble: list[Path] | None
    weights: str | None
    average: Average
    lm: Path | None
    lm_weight: float
    mbr: Utility | None
    samples: int | None
    shortlist: bool
    batch: int | None
    read_ahead: int
    workers: int
    threads: int
    resume: bool
    shard: str | None
    verify: int
    quiet: bool

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
