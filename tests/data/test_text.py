"""Reading text: what a line is, which files a corpus is made of, and what is refused."""

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xopen import xopen

from nmt.data import text
from nmt.data.pairs import Corpus, find_corpus, read_pairs
from nmt.data.text import COMPRESSIONS, MAGIC, iterate_lines, read_lines, read_lines_leniently
from nmt.errors import DataError

NASTY = ["", "\u2028", "a\u0085b", "a\rb", "\x0b\x0c", "\0", "  ", "x" * 100_000, "한국어 🙂", "\ufeff"]


def write(path: Path, content: bytes) -> Path:
    with xopen(path, "wb", threads=0) as file:
        file.write(content)
    return path


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_a_line_ends_at_a_newline_and_nowhere_else_in_every_compression(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"text{ending}", "\n".join(["first", *NASTY]).encode())
    assert list(read_lines(path)) == ["first", *NASTY]


@settings(derandomize=True, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=("Cs",)))))
def test_any_text_comes_back_line_by_line(lines: list[str]) -> None:
    stream = io.BytesIO("".join(line + "\n" for line in ["", *lines]).encode())
    assert list(read_lines_leniently(stream)) == [(line, None) for line in ["", *lines]]


def test_a_last_line_without_a_newline_counts_and_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    assert list(read_lines(write(tmp_path / "a", b"one\ntwo"))) == ["one", "two"]
    assert list(read_lines(write(tmp_path / "b", b"one\ntwo\n"))) == ["one", "two"]
    assert list(read_lines(write(tmp_path / "c", b"\n"))) == [""]
    assert list(read_lines(write(tmp_path / "d", b""))) == []


def test_a_byte_order_mark_and_carriage_returns_at_line_ends_are_removed(tmp_path: Path) -> None:
    path = write(tmp_path / "dos", b"\xef\xbb\xbfone\r\n\xef\xbb\xbftwo\rthree\r\nfour\r")
    assert list(read_lines(path)) == ["one", "\ufefftwo\rthree", "four"]


def test_bytes_that_are_not_utf8_are_refused_with_file_line_and_byte(tmp_path: Path) -> None:
    path = write(tmp_path / "latin.de", b"gut\nsch\xf6n\n")
    with pytest.raises(DataError, match=r"latin\.de, line 2: byte 0xf6 at position 4 is not UTF-8"):
        list(read_lines(path))


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_a_line_without_end_is_refused_and_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(text, "LONGEST_LINE", 1000)
    allowed = b"x" * 999 + b"\n"
    assert list(read_lines(write(tmp_path / f"allowed{ending}", allowed))) == ["x" * 999]
    path = write(tmp_path / f"endless{ending}", b"short\n" + bytes(5000) + b"\nshort\n")
    with pytest.raises(DataError, match=r"endless\S*, line 2: longer than 1,000 bytes"):
        list(read_lines(path))
    stream = io.BytesIO(b"short\n" + b"y" * 5000)
    with pytest.raises(DataError, match="the input, line 2: longer than 1,000 bytes"):
        list(read_lines_leniently(iterate_lines(stream, None)))
    assert stream.tell() == 1007


def test_the_lenient_reader_gives_every_line_and_says_what_was_wrong() -> None:
    lines = list(read_lines_leniently(io.BytesIO(b"gut\nsch\xf6n\r\n\n\0")))
    assert [text for text, _ in lines] == ["gut", "sch\ufffdn", "", "\0"]
    assert [note is None for _, note in lines] == [True, False, True, True]
    assert "0xf6 at position 4" in (lines[1][1] or "")


@pytest.mark.parametrize("ending", COMPRESSIONS[1:])
def test_a_compressed_file_that_is_cut_short_or_altered_is_refused_by_name(
    tmp_path: Path, ending: str
) -> None:
    path = write(tmp_path / f"text{ending}", "".join(f"line {n * n}\n" for n in range(1000)).encode())
    whole = path.read_bytes()
    for content in (whole[:-20], b"no archive at all", whole[:20] + bytes(40) + whole[60:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"cannot read .*text\{ending}: "):
            list(read_lines(path))


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*absent"):
        list(read_lines(tmp_path / "absent"))
    with pytest.raises(DataError, match="cannot read"):
        list(read_lines(tmp_path))


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_a_prefix_a_tsv_file_and_two_files_give_the_same_pairs(tmp_path: Path, ending: str) -> None:
    pairs = [("eins", "one"), ("", "two"), ("drei\u2028", "")]
    write(tmp_path / f"train.de{ending}", "\n".join(s for s, _ in pairs).encode())
    write(tmp_path / f"train.en{ending}", ("\n".join(t for _, t in pairs) + "\n").encode())
    write(tmp_path / f"all.tsv{ending}", "".join(f"{s}\t{t}\n" for s, t in pairs).encode())
    for name in (
        "train",
        "all.tsv",
        f"all.tsv{ending}",
        ["train.de", "train.en"],
        [f"train.de{ending}", "train.en"],
    ):
        corpus = find_corpus(name, root=tmp_path, src="de", tgt="en")
        assert list(read_pairs(corpus)) == pairs


def test_a_missing_corpus_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "train.de").write_text("x\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"no file .*train\.en \(nor with \.gz, \.bz2, \.xz, \.zst\)"):
        find_corpus("train", root=tmp_path, src="de", tgt="en")


@pytest.mark.parametrize(("src", "tgt"), [(3, 5), (5, 3), (0, 1)])
def test_files_of_different_lengths_are_refused_with_both_counts(tmp_path: Path, src: int, tgt: int) -> None:
    (tmp_path / "t.de").write_text("x\n" * src, encoding="utf-8")
    (tmp_path / "t.en").write_text("y\n" * tgt, encoding="utf-8")
    with pytest.raises(DataError, match=rf"t\.de has {src} lines but .*t\.en has {tgt}"):
        list(read_pairs(find_corpus("t", root=tmp_path, src="de", tgt="en")))


def test_a_tsv_line_with_other_than_two_columns_is_refused_but_an_empty_one_is_a_blank_pair(
    tmp_path: Path,
) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("a\tb\n\nc\td\te\n", encoding="utf-8")
    pairs = read_pairs(Corpus((path,)))
    assert [next(pairs), next(pairs)] == [("a", "b"), ("", "")]
    with pytest.raises(DataError, match=r"t\.tsv, line 3: 3 columns, expected two"):
        next(pairs)


@pytest.mark.parametrize("ending", MAGIC)
def test_a_file_that_is_not_compressed_as_its_name_says_is_reported(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    for content in (b"plain text\n", MAGIC[".gz" if ending == ".xz" else ".xz"] + b"rest"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is not compressed, or otherwise than its name says"):
            list(read_lines(path))


@pytest.mark.parametrize("ending", MAGIC)
def test_a_truncated_compressed_file_is_reported_as_such(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    whole = write(path, b"text\n" * 9).read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(DataError, match="if it is damaged or truncated, download or compress it again"):
        list(read_lines(path))
