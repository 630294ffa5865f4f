"""Lines of several sentences: each is translated, and what is said about the line fits all of them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest
import typer
from typer.testing import CliRunner

from nmt.cli.translate import translate
from nmt.data.trained_lengths import TrainedLengths
from nmt.decoding.io import write_json_line
from nmt.decoding.job import Job, Line, LineConstraints
from nmt.decoding.options import Options
from nmt.decoding.translation import Translation, translate_lines, translate_window
from tests.decoding import small
from tests.decoding.models import random_model
from tests.decoding.words import CutWords

OPTIONS = Options(beam=4, length_penalty=0.6, max_ratio=1.0, max_extra=5, batch=8)
ONE, TWO, THREE = "Ein Hund kommt.", "Er ist alt!", "Wo ist er?"
FREE = LineConstraints()
PARAGRAPH = f"{ONE} {TWO}  {THREE}"


def job(options: Options = OPTIONS, **changes: object) -> Job:
    words, model = CutWords(60), random_model(2, vocabulary=60, sharpness=2.0, eos=1.0)
    return Job(model, words, words, options, longest_part=40)._replace(**changes)


def translated(text: str, job: Job, constraints: LineConstraints = FREE) -> Translation:
    [found] = translate_window([Line(1, text, constraints=constraints)], job)
    return found


def piece(text: str) -> str:
    words = CutWords(60)
    return words.decode(words.encode(text))


def test_every_sentence_is_translated_and_its_white_space_kept() -> None:
    found, alone = translated(PARAGRAPH, job()), [translated(one, job()) for one in (ONE, TWO, THREE)]
    assert found.text == f"{alone[0].text} {alone[1].text}  {alone[2].text}"
    assert found.score == pytest.approx(sum(one.score for one in alone))
    assert found.candidates[0].tokens == [token for one in alone for token in one.candidates[0].tokens]
    assert found.source_tokens == [token for one in alone for token in one.source_tokens]
    assert not any("parts" in note for note in found.notes)


def test_never_translates_the_line_as_one() -> None:
    assert translated(PARAGRAPH, job(split="never")).text != translated(PARAGRAPH, job()).text
    assert translated(ONE, job(split="never")) == translated(ONE, job())


@pytest.mark.parametrize(
    ("line", "sentences"),
    [
        ("你好。我是学生！走吧", ["你好。", "我是学生！", "走吧"]),
        ("كيف حالك؟ أنا بخير.", ["كيف حالك؟", "أنا بخير."]),
        ("यह किताब है। वह घर है।", ["यह किताब है।", "वह घर है।"]),
        ("저는 학생이에요. 오늘 학교에 갔어요.", ["저는 학생이에요.", "오늘 학교에 갔어요."]),
    ],
)
def test_sentences_of_any_script_get_a_space_where_the_target_needs_one(
    line: str, sentences: list[str]
) -> None:
    texts = [translated(one, job()).text for one in sentences]
    assert translated(line, job()).text == " ".join(text for text in texts if text)


def test_a_target_without_spaces_gets_none() -> None:
    class Wide(CutWords):
        def decode(self, ids: Sequence[int]) -> str:
            return "".join(chr(0x4E00 + i) for i in ids)

    found = translated(PARAGRAPH, job(OPTIONS, target=Wide(60)))
    parts = [translated(one, job(OPTIONS, target=Wide(60))).text for one in (ONE, TWO, THREE)]
    assert found.text == f"{parts[0]}{parts[1]}  {parts[2]}"


@pytest.mark.parametrize(
    ("lengths", "groups"),
    [
        (TrainedLengths(tokens=100, sentences=2), [f"{ONE} {TWO}", THREE]),
        (TrainedLengths(tokens=100, sentences=9), [f"{ONE} {TWO}", THREE]),  # two spaces are layout
        (TrainedLengths(tokens=9, sentences=9), [ONE, TWO, THREE]),
        (TrainedLengths(tokens=100, sentences=1), [ONE, TWO, THREE]),
    ],
)
def test_a_part_has_as_many_sentences_as_the_model_was_trained_on(
    lengths: TrainedLengths, groups: list[str]
) -> None:
    whole = [translated(group, job(split="never")).text for group in groups]
    found = translated(PARAGRAPH, job().with_lengths(lengths))
    gaps = ["", *(" " if groups[number] != THREE else "  " for number in range(1, len(groups)))]
    assert found.text == "".join(gap + text for gap, text in zip(gaps, whole, strict=True))


def test_a_long_sentence_is_cut_at_clauses_and_noted() -> None:
    clauses = ["wenn es regnet,", "bleiben wir zu Hause;", "sonst gehen wir"]
    trained = job().with_lengths(TrainedLengths(tokens=9, sentences=1))
    found = translated(f"{ONE} {' '.join(clauses)}", trained)
    parts = [translated(part, trained).text for part in (ONE, *clauses)]
    assert found.text == " ".join(part for part in parts if part)
    assert found.notes[0] == "a sentence of 21 tokens, more than 9 in training: translated in 3 parts"


def test_a_long_sentence_without_clauses_is_left_whole_and_noted() -> None:
    trained = job().with_lengths(TrainedLengths(tokens=5, sentences=1))
    found = translated("bleiben wir heute zu Hause", trained)
    assert found.text == translated("bleiben wir heute zu Hause", job()).text
    assert found.notes[0] == "a sentence of 10 tokens, more than 5 in training, without a clause to cut at"


def test_longest_part_is_a_limit_for_all() -> None:
    narrow = job(longest_part=6).with_lengths(TrainedLengths(tokens=500, sentences=3))
    assert narrow.longest_part == 500
    found = translated(PARAGRAPH, narrow._replace(longest_part=6))
    assert found.text == translated(PARAGRAPH, job(longest_part=6)).text


def test_n_best_of_a_line_are_the_best_combinations() -> None:
    wide = job(replace(OPTIONS, n_best=4), n_best=4)
    found = translated(f"{ONE} {TWO}", wide)
    lists = [translated(one, wide).candidates for one in (ONE, TWO)]
    expected = sorted((one.score + other.score for one, other in product(*lists)), reverse=True)[:4]
    assert [candidate.score for candidate in found.candidates] == pytest.approx(expected)
    assert len({candidate.text for candidate in found.candidates}) == 4


def test_samples_of_a_line_are_samples_of_its_sentences() -> None:
    drawn = job(replace(OPTIONS, n_best=3, sample=True), n_best=3)
    found = translated(f"{ONE} {TWO}", drawn)
    first = translated(ONE, drawn)
    assert sorted(c.text for c in first.candidates) == sorted(
        c.text[:found_end] for c in found.candidates for found_end in [_end(c.text, first)]
    )


def _end(text: str, first: Translation) -> int:
    return max(len(c.text) for c in first.candidates if text.startswith(c.text))


def test_alignments_name_the_words_of_the_line() -> None:
    aligned = job(replace(OPTIONS, attention=True), aligned=True)
    found = translated(f"{ONE} {TWO}", aligned)
    one, two = translated(ONE, aligned), translated(TWO, aligned)
    first, words = len(one.text.split()), len(ONE.split())
    assert found.alignment == [*one.alignment, *((s + words, t + first) for s, t in two.alignment)]


def test_sentences_without_a_space_are_parts_of_one_word() -> None:
    found = translated("你好。再见。", job(replace(OPTIONS, attention=True), aligned=True))
    assert {source for source, _ in found.alignment} == {0}
    assert {target for _, target in found.alignment} == set(range(len(found.text.split())))


def test_parts_give_the_place_of_every_sentence() -> None:
    found = translated(PARAGRAPH, job())
    places = [(PARAGRAPH[slice(*part.source)], found.text[slice(*part.target)]) for part in found.parts]
    assert places == [(one, translated(one, job()).text) for one in (ONE, TWO, THREE)]
    record = json.loads(write_json_line(found, details=True))
    assert [part["source"] for part in record["parts"]] == [[0, 15], [16, 27], [29, 39]]
    assert "parts" not in json.loads(write_json_line(found))


def test_a_prefix_belongs_to_the_first_sentence() -> None:
    found = translated(f"{ONE} {TWO}", job(), LineConstraints(prefix="xyz"))
    alone = translated(ONE, job(), LineConstraints(prefix="xyz"))
    assert found.text == f"{alone.text} {translated(TWO, job()).text}"


def test_the_sentences_of_a_prefix_belong_to_those_of_the_line() -> None:
    found = translated(f"{ONE} {TWO} {THREE}", job(), LineConstraints(prefix="Ab cd. Ef"))
    second = translated(TWO, job(), LineConstraints(prefix="Ef"))
    assert found.text == f"{piece('Ab cd.')} {second.text} {translated(THREE, job()).text}"


def test_a_longer_prefix_belongs_to_the_last_sentence() -> None:
    found = translated(f"{ONE} {TWO}", job(), LineConstraints(prefix="Ab. Cd. Ef. Gh"))
    assert found.text.startswith(f"{piece('Ab.')} {piece('Cd. Ef. Gh')}")


def test_a_phrase_is_written_where_it_costs_least() -> None:
    long = job(replace(OPTIONS, max_extra=40))  # every output ends
    free = [translated(one, long) for one in (ONE, TWO, THREE)]
    for phrase in ("ab", "xy", "Hund", "alt"):
        found = translated(PARAGRAPH, long, LineConstraints(must=(phrase,)))
        alone = [translated(one, long, LineConstraints(must=(phrase,))) for one in (ONE, TWO, THREE)]
        choices = [[*free[:n], alone[n], *free[n + 1 :]] for n in range(len(free))]
        assert piece(phrase) in found.text
        assert found.score == pytest.approx(max(sum(one.score for one in choice) for choice in choices))


def test_what_is_forbidden_is_forbidden_in_every_sentence() -> None:
    words = translated(PARAGRAPH, job()).text.split()
    forbidden = LineConstraints(must_not=("ab", "kommt", "ist"))
    found = translated(PARAGRAPH, job(), forbidden)
    assert words
    for phrase in forbidden.must_not:
        assert f" {piece(phrase)} " not in f" {found.text} "


def test_a_tag_applies_to_every_sentence() -> None:
    class Tagged(CutWords):
        def tag(self, line: str) -> str:
            return "<x>" if line.startswith("<x> ") else ""

    tagged = job(source=Tagged(60), aligned=True, options=replace(OPTIONS, attention=True))
    found = translated(f"<x> {ONE} {TWO}", tagged)
    alone = [translated(f"<x> {one}", tagged) for one in (ONE, TWO)]
    assert found.text == " ".join(one.text for one in alone)
    assert max(source for source, _ in found.alignment) <= len(f"<x> {ONE} {TWO}".split()) - 1


def test_batches_and_order_change_nothing() -> None:
    lines = [PARAGRAPH, ONE, f"{TWO} {THREE}", "", f"{THREE} {PARAGRAPH}", "你好。再见。"]
    expected = list(translate_lines([(line, None) for line in lines], job()))
    for batch in (1, 3, 64):
        other = job(replace(OPTIONS, batch=batch))
        assert list(translate_lines([(line, None) for line in lines], other)) == expected
    reverse = translate_lines([(line, None) for line in reversed(lines)], job())
    assert [one.text for one in reverse] == [one.text for one in reversed(expected)]


def test_the_command_splits_unless_it_must_not(monkeypatch: pytest.MonkeyPatch) -> None:
    small.take_its_place(monkeypatch)
    app = typer.Typer()
    app.command()(translate)

    def lines(*options: str, stdin: str) -> list[str]:
        done = CliRunner().invoke(app, ["model", "-q", *options], input=stdin.encode())
        assert done.exit_code == 0, done.output
        return done.stdout_bytes.decode().splitlines()

    alone = lines(stdin=f"{ONE}\n{TWO}\n")
    assert lines(stdin=f"{ONE} {TWO}\n") == [" ".join(alone)]
    assert lines("--split", "auto", stdin=f"{ONE} {TWO}\n") == [" ".join(alone)]
    assert lines("--split", "never", stdin=f"{ONE} {TWO}\n") != [" ".join(alone)]
    records = lines("--json", "--details", stdin=json.dumps({"text": f"{ONE} {TWO}"}) + "\n")
    assert len(json.loads(records[0])["parts"]) == 2
