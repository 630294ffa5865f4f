"""Write the corpus: python corpora/phrasebook/prepare.py [directory]."""

import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from clauses import Pair
from grammar import sentences
from split import Split, split

HERE = Path(__file__).parent


def free_pairs(path: Path = HERE / "free.tsv") -> list[Pair]:
    """Read the hand-written pairs: Korean, tab, English."""
    if not path.exists():
        return []
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [Pair(ko.strip(), en.strip(), "free", f"free|{en.strip()}") for ko, en in rows]


def corpus() -> Split:
    """Return the corpus, split into train, valid and test."""
    return split(sentences(), free_pairs())


def render_files(parts: Split) -> dict[str, str]:
    """Return the text of every file of the corpus by name."""
    written: dict[str, str] = {}
    for name, pairs in zip(parts._fields, parts, strict=True):
        written[f"{name}.ko"] = join_lines([pair.ko for pair in pairs])
        written[f"{name}.en"] = join_lines([pair.en for pair in pairs])
    return written | {"test.gap": join_lines([str(pair.gap) for pair in parts.test])}


def join_lines(items: Sequence[str]) -> str:
    """Join items, one per line."""
    return "".join(f"{item}\n" for item in items)


def format_file_list(written: dict[str, str]) -> str:
    """Format the `files:` section of the card: lines and SHA-256 of each file."""
    rows = (
        f"  - {{name: {name}, lines: {text.count(chr(10))}, sha256: {sha256(text.encode()).hexdigest()}}}\n"
        for name, text in written.items()
    )
    return "files:\n" + "".join(rows)


def main(directory: Path) -> None:
    """Write all files and update the list in the card."""
    written = render_files(corpus())
    for name, text in written.items():
        (directory / name).write_text(text, encoding="utf-8", newline="\n")
    card = (HERE / "card.yaml").read_text(encoding="utf-8")
    (directory / "card.yaml").write_text(
        card[: card.index("files:\n")] + format_file_list(written), encoding="utf-8", newline="\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
