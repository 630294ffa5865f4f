"""Models on disk: a run directory, one of its checkpoints, or a model directory to be shared."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import NamedTuple, Protocol

from nmt.data.shortlist import Shortlist, ShortlistStatistics, make_shortlist, measure_shortlist
from nmt.data.store import MANIFEST, TokenStore
from nmt.data.trained_lengths import LENGTHS
from nmt.data.vocabulary import SIDES, Vocabulary
from nmt.errors import DataError, UsageError
from nmt.evaluation.metrics import Score
from nmt.evaluation.tuning import TUNING, Tuning, find_tuning
from nmt.files import atomic_directory, file_sha256
from nmt.formats import FIRST, PROSE, stamp
from nmt.model.translator import TranslationModel
from nmt.outputs import check_new_directory
from nmt.recipe.file_settings import find_cell_files, relocate_cells, remove_paths
from nmt.recipe.model_card import (
    LIBRARY,
    CardScores,
    describe_tuning,
    find_corpus,
    find_languages,
    format_card,
)
from nmt.recipe.model_memory import (
    BuildModel,
    SkipInitialisation,
    build_header_check,
    check_loading_memory,
    outline_model,
)
from nmt.recipe.origin import check_origin
from nmt.recipe.prepare_data import load_vocabularies, model_directory, store_directory, vocabulary_file
from nmt.recipe.reader import CARD, RECIPE, dump, read_model_recipe
from nmt.recipe.schema import Recipe, TranslationRecipe, find_stack_settings
from nmt.recipe.sections import to_json
from nmt.training import checkpoint
from nmt.training.checkpoint import Metadata, Tensors
from nmt.training.ema import average_weights
from nmt.training.final_average import find_average, read_average
from nmt.training.snapshot import load_model_tensors
from nmt.untrusted_files import (
    RefusedFile,
    check_inside,
    check_links,
    check_sha256,
    find_member,
    read_card,
    read_json,
    read_tensor_header,
)

SHORTLIST, CONFIG, SCORES = "shortlist.safetensors", "config.json", "scores.json"


class TrainedFiles(NamedTuple):
    """The files of a trained model that are known to belong together, and its recipe."""

    folder: Path  # of the recipe and the vocabularies
    weights: Path
    sha256: str  # of the weights
    recipe: Recipe  # with the search that was tuned for these weights
    tuning: Tuning | None = None


class LoadedModel(Protocol):
    """A trained model with its vocabularies and its recipe."""

    @property
    def model(self) -> TranslationModel: ...
    @property
    def vocabularies(self) -> tuple[Vocabulary, ...]: ...
    @property
    def recipe(self) -> Recipe: ...
    @property
    def shortlist(self) -> Shortlist | None: ...


def model_fingerprint(loaded: LoadedModel) -> str:
    """Return the SHA-256 of all that a model's output depends on: weights, vocabularies, cells, shortlist."""
    parts = [vocabulary.fingerprint() for vocabulary in loaded.vocabularies]
    stacks = find_stack_settings(loaded.recipe).values()
    parts += [to_json(stack, without=["embedding_file"]) for stack in stacks]
    parts += [file_sha256(file) for file in find_cell_files(loaded.recipe)]
    if loaded.shortlist is not None:
        parts.append(loaded.shortlist.fingerprint())
    digest = hashlib.sha256("\n".join(parts).encode())
    for name, tensor in sorted(loaded.model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def load_trained(recipe: Recipe, build: BuildModel, weights: Path) -> TranslationModel:
    """Build a recipe's model with the weights of a file.

    The header of the weights and the size of the model are checked before memory is taken for either.
    """
    outline = outline_model(build)
    check_loading_memory(recipe, outline)
    tensors = checkpoint.read_tensors(weights, build_header_check(outline))
    with SkipInitialisation():
        model = build()
    load_model_tensors(model, tensors)
    return model.eval()


def find_trained(path: Path) -> TrainedFiles:
    """Find a model in a run (see `find_chosen`), a checkpoint or a model directory; check its sums.

    Raises UsageError if there is none, DataError if a file is damaged or belongs to other weights.
    """
    folder, weights = model_directory(path), find_weights(path)  # checks sums before anything is used
    recipe, tuning = read_model_recipe(folder), None
    if os.path.lexists(weights.parent / checkpoint.METADATA):
        check_origin(weights.parent, folder, recipe)
        sums = checkpoint.read_checkpoint_card(weights.parent).sha256
    else:
        sums = read_card(folder / CARD, ModelCard).sha256
    sha256 = sums[checkpoint.MODEL]
    if TUNING in sums or weights.parent != folder:
        tuning = find_tuning(folder, sha256, is_named=path == folder)
    if tuning is not None and isinstance(recipe, TranslationRecipe):
        recipe = replace(recipe, search=tuning.apply(recipe.search))
    return TrainedFiles(folder, weights, sha256, recipe, tuning)


def find_weights(path: Path) -> Path:
    """Find the weights of a run (see `find_chosen`), a checkpoint or a model directory; check its sums.

    Raises DataError if the checksum of a file differs.
    """
    path = checkpoint.follow_link(path)
    if os.path.lexists(path / CARD):
        return _check_model_directory(path)
    if os.path.lexists(path / checkpoint.METADATA):
        return checkpoint.find_weights(path)
    return checkpoint.find_weights(find_chosen(path))


def find_chosen(run: Path) -> Path:
    """Return the checkpoint that is used of a run.

    It is the best one, or the mean of the last ones that `nmt run` found better than it; before the first
    validation the latest one.
    """
    best = run / "checkpoints" / "best"
    if os.path.lexists(best):
        check_inside(best, run)
        target = checkpoint.follow_link(best)
        return find_average(run / "checkpoints", target) or target
    check_inside(run / "checkpoints", run)
    found = checkpoint.find_latest(run / "checkpoints").checkpoint
    if found is None:
        raise DataError(f"{run} has no checkpoint yet: it stopped before its first validation")
    return found.directory


@dataclass(frozen=True)
class ModelCard:
    """The content of `model.json`."""

    nmt: str  # the version that wrote it
    sha256: dict[str, str]  # of every other file but README.md
    averaged: list[str] = field(default_factory=list)  # checkpoints
    format: int = FIRST


def _check_model_directory(path: Path) -> Path:
    """Check the sums of all files of a model directory; return the file of its weights."""
    card = path / CARD
    sums = read_card(card, ModelCard).sha256
    for name in (checkpoint.MODEL, RECIPE):
        if name not in sums:
            raise RefusedFile(card, f"no checksum of {name}")
    for name in sorted({*sums} - {PROSE}):  # of which versions 0.1 and 0.2 recorded the sum, too
        check_sha256(find_member(path, name, card), sums[name])
    return path / checkpoint.MODEL


def average_checkpoints(run: Path, names: list[str], output: Path) -> list[str]:
    """Average checkpoints of a run into a model directory; return their names.

    Without names, all checkpoints that the run has kept. UsageError if there is no such run, or if `output`
    exists or lies in the run.
    """
    model_directory(run)
    check_new_directory(output, [run])
    folder = run / "checkpoints"
    chosen = [checkpoint.follow_link(folder / name) for name in names] or checkpoint.list_checkpoints(folder)
    if not chosen:
        raise DataError(f"{run} has no checkpoints to average")
    for path in chosen:
        if not path.is_dir():
            raise UsageError(f"there is no checkpoint {path}")
    recipe = read_model_recipe(run)
    for path in chosen:
        check_origin(path, run, recipe)
    facts: Metadata = {"averaged": [path.resolve().name for path in chosen]}
    write_model_directory(run, output, average_weights(chosen), facts)
    return list(facts["averaged"])


def list_averaged(directory: Path) -> list[str]:
    """Return the names of the checkpoints whose mean a directory of weights has: one, if it is one."""
    record = read_average(directory)
    return record.checkpoints if record is not None else [directory.resolve().name]


def write_model_directory(
    run: Path, output: Path, weights: Tensors | Path, facts: Metadata, name: str | None = None
) -> None:
    """Write a model directory atomically, with weights of their own or a copy of a file.

    `name` is what its card calls it, by default the name of the directory.
    """
    check_links(run)
    recipe = read_model_recipe(run)
    vocabularies = [_vocabulary_file(run, side) for side in recipe.vocabulary_sides]
    optional = [file for name in (SHORTLIST, LENGTHS) if (file := run / name).is_file()]
    with atomic_directory(output) as side:
        for file in (*vocabularies, *optional, *find_cell_files(recipe)):
            shutil.copyfile(file, side / file.name)
        portable = remove_paths(relocate_cells(recipe, Path()))
        (side / RECIPE).write_bytes(dump(portable).encode())
        if isinstance(weights, Path):
            shutil.copyfile(weights, side / checkpoint.MODEL)
            digest = file_sha256(side / checkpoint.MODEL)
        else:
            digest = checkpoint.save_tensors(side / checkpoint.MODEL, weights)
        tuning = find_tuning(run, digest, is_named=False)
        if tuning is not None:
            (side / TUNING).write_bytes(tuning.to_bytes())
        _write_json(side / CONFIG, describe_model(recipe, run, side / checkpoint.MODEL))
        sums = {path.name: file_sha256(path) for path in side.iterdir() if path.name != checkpoint.MODEL}
        _write_json(side / CARD, {**stamp(), **facts, "sha256": {**sums, checkpoint.MODEL: digest}})
        card = _describe_average(name or output.name, run, facts, recipe, tuning)
        (side / PROSE).write_bytes(card.encode())


def _write_json(file: Path, facts: object) -> None:
    file.write_bytes(json.dumps(facts, indent=2).encode() + b"\n")


def describe_model(recipe: Recipe, run: Path, weights: Path) -> Metadata:
    """Return the content of a model directory's `config.json`, which programs other than this one read."""
    parameters = sum(prod(entry.shape) for entry in read_tensor_header(weights).tensors.values())
    kind = {"library_name": LIBRARY, "model_type": "nmt", "task": recipe.task}
    languages = find_languages(recipe, find_corpus(recipe, run))
    return {**stamp(), **kind, "languages": languages, "parameters": parameters}


def _vocabulary_file(run: Path, side: str) -> Path:
    file = vocabulary_file(run, side)
    if file is None:
        raise DataError(f"{run} has no {side} vocabulary")
    return file


def _describe_average(name: str, run: Path, facts: Metadata, recipe: Recipe, tuning: Tuning | None) -> str:
    """Return the model card of an average of checkpoints."""
    corpus, names = find_corpus(recipe, run), facts["averaged"]
    mean = "the mean of the checkpoints " if len(names) > 1 else "checkpoint "
    return format_card(
        name,
        recipe,
        corpus,
        what=mean + ", ".join(names),
        paragraphs=["recipe.yaml has the settings of its training.", *describe_tuning(tuning)],
        scores=_read_scores(run, names, corpus.name if corpus else None),
    )


def _read_scores(run: Path, names: list[str], corpus: str | None) -> CardScores | None:
    """Return the scores of `nmt run`; None if there are none, or only of an earlier best one."""
    file = run / SCORES
    if not file.is_file() or not (run / "checkpoints" / "best").exists():
        return None
    tested = find_chosen(run).resolve()
    if file.stat().st_mtime < (tested / checkpoint.METADATA).stat().st_mtime:
        return None
    scores = read_json(file, list[Score])
    chosen = list_averaged(tested)
    if names == chosen:
        return CardScores("On the test data of the recipe, translated with its settings:", scores, corpus)
    what = f"best checkpoint, {tested.name}" if len(chosen) == 1 else f"mean of {', '.join(chosen)}"
    measured = f"Of the run's {what}, on the recipe's test data; not of this mean:"
    return CardScores(measured, scores)


def write_shortlist(run: Path, *, best: int, frequent: int) -> tuple[Path, ShortlistStatistics]:
    """Write the shortlist of a run; UsageError if the run has no encoded pairs."""
    train, valid = (store_directory(run, part) for part in ("train", "valid"))
    for file in (train, valid):
        if not (file / MANIFEST).is_file():
            raise UsageError(f"a shortlist is made from the encoded pairs of a run, but there is no {file}")
    check_links(run)
    source, target = load_vocabularies(run)
    sizes, byte_tokens = (len(source), len(target)), [*target.byte_tokens(), *target.copies]
    shortlist = make_shortlist(
        TokenStore(train), *sizes, best=best, frequent=frequent, byte_tokens=byte_tokens
    )
    file = run / SHORTLIST
    shortlist.save(file, dict(zip(SIDES, (source, target), strict=True)))
    return file, measure_shortlist(shortlist, TokenStore(valid))
