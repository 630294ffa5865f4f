"""Training of a recipe of any task in its run directory."""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from socket import gethostname
from typing import Any, NamedTuple

import torch

from nmt.data.vectors import read_vectors
from nmt.data.vocabulary import SPECIALS, Vocabulary
from nmt.errors import DataError, UsageError, show_notes
from nmt.model.translator import TranslationModel
from nmt.recipe.artifact import LoadedModel, find_trained
from nmt.recipe.automatic import fix_automatic_settings
from nmt.recipe.file_settings import find_cell_files
from nmt.recipe.model_memory import check_training_memory, outline_model
from nmt.recipe.origin import describe_origin
from nmt.recipe.prepare_data import has_checkpoint, load_own_vocabularies
from nmt.recipe.reader import read_model_recipe
from nmt.recipe.run_directory import claim_run_directory
from nmt.recipe.schema import LanguageModelRecipe, Recipe, TranslationRecipe
from nmt.recipe.starting_point import find_table_parts
from nmt.recipe.tasks.language_model import LanguageModelTask
from nmt.recipe.tasks.task import Task
from nmt.recipe.tasks.translation import TranslationTask
from nmt.training.console import Progress
from nmt.training.distributed import SINGLE_PROCESS, Processes, join_process_group, read_launch_info
from nmt.training.final_average import compare_average
from nmt.training.hardware import (
    Precision,
    keep_freed_memory,
    seed_generators,
    select_device,
    select_precision,
)
from nmt.training.logging import Logger, MetricsLog, build_logger
from nmt.training.loop import Trainer, TrainingResult
from nmt.training.objectives.likelihood import Objective
from nmt.training.optimisers import build_optimiser, freeze_parameters
from nmt.training.schedules import SCHEDULES, Schedule
from nmt.training.snapshot import transfer_tensors
from nmt.training.teacher_forcing import FORCINGS, TeacherForcing
from nmt.training.update import Learner
from nmt.trust import remember

TASKS: dict[type[Recipe], type[Task[Any]]] = {
    TranslationRecipe: TranslationTask,
    LanguageModelRecipe: LanguageModelTask,
}


def find_task(recipe: Recipe) -> Task[Any]:
    """Return the task of a recipe."""
    return TASKS[type(recipe)](recipe)


def load_model(path: Path) -> LoadedModel:
    """Load the model of any task in a run directory, a checkpoint or a model directory."""
    return find_task(find_trained(path).recipe).load(path)


class Resources(NamedTuple):
    """The device, the precision and the processes of a training run."""

    device: torch.device
    precision: Precision
    processes: Processes


def train(
    recipe: Recipe,
    run: Path,
    *,
    log_to: str | None = None,
    change: Sequence[str] = (),
    average: bool = False,
) -> TrainingResult:
    """Train a recipe in the directory `run`, or resume its run.

    With `average` a complete run uses the mean of its last checkpoints if it is better (see
    `TrainingSettings.average`). `change` names settings that may differ from those of the run (see
    `claim_run_directory`). `log_to` names a logger (`nmt.training.logging`) that gets the metrics, too. All
    of several processes call this; the first one claims the directory and is the only one that writes there.
    """
    resources = single_process(recipe)
    with join_process_group(resources.device) as processes, ExitStack() as stack:
        logger = build_logger(log_to, run) if log_to and processes.is_first else None
        changes = processes.run_on_first(
            lambda: stack.enter_context(claim_run_directory(run, recipe, change))
        )
        _check_shared(run, processes)
        recipe = fix_automatic_settings(recipe, read_model_recipe(run))
        progress = Progress(run / "train.log" if processes.is_first else None)
        stack.enter_context(show_notes(progress.note))
        for text in changes:
            progress.note(f"changed since the run started: {text}")
        cells = find_cell_files(recipe)
        if cells and processes.is_first and (problem := remember(cells)):
            progress.note(problem)
        if recipe.engine == "inductor":
            progress.note("engine: inductor is deprecated; use auto, which chooses it on a GPU")
        resources = single_process(recipe)._replace(processes=processes)
        trainer = build_trainer(recipe, run, progress, resources, logger)
        result = trainer.train()
        if average and not result.stop.exit_code:
            compare_average(trainer, recipe.training.average)
        return result


def single_process(recipe: Recipe) -> Resources:
    """Return the resources of a process that trains alone; UsageError if the machine lacks them."""
    device = select_device(recipe.training.device, read_launch_info())
    precision = select_precision(recipe.training.precision, device, recipe.engine)
    return Resources(device, precision, SINGLE_PROCESS)


def _check_shared(run: Path, processes: Processes) -> None:
    """Raise DataError unless this process sees the run directory that the first one has claimed."""
    if not (run / "recipe.yaml").is_file():
        raise DataError(
            f"process {processes.rank} on {gethostname()} does not see {run}: "
            "choose a directory that all processes share with --output"
        )


