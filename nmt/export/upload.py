"""The directory that `nmt push` uploads: of a run, a model directory or an export."""

import logging
import os
import shutil
from pathlib import Path

from nmt.errors import UsageError
from nmt.export.directory import CHECKSUMS, is_exported
from nmt.files import atomic_directory
from nmt.formats import PROSE
from nmt.recipe.artifact import ModelCard, find_trained, list_averaged, write_model_directory
from nmt.recipe.reader import CARD
from nmt.untrusted_files import CARD_BYTES, check_sha256, find_member, read_bytes, read_card, read_json

log = logging.getLogger(__name__)

FRONT_MATTER = b"---\n"


def prepare_upload(path: Path, output: Path, name: str, *, with_code: bool = False) -> list[Path]:
    """Write what is to be uploaded to a new directory, and return its files.

    `name` is what the model is called there. A card that has front matter is kept. Raises UsageError for the
    file of a custom cell, unless `with_code`; DataError if a file is damaged.
    """
    if is_exported(path):
        _copy_export(path, output)
    else:
        _write_model(path, output, name)
    if b"\nlicense: " not in read_bytes(output / PROSE, CARD_BYTES):
        log.warning("%s names no licence: add `license:` to its front matter", PROSE)
    files = sorted(output.iterdir())
    code = [file.name for file in files if file.suffix == ".py"]
    if code and not with_code:
        raise UsageError(
            f"{path} contains Python code of its cells, {', '.join(code)}, which others would run: "
            "add --with-code to upload it"
        )
    return files


def _write_model(path: Path, output: Path, name: str) -> None:
    trained = find_trained(path)
    folder, weights = trained.folder, trained.weights
    card = folder / CARD
    averaged = read_card(card, ModelCard).averaged if os.path.lexists(card) else list_averaged(weights.parent)
    write_model_directory(folder, output, weights, {"averaged": averaged}, name)
    if os.path.lexists(card) and (content := _read_card_text(folder)):
        (output / PROSE).write_bytes(content)


def _copy_export(path: Path, output: Path) -> None:
    sums = read_json(path / CHECKSUMS, dict[str, str])
    with atomic_directory(output) as side:
        for name in sorted({*sums} - {PROSE}):
            file = find_member(path, name, path / CHECKSUMS)
            check_sha256(file, sums[name])
            shutil.copyfile(file, side / name)
        shutil.copyfile(path / CHECKSUMS, side / CHECKSUMS)
        content = _read_card_text(path)
        if content is None:
            raise UsageError(f"{path / PROSE} is not a model card with front matter: export the run again")
        (side / PROSE).write_bytes(content)


def _read_card_text(folder: Path) -> bytes | None:
    """Return the model card of a directory; None if it has no card with front matter."""
    file = folder / PROSE
    content = read_bytes(file, CARD_BYTES) if os.path.lexists(file) else b""
    return content if content.startswith(FRONT_MATTER) else None
