"""The archives of Tatoeba, and their split into training, validation and test."""

import random
import zipfile
from pathlib import Path

import pytest

from nmt.data.corpora import corpus_root, prepare_corpus, read_card
from nmt.data.tatoeba import prepare_archive, read_archive, split_pairs
from nmt.errors import DataError, UsageError
from nmt.files import lock_path
from tests.end_to_end.toy import done, nmt


def many_to_many(count: int) -> list[tuple[str, str]]:
    draw = random.Random(3)
    return [(f"sentence {draw.randrange(count)}", f"句子{draw.randrange(count)}。") for _ in range(3 * count)]


def write_archive(path: Path, text: str, member: str = "cmn.txt") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, text)
    return path


def test_no_sentence_of_either_language_is_in_two_parts() -> None:
    parts = split_pairs(many_to_many(500), held_out=40)
    for side in (0, 1):
        sentences = {name: {pair[side] for pair in part} for name, part in parts.items()}
        assert not sentences["valid"] & sentences["test"]
        assert not (sentences["valid"] | sentences["test"]) & sentences["train"]
    assert len(parts["valid"]) == 40
    assert 30 < len(parts["test"]) <= 40
    assert len(parts["train"]) > 800


def test_the_order_of_the_archive_does_not_move_a_sentence() -> None:
    pairs = many_to_many(500)
    forwards, backwards = split_pairs(pairs, held_out=40), split_pairs(pairs[::-1], held_out=40)
    assert [english for english, _ in forwards["valid"]] == [english for english, _ in backwards["valid"]]


def test_parts_that_another_process_is_writing_are_refused(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.zip", "One.\t一。\n")
    with lock_path(tmp_path, tmp_path), pytest.raises(UsageError, match="another process is writing"):
        prepare_archive(archive, "cmn.txt", "zh", 1, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_an_archive_becomes_the_corpus_that_recipes_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NMT_CORPORA", str(tmp_path / "corpora"))
    lines = [f"{en}\t{zh}\tCC-BY 2.0\n" for en, zh in many_to_many(3000)]
    write_archive(tmp_path / "copy" / "cmn-eng.zip", "".join(lines) + "One\u2028line.\t一\u2028行。\r\n")
    with pytest.raises(
        UsageError, match="run: nmt corpus prepare tatoeba-zh-en DIR, where DIR contains cmn-eng"
    ):
        corpus_root("tatoeba-zh-en")
    prepared = nmt("corpus", "prepare", "tatoeba-zh-en", tmp_path / "copy")
    folder = Path(done(prepared).strip())
    assert "valid: 1,000 pairs" in prepared.stderr
    assert "scores are not comparable" in prepared.stderr
    assert corpus_root("tatoeba-zh-en") == folder == tmp_path / "corpora" / "tatoeba-zh-en"
    for name in ("train", "valid", "test"):
        chinese, english = (
            (folder / f"{name}.{side}").read_text(encoding="utf-8").split("\n") for side in ("zh", "en")
        )
        assert len(chinese) == len(english) > 1
    elsewhere = tmp_path / "elsewhere"
    assert done(
        nmt("corpus", "prepare", "tatoeba-zh-en", tmp_path / "copy", "--to", elsewhere)
    ).strip() == str(elsewhere)
    assert (elsewhere / "test.zh").read_bytes() == (folder / "test.zh").read_bytes()


@pytest.mark.parametrize(
    ("text", "member", "message"),
    [
        ("Hi.\t嗨。\nno tab\n", "cmn.txt", "line 2: no tab"),
        ("Hi.\t嗨。\n", "deu.txt", "cannot read cmn.txt"),
    ],
)
def test_an_archive_that_is_none_of_tatoebas_is_refused(
    tmp_path: Path, text: str, member: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        list(read_archive(write_archive(tmp_path / "cmn-eng.zip", text, member), "cmn.txt"))
    (tmp_path / "cmn-eng.zip").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"cannot read cmn\.txt"):
        list(read_archive(tmp_path / "cmn-eng.zip", "cmn.txt"))


def test_what_cannot_be_prepared_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="multi30k needs no preparation"):
        prepare_corpus(read_card("multi30k"), tmp_path, tmp_path / "to", print)
    with pytest.raises(UsageError, match=r"deu-eng\.zip does not exist: The URL"):
        prepare_corpus(read_card("tatoeba-de-en"), tmp_path, tmp_path / "to", print)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "valid", "test", "train"),
    [("tatoeba-de-en", 2000, 1997, 164_160), ("tatoeba-zh-en", 1000, 999, 18_111)],
)
def test_the_real_archives_split_as_they_did(
    name: str, valid: int, test: int, train: int, shared_corpora: Path, tmp_path: Path
) -> None:
    warnings: list[str] = []
    parts = prepare_corpus(read_card(name), shared_corpora / name, tmp_path, warnings.append)
    assert parts == {"valid": valid, "test": test, "train": train}
    assert not warnings
