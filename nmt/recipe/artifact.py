"""Models on disk: a run directory, one of its checkpoints, or a model directory made to be passed on."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import NamedTuple

from nmt import __version__
from nmt.data.shortlist import (
    Shortlist,
    ShortlistStatistics,
    load_shortlist,
    make_shortlist,
    measure_shortlist,
)
from nmt.data.store import MANIFEST, TokenStore
from nmt.data.vocabulary import SIDES, Vocabulary, load_vocabulary
from nmt.errors import DataError, UsageError
from nmt.files import atomic_directory, check_sha256, file_sha256
from nmt.model.translator import Translator
from nmt.recipe import custom_cells as own_cells
from nmt.recipe.build.model import build_language_model, build_translator
from nmt.recipe.prepare_data import home, load_vocabularies, sides, store_file, vocabulary_file
from nmt.recipe.reader import read_any
from nmt.recipe.schema import LanguageModelRecipe, Recipe, TranslationRecipe, to_json
from nmt.training import checkpoint
from nmt.training.checkpoint import Metadata, Tensors
from nmt.training.ema import mean_weights
from nmt.training.snapshot import load_model_tensors

CARD = "model.json"
SHORTLIST = "shortlist.safetensors"


class Loaded(NamedTuple):
    """A translator with all that it needs to read and write text."""

    model: Translator
    source: Vocabulary
    target: Vocabulary
    recipe: TranslationRecipe
    shortlist: Shortlist | None = None

    @property
    def vocabularies(self) -> tuple[Vocabulary, ...]:
        return self.source, self.target


def load_translator(path: Path) -> Loaded:
    """The translator in a run directory (its best checkpoint), a checkpoint or a model directory.

    Raises UsageError where there is none, DataError where a file is not what was written.
    """
    folder = home(path)
    recipe = read_any([str(folder / "recipe.yaml")])
    if not isinstance(recipe, TranslationRecipe):
        raise UsageError(f"{path} is a language model, not a translator; try `nmt sample {path}`")
    source, target = load_vocabularies(folder)
    model = build_translator(recipe, len(source), len(target))
    load_model_tensors(model, weights(path))
    return Loaded(model.eval(), source, target, recipe)


class LanguageModel(NamedTuple):
    """A language model with all that it needs to read and write text."""

    model: Translator
    vocabulary: Vocabulary
    recipe: LanguageModelRecipe

    @property
    def vocabularies(self) -> tuple[Vocabulary, ...]:
        return (self.vocabulary,)


def load_language_model(path: Path) -> LanguageModel:
    """The language model in a run directory, a checkpoint or a model directory; see `load_translator`."""
    folder = home(path)
    recipe = read_any([str(folder / "recipe.yaml")])
    if not isinstance(recipe, LanguageModelRecipe):
        raise UsageError(f"{path} is a translator; expected a language model (task: language-model)")
    file = vocabulary_file(folder, "target")
    if file is None:
        raise DataError(f"{folder} has no vocabulary: is it a run or a model directory?")
    vocabulary = load_vocabulary(file)
    model = build_language_model(recipe, len(vocabulary))
    load_model_tensors(model, weights(path))
    return LanguageModel(model.eval(), vocabulary, recipe)


def load(path: Path) -> Loaded | LanguageModel:
    """The translator or language model in a run directory, a checkpoint or a model directory."""
    recipe = read_any([str(home(path) / "recipe.yaml")])
    return load_translator(path) if isinstance(recipe, TranslationRecipe) else load_language_model(path)


def fingerprint(found: Loaded | LanguageModel) -> str:
    """SHA-256 of all that what is written follows from: the weights, the vocabularies, the equations."""
    recipe = found.recipe
    parts = [side.fingerprint() for side in found.vocabularies]
    parts += [to_json(side) for side in own_cells.stacks(recipe).values()]
    parts += [file_sha256(file) for file in own_cells.files(recipe)]
    if isinstance(found, Loaded) and found.shortlist is not None:
        parts.append(found.shortlist.fingerprint())
    whole = hashlib.sha256("\n".join(parts).encode())
    for name, tensor in sorted(found.model.state_dict().items()):
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        whole.update(tensor.contiguous().numpy().data)
    return whole.hexdigest()


def weights(path: Path) -> Tensors:
    """The weights of a run directory, a checkpoint or a model directory."""
    if (path / CARD).is_file():
        return _read_model_directory(path)
    if (path / checkpoint.METADATA).is_file():
        return checkpoint.read_model(path)[0]
    return _best(path)


def _best(run: Path) -> Tensors:
    """The weights of a run's best checkpoint, or of its latest whole one where none was validated yet."""
    best = run / "checkpoints" / "best"
    if best.exists():
        return checkpoint.read_model(best)[0]
    found = checkpoint.find_latest(run / "checkpoints").checkpoint
    if found is None:
        raise DataError(f"{run} has no checkpoint yet: it stopped before its first validation")
    return found.model


