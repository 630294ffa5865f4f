"""A run of a recipe: its directory, its training, its test score."""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from socket import gethostname
from typing import NamedTuple
import torch
from nmt.data.batches import BatchPlan, SubwordSampling, read_validation_batches
from nmt.data.pairs import read_pairs
from nmt.files import write_file
from nmt.decoding.job import Job
from nmt.decoding.translation import translate_lines
from nmt.errors import DataError
from nmt.evaluation.metrics import DEFAULT_METRICS, METRICS, Score, score
from nmt.model.translator import Translator
from nmt.recipe.tasks import language_model
from nmt.recipe.artifact import Loaded, load_translator
from nmt.recipe.run_directory import claimed
from nmt.data.sources import find_part, passes_per_epoch
from nmt.recipe.prepare_data import Pairs
from nmt.recipe.prepare_data import Material, begun, prepare
from nmt.recipe.build.model import build_translator
from nmt.recipe.build.objective import translation_objective
from nmt.recipe.build.warm_start import started
from nmt.recipe.tasks.task import Task, summary
from nmt.recipe.build.translation_job import job
from nmt.training.gate_logging import log_gates
from nmt.training.hardware import select_device
from nmt.settings import Duration
from nmt.recipe.schema import Recipe, TranslationRecipe, LanguageModelRecipe
from nmt.training.guards import Guards
from nmt.training.loop import Trainer
from nmt.training.logging import MetricsLog, Logger, NullMetricsLog
from nmt.training.logging import build_logger
from nmt.training.objectives.likelihood import Objective
from nmt.training.optimisers import build_optimiser
from nmt.training.hardware import Precision, select_precision
from nmt.training.distributed import SINGLE_PROCESS, Processes, join_process_group, read_launch_info
from nmt.training.console import Progress, silent_progress
from nmt.training.schedules import SCHEDULES, Schedule
from nmt.training.settings import TrainingResult, ValidateFunction
from nmt.training.snapshot import seed_generators
from nmt.training.teacher_forcing import FORCINGS, TeacherForcing
from nmt.training.update import Learner
from nmt.training.validation import ValidationTexts, TranslationValidator


VALIDATION_BATCH = 64


class Means(NamedTuple):
    """What a process trains with."""

    device: torch.device
    precision: Precision
    processes: Processes


def train(recipe: Recipe, run: Path, *, log_to: str | None = None) -> TrainingResult:
    """Train what the recipe describes in the directory `run`, or go on where it stopped.

    `log_to` names a logger (`nmt.training.logging`) of its numbers. Of several processes all call this; the
    first claims the directory and is the only one that writes there.
    """
    alone = by_itself(recipe)
    with join_process_group(alone.device) as processes, ExitStack() as until_the_end:
        also = build_logger(log_to, run) if log_to and processes.is_first else None
        changes = processes.run_on_first(lambda: until_the_end.enter_context(claimed(run, recipe)))
        check_shared(run, processes)
        progress = Progress(run / "train.log") if processes.is_first else silent_progress()
        for change in changes:
            progress.note(f"changed since the run started: {change}")
        return training(recipe, run, progress, alone._replace(processes=processes), also).train()


def by_itself(recipe: Recipe) -> Means:
    """What this process trains with if it is the only one; UsageError where the machine has it not."""
    device = select_device(recipe.training.device, read_launch_info())
    return Means(device, select_precision(recipe.training.precision, device), SINGLE_PROCESS)


def check_shared(run: Path, processes: Processes) -> None:
    """DataError unless this process sees the run directory that the first one has claimed."""
    if not (run / "recipe.yaml").is_file():
        raise DataError(
            f"process {processes.rank} on {gethostname()} does not see {run}: "
            "choose a directory that all processes share with --output"
        )


def training(
    recipe: Recipe, run: Path, progress: Progress, means: Means, also: Logger | None = None
) -> Trainer:
    """All that takes part in a run, ready to begin or to go on; `also` gets its numbers."""
    processes = means.processes
    if recipe.training.threads:
        torch.set_num_threads(recipe.training.threads)
    seed_generators(recipe.seed)
    with progress.console.status("reading and encoding the data"):  # shown on a terminal only
        task = processes.first_then_others(lambda: prepared_task(recipe, run, processes))
    task.model.to(means.device)
    if not processes.is_first:
        seed_generators(recipe.seed, processes.rank)
    progress.note(summary(task))
    if recipe.training.start_from is not None and not begun(run):
        progress.note(started(task.model, Path(recipe.training.start_from)))
    if processes.count > 1:
        progress.note(f"{processes.count} processes share every batch")
    per_epoch = math.ceil(task.epochs.count(0) / recipe.training.accumulate)
    return Trainer(
        learner=learner(recipe, task.model, task.objective, per_epoch, means),
        epochs=task.epochs,
        validator=task.validate,
        schedule=learning_rate(recipe, per_epoch),
        settings=recipe.training,
        checkpoints=run / "checkpoints",
        metrics=MetricsLog(run / "metrics.jsonl", also) if processes.is_first else NullMetricsLog(),
        progress=progress,
    )


def prepared_task(recipe: Recipe, run: Path, processes: Processes) -> Task:
    """What the recipe wants learnt."""
    if isinstance(recipe, LanguageModelRecipe):
        return language_model.task(recipe, run, processes)
    return translation(recipe, run, processes)


