"""The split of the Tatoeba archive."""

import importlib.util
import random
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

CORPORA = Path(__file__).resolve().parents[2] / "corpora"


@pytest.fixture(scope="module")
def prepare() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare", CORPORA / "tatoeba-de-en" / "prepare.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def many_to_many(count: int) -> list[tuple[str, str]]:
    draw = random.Random(3)
    return [(f"sentence {draw.randrange(count)}", f"Satz {draw.randrange(count)}") for _ in range(3 * count)]


def test_no_sentence_of_either_language_is_in_two_parts(prepare: ModuleType) -> None:
    parts = prepare.split(many_to_many(500), held_out=40)
    for side in (0, 1):
        sentences = {name: {pair[side] for pair in part} for name, part in parts.items()}
        assert not sentences["valid"] & sentences["test"]
        assert not (sentences["valid"] | sentences["test"]) & sentences["train"]
    assert len(parts["valid"]) == 40
    assert 30 < len(parts["test"]) <= 40
    assert len(parts["train"]) > 800


def test_the_order_of_the_archive_does_not_move_a_sentence(prepare: ModuleType) -> None:
    pairs = many_to_many(500)
    forwards, backwards = prepare.split(pairs, held_out=40), prepare.split(pairs[::-1], held_out=40)
    assert [english for english, _ in forwards["valid"]] == [english for english, _ in backwards["valid"]]


def test_the_archive_becomes_six_files_of_equal_length(
    prepare: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(tmp_path / "deu-eng.zip", "w") as archive:
        lines = [f"{en}\t{de}\tCC-BY 2.0\n" for en, de in many_to_many(6000)]
        archive.writestr("deu.txt", "".join(lines) + "One\u2028line.\tEine\u2028Zeile.\n")
    prepare.main(str(tmp_path / "deu-eng.zip"), str(tmp_path / "split"))
    for name in ("train", "valid", "test"):
        german = (tmp_path / "split" / f"{name}.de").read_text(encoding="utf-8").split("\n")
        english = (tmp_path / "split" / f"{name}.en").read_text(encoding="utf-8").split("\n")
        assert len(german) == len(english) > 1
    assert "left out" in capsys.readouterr().out


@pytest.mark.real
def test_the_real_archive_splits_as_it_did(prepare: ModuleType, shared_corpora: Path) -> None:
    pairs = list(prepare.read_pairs(shared_corpora / "tatoeba-de-en" / "deu-eng.zip"))
    parts = prepare.split(pairs)
    assert len(pairs) == 169_813
    assert {name: len(part) for name, part in parts.items()} == {
        "valid": 2000,
        "test": 1997,
        "train": 164_160,
    }
