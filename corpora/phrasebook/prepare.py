"""Writes the corpus: python corpora/phrasebook/prepare.py [directory]."""

import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from clauses import Pair
from grammar import sentences
from split import Split, split

HERE = Path(__file__).parent


def free_pairs(path: Path = HERE / "free.tsv") -> list[Pair]:
    """The pairs written by hand: Korean, tab, English."""
    if not path.exists():
        return []
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [Pair(ko.strip(), en.strip(), "free", f"free|{en.strip()}") for ko, en in rows]


def corpus() -> Split:
    """The whole corpus in its three parts."""
    return split(sentences(), free_pairs())


def files(parts: Split) -> dict[str, str]:
    """The text of every file of the corpus."""
    written: dict[str, str] = {}
    for name, pairs in zip(parts._fields, parts, strict=True):
        written[f"{name}.ko"] = lines([pair.ko for pair in pairs])
        written[f"{name}.en"] = lines([pair.en for pair in pairs])
    return written | {"test.gap": lines([str(pair.gap) for pair in parts.test])}


def lines(items: Sequence[str]) -> str:
    """Items, one a line."""
    return "".join(f"{item}\n" for item in items)


def listing(written: dict[str, str]) -> str:
    """The files part of the card: lines and sha256 of each file."""
    rows = (
        f"  - {{name: {name}, lines: {text.count(chr(10))}, sha256: {sha256(text.encode()).hexdigest()}}}\n"
        for name, text in written.items()
    )
    return "files:\n" + "".join(rows)


def main(directory: Path) -> None:
    """Writes all files, and the card's list of them."""
    written = files(corpus())
    for name, text in written.items():
        (directory / name).write_text(text, encoding="utf-8", newline="\n")
    card = (HERE / "card.yaml").read_text(encoding="utf-8")
    (directory / "card.yaml").write_text(
        card[: card.index("files:\n")] + listing(written), encoding="utf-8", newline="\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
