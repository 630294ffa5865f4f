"""One line in, one line out, whatever the line holds; the same text whatever stands beside it."""

import random
import re
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import nmt
from tests.grid import mark_slow

FRAGMENTS = [
    *(
        word.encode()
        for word in ("Der", "alte", "Hund", "sucht", "einen", "Stein.", "x", "Ärger", "▁", "<s>")
    ),
    *(
        text.encode()
        for text in ("\u2028", "\u2029", "\u0085", "\u200b", "\ufeff", "e\u0301", "한국", "🦊", "‮")
    ),
    *(b"\0", b"\r", b"\t", b"\v", b"\f", b"\x1c", b"\x1b[31m", b" ", b"  ", b"|||", b"</s>", b"<unk>"),
    *(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf5\x80", b"\xe2\x80"),  # not UTF-8, or cut short
]


def nasty_lines(seed: int, count: int = 40) -> list[bytes]:
    """Lines put together from fragments by chance, some blank, some without a space."""
    draw = random.Random(seed)
    return [
        draw.choice((b"", b" ")).join(draw.choices(FRAGMENTS, k=draw.choice((0, 1, 2, 5, 12))))
        for _ in range(count)
    ]


def translated(finished: Finished, text: bytes, *options: object) -> list[bytes]:
    """The lines that come out; the last must have its end."""
    result = nmt("translate", finished.run, "-q", *options, stdin=text)
    assert result.exit_code == 0, result.output
    *lines, rest = result.stdout_bytes.split(b"\n")
    assert rest == b""
    return lines


def test_three_lines_with_a_blank_one_and_a_foreign_line_end_give_three(finished: Finished) -> None:
    lines = translated(finished, "ein Hund\n\n\u2028x\n".encode())
    assert len(lines) == 3
    assert lines[1] == b""


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (b"", 0),
        (b"\n", 1),
        (b"\n\n\n", 3),
        (b"Der Hund", 1),
        (b"Der Hund\nDer Mann", 2),
        (b"\0\n\0\0\n", 2),
        (b" \n\t\n\r\n", 3),
        (b"\rDer\rHund\r\n", 1),
        ("\ufeffDer Hund\n".encode(), 1),
    ],
)
def test_only_a_line_feed_ends_a_line(text: bytes, count: int, finished: Finished) -> None:
    assert len(translated(finished, text)) == count


def test_windows_line_ends_a_byte_order_mark_and_a_missing_end_change_no_translation(
    finished: Finished,
) -> None:
    plain = b"Der alte Hund sucht einen Stein.\nDer gute Mann malt einen Baum.\n"
    expected = translated(finished, plain)
    assert all(expected)
    assert translated(finished, plain.replace(b"\n", b"\r\n")) == expected
    assert translated(finished, b"\xef\xbb\xbf" + plain) == expected
    assert translated(finished, plain.removesuffix(b"\n")) == expected


def test_invalid_bytes_are_reported_with_their_line(finished: Finished) -> None:
    result = nmt("translate", finished.run, "-q", stdin=b"Der Hund\nDer \xffHund\nDer Mann\n")
    assert result.stdout_bytes.count(b"\n") == 3
    assert "line 2: byte 0xff at position 5 is not UTF-8" in result.stderr


@pytest.mark.parametrize("characters", mark_slow([10_000, 100_000], default=[10_000]))
def test_a_long_line_gives_one_line_and_a_warning(characters: int, finished: Finished) -> None:
    long = (b"Der Hund sucht einen Baum, " * 4000)[:characters]
    result = nmt("translate", finished.run, "-q", "--beam", 1, stdin=b"Der Hund\n" + long + b"\nDer Mann\n")
    assert result.exit_code == 0
    lines = result.stdout_bytes.split(b"\n")
    assert len(lines) == 4
    assert len(lines[1]) > 1_000
    note = r"^line 2: a sentence of .* tokens, more than .* in training: translated in [\d,]+ parts$"
    assert re.search(note, result.stderr, re.M)


def test_a_line_of_100_000_characters_without_a_space_gives_one_line(finished: Finished) -> None:
    lines = translated(finished, b"Der Hund\n" + b"q" * 100_000 + b"\nDer Mann\n")
    assert len(lines) == 3
    assert lines[::2] == translated(finished, b"Der Hund\nDer Mann\n")


@pytest.mark.parametrize("seed", mark_slow([1, 2, 3], default=[1]))
def test_nasty_lines_keep_their_number_and_their_translations_in_any_company(
    seed: int, finished: Finished
) -> None:
    lines = nasty_lines(seed)
    together = translated(finished, b"".join(line + b"\n" for line in lines))
    assert len(together) == len(lines)
    order = list(range(len(lines)))
    random.Random(seed).shuffle(order)
    first = next(i for i in order if not lines[i].startswith(b"\xef\xbb\xbf"))  # there it would be a mark
    order.remove(first)
    order.insert(0, first)
    shuffled = translated(finished, b"".join(lines[i] + b"\n" for i in order), "--batch", 1)
    assert shuffled == [together[i] for i in order]


def test_batches_of_1_and_of_64_give_the_same_file(finished: Finished, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes((finished.text / "test.de").read_bytes() + b"\n".join(nasty_lines(4, 20)) + b"\n")
    for batch in (1, 64):
        done = nmt("translate", finished.run, "-i", source, "-o", tmp_path / f"{batch}", "--batch", batch)
        assert done.exit_code == 0
    assert (tmp_path / "1").read_bytes() == (tmp_path / "64").read_bytes()
    assert (tmp_path / "1").read_bytes().count(b"\n") == 40
