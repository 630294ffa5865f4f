"""Models on disk: a run directory, one of its checkpoints, or a model directory made to be passed on."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import NamedTuple

from nmt import __version__
from nmt.data.download import sha256_of
from nmt.data.shortlist import Shortlist
from nmt.data.subwords import Vocabulary
from nmt.errors import DataError, UsageError
from nmt.model.translator import Translator
from nmt.recipe.assemble import own_cells
from nmt.recipe.assemble.material import SIDES, load_vocabularies, vocabulary_file
from nmt.recipe.assemble.model import build_translator
from nmt.recipe.reader import read_recipe
from nmt.recipe.schema import Recipe
from nmt.training import checkpoint
from nmt.training.average import average
from nmt.training.checkpoint import Facts, Tensors
from nmt.training.snapshot import load_model_tensors

CARD = "model.json"
SHORTLIST = "shortlist.safetensors"


class Loaded(NamedTuple):
    """A translator with all that it needs to read and write text."""

    model: Translator
    source: Vocabulary
    target: Vocabulary
    recipe: Recipe
    shortlist: Shortlist | None = None


def load_translator(path: Path) -> Loaded:
    """The translator in a run directory (its best checkpoint), a checkpoint or a model directory.

    Raises UsageError where there is none, DataError where a file is not what was written.
    """
    folder = home(path)
    recipe = read_recipe([str(folder / "recipe.yaml")])
    source, target = load_vocabularies(folder)
    model = build_translator(recipe, len(source), len(target))
    load_model_tensors(model, weights(path))
    return Loaded(model.eval(), source, target, recipe)


def fingerprint(translator: Loaded) -> str:
    """SHA-256 of all that a translation follows from: the weights, the vocabularies, the equations."""
    recipe = translator.recipe
    parts = [translator.source.fingerprint(), translator.target.fingerprint()]
    parts += [side.model_dump_json() for side in (recipe.encoder, recipe.decoder)]
    parts += [sha256_of(file) for file in own_cells.files(recipe)]
    parts += [] if translator.shortlist is None else [translator.shortlist.fingerprint()]
    whole = hashlib.sha256("\n".join(parts).encode())
    for name, tensor in sorted(translator.model.state_dict().items()):
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        whole.update(tensor.contiguous().numpy().data)
    return whole.hexdigest()


def weights(path: Path) -> Tensors:
    """The weights of a run directory, a checkpoint or a model directory."""
    if (path / CARD).is_file():
        return _read_model_directory(path)
    if (path / checkpoint.FACTS).is_file():
        return checkpoint.read_model(path)[0]
    return _best(path)


def home(path: Path) -> Path:
    """The folder that holds the recipe and the vocabularies of a model."""
    for folder in (path, path.resolve().parent.parent):
        if (folder / "recipe.yaml").is_file():
            return folder
    if not path.exists():
        raise UsageError(f"there is no {path}; give a run, a checkpoint or a model directory")
    raise UsageError(f"{path} is neither a run, a checkpoint nor a model directory: it holds no recipe.yaml")


def _best(run: Path) -> Tensors:
    """The weights of a run's best checkpoint, or of its latest whole one where none was validated yet."""
    best = run / "checkpoints" / "best"
    if best.exists():
        return checkpoint.read_model(best)[0]
    found = checkpoint.latest(run / "checkpoints").checkpoint
    if found is None:
        raise DataError(f"{run} has no checkpoint yet: it was stopped before its first validation")
    return found.model


def _read_model_directory(path: Path) -> Tensors:
    """The weights of a model directory whose every file is as it was written."""
    try:
        sums: dict[str, str] = json.loads((path / CARD).read_text(encoding="utf-8"))["sha256"]
        for name in sorted(sums):
            if name != checkpoint.MODEL and _sha256(path / name) != sums[name]:
                raise DataError(f"{path / name}: refused: it is not what was written")
        weights_sum = sums[checkpoint.MODEL]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path / CARD}: refused: {error}") from error
    return checkpoint.load_tensors(path / checkpoint.MODEL, weights_sum)


def average_checkpoints(run: Path, names: list[str], output: Path) -> list[str]:
    """Average checkpoints of a run into a model directory; gives the names of those averaged.

    Without names, the checkpoints that the run has kept.
    """
    folder = run / "checkpoints"
    chosen = [folder / name for name in names] or checkpoint.listed(folder)
    if not chosen:
        raise DataError(f"{run} has no checkpoint to average")
    for path in chosen:
        if not path.is_dir():
            raise UsageError(f"there is no checkpoint {path}")
    facts: Facts = {"averaged": [path.resolve().name for path in chosen]}
    write_model_directory(run, output, average(chosen), facts)
    return list(facts["averaged"])


def write_model_directory(run: Path, output: Path, tensors: Tensors, facts: Facts) -> None:
    """Write a model directory to the side and give it its name; one that exists is refused."""
    if output.exists():
        raise UsageError(f"{output} exists; choose another name")
    aside = output.with_name(f".{output.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    shutil.copyfile(run / "recipe.yaml", aside / "recipe.yaml")
    for side in SIDES:
        vocabulary = vocabulary_file(run, side)
        if vocabulary is None:
            raise DataError(f"{run} holds no {side} vocabulary")
        shutil.copyfile(vocabulary, aside / vocabulary.name)
    if (run / SHORTLIST).is_file():
        shutil.copyfile(run / SHORTLIST, aside / SHORTLIST)
    for file in own_cells.files(read_recipe([str(run / "recipe.yaml")])):
        shutil.copyfile(file, aside / file.name)
    (aside / "README.md").write_text(_readme(output.name, facts), encoding="utf-8")
    sums = {path.name: _sha256(path) for path in aside.iterdir()}
    sums[checkpoint.MODEL] = checkpoint.save_tensors(aside / checkpoint.MODEL, tensors)
    card = {"nmt": __version__, **facts, "sha256": sums}
    (aside / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    aside.rename(output)


def _readme(name: str, facts: Facts) -> str:
    averaged = ", ".join(facts["averaged"])
    return (
        f"# {name}\n\nA translator of nmt {__version__}: the mean of the checkpoints {averaged}.\n\n"
        f"    printf 'a line\\n' | nmt translate {name}\n\nrecipe.yaml says how it was trained.\n"
    )


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise DataError(f"{path}: refused: it cannot be read ({error.strerror})") from None
