"""What is minimised: likelihood and what is added to it, or the risk of translations that the model draws."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from nmt.recipe.fields import Choice, Conflict, Count, Section

Weight = Annotated[float, Field(ge=0.0)]


class Risk(Section):
    """`minimum-risk` and `reinforce` only: which translations are drawn, and what they are worth."""

    metric: Annotated[str, Choice("nmt.evaluation.metrics", "METRICS")] = Field(
        "chrf", description="Score of each sentence; its risk is 1 - score / 100, or score / 100 for `ter`."
    )
    samples: Count = Field(8, description="Translations drawn of each sentence, within `search`'s lengths.")
    likelihood: Weight = Field(
        0.0, description="Weight of a sentence's likelihood beside its risk (Wu et al., 2016, eq. 9)."
    )
    sharpness: float = Field(
        0.005,
        gt=0.0,
        description="`minimum-risk` only: power of the probabilities that weigh the different translations "
        "(alpha of Shen et al., 2016).",
    )
    reference: bool = Field(True, description="`minimum-risk` only: the reference is among the translations.")
    baseline: Literal["others", "greedy", "none"] = Field(
        "others",
        description="`reinforce` only: a sample's reward counts as far as it is above that of the sentence's "
        "other samples, or of its greedy translation.",
    )


class SwitchOut(Section):
    """Pieces replaced by others, drawn anew for each batch (Wang et al., 2018).

    n of a sentence's pieces are replaced with a probability in proportion to exp(-n / temperature).
    """

    source: Weight = Field(0.0, description="Temperature on the source side; 0 replaces none.")
    target: Weight = Field(
        0.0, description="Temperature on the target side, where what is asked for changes too."
    )


class Minimised(Section):
    """What training a translator minimises."""

    objective: Literal["likelihood", "minimum-risk", "reinforce"] = Field(
        "likelihood",
        description="Likelihood of the target; expected risk of translations (Shen et al., 2016); or the "
        "risk of samples, one by one (Ranzato et al., 2016). The last two are for a trained model: "
        "`start_from`.",
    )
    guided_alignment: Weight = Field(
        0.0,
        description="Weight of the attention's cross-entropy with given word alignments (Chen et al., 2016), "
        "for the words that have links.",
    )
    coverage: Weight = Field(
        0.0,
        description="Weight of the attention that looks again at what it has looked at (See et al., 2017).",
    )
    switchout: SwitchOut = SwitchOut()
    risk: Risk = Risk()

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        risk = self.risk
        if self.objective == "reinforce" and risk.baseline == "others" and risk.samples == 1:
            yield "risk.samples", "one sample has no others: take more, or risk.baseline greedy"
        if self.objective == "minimum-risk" and not risk.reference and risk.samples == 1:
            yield "risk.samples", "one translation has nothing to be weighed against: take more"
