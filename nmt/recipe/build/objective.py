"""What training minimises, as a recipe says."""

from collections.abc import Sequence
from nmt.data.vocabulary import Vocabulary
from nmt.decoding.options import Options
from nmt.evaluation.metrics import sentence_utility
from nmt.evaluation.metrics import sentence_score
from nmt.recipe.schema import Recipe, TranslationRecipe
from nmt.training.settings import TranslationTrainingSettings
from nmt.training.objectives.noise import SwitchOut, SwitchOutSettings
from nmt.training.objectives.likelihood import Likelihood, Objective
from nmt.training.objectives.r_drop import RDrop
from nmt.training.objectives.risk import CandidateSampler, MinimumRisk, Reinforce, Utility


def likelihood(recipe: Recipe) -> Objective:
    """The likelihood, and what a recipe adds to it."""
    training = recipe.training
    alignment, coverage = 0.0, 0.0
    if isinstance(training, TranslationTrainingSettings):
        alignment, coverage = training.guided_alignment, training.coverage
    found = Likelihood(
        label_smoothing=training.label_smoothing,
        sample=training.teacher_forcing.feedback == "sample",
        guided_alignment=alignment,
        coverage=coverage,
    )
    return RDrop(found, alpha=training.r_drop) if training.r_drop else found


def translation_objective(recipe: TranslationRecipe, target: Vocabulary) -> Objective:
    """What a translator minimises; `target` turns its pieces into the text that is scored."""
    training, found = recipe.training, likelihood(recipe)
    if training.switchout != SwitchOutSettings():
        found = SwitchOut(found, training.switchout)
    if training.objective == "likelihood":
        return found
    risk, search = training.risk, recipe.search
    sampler = CandidateSampler(
        samples=risk.samples,
        utility=utility(risk.metric, target),
        options=Options(max_ratio=search.max_ratio, max_extra=search.max_extra),
    )
    if training.objective == "reinforce":
        return Reinforce(likelihood=found, settings=risk, sampler=sampler)
    return MinimumRisk(likelihood=found, settings=risk, sampler=sampler)


def utility(metric: str, target: Vocabulary) -> Utility:
    """A metric's score of a sentence in pieces, from 0 to 1."""
    score = sentence_utility(metric)

    def of(hyp: Sequence[int], ref: Sequence[int]) -> float:
        return score(target.decode(hyp), target.decode(ref)) / 100

    return of
