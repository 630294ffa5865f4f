"""Recipes: a typed, strict tree for each task. Every setting, its default and its meaning stand here once."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from nmt.recipe.fields import Choice, Conflict, Count, Section
from nmt.recipe.schema.data import Data, Subwords, Text, TextSubwords
from nmt.recipe.schema.stacks import Decoder, Dropout, Encoder, TextDecoder
from nmt.recipe.schema.training import TextTraining, Training


class Search(Section):
    """How a translation is looked for."""

    beam: Count = Field(5, description="Hypotheses kept at each position; 1 is greedy.")
    length_penalty: float = Field(
        1.0,
        ge=0.0,
        description="GNMT's alpha (Wu et al., 2016, eq. 14); 0 ranks by the sum of log probabilities.",
    )
    max_ratio: float = Field(2.0, gt=0.0, description="Longest output, in pieces per source piece ...")
    max_extra: int = Field(10, ge=0, description="... plus this many.")
    batch: Count = Field(64, description="Sentences translated together; the result does not depend on it.")


class Evaluation(Section):
    """How translations are scored."""

    metrics: list[Annotated[str, Choice("nmt.evaluation.metrics", "METRICS")]] = Field(
        ["bleu", "chrf", "ter"], min_length=1, description="Scores reported, each with its signature."
    )
    lowercase: bool = Field(False, description="Score in lower case.")


GREATEST_SEED = 2**53
"""What every reader of JSON keeps exactly."""


class Experiment(Section):
    """What every recipe has."""

    task: Annotated[str, Choice("nmt.recipe.schema", "TASKS")] = Field(
        "translation", description="What is learnt, and so which settings there are: below, task by task."
    )
    engine: Literal["auto", "compiled", "inductor", "torch", "reference"] = Field(
        "auto",
        description="How cells run in training: taken apart into products and kernels, these compiled by "
        "the machine's C compiler (`compiled`), by `torch.compile` (`inductor`) or run by `torch` (`auto`: "
        "`compiled` on a CPU, `inductor` on a GPU, `torch` where there is no compiler), or as the plain loop "
        "of `step` that defines them (`reference`).",
    )
    seed: int = Field(1, ge=0, le=GREATEST_SEED, description="Seed of every random draw.")


def _without_dropout(alpha: float, *dropouts: Dropout) -> Iterator[Conflict]:
    """R-Drop compares what dropout makes different."""
    if alpha and not any(value for dropout in dropouts for _, value in dropout):
        yield "training.r_drop", "compares two passes that dropout makes different, and there is no dropout"


class Recipe(Experiment):
    """A translator."""

    data: Data
    subwords: Subwords = Subwords()
    encoder: Encoder = Encoder()
    decoder: Decoder = Decoder()
    training: Training = Training()
    search: Search = Search()
    evaluation: Evaluation = Evaluation()

    def conflicts(self) -> Iterator[Conflict]:
        seen, looking = self.encoder.widths()[-1], self.decoder.hidden
        if self.decoder.attention in ("dot", "scaled-dot") and seen != looking:
            yield (
                "decoder.attention",
                f"{self.decoder.attention} needs encoder states and decoder states of one width, "
                f"not {seen} and {looking}; general has no such need",
            )
        for name in ("guided_alignment", "coverage"):
            if self.decoder.attention == "none" and getattr(self.training, name):
                yield f"training.{name}", "needs an attention, and decoder.attention is none"
        yield from _without_dropout(self.training.r_drop, self.encoder.dropout, self.decoder.dropout)
        unlinked = not any(corpus.alignments for corpus in self.data.corpora())
        if self.training.guided_alignment and self.decoder.attention != "none" and unlinked:
            yield (
                "training.guided_alignment",
                "needs links: give a corpus of data.train its `alignments`, a file in Pharaoh's format",
            )
        if self.decoder.tie != "all":
            return
        if not self.subwords.joint:
            yield (
                "decoder.tie",
                "'all' shares one vocabulary between both sides: it needs subwords.joint: true",
            )
        if self.encoder.embedding != self.decoder.embedding:
            yield (
                "decoder.tie",
                f"'all' needs encoder.embedding ({self.encoder.embedding}) and decoder.embedding "
                f"({self.decoder.embedding}) to be equal",
            )


class TextRecipe(Experiment):
    """A language model: one stack of the same cells that writes text and reads no source."""

    data: Text
    subwords: TextSubwords = TextSubwords()
    decoder: TextDecoder = TextDecoder()
    training: TextTraining = TextTraining()

    def conflicts(self) -> Iterator[Conflict]:
        if self.training.chunk is not None and self.data.max_length is not None:
            yield "data.max_length", "with training.chunk every line is read: leave it out"
        if self.training.start_from is not None and self.subwords.same_as is not None:
            yield "training.start_from", "brings its own pieces, and so does subwords.same_as"
        yield from _without_dropout(self.training.r_drop, self.decoder.dropout)


AnyRecipe = Recipe | TextRecipe
TASKS: dict[str, type[Recipe] | type[TextRecipe]] = {"translation": Recipe, "language-model": TextRecipe}
