"""Glossaries: where terms are found, how they are applied, and what is reported."""

import hashlib
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
from nmt.decoding.translation import Translation, plan_line, translate_window
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


def test_a_file_suggests_terms_in_its_third_column(tmp_path: Path) -> None:
    file = write(tmp_path, "Hund\tdog\nKatze\tkitty\tsuggested \n")
    assert read_glossary(file).terms == [("Hund", "dog", False), ("Katze", "kitty", True)]


def write(folder: Path, content: str) -> Path:
    file = folder / "terms.tsv"
    file.write_text(content, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tb\n\nonly one\n", "line 3: expected a source term, a tab and a target term, and 's"),
        ("a\tb\tc\n", "line 1: expected"),
        ("a\tb\tsuggested\td\n", "line 1: expected"),
        ("a\tb\tsuggested\na\tb\n", "line 2: 'a' has another translation in line 1, or is suggested"),
        ("a\t\n", "line 1: expected"),
        ("\tb\n", "line 1: expected"),
        ("a\tb\nc\td\na\te\n", "line 3: 'a' has another translation in line 1"),
        ("x y\tb\nx  y\tc\n", "line 2: 'x  y' has another translation in line 1"),
        ("é\tb\ne\u0301\tb\tsuggested\n", "has another translation in line 1"),
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
    assert read_glossary(file).terms == [("Hund", "dog", False), ("Katze", "cat", False)]


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
    assert "is not applied: required phrases cannot be combined with sampling" in sampled.notes[0]


def test_a_term_that_the_search_ends_without_is_reported() -> None:
    vocabulary = subwords("unigram")
    model = random_model(1, vocabulary=len(vocabulary), sharpness=2.0)
    job = Job(model, vocabulary, vocabulary, Options(beam=6), glossary=Glossary({"dog": "tree"}))
    line = Line(1, "the old dog", constraints=LineConstraints(must_not=("tree",)))
    [translation] = translate_window([line], job)
    assert "the term 'dog' -> 'tree' is not applied: the search ended without it" in translation.notes


def suggest(*margin: float, **terms: str) -> Job:
    vocabulary = subwords("unigram")
    model = random_model(1, vocabulary=len(vocabulary), sharpness=2.0, eos=2.0)
    options = replace(Options(beam=8, max_extra=60), suggestion_margin=(*margin, 1.0)[0])
    glossary = Glossary({source: (target, "suggested") for source, target in terms.items()})
    return Job(model, vocabulary, vocabulary, options, glossary=glossary)


def test_a_suggested_term_is_applied_within_the_margin_only() -> None:
    line = Line(1, "the old dog sees a house")
    [free] = translate_window([line], suggest()._replace(glossary=None))
    [forced] = translate_window([line], suggest()._replace(glossary=Glossary({"dog": "Zoltán"})))
    cost = free.score - forced.score
    assert cost > 0.1
    [applied] = translate_window([line], suggest(cost + 0.01, dog="Zoltán"))
    assert applied == forced
    [refused] = translate_window([line], suggest(cost - 0.01, dog="Zoltán"))
    assert (refused.candidates, refused.line.error) == (free.candidates, None)
    assert refused.notes == [
        f"the term 'dog' -> 'Zoltán' is not applied: it is suggested, and lowers the score by {cost:.2f}, "
        f"more than {cost - 0.01:g}"
    ]


def test_a_suggested_term_that_is_written_anyway_changes_nothing() -> None:
    line = Line(1, "the old dog sees a house")
    [free] = translate_window([line], suggest()._replace(glossary=None))
    word = next(word for word in free.text.split() if word.isalpha())
    for written in (word, word.lower()):
        [found] = translate_window([line], suggest(0.0, dog=written))
        assert (found.candidates, found.notes) == (free.candidates, [])


def test_a_suggested_term_that_is_written_until_another_one_is_required_is_tried_too() -> None:
    line = Line(1, "the old dog sees a house")
    [free] = translate_window([line], suggest()._replace(glossary=None))
    word = next(word for word in free.text.split() if word.isalpha())
    [alone] = translate_window([line], suggest(1000.0, house="Zoltán"))
    assert [is_whole(text, alone.text) for text in (word, "Zoltán")] == [False, True]
    [both] = translate_window([line], suggest(1000.0, dog=word, house="Zoltán"))
    assert [is_whole(text, both.text) for text in (word, "Zoltán")] == [True, True]
    assert both.notes == []


def test_required_and_suggested_terms_are_mixed() -> None:
    terms = {"dog": "Zoltán", "house": ("tree", "suggested"), "old": ("red", "suggested")}
    line = Line(1, "the old dog sees a house")
    for margin, is_applied in ((1000.0, True), (0.0, False)):
        [found] = translate_window([line], suggest(margin)._replace(glossary=Glossary(terms)))
        assert is_whole("Zoltán", found.text)
        assert [is_whole(target, found.text) for target in ("tree", "red")] == [is_applied] * 2
        assert len(found.notes) == 2 * (not is_applied)
    both = LineConstraints(must_not=("tree",))
    [found] = translate_window([line._replace(constraints=both)], suggest(1000.0, house="tree"))
    assert "tree" not in found.text
    assert "it is suggested, and the search ended without it" in found.notes[0]


def test_suggestions_depend_on_no_other_line_and_cost_other_lines_nothing() -> None:
    texts = ["the dog. the house", "the man", "", "a dog and a house", "the red dog"]
    lines = [Line(number, text) for number, text in enumerate(texts, 1)]
    job = suggest(2.0, dog="tree", house="red")
    job = job._replace(n_best=2, options=replace(job.options, beam=2, n_best=2, max_extra=5))
    expected = translate_window(lines, job)
    assert 0 < sum(bool(one.notes) for one in expected) < 5
    other = job._replace(options=replace(job.options, batch=2))
    assert translate_window(lines[::-1], other)[::-1] == expected
    with pytest.raises(StopIteration):  # without a search
        plan_line(Line(1, "the man"), job).send(None)


def test_suggestions_in_json_lines_and_in_an_nbest_list() -> None:
    record = {
        "text": "the old dog sees a house",
        "glossary": {"dog": ["Zoltán", "suggested"], "x": "y", "z": ["y"]},
    }
    line = read_json_line(1, json.dumps(record), None, "text")
    assert line.constraints.glossary == (("dog", "Zoltán", "suggested"), ("x", "y"), ("z", "y"))
    job = suggest(1000.0, dog="Peter")
    job = job._replace(n_best=3, options=replace(job.options, n_best=3))
    answer = json.loads(write_json_line(translate_window([line], job)[0], n_best=True))
    assert all(is_whole("Zoltán", one["translation"]) for one in answer["n_best"])
    job = job._replace(options=replace(job.options, suggestion_margin=0.0))
    answer = json.loads(write_json_line(translate_window([line], job)[0], n_best=True))
    assert "the term 'dog' -> 'Zoltán' is not applied" in answer["notes"][0]
    assert not any("Zoltán" in one["translation"] for one in answer["n_best"])


def test_a_job_without_suggestions_has_the_settings_of_version_0_2() -> None:
    assert "suggestion_margin" not in suggest().settings()
    assert suggest(0.25).settings()["suggestion_margin"] == 0.25
    assert Glossary({"a": "b"}).digest() == hashlib.sha256(b'[["a", "b"]]').hexdigest()
    assert Glossary({"a": "b"}).digest() != Glossary({"a": ("b", "suggested")}).digest()


def two_parts(text: str, half: str, **terms: str) -> Job:
    """A job that translates a line in two parts, of which `half` is the longer one."""
    job = suggest(**terms)
    return job._replace(longest_part=len(job.source.encode(half)))


def test_a_suggestion_that_one_part_rejects_is_reported_for_that_part_only() -> None:
    halves = ["the old dog sees a house.", "a dog."]
    job = two_parts(" ".join(halves), halves[0], dog="Zoltán")
    costs = []
    for half in halves:
        [free] = translate_window([Line(1, half)], job._replace(glossary=None))
        [forced] = translate_window([Line(1, half)], job._replace(glossary=Glossary({"dog": "Zoltán"})))
        costs.append(free.score - forced.score)
    assert abs(costs[0] - costs[1]) > 0.02
    rejected = costs.index(max(costs))
    for margin, parts in ((sum(costs) / 2, [rejected]), (min(costs) - 0.01, [0, 1]), (max(costs) + 0.01, [])):
        options = replace(job.options, suggestion_margin=margin)
        [found] = translate_window([Line(1, " ".join(halves))], job._replace(options=options))
        assert found.text.count("Zoltán") == 2 - len(parts)
        assert [note for note in found.notes if "the term" in note] == [
            f"the term 'dog' -> 'Zoltán' is not applied in part {part + 1} of 2: it is suggested, and lowers "
            f"the score by {costs[part]:.2f}, more than {margin:g}"
            for part in parts
        ]


def test_a_reason_that_holds_for_all_parts_is_reported_once() -> None:
    job = two_parts("the old dog sees a house. a dog.", "the old dog sees a house.", dog="Zoltán")
    job = job._replace(options=replace(job.options, sample=True))
    [found] = translate_window([Line(1, "the old dog sees a house. a dog.")], job)
    assert (
        sum("the term 'dog' -> 'Zoltán' is not applied: required phrases" in note for note in found.notes)
        == 1
    )


def test_a_suggestion_is_not_blamed_for_a_required_phrase_that_is_missing() -> None:
    constraints = LineConstraints(must=("tree",), must_not=("tree",))
    line = Line(1, "the old dog sees a house", constraints=constraints)
    [found] = translate_window([line], suggest(1000.0, dog="Zoltán"))
    assert is_whole("Zoltán", found.text)
    assert not any("the term" in note for note in found.notes)


@pytest.mark.parametrize(
    "spelling", ["e\u0301cole  verte", " école verte", "école\u00a0verte", "école verte"]
)
@pytest.mark.parametrize("given", ["e\u0301cole  verte", "école verte"])
def test_a_term_of_a_line_takes_precedence_in_any_spelling(spelling: str, given: str) -> None:
    glossary = Glossary({given: "Peter", "dog": "Anna"}).add_terms([(spelling, "Zoltán")])
    assert [term.target for term in glossary.find_terms("une école verte, dog")] == ["Zoltán", "Anna"]


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


@pytest.mark.parametrize(
    "terms",
    [["a"], {"a": 1}, {"a": " "}, {"": "b"}, "a", {"a": ["b", "x"]}, {"a": [" ", "suggested"]}],
)
def test_a_bad_glossary_in_json_is_an_error_of_its_line(terms: object) -> None:
    line = read_json_line(3, json.dumps({"text": "a", "glossary": terms}), None, "text")
    assert line.error is not None
    assert "'glossary' must be an object" in line.error
    assert 'each a string or ["...", "suggested"]' in line.error


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
