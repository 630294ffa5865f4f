"""Files that are not UTF-8 text: each is recognised, and the command in the message converts it."""

import gzip
import io
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from nmt import text_encoding
from nmt.data.formats import read_tmx
from nmt.data.text import read_lines, read_lines_leniently
from nmt.errors import DataError, show_notes
from nmt.text_encoding import ENCODINGS, ESCAPE, SAMPLE, guess_encoding, quote, survey_lines
from nmt.untrusted_files import read_recipe_text

NEEDS_ICONV = pytest.mark.skipif(shutil.which("iconv") is None, reason="there is no iconv here")
KOREAN = "저는 학생이에요. 오늘 학교에 갔어요.\n커피 한 잔 주세요.\n어제 친구들과 영화를 봤어요.\n"
TEXTS = {
    "ko": KOREAN,
    "zh": "我是学生。今天我去了学校。\n这本书非常有趣。\n请给我一杯咖啡。\n",
    "tw": "我是學生。今天我去了學校。\n這本書非常有趣。\n請給我一杯咖啡。\n",
    "ja": "私は学生です。学校に行きました。\nこの本はとても面白いですね。\nコーヒーを一杯お願いします。\n",
    "ru": "Я студент. Сегодня я ходил в школу.\nЭта книга очень интересная.\nОдну чашку кофе, пожалуйста.\n",
    "de": "Der Bäcker öffnet um fünf Uhr.\nDie Mädchen hören schöne Lieder.\nEr heißt Jürgen Groß.\n",
    "fr": "Voulez-vous répéter votre numéro ?\nPuis-je ouvrir la fenêtre ?\nOù êtes-vous né ? À Orléans.\n",
    "tr": "Bugün okula gittim, hava çok güneşliydi.\nKışın dağlara kar yağar.\nÇocuklar parkta oynuyorlar.\n",
    "el": "Σήμερα πήγα στο σχολείο.\nΑυτό το βιβλίο είναι πολύ ενδιαφέρον.\nΈναν καφέ, παρακαλώ.\n",
    "pl": "Dzisiaj poszedłem do szkoły.\nTa książka jest bardzo ciekawa.\nPoproszę jedną filiżankę kawy.\n",
    "he": "אני סטודנט. היום הלכתי לבית הספר.\nהספר הזה מעניין מאוד.\nכוס קפה אחת, בבקשה.\n",
    "th": "ฉันเป็นนักเรียน วันนี้ฉันไปโรงเรียน\nหนังสือเล่มนี้น่าสนใจมาก\nขอกาแฟหนึ่งแก้ว\n",
    "en": "I am a student.\nI went to school today.\nOne cup of coffee, please.\n",
}
WRITTEN = [
    *[("ko", name) for name in ("cp949", "euc_kr", "johab", "iso2022_kr", "utf_16", "utf_16_le", "utf_32")],
    *[("zh", name) for name in ("gbk", "gb2312", "gb18030", "utf_16_be", "utf_32_le")],
    *[("tw", name) for name in ("big5", "big5hkscs")],
    *[("ja", name) for name in ("shift_jis", "cp932", "euc_jp", "iso2022_jp", "utf_16_le")],
    *[("ru", name) for name in ("koi8_r", "cp1251", "iso8859_5", "cp866", "utf_16_be")],
    *[("de", "cp1252"), ("de", "latin_1"), ("fr", "cp1252"), ("fr", "mac_roman"), ("de", "utf_16_le")],
    *[("tr", "iso8859_9"), ("tr", "cp1254"), ("el", "iso8859_7"), ("pl", "iso8859_2"), ("pl", "cp1250")],
    *[("he", "cp1255"), ("th", "tis_620"), ("en", "utf_16_le"), ("en", "utf_16_be"), ("en", "utf_32_be")],
]


def refusal(path: Path) -> str:
    """Return the message with which a file is refused."""
    with pytest.raises(DataError) as error:
        list(read_lines(path))
    return str(error.value)


