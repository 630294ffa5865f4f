"""The models that a process serves, loaded from disk, and how the files of a changed one are noticed."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from nmt.api.loading import LoadedJob, check_path, load_job
from nmt.api.translator import MODEL_PATH
from nmt.decoding.job import Line
from nmt.decoding.translation import translate_window
from nmt.export import directory
from nmt.hub import find_model
from nmt.serve.requests import ModelKind, ModelSource, ServedModel
from nmt.trust import allow_code
from nmt.untrusted_files import read_card

LOGS = (".jsonl", ".log", ".lock")  # files of a run that change while it is trained

Identity = tuple[tuple[str, int, int, int], ...]
"""Names, times, sizes and inodes of the files of a model."""


class LoadedFiles(NamedTuple):
    """A model as the service knows it: its facts, its directory, and the identity of the files read."""

    model: ServedModel
    directory: Path
    identity: Identity


def load_models(
    sources: Iterable[ModelSource], *, trust_code: bool
) -> tuple[dict[str, LoadedJob], list[LoadedFiles]]:
    """Load the models and translate a line with each, so that all that is prepared once is prepared.

    Raises UsageError or DataError, which names the model, for one that cannot be loaded.
    """
    loaded, facts = dict[str, LoadedJob](), list[LoadedFiles]()
    for source in sources:
        path = find_model(check_path(MODEL_PATH, source.path))
        identity = read_identity(path)
        with allow_code(trust_code):
            one = load_job(path, threads=1, int8=source.precision == "int8")
        translate_window([Line(1, "1.")], one.job)
        loaded[source.name] = one
        facts.append(LoadedFiles(_describe(source, one), path, identity))
    return loaded, facts


def _describe(source: ModelSource, loaded: LoadedJob) -> ServedModel:
    kind: ModelKind = "export"
    precision, job = source.precision, loaded.job
    if loaded.translator is None:
        is_int8 = read_card(loaded.path / directory.CONFIG, directory.ExportConfig).int8
        precision = "int8" if is_int8 else "float32"
    else:
        from nmt.recipe.reader import CARD
        from nmt.training.checkpoint import METADATA

        names = {CARD: "model", METADATA: "checkpoint"}
        kind = next((kind for name, kind in names.items() if (loaded.path / name).exists()), "run")  # type: ignore[misc]
    return ServedModel(
        source.name,
        source.path,
        kind,
        precision,
        job.languages,
        loaded.fingerprint(),
        job.attends,
        loaded.translator is not None,
        job.options.beam,
        job.estimator is not None,
    )


def read_identity(path: Path) -> Identity:
    """Return the identity of the files of a model; of a run, those of its best checkpoint and of the mean.

    A file that vanishes meanwhile is left out: a directory that is being replaced is looked at again.
    """
    entries = list[tuple[str, int, int, int]]()
    for file in _find_files(path):
        try:
            status = file.stat()
        except OSError:
            continue
        entries.append((str(file), status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(sorted(entries))


def _find_files(path: Path) -> Iterator[Path]:
    folders = [path.resolve()]  # a link to a directory may change
    if (path / "checkpoints").is_dir():
        best = path / "checkpoints" / "best"
        folders += [best.resolve(), path / "checkpoints" / "average"] if best.exists() else [best.parent]
    for folder in folders:
        try:
            yield from (
                file for file in folder.iterdir() if not file.name.endswith(LOGS) and not file.is_dir()
            )
        except OSError:
            yield folder
