"""Glossaries: where terms are found, how they are applied, and what is reported."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nmt.cli.app import app
from nmt.decoding.glossary import Glossary, read_glossary
from nmt.decoding.io import read_json_line, write_json_line
from nmt.decoding.job import Job, Line, LineConstraints
from nmt.decoding.options import Options
from nmt.decoding.translation import Translation, translate_window
from nmt.errors import DataError, UsageError
from tests.decoding.models import random_model
from tests.decoding.small import take_its_place
from tests.decoding.test_phrases import is_whole, subwords

TERMS = {
    "house": "Haus",
    "white house": "Weißes Haus",
    "the white house lawn": "Südrasen",
    "IT": "EDV",
    "école": "Schule",
    "학교": "school",
    "東京": "Tokyo",
    "東京大学": "University of Tokyo",
    "โรงเรียน": "school",
    "घर": "house",
    "C++": "C++",
    "дом": "Haus",
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a house.", ["house"]),
        ("HOUSE, House; (house)", ["house"]),
        ("houses warehouse house7", []),
        ("near the white house lawn", ["the white house lawn"]),
        ("the White  House and a house", ["white house", "house"]),
        ("it is IT. It is not.", ["IT"]),
        ("une e\u0301cole", ["école"]),  # decomposed
        ("L'ÉCOLE", ["école"]),
        ("오늘 학교에 갔어요. 대학교", ["학교"]),  # a particle follows; the second is another word
        ("私は東京大学で学ぶ。東京は大きい", ["東京大学", "東京"]),
        ("เขาไปโรงเรียนทุกวัน", ["โรงเรียน"]),
        ("यह घर है। घरों", ["घर"]),
        ("I write C++, not C", ["C++"]),
        ("Дом и домик", ["дом"]),
        ("", []),
    ],
)
def test_terms_are_found_as_words_the_longest_first(text: str, found: list[str]) -> None:
    assert [term.source for term in Glossary(TERMS).find_terms(text)] == found


def write(folder: Path, content: str) -> Path:
    file = folder / "terms.tsv"
    file.write_text(content, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tb\n\nonly one\n", "line 3: expected a source term, a tab and a target term (fields: 1; "),
        ("a\tb\tc\n", "line 1: expected"),
        ("a\t\n", "line 1: expected"),
        ("\tb\n", "line 1: expected"),
        ("a\tb\nc\td\na\te\n", "line 3: 'a' has another translation in line 1"),
        ("# nothing\n", "has no terms"),
        ("", "has no terms"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read_glossary(write(tmp_path, content))
    assert f"{tmp_path}/terms.tsv" in str(error.value)
    assert message in str(error.value)


def test_a_file_may_have_comments_and_repetitions(tmp_path: Path) -> None:
    file = write(tmp_path, "# animals\nHund\tdog\r\n\n Katze \t cat \nHund\tdog\n")
    assert read_glossary(file).terms == [("Hund", "dog"), ("Katze", "cat")]


def translate(
    text: str, glossary: Glossary | None, *, has_bytes: bool = True, **options: object
) -> Translation:
    vocabulary = subwords("unigram", has_bytes)
    model = random_model(1, vocabulary=len(vocabulary), sharpness=2.0)
    chosen = replace(Options(beam=6, max_extra=40, max_ratio=3.0), **options)  # type: ignore[arg-type]
    job = Job(model, vocabulary, vocabulary, chosen, glossary=glossary)
    [translation] = translate_window([Line(1, text)], job)
    return translation


@pytest.mark.parametrize("target", ["Zoltán", "kunta kinte", "Дмитрий", "x.org/a?b=1", "北京"])
def test_the_translation_of_a_term_is_written_where_the_term_occurs(target: str) -> None:
    glossary = Glossary({"dog": target, "horse": "Pferd"})
    translation = translate("the old dog sees a house", glossary)
    assert is_whole(target, translation.text)
    assert not any("the term" in note for note in translation.notes)
    without = translate("the old man sees a house", glossary)
    assert without.text == translate("the old man sees a house", None).text


def test_what_cannot_be_applied_is_reported() -> None:
    glossary = Glossary({"dog": "Żółć"})
    unwritable = translate("the old dog", glossary, has_bytes=False)
    assert unwritable.notes[0].startswith("the term 'dog' -> 'Żółć' is not applied: the target vocabulary")
    assert unwritable.line.error is None
    sampled = translate("the old dog", glossary, sample=True)
    assert "is not applied: sampling and groups cannot require phrases" in sampled.notes[0]


def test_a_term_that_the_search_ends_without_is_reported() -> None:
    vocabulary = subwords("unigram")
    model = random_model(1, vocabulary=len(vocabulary), sharpness=2.0)
    job = Job(model, vocabulary, vocabulary, Options(beam=6), glossary=Glossary({"dog": "tree"}))
    line = Line(1, "the old dog", constraints=LineConstraints(must_not=("tree",)))
    [translation] = translate_window([line], job)
    assert "the term 'dog' -> 'tree' is not applied: the search ended without it" in translation.notes


def test_terms_apply_to_the_part_of_a_long_line_in_which_they_occur() -> None:
    vocabulary, text = subwords("unigram"), "the old man sees a house. the old dog sees a tree."
    model = random_model(1, vocabulary=len(vocabulary), sharpness=2.0)
    half = len(vocabulary.encode("the old man sees a house."))
    job = Job(model, vocabulary, vocabulary, Options(beam=6, max_extra=30), longest_part=half)
    whole = translate_window([Line(1, text)], job)[0]
    with_term = translate_window([Line(1, text)], job._replace(glossary=Glossary({"dog": "Zoltán"})))[0]
    assert "Zoltán" in with_term.text
    first = whole.text.split()[:3]
    assert with_term.text.split()[:3] == first


def test_terms_of_a_json_line_take_precedence() -> None:
    record = {"text": "the old dog", "glossary": {"dog": "Zoltán"}}
    line = read_json_line(1, json.dumps(record), None, "text")
    vocabulary = subwords("unigram")
    model = random_model(1, vocabulary=len(vocabulary), sharpness=2.0)
    glossary = Glossary({"dog": "Peter", "old": "Anna"})
    job = Job(model, vocabulary, vocabulary, Options(beam=8, max_extra=60), glossary=glossary)
    answer = json.loads(write_json_line(translate_window([line], job)[0]))
    assert "Zoltán" in answer["translation"]
    assert "Anna" in answer["translation"]
    assert "Peter" not in answer["translation"]
    assert answer["glossary"] == {"dog": "Zoltán"}


@pytest.mark.parametrize("terms", [["a"], {"a": 1}, {"a": " "}, {"": "b"}, "a"])
def test_a_bad_glossary_in_json_is_an_error_of_its_line(terms: object) -> None:
    line = read_json_line(3, json.dumps({"text": "a", "glossary": terms}), None, "text")
    assert line.error is not None
    assert "'glossary' must be an object" in line.error


def test_lines_without_terms_keep_their_digest() -> None:
    with_terms = LineConstraints(glossary=(("a", "b"),))
    assert Line(1, "a").digest_text() != Line(1, "a", constraints=with_terms).digest_text()
    assert "glossary" not in Line(1, "a").digest_text()


def test_blank_terms_are_refused() -> None:
    with pytest.raises(UsageError, match="not blank"):
        Glossary({"a": " "})


def test_the_command_reads_a_glossary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take_its_place(monkeypatch)
    file = write(tmp_path, "hund\tcat\n")
    words = ["translate", "small", "--glossary", str(file)]
    result = CliRunner().invoke(app, words, input="der Hund\nein Baum\n")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 2
    bad = CliRunner().invoke(
        app, ["translate", "small", "--glossary", str(write(tmp_path, "x\n"))], input="a\n"
    )
    assert (bad.exit_code, "terms.tsv, line 1: expected" in bad.stderr) == (1, True)
    refused = CliRunner().invoke(app, [*words, "--shortlist"], input="a\n")
    assert (refused.exit_code, "--glossary require" in refused.stderr) == (2, True)