def convert(message: str, folder: Path) -> bytes:
    """Run the command of a message, and return the file that it writes."""
    command = message[message.index("`") + 1 : message.rindex("`")]
    subprocess.run(["bash", "-c", command], cwd=folder, check=True, env=os.environ | {"LC_ALL": "C"})
    [made] = folder.glob("*.utf8")
    return made.read_bytes()


@NEEDS_ICONV
@pytest.mark.parametrize(("language", "encoding"), WRITTEN)
def test_an_encoding_is_named_with_the_command_that_converts_it(
    language: str, encoding: str, tmp_path: Path
) -> None:
    path = tmp_path / "train set.txt"
    path.write_bytes(TEXTS[language].encode(encoding))
    message = refusal(path)
    assert "train set.txt" in message
    assert f'it reads "{TEXTS[language][:12]}' in message
    converted = convert(message, tmp_path).removeprefix(b"\xef\xbb\xbf")
    assert converted.decode() == TEXTS[language]
    assert list(read_lines(tmp_path / "train set.txt.utf8")) == TEXTS[language].splitlines()


@NEEDS_ICONV
def test_iconv_knows_every_name() -> None:
    for python, name in ENCODINGS.items():
        command = ["iconv", "-f", name, "-t", "UTF-8"]
        done = subprocess.run(command, input="aB 1".encode(python), capture_output=True, check=True)
        assert done.stdout.removeprefix(b"\xef\xbb\xbf") == b"aB 1", name


@NEEDS_ICONV
@pytest.mark.parametrize("name", ["train.ko.gz", "train.ko"])
def test_a_compressed_file_is_decompressed_in_the_command(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(KOREAN.encode("cp949")))
    message = refusal(path)
    assert "line 1: byte 0xc0 at position 1 is not UTF-8; it looks like " in message
    assert convert(message, tmp_path).decode() == KOREAN
    assert (tmp_path / "train.ko.utf8").exists()


def test_a_byte_order_mark_of_utf8_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text(KOREAN, encoding="utf-8-sig")
    assert list(read_lines(path)) == KOREAN.splitlines()


@NEEDS_ICONV
def test_broken_bytes_in_utf8_are_listed_and_no_encoding_is_guessed(tmp_path: Path) -> None:
    lines = [line.encode() for line in KOREAN.splitlines() * 100]
    for number in (7, 90, 250):
        lines[number - 1] = b"\xff" + lines[number - 1][2:]
    path = tmp_path / "a"
    path.write_bytes(b"\n".join(lines))
    message = refusal(path)
    assert "a, line 7: byte 0xff at position 1 is not UTF-8" in message
    assert "3 of its 300 lines are not UTF-8 (lines 7, 90, 250), but the rest is: correct" in message
    assert "looks like" not in message
    assert len(convert(message, tmp_path).decode().splitlines()) == 300


