"""The archives of sentence pairs from Tatoeba (by manythings.org), split by distinct English sentence.

Many pairs share a sentence, so a split by line would put the same sentence into training and test. Here the
part of a sentence depends on its SHA-256: it does not change with the order of the archive and hardly changes
in a newer one. Validation and test have one translation of each sentence; pairs whose other side occurs there
are removed from training.
"""

import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from nmt.errors import DataError
from nmt.files import lock_path, write_file

PARTS = ("valid", "test", "train")  # a sentence is in the first of these that has it

Pair = tuple[str, str]  # English, other language


def read_archive(archive: Path, member: str) -> Iterator[Pair]:
    """Yield the pairs of a text in a ZIP archive: English, tab, other language (newer ones add more)."""
    try:
        with zipfile.ZipFile(archive) as files:
            text = files.read(member).decode("utf-8")
    except (OSError, zipfile.BadZipFile, KeyError, UnicodeDecodeError, RuntimeError) as error:
        raise DataError(f"cannot read {member} in {archive}: {error}") from None
    for number, line in enumerate(text.split("\n"), 1):
        english, tab, rest = line.removesuffix("\r").partition("\t")
        if tab:
            yield english, rest.partition("\t")[0]
        elif line.strip():
            raise DataError(f"{member} in {archive}, line {number}: no tab between the two sides")


def split_pairs(pairs: Iterable[Pair], held_out: int) -> dict[str, list[Pair]]:
    """Split into valid, test and train; no sentence of either language is in two of them."""
    translations: dict[str, list[str]] = {}
    for english, other in pairs:
        translations.setdefault(english, []).append(other)
    shuffled = sorted(translations, key=lambda english: hashlib.sha256(english.encode()).digest())
    sentences = shuffled[:held_out], shuffled[held_out : 2 * held_out], shuffled[2 * held_out :]
    parts: dict[str, list[Pair]] = {}
    seen: set[str] = set()  # other sides of earlier parts
    for name, chosen in zip(PARTS, sentences, strict=True):
        limit = None if name == "train" else 1
        fresh = {one: [t for t in dict.fromkeys(translations[one]) if t not in seen] for one in chosen}
        parts[name] = [(english, other) for english in chosen for other in fresh[english][:limit]]
        seen |= {other for _, other in parts[name]}
    return parts


def prepare_archive(archive: Path, member: str, language: str, held_out: int, folder: Path) -> dict[str, int]:
    """Write the parts of an archive to a folder, as train.en, train.LANGUAGE, ...; return their pairs."""
    parts = split_pairs(read_archive(archive, member), held_out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock_path(folder, folder):
            for name, part in parts.items():
                for side, suffix in enumerate(("en", language)):
                    content = "".join(f"{pair[side]}\n" for pair in part)
                    write_file(folder / f"{name}.{suffix}", content.encode())
    except OSError as error:
        raise DataError(f"{folder}: cannot write there: {error.strerror}; choose another --to") from None
    return {name: len(part) for name, part in parts.items()}