def translation(recipe: TranslationRecipe, run: Path, processes: Processes) -> Task:
    """A translator, ready to be trained in the directory `run`."""
    material, batch, alpha = prepare(recipe, run), recipe.training.batch, recipe.subwords.sampling
    model = build_translator(recipe, len(material.source), len(material.target))
    validate: ValidateFunction = validator(recipe, material, run, model, processes)
    if recipe.training.validation.gates and processes.is_first:
        validate = log_gates(validate, material.valid, seed=recipe.seed)
    return Task(
        model,
        Pairs(
            material.train,
            BatchPlan(batch.by, batch.size, recipe.seed, passes_per_epoch(recipe.data, [part.pairs for part in material.train.parts])),
            SubwordSampling(material.source, material.target, alpha) if alpha else None,
        ),
        translation_objective(recipe, material.target),
        validate,
        recipe.training.validation.metric,
        described(material),
    )


def described(material: Material) -> str:
    """The pairs and the vocabularies, for people."""
    source, target = len(material.source), len(material.target)
    joint = material.source.fingerprint() == material.target.fingerprint()
    vocabulary = f"{source:,} joint tokens" if joint else f"{source:,} and {target:,} tokens"
    parts = material.train.parts
    training = "\n".join(f"training pairs{part.name and f' of {part.name}'}: {part.report}" for part in parts)
    return f"{training}\nvalidation pairs: {material.valid.report}\n{vocabulary}"


def learner(
    recipe: Recipe, model: Translator, objective: Objective, per_epoch: int, means: Means
) -> Learner:
    """What makes an update of the model."""
    training = recipe.training
    return Learner(
        model=model,
        optimiser=build_optimiser(model, training),
        objective=objective,
        forcing=teacher_forcing(recipe, per_epoch),
        clip_norm=training.clip_norm,
        weight_noise=training.weight_noise,
        processes=means.processes,
        precision=means.precision,
    )


def learning_rate(recipe: Recipe, per_epoch: int) -> Schedule:
    """Build the schedule of the learning rate; by tokens, later epochs may differ a little from `per_epoch`."""
    rate = recipe.training.learning_rate
    span = (rate.span or recipe.training.stop_after).in_updates(per_epoch)
    return SCHEDULES[rate.schedule](rate, span=span, size=recipe.decoder.hidden)


def teacher_forcing(recipe: Recipe, per_epoch: int) -> TeacherForcing:
    """Build the schedule of teacher forcing."""
    forcing = recipe.training.teacher_forcing
    warmup, span = forcing.warmup.in_updates(per_epoch), forcing.span.in_updates(per_epoch)
    return FORCINGS[forcing.schedule](forcing, warmup=warmup, span=span)


def validator(
    recipe: TranslationRecipe, material: Material, run: Path, model: Translator, processes: Processes
) -> TranslationValidator:
    """Loss on the validation pairs, and the scores of translating them greedily."""
    sources, references = ([pair[side] for pair in material.valid_pairs] for side in (0, 1))
    plan = BatchPlan("sentences", VALIDATION_BATCH, recipe.seed)
    lowercase, validation = recipe.evaluation.lowercase, recipe.training.validation
    asked = dict.fromkeys([*DEFAULT_METRICS, validation.metric, *validation.stop_on])
    metrics = [name for name in asked if name in METRICS]

    def translate(lines: Sequence[str]) -> list[str]:
        job = greedy(recipe, material, model)  # anew: it is made ready with the weights of the moment
        return [translation.text for translation in translate_lines(((line, None) for line in lines), job)]

    def scores(hyps: list[str]) -> dict[str, float]:
        found = score(hyps, [references], metrics, lowercase=lowercase)
        return {name: one.value for name, one in zip(metrics, found, strict=True)}

    return TranslationValidator(
        lambda: read_validation_batches(material.valid, plan),
        ValidationTexts(sources, references),
        translate=None if validation.metric == "loss" else translate,
        score=scores,
        directory=run / "validation",
        samples=validation.samples,
        processes=processes,
    )


def greedy(recipe: TranslationRecipe, material: Material, model: Translator) -> Job:
    """The search of a validation: greedy, otherwise as the recipe says."""
    found = Loaded(model, material.source, material.target, recipe)
    greedily = job(found)
    return greedily._replace(options=replace(greedily.options, beam=1))


class Tested(NamedTuple):
    """The test set translated by the best checkpoint."""

    sources: list[str]
    hyps: list[str]
    refs: list[str]
    scores: list[Score]


def read_test(recipe: TranslationRecipe) -> list[tuple[str, str]]:
    """The test pairs; DataError if there are none or they cannot be read, UsageError if none are named."""
    corpus = find_part(recipe.data, "test")
    pairs = list(read_pairs(corpus))
    if not pairs:
        raise DataError(f"data.test: {corpus} has no pairss")
    return pairs


def test(run: Path) -> Tested:
    """Translate and score the test set of a run's recipe; the translations are kept in `run/test.hyp`."""
    translator = load_translator(run)
    recipe = translator.recipe
    sources, refs = zip(*read_test(recipe), strict=True)
    hyps: list[str] = []
    for translation in translate_lines(((line, None) for line in sources), job(translator)):
        hyps.append(translation.text)
    write_lines(run / "test.hyp", hyps)
    evaluation = recipe.evaluation
    found = score(
        hyps, [refs], evaluation.metrics, lowercase=evaluation.lowercase, name=str(run / "test.hyp")
    )
    return Tested(list(sources), hyps, list(refs), found)


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Lines to a file that gets its name when it is whole."""
    write_file(path, "".join(f"{line}\n" for line in lines).encode())