def build_trainer(
    recipe: Recipe, run: Path, progress: Progress, resources: Resources, logger: Logger | None = None
) -> Trainer:
    """Prepare the data and build every part of a run."""
    recipe = fix_automatic_settings(recipe)
    training, processes = recipe.training, resources.processes
    if training.threads:
        torch.set_num_threads(training.threads)
    keep_freed_memory()
    seed_generators(recipe.seed)
    _check_smallest(recipe, resources.device)
    with progress.console.status("reading and encoding the data"):  # on a terminal only
        task = processes.run_first_then_others(lambda: find_task(recipe).prepare(run, processes))
    frozen = freeze_parameters(task.model, training.freeze)
    check_training_memory(recipe, task.model, resources.device)
    task.model.to(resources.device)
    if not processes.is_first:
        seed_generators(recipe.seed, processes.rank)
    parameters = sum(parameter.numel() for parameter in task.model.parameters())
    facts = [task.description, f"{parameters:,} parameters", resources.precision.description]
    progress.note(", ".join(filter(None, facts)))
    if frozen:
        progress.note(f"frozen: {', '.join(frozen)}")
    if not has_checkpoint(run):
        initialise_weights(task.model, recipe, run, progress)
    if processes.count > 1:
        progress.note(f"{processes.count} processes share every batch")
    per_epoch = math.ceil(task.epochs.count(0) / training.accumulate)
    return Trainer(
        learner=build_learner(recipe, task.model, task.objective, per_epoch, resources),
        epochs=task.epochs,
        validator=task.validate,
        schedule=_learning_rate(recipe, per_epoch),
        settings=training,
        checkpoints=run / "checkpoints",
        metrics=MetricsLog(run / "metrics.jsonl" if processes.is_first else None, logger),
        progress=progress,
        origin=describe_origin(recipe, run),
    )


def _check_smallest(recipe: Recipe, device: torch.device) -> None:
    """Raise UsageError, before the data is read, if the model does not fit whatever its vocabulary."""
    sizes = [len(SPECIALS)] * len(recipe.vocabulary_sides)
    smallest = outline_model(lambda: find_task(recipe).build_model(sizes))
    freeze_parameters(smallest, recipe.training.freeze)
    check_training_memory(recipe, smallest, device)


def initialise_weights(model: TranslationModel, recipe: Recipe, run: Path, progress: Progress) -> None:
    """Copy what the recipe names into the initial weights: another model, or files of vectors."""
    vocabularies = load_own_vocabularies(run, recipe)
    if recipe.training.start_from is not None:
        progress.note(transfer_weights(model, vocabularies, Path(recipe.training.start_from)))
    for side, vocabulary in zip(recipe.vocabulary_sides, vocabularies, strict=True):
        part = {"source": "encoder", "target": "decoder"}[side]
        file = getattr(recipe, part).embedding_file
        if file is not None:
            progress.note(f"{part}.embedding: {fill_embedding(model, part, vocabulary, Path(file))}")


def fill_embedding(model: TranslationModel, part: str, vocabulary: Vocabulary, file: Path) -> str:
    """Copy the vectors of a file into the embedding of a part; return the share of tokens that it has.

    Raises UsageError if it has none of them.
    """
    table = getattr(model, part).embedding.weight
    vectors = read_vectors(file, vocabulary, table.shape[1])
    count = len(vocabulary) - len(SPECIALS)
    if not vectors:
        raise UsageError(f"{part}.embedding_file: {file} has the vector of none of the {count:,} tokens")
    with torch.no_grad():
        for token, vector in vectors.items():
            table[token] = torch.from_numpy(vector)
    return f"{file} has {len(vectors):,} of {count:,} tokens ({len(vectors) / count:.1%})"


def transfer_weights(model: TranslationModel, vocabularies: Sequence[Vocabulary], start: Path) -> str:
    """Copy the weights that fit from the model in `start`; return a description of those that do and do not.

    Tables of other vocabularies are filled token by token. Raises UsageError if nothing fits.
    """
    loaded = load_model(start)
    tables = find_table_parts(loaded.vocabularies, vocabularies)
    transfer = transfer_tensors(model, loaded.model, tables.rows)
    copied, unused = len(transfer.pop("copied")), len(transfer["not used here"])
    if not copied:
        raise UsageError(f"training.start_from: no weight of {start} fits this model")
    count = copied + sum(map(len, transfer.values())) - unused
    lines = [f"starting from {start}: {copied} of {count} tensors copied", *tables.description]
    lines += [f"{reason}: {', '.join(names)}" for reason, names in transfer.items() if names]
    return "\n  ".join(lines)


def build_learner(
    recipe: Recipe, model: TranslationModel, objective: Objective, per_epoch: int, resources: Resources
) -> Learner:
    """Build the part that updates a model, with `per_epoch` updates in an epoch."""
    training = recipe.training
    return Learner(
        model=model,
        optimiser=build_optimiser(model, training),
        objective=objective,
        forcing=_teacher_forcing(recipe, per_epoch),
        settings=training,
        processes=resources.processes,
        precision=resources.precision,
    )


def _learning_rate(recipe: Recipe, per_epoch: int) -> Schedule:
    """Build the schedule of the learning rate; by tokens, later epochs may differ a little in length."""
    rate = recipe.training.learning_rate
    span = (rate.span or recipe.training.stop_after).in_updates(per_epoch)
    return SCHEDULES[rate.schedule](rate, span=span, size=recipe.decoder.hidden)


def _teacher_forcing(recipe: Recipe, per_epoch: int) -> TeacherForcing:
    forcing = recipe.training.teacher_forcing
    warmup, span = forcing.warmup.in_updates(per_epoch), forcing.span.in_updates(per_epoch)
    return FORCINGS[forcing.schedule](forcing, warmup=warmup, span=span)
