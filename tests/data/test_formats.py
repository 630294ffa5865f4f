"""Files of pairs: every form gives the same pairs, and what is wrong is said with its place."""

import gzip
import json
import sys
from pathlib import Path

import pytest

from nmt.data.formats import find_languages
from nmt.data.pairs import Corpus, find_corpus, read_pairs, read_rows
from nmt.errors import DataError, MissingPackage, UsageError

PAIRS = [("Ein Hund.", "A dog."), ("", "blank"), ('a\u2028b <&> "c"', "d"), ("새", "bird")]
EXTRA = [("0.5", "0-0"), ("1", ""), ("2", "0-0"), ("1", "0-0")]


def tmx(pairs: list[tuple[str, str]]) -> str:
    from xml.sax.saxutils import escape

    units = "".join(
        f'<tu><note>not this</note><tuv xml:lang="de-DE"><seg>{escape(s)}</seg></tuv>'
        f'<tuv lang="EN_us"><seg><ph>no</ph>{escape(t)}</seg></tuv><tuv xml:lang="fr"><seg/></tuv></tu>\n'
        for s, t in pairs
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<tmx version="1.4"><header/><body>{units}</body></tmx>'


def write(folder: Path, form: str) -> str:
    path = folder / f"a{form}"
    if form == ".tsv":
        path.write_text("".join(f"{s}\t{t}\n" for s, t in PAIRS), "utf-8")
    elif form == ".tsv.gz":
        path.write_bytes(gzip.compress("".join(f"{s}\t{t}\n" for s, t in PAIRS).encode()))
    elif form == ".jsonl":
        path.write_text("".join(json.dumps({"x": 1, "en": t, "de": s}) + "\n" for s, t in PAIRS), "utf-8")
    elif form == ".tmx":
        path.write_text(tmx(PAIRS), "utf-8")
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        import pyarrow

        sides = dict(zip(("de", "en"), map(list, zip(*PAIRS, strict=True)), strict=True))
        parquet.write_table(pyarrow.table({**sides, "x": [1] * len(PAIRS)}), path)
    return path.name.removesuffix(".gz")


@pytest.mark.parametrize("form", [".jsonl", ".parquet"])
def test_texts_in_a_field_translation_are_read_as_hugging_face_writes_them(tmp_path: Path, form: str) -> None:
    entries = [{"id": 1, "translation": dict(zip(("de", "en"), pair, strict=True))} for pair in PAIRS]
    path = tmp_path / f"a{form}"
    if form == ".parquet":
        parquet, pyarrow = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
        parquet.write_table(pyarrow.Table.from_pylist(entries), path)
    else:
        path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    assert find_languages(path) == (["de", "en"], True)
    assert list(read_pairs(find_corpus(path.name, root=tmp_path, src="de", tgt="en"))) == PAIRS
    with pytest.raises(DataError, match=r"'fr'; available: id, translation, de, en"):
        list(read_pairs(find_corpus(path.name, root=tmp_path, src="de", tgt="fr")))


@pytest.mark.parametrize("form", [".tsv", ".tsv.gz", ".jsonl", ".tmx", ".parquet"])
def test_every_form_gives_the_same_pairs(tmp_path: Path, form: str) -> None:
    corpus = find_corpus(write(tmp_path, form), root=tmp_path, src="de", tgt="en")
    assert list(read_pairs(corpus)) == PAIRS


def corpus(path: Path, content: str) -> Corpus:
    path.write_text(content, "utf-8")
    return Corpus((path,), languages=("de", "en"))


def test_annotations_come_in_the_order_of_the_corpus(tmp_path: Path) -> None:
    rows = [(*pair, *extra) for pair, extra in zip(PAIRS, EXTRA, strict=True)]
    tsv = corpus(tmp_path / "a.tsv", "".join("\t".join(row) + "\n" for row in rows))
    assert list(read_rows(tsv._replace(weights="3", alignments="4"))) == rows
    entries = [dict(zip(("de", "en", "w", "l"), row, strict=True)) for row in rows]
    entries[1]["l"] = None
    jsonl = corpus(tmp_path / "a.jsonl", "".join(json.dumps(entry) + "\n" for entry in entries))
    assert list(read_rows(jsonl._replace(weights="w", alignments="l"))) == rows
    weights = tmp_path / "weights"
    weights.write_text("".join(f"{extra[0]}\n" for extra in EXTRA), encoding="utf-8")
    assert list(read_rows(jsonl._replace(weights=weights, alignments="l"))) == rows
    assert list(read_pairs(jsonl._replace(weights=weights, alignments="l"))) == PAIRS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "a\tb\na\n", "line 2: 1 column, expected two: source, tab, target"),
        ("a.jsonl", '{"de": "a", "en": "b"}\n{"de"\n', "line 2: invalid JSON"),
        ("a.jsonl", "[1]\n", "line 1: expected a JSON object"),
        ("a.jsonl", '{"de": "a", "fr": "b"}\n', "line 1: no text 'en'; available: de, fr"),
        ("a.jsonl", '{"de": "a", "en": 1}\n', "line 1: no text 'en'"),
        ("a.tmx", "<tmx><body><tu>", "is not TMX: no element found"),
        ("a.tmx", "a\tb", "is not TMX: syntax error"),
        (
            "a.tmx",
            '<?xml version="1.0"?>\n<!DOCTYPE tmx SYSTEM "x.dtd"><tmx/>',
            "line 2: a DOCTYPE is not allowed",
        ),
        ("a.tmx", '<!DOCTYPE t [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><tmx>&b;</tmx>', "a DOCTYPE"),
        ("a.tmx", "<html/>", "is not TMX: it begins with <html>"),
        ("a.tmx", tmx(PAIRS).replace("EN_us", "nl"), "no text in 'en'; available: de-de, fr, nl"),
        ("a.jsonl", "[" * 200_000 + "\n", "line 1: invalid JSON"),
        ("a.jsonl", '{"de": "\\ud800", "en": "b"}\n', "is half of a surrogate pair"),
        ("a.parquet", "PAR1", "cannot read .*a.parquet"),
    ],
)
def test_errors_in_a_file_are_reported_with_their_line(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    with pytest.raises(DataError, match=message):
        list(read_pairs(corpus(tmp_path / name, content)))


def test_a_segment_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.data.formats.LONGEST_LINE", 1000)
    source = corpus(tmp_path / "a.tmx", tmx([("x" * 1000, "y"), ("x\n" * 600, "y")]))
    with pytest.raises(DataError, match=r"a\.tmx, line \d+: a segment is longer than 1,000 characters"):
        list(read_pairs(source))


def test_columns_that_are_not_there_are_named(tmp_path: Path) -> None:
    tsv = corpus(tmp_path / "a.tsv", "a\tb\n")
    with pytest.raises(DataError, match="line 1: 2 columns, expected 3, separated by tabs"):
        list(read_rows(tsv._replace(weights="3")))
    with pytest.raises(UsageError, match="column:score: columns of a TSV file are numbers"):
        list(read_rows(tsv._replace(weights="score")))
    with pytest.raises(UsageError, match="column:2: "):
        list(read_rows(tsv._replace(weights="2")))
    with pytest.raises(UsageError, match="column:²: "):
        list(read_rows(tsv._replace(weights="²")))
    with pytest.raises(UsageError, match="column:3: two files have no columns"):
        list(read_rows(Corpus(tsv.files * 2, weights="3")))
    with pytest.raises(UsageError, match="column:x: a TMX file has no columns"):
        list(read_rows(corpus(tmp_path / "a.tmx", tmx(PAIRS))._replace(weights="x")))
    parquet = write(tmp_path, ".parquet")
    with pytest.raises(DataError, match="no column 'fr'; available: de, en, x"):
        list(read_pairs(find_corpus(parquet, root=tmp_path, src="de", tgt="fr")))


def test_a_unit_without_one_of_the_languages_has_a_blank_side(tmp_path: Path) -> None:
    text = '<tmx><tu><tuv xml:lang="de"><seg>a</seg></tuv><tuv xml:lang="den"><seg>x</seg></tuv></tu>'
    whole = text + '<tu><tuv xml:lang="en"><seg>b</seg></tuv></tu></tmx>'
    assert list(read_pairs(corpus(tmp_path / "a.tmx", whole))) == [("a", ""), ("", "b")]


def test_the_codes_of_a_layout_are_no_text_and_its_line_ends_are_spaces(tmp_path: Path) -> None:
    source = "\n  Ein <bpt i='1'>{b <sub>x</sub></bpt>alter<ept i='1'>}</ept>\n  <hi>Hund</hi>.<ph>br</ph>\n"
    units = tmx([("Ein Hund.", "An old dog.")]).replace("Ein Hund.", source)
    assert list(read_pairs(corpus(tmp_path / "a.tmx", units))) == [("Ein alter Hund.", "An old dog.")]


def test_a_missing_pyarrow_is_reported_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackage, match=r"pip install 'recurrent-nmt\[parquet\]'"):
        list(read_pairs(corpus(tmp_path / "a.parquet", "")))
