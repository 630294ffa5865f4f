"""The options of `nmt translate`, each with its help, and the tuple that carries them."""

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import typer

FILES = "Files"
FORM = "Form"
SEARCH = "Search (as the recipe says, unless said here)"
JOB = "Job"

Model = Annotated[Path, typer.Argument(help="A run or a model directory.", show_default=False)]

Source = Annotated[
    Path | None,
    typer.Option(
        "--input", "-i", "--src", help="Lines to translate; else standard input.", rich_help_panel=FILES
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Where they go; else standard output.", rich_help_panel=FILES),
]
Alignments = Annotated[
    Path | None,
    typer.Option(help="Write here which source word each word looked at (0-0 1-2).", rich_help_panel=FILES),
]

Format = Literal["plain", "scored", "moses", "fairseq", "json"]
Form = Annotated[
    Format | None,
    typer.Option("--format", help="Plain, unless asked for otherwise.", rich_help_panel=FORM),
]
Scores = Annotated[bool, typer.Option("--scores", help="Score, tab, translation.", rich_help_panel=FORM)]
NBest = Annotated[
    int | None,
    typer.Option(
        "--n-best", "--n_best", min=1, help="Candidates of each line, in Moses' format.", rich_help_panel=FORM
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="JSON objects in and out, a line each.", rich_help_panel=FORM)
]
Field = Annotated[
    str, typer.Option(help="The field that holds the text of a JSON line.", rich_help_panel=FORM)
]
Details = Annotated[
    bool,
    typer.Option(
        "--details", help="In JSON: pieces with log probabilities, alignment.", rich_help_panel=FORM
    ),
]

Beam = Annotated[
    int | None,
    typer.Option(
        "--beam", "--beam_size", min=1, help="Width of the search; 1 is greedy.", rich_help_panel=SEARCH
    ),
]
LengthPenalty = Annotated[
    float | None,
    typer.Option(min=0.0, help="GNMT's alpha; 0: sum of log probabilities.", rich_help_panel=SEARCH),
]
MaxLength = Annotated[
    int,
    typer.Option(
        min=1, help="Source pieces translated at once; longer lines go in parts.", rich_help_panel=SEARCH
    ),
]

Batch = Annotated[int | None, typer.Option(min=1, help="Sentences translated together.", rich_help_panel=JOB)]
ReadAhead = Annotated[
    int,
    typer.Option(min=0, help="Batches read ahead; 0 answers each line as it comes.", rich_help_panel=JOB),
]
WorkerCount = Annotated[
    int, typer.Option("--workers", min=1, help="Processes, of one thread each.", rich_help_panel=JOB)
]
Threads = Annotated[
    int,
    typer.Option(
        min=1, help="CPU threads; a step is small: more pay on idle cores only.", rich_help_panel=JOB
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with OUTPUT.part after a kill.", rich_help_panel=JOB)
]
ShardText = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="K/N",
        help="Only the k-th of n shares of the input; see nmt merge.",
        rich_help_panel=JOB,
    ),
]
Verify = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Translate N lines again in other batches; exit 1 if they differ.",
        rich_help_panel=JOB,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No progress and no summary; notes stay.", rich_help_panel=JOB),
]


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
    length_penalty: float | None
    max_length: int
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
        """What shapes the output besides the search, in plain JSON values."""
        return {
            "--format": self.written_as,
            "--json": self.json,
            "--field": self.field if self.json else None,
            "--details": self.details,
            "--alignments": str(self.alignments) if self.alignments else None,
            "--shard": self.shard,
        }
