"""Split the Tatoeba archive by distinct English sentence: prepare.py deu-eng.zip FOLDER

Many pairs share a sentence, so a split by line would put the same sentence into training and test. Here the
part of a sentence depends on its SHA-256: it does not change with the order of the archive and hardly changes
in a newer one. 2,000 sentences each are held out for validation and test, with one translation each; pairs
whose German side occurs there are removed from training. The number of pairs left out is printed. Requires
only Python.
"""

import hashlib
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

HELD_OUT = 2000

Pair = tuple[str, str]  # English, German


def read_pairs(archive: Path) -> Iterator[Pair]:
    """Read the pairs of deu.txt: English, tab, German (newer archives add the attribution)."""
    with zipfile.ZipFile(archive) as files:
        for line in files.read("deu.txt").decode("utf-8").split("\n"):
            if line:
                english, german, *_ = line.split("\t")
                yield english, german


def split(pairs: Iterable[Pair], held_out: int = HELD_OUT) -> dict[str, list[Pair]]:
    """Split into valid, test and train; no sentence of either language is in two of them."""
    translations: dict[str, list[str]] = {}
    for english, german in pairs:
        translations.setdefault(english, []).append(german)
    shuffled = sorted(translations, key=lambda english: hashlib.sha256(english.encode()).digest())
    valid, test, train = shuffled[:held_out], shuffled[held_out : 2 * held_out], shuffled[2 * held_out :]
    parts: dict[str, list[Pair]] = {}
    seen: set[str] = set()  # German sentences of earlier parts
    for name, sentences, limit in (("valid", valid, 1), ("test", test, 1), ("train", train, None)):
        fresh = {e: [g for g in dict.fromkeys(translations[e]) if g not in seen] for e in sentences}
        parts[name] = [(english, german) for english in sentences for german in fresh[english][:limit]]
        seen |= {german for _, german in parts[name]}
    return parts


def main(archive: str, folder: str) -> None:
    """Write train, valid and test to a folder."""
    pairs = list(read_pairs(Path(archive)))
    parts = split(pairs)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        for side, language in enumerate(("en", "de")):
            text = "".join(pair[side] + "\n" for pair in part)
            (Path(folder) / f"{name}.{language}").write_text(text, encoding="utf-8", newline="\n")
        print(f"{name}: {len(part):,} pairs")
    print(f"left out: {len(pairs) - sum(map(len, parts.values())):,} of {len(pairs):,} pairs")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