def _read_model_directory(path: Path) -> Tensors:
    """The weights of a model directory whose every file is as it was written."""
    try:
        sums: dict[str, str] = json.loads((path / CARD).read_text(encoding="utf-8"))["sha256"]
        for name in sorted(sums):
            if name != checkpoint.MODEL:
                check_sha256(path / name, sums[name])
        weights_sum = sums[checkpoint.MODEL]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path / CARD}: refused: {error}") from error
    return checkpoint.load_tensors(path / checkpoint.MODEL, weights_sum)


def average_checkpoints(run: Path, names: list[str], output: Path) -> list[str]:
    """Average checkpoints of a run into a model directory; gives the names of those averaged.

    Without names, the checkpoints that the run has kept.
    """
    folder = run / "checkpoints"
    chosen = [folder / name for name in names] or checkpoint.list_checkpoints(folder)
    if not chosen:
        raise DataError(f"{run} has no checkpoints to average")
    for path in chosen:
        if not path.is_dir():
            raise UsageError(f"there is no checkpoint {path}")
    facts: Metadata = {"averaged": [path.resolve().name for path in chosen]}
    write_model_directory(run, output, mean_weights(chosen), facts)
    return list(facts["averaged"])


def write_model_directory(run: Path, output: Path, tensors: Tensors, facts: Metadata) -> None:
    """Write a model directory atomically; UsageError if `output` exists."""
    if output.exists():
        raise UsageError(f"{output} already exists; choose another name")
    recipe = read_any([str(run / "recipe.yaml")])
    vocabularies = [_vocabulary_file(run, side) for side in sides(recipe)]
    shortlist = [run / SHORTLIST] if (run / SHORTLIST).is_file() else []
    with atomic_directory(output) as side:
        for file in (run / "recipe.yaml", *vocabularies, *shortlist, *own_cells.files(recipe)):
            shutil.copyfile(file, side / file.name)
        (side / "README.md").write_text(_readme(output.name, facts, recipe), encoding="utf-8")
        sums = {path.name: file_sha256(path) for path in side.iterdir()}
        sums[checkpoint.MODEL] = checkpoint.save_tensors(side / checkpoint.MODEL, tensors)
        card = {"nmt": __version__, **facts, "sha256": sums}
        (side / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def _vocabulary_file(run: Path, side: str) -> Path:
    file = vocabulary_file(run, side)
    if file is None:
        raise DataError(f"{run} has no {side} vocabulary")
    return file


def _readme(name: str, facts: Metadata, recipe: Recipe) -> str:
    averaged = ", ".join(facts["averaged"])
    kind, use = ("translator", f"printf 'a line\\n' | nmt translate {name}")
    if isinstance(recipe, LanguageModelRecipe):
        kind, use = "language model", f"nmt sample {name}"
    return (
        f"# {name}\n\nA {kind} of nmt {__version__}: the mean of the checkpoints {averaged}.\n\n"
        f"    {use}\n\nrecipe.yaml says how it was trained.\n"
    )


def write_shortlist(run: Path, *, best: int, frequent: int) -> tuple[Path, ShortlistStatistics]:
    """Make the shortlist of a run and write it whole; UsageError where the encoded pairs are not there."""
    train, valid = (store_file(run, part) for part in ("train", "valid"))
    for file in (train, valid):
        if not (file / MANIFEST).is_file():
            raise UsageError(f"a shortlist is made from the encoded pairs of a run, but there is no {file}")
    source, target = load_vocabularies(run)
    shortlist = make_shortlist(TokenStore(train), len(source), len(target), best=best, frequent=frequent)
    file = run / SHORTLIST
    shortlist.save(file, dict(zip(SIDES, (source, target), strict=True)))
    return file, measure_shortlist(shortlist, TokenStore(valid))


def load_with_shortlist(path: Path) -> Loaded:
    """The translator at `path` with its shortlist.

    Raises UsageError where none has been made, DataError where it is damaged or of other vocabularies.
    """
    translator, folder = load_translator(path), home(path)
    file = folder / SHORTLIST
    if not file.is_file():
        raise UsageError(
            f"{folder} has no shortlist: create it with `nmt shortlist RUN` "
            "(`nmt average` then copies it into model directories)"
        )
    vocabularies = dict(zip(SIDES, (translator.source, translator.target), strict=True))
    shortlist = load_shortlist(file, vocabularies, f"make it again with `nmt shortlist {folder}`")
    return translator._replace(shortlist=shortlist)