@pytest.mark.parametrize("text", ["你好", "Übergrößen für Mädchen", "привет", "여보세요", "नमस्ते"])
def test_a_single_line_with_a_broken_byte_is_nearly_utf8(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(f"{text}。".encode() + b"\xff.\n")
    assert "1 of its 1 lines is not UTF-8 (line 1), but the rest is: correct" in refusal(path)


def test_a_file_that_was_cut_inside_a_character_is_nearly_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(KOREAN.strip().encode() + "고".encode()[:2])
    assert "1 of its 3 lines is not UTF-8 (line 3), but the rest is: correct or delete this line" in refusal(
        path
    )


def test_files_that_are_joined_of_two_encodings_are_not_taken_for_one(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes((KOREAN * 50).encode() + (KOREAN * 100).encode("cp949"))
    message = refusal(path)
    assert "300 of its 450 lines are not UTF-8 (lines 151, 152, " in message
    assert "and 290 more" in message
    assert re.search("delete these lines, which look like (CP949|EUC-KR) text", message)


def test_the_whole_of_a_large_file_is_sampled(tmp_path: Path) -> None:
    """Its beginning is ASCII, and the lines that decide come at its end."""
    path = tmp_path / "a"
    path.write_bytes(b"plain\n" * 100_000 + (TEXTS["ru"] * SAMPLE).encode("koi8_r"))
    message = refusal(path)
    assert "line 100,001" in message.replace("100001", "100,001")
    assert "it looks like KOI8-R text" in message


def test_bytes_of_no_known_encoding_are_not_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert guess_encoding(b"") is None
    monkeypatch.setattr(text_encoding, "guess_encoding", lambda sample: None)
    path = tmp_path / "a"
    path.write_bytes(b"\x80\xff words\n" * 9)
    message = "byte 0x80 at position 1 is not UTF-8; its encoding was not recognised: convert it with `iconv "
    assert message in refusal(path)


def office(member: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(member, "<document/>")
    return file.getvalue()


BINARY = {
    "gzip-compressed": gzip.compress(b"text\n"),
    "a ZIP archive": office("train.de"),
    "a Word document": office("word/document.xml"),
    "an Excel workbook": office("xl/workbook.xml"),
    "an OpenDocument document": office("content.xml"),
    "a PDF document": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "an RTF document": b"{\\rtf1\\ansi\n",
    "a document of Microsoft Office": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99),
    "a Parquet file": b"PAR1\x15\x04\x15\n",
    "binary data": b"begin\n" + bytes(range(32)) * 20 + b"\n",
}


@pytest.mark.parametrize("kind", BINARY)
def test_a_binary_file_is_named_as_what_it_is(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "train.de"
    path.write_bytes(BINARY[kind])
    if kind != "gzip-compressed":  # which is read as what it is, if a file may be compressed at all
        assert f"train.de: it is {kind}, not plain text: " in refusal(path)
    if kind == "binary data":
        return
    with path.open("rb") as stream, pytest.raises(DataError, match=re.escape(f"train.de: it is {kind}")):
        list(read_lines_leniently(stream, path=path))


@pytest.mark.parametrize("name", ["a.gz", "a"])
def test_a_file_that_is_compressed_twice_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(gzip.compress(gzip.compress(b"text\n")))
    assert "it is gzip-compressed" in refusal(tmp_path / name)


@pytest.mark.parametrize(
    "line",
    [
        "PAR1 is a gene.",
        "%PDF-1.4 is a version.",
        "PK",
        "Rar!",
        "a\0b",
        "\0",
        "\x1b$",
        "{\\rtf",
    ],
)
def test_text_that_resembles_another_format_is_text(line: str, tmp_path: Path) -> None:
    text = f"{line}\n{KOREAN}"
    (tmp_path / "a").write_text(text, encoding="utf-8")
    assert list(read_lines(tmp_path / "a")) == text.splitlines()
    notes = list[str]()
    with show_notes(notes.append):
        lines = list(read_lines_leniently(io.BytesIO(text.encode())))
    assert [one for one, _ in lines] == text.splitlines()
    assert notes == []


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_other_separators_never_end_a_line(separator: str, tmp_path: Path) -> None:
    text = f"one{separator}two{separator}\n{separator}\nthree\r\nfour\rfive\n"
    (tmp_path / "a").write_bytes(text.encode())
    expected = [f"one{separator}two{separator}", separator, "three", "four\rfive"]
    assert list(read_lines(tmp_path / "a")) == expected
    assert [line for line, _ in read_lines_leniently(io.BytesIO(text.encode()))] == expected


@pytest.mark.parametrize("text", ["one\rtwo", "one\rtwo\r", "1\r" * 12 + "\n", "\r\r"])
def test_classic_mac_line_ends_are_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mac"
    path.write_bytes(text.encode())
    message = refusal(path)
    assert "in a carriage return (\\r), as on classic Mac OS" in message
    assert convert(message, tmp_path) == text.replace("\r", "\n").encode()
    with pytest.raises(DataError, match="the input: .* as on classic Mac OS"):
        list(read_lines_leniently(io.BytesIO(text.encode())))


@pytest.mark.parametrize("text", ["one\r\ntwo\r\n", "one\r", "one\rtwo\nthree\n", "\r\n", ""])
def test_other_carriage_returns_are_read_as_before(text: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(text.encode())
    lines = list(read_lines(tmp_path / "a"))
    assert lines == [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n") if text]


@pytest.mark.parametrize("encoding", ["cp949", "iso2022_jp", "utf_16_le"])
def test_a_stream_is_described_at_its_end_and_every_line_is_given(encoding: str) -> None:
    content = TEXTS["ja" if encoding == "iso2022_jp" else "ko"].encode(encoding)
    notes = list[str]()
    with show_notes(notes.append):
        lines = list(read_lines_leniently(io.BytesIO(content)))
    assert len(lines) == len(content.removesuffix(b"\n").split(b"\n"))
    [note] = notes
    assert re.match("the input: it looks like (CP949|EUC-KR|ISO-2022-JP|UTF-16LE)", note)
    assert "before it is read" in note


def test_single_bad_lines_of_a_stream_have_only_their_notes() -> None:
    notes = list[str]()
    with show_notes(notes.append):
        lines = list(read_lines_leniently(io.BytesIO((KOREAN * 3).encode() + b"\xff\n")))
    assert [number for number, (_, note) in enumerate(lines, 1) if note] == [10]
    assert notes == []


def test_a_recipe_and_a_translation_memory_get_the_same_advice(tmp_path: Path) -> None:
    recipe = tmp_path / "a.yaml"
    recipe.write_bytes("# 한국어로 적은 설명입니다. 오늘 학교에 갔어요.\ntask: translation\n".encode("cp949"))
    with pytest.raises(
        DataError, match=r"a.yaml: refused: not UTF-8 text: it looks like .* `iconv -f \S+ -t UTF-8 "
    ):
        read_recipe_text(recipe)
    for declared in ("", ' encoding="utf-8"', ' encoding="euc-kr"', ' encoding="no-such"'):
        memory = tmp_path / "a.tmx"
        body = f"<tmx><tu><tuv><seg>{KOREAN}</seg></tuv></tu></tmx>"
        memory.write_bytes(f'<?xml version="1.0"{declared}?>\n{body}'.encode("cp949"))
        with pytest.raises(
            DataError, match=r"a.tmx is not TMX: .*; it looks like .* `iconv -f \S+ -t UTF-8 "
        ):
            list(read_tmx(memory, ["ko", "en"], []))


def test_a_pipe_is_described_by_what_is_left_of_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_bytes(b"one\n" + KOREAN.encode("cp949"))
    with subprocess.Popen(["sh", "-c", "cat text > pipe"], cwd=tmp_path):
        message = refusal(tmp_path / "pipe")
    assert "pipe, line 2: byte 0xc0 at position 1 is not UTF-8; it looks like " in message
    assert "before it is read" in message


def test_standard_input_by_its_name_is_a_stream() -> None:
    survey = survey_lines([line + b"\n" for line in KOREAN.encode("cp949").splitlines()], Path("/dev/stdin"))
    assert (survey.describe() or "").endswith("-t UTF-8` before it is read")


def test_names_are_quoted_for_the_shell(tmp_path: Path) -> None:
    for name in ("a b", "it's", "-f", "한국어", "a\nb", "\x1b[2J", os.fsdecode(b"\xb0\xa1 a"), "$(x)"):
        path = tmp_path / name
        path.write_bytes(b"found")
        done = subprocess.run(
            ["bash", "-c", f"cat {quote(name)}"], cwd=tmp_path, capture_output=True, check=True
        )
        assert done.stdout == b"found"
        assert quote(name).isprintable()


def test_the_escape_of_iso_2022_alone_is_no_encoding() -> None:
    assert survey_lines([b"a " + ESCAPE + b" b\n"] * 9, None).describe() is None
