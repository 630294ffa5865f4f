"""Checks of a corpus before training."""

import random
from itertools import pairwise
from pathlib import Path

import pytest
from rich.cells import cell_len

from nmt.data.pair_rules import LINE_RULES
from nmt.data.pairs import Corpus
from nmt.data.script import find_main_script
from nmt.lab.doctor.corpus_checks import check_corpus, check_overlap
from nmt.lab.doctor.finding import Finding
from nmt.lab.doctor.survey import EXCERPT_WIDTH, Survey, excerpt

Pairs = list[tuple[str, str]]


def healthy(count: int = 200) -> Pairs:
    """Different pairs whose sides are about equally long."""
    draw, found = random.Random(1), []
    for number in range(count):
        words = draw.choices(["Hund", "Katze", "sieht", "sucht"], k=draw.randint(2, 12))
        found.append((" ".join([f"eins{number}", *words]), " ".join([f"one{number}", *words[::-1], "so"])))
    return found


def survey(
    folder: Path, pairs: Pairs, name: str = "train", languages: tuple[str, str] = ("de", "en")
) -> Survey:
    """The survey of pairs as two files."""
    folder.mkdir(exist_ok=True)
    files = tuple(folder / f"{name}.{suffix}" for suffix in ("de", "en"))
    for side, file in enumerate(files):
        file.write_text("".join(pair[side] + "\n" for pair in pairs), encoding="utf-8", newline="\n")
    return Survey(Corpus(files, languages=languages))


def found(folder: Path, pairs: Pairs, languages: tuple[str, str] = ("de", "en")) -> list[Finding]:
    return check_corpus(survey(folder, pairs, languages=languages))


def changed(places: dict[int, tuple[str | None, str | None]]) -> Pairs:
    """Healthy pairs, some with another source or target."""
    pairs = healthy()
    for place, (src, tgt) in places.items():
        pairs[place] = (pairs[place][0] if src is None else src, pairs[place][1] if tgt is None else tgt)
    return pairs


def test_in_a_healthy_corpus_nothing_is_found(tmp_path: Path) -> None:
    assert found(tmp_path, healthy()) == []


@pytest.mark.parametrize(
    ("places", "level", "what", "where"),
    [
        ({4: ("", None)}, "note", "1 pair (0.5%) with a blank side", "train.de and train.en, line 5"),
        (
            dict.fromkeys(range(10, 20), (" ", None)),
            "warning",
            "10 pairs (5.0%) with a blank side",
            "train.de and train.en, lines 11, 12, 13, 14, 15 and 5 more",
        ),
        (
            {i: (f"eins{i} zwei", f"eins{i} zwei") for i in range(4)},
            "warning",
            "4 pairs (2.0%) with the same text on both sides",
            "train.de and train.en, lines 1, 2, 3, 4",
        ),
        (
            {7: ("ein Hund\u2028eine Katze", None)},
            "warning",
            "1 line with a character inside that other programs take for the end",
            "train.de, line 8",
        ),
        (
            {7: ("ein Hund", "a \x00 dog")},
            "warning",
            "1 line with control characters",
            "train.en, line 8",
        ),
        (
            {7: ("so ein Mann", "manâ€™s cafÃ©")},
            "warning",
            "1 line with signs of a wrong decoding",
            "train.en, line 8",
        ),
        *(
            (
                {7: ("so ein Mann mit dem Hund", f"so {text}")},
                "warning",
                "1 line with signs of a wrong decoding",
                "train.en, line 8",
            )
            for text in ("StraÃŸe", "Ã„pfel", "Ð¾Ð±Ð°ÐºÐ°", "í•œêµ­ì–´")
        ),
        *(
            ({7: ("so ein Mann", text)}, "warning", "1 line with HTML entities", "train.en, line 8")
            for text in ("a &quot;b", "it &#39;s", "&#xe4;", "f&uuml;r", "A &amp; B")
        ),
        (
            {7: ("Hund und Katze", "собака и кошка"), 9: ("123", "123")},
            "note",
            "1 line (0.5%) mostly not in Latin script; the first is in Cyrillic",
            "train.en, line 8",
        ),
        (
            {7: ("ein Hund", "a dog " * 60)},
            "note",
            "1 pair (0.5%) with a length ratio more than",
            "train.de and train.en, line 8",
        ),
        (
            dict.fromkeys(range(20), ("ein Hund bellt", "one dog barks")),
            "warning",
            "19 duplicate pairs (9.5%)",
            "train.de and train.en, lines 2, 3, 4, 5, 6 and 14 more",
        ),
    ],
)
def test_each_problem_is_found_with_its_lines(
    tmp_path: Path, places: dict[int, tuple[str | None, str | None]], level: str, what: str, where: str
) -> None:
    (finding,) = found(tmp_path, changed(places))
    assert what in finding.what
    assert (finding.level, finding.where) == (level, where)
    assert finding.advice


def test_files_of_different_lengths_are_wrong_and_both_counts_are_said(tmp_path: Path) -> None:
    corpus = survey(tmp_path, healthy(60)).corpus
    corpus.files[1].write_text("only one line\n", encoding="utf-8")
    (finding,) = check_corpus(Survey(corpus))
    assert finding.level == "error"
    assert "60 lines but" in finding.what


def test_bytes_that_are_not_utf8_are_wrong_with_file_and_line(tmp_path: Path) -> None:
    corpus = survey(tmp_path, healthy(60)).corpus
    corpus.files[0].write_bytes(b"ein Hund\n" * 3 + "ein Mädchen\n".encode("latin-1") + b"ein Hund\n" * 56)
    (finding, *_) = check_corpus(Survey(corpus))
    assert finding.level == "error"
    assert "train.de, line 4: byte 0xe4" in finding.what


def test_no_pairs_are_wrong(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, [])
    assert (finding.level, finding.what) == ("error", "there are no pairs")


def test_sides_that_do_not_belong_together_are_wrong(tmp_path: Path) -> None:
    sources, targets = zip(*healthy(), strict=True)
    (finding,) = found(tmp_path, list(zip(sources, (*targets[1:], targets[0]), strict=True)))
    assert finding.level == "error"
    assert "do not seem to belong together" in finding.what
    assert finding.example.count("|") == 3


def test_a_block_that_is_shifted_is_reported(tmp_path: Path) -> None:
    pairs = healthy(3000)
    later = [(src, tgt) for (src, _), (_, tgt) in pairwise(pairs[2000:])]
    (finding,) = (f for f in found(tmp_path, pairs[:2000] + later) if "block" in f.what)
    assert finding.level == "warning"
    assert (
        "1 block of 500 pairs in which the lengths of source and target lines do not correlate"
        in finding.what
    )
    assert "first: lines 2,001 to 2,500" in finding.where


def test_exchanged_sides_are_wrong(tmp_path: Path) -> None:
    pairs = [("나는 어제 그 책을 읽었다", "I read that book yesterday") for _ in range(10)]
    assert [finding.level for finding in found(tmp_path, pairs, ("en", "ko"))][:2] == ["error", "error"]
    assert (
        "'en' is written in Latin script, but this side is mostly Hangul"
        in found(tmp_path, pairs, ("en", "ko"))[0].what
    )
    assert "error" not in [finding.level for finding in found(tmp_path, pairs[:1], ("ko", "en"))]


@pytest.mark.parametrize(("known", "level"), [(0, None), (1, "note"), (10, "warning"), (60, "error")])
def test_what_is_tested_and_was_learnt_is_counted(tmp_path: Path, known: int, level: str | None) -> None:
    pairs = healthy(300)
    train = survey(tmp_path, pairs[:200])
    test = survey(tmp_path, pairs[:known] + pairs[200 : 300 - known], "test")
    findings = list(check_overlap(train, test, "test"))
    assert [finding.level for finding in findings] == ([level] if level else [])
    if level:
        assert findings[0].what.endswith(f"also in the training data, {known} with their target")
        assert findings[0].where.startswith("test.de and test.en, line")


def test_plain_text_has_one_side(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("ein Hund\n\neine Katze \x01\n", encoding="utf-8")
    (finding,) = check_corpus(Survey(Corpus((file,), parallel=False)))
    assert (finding.what, finding.where) == ("1 line with control characters", "text, line 3")


@pytest.mark.parametrize("line", ["ein Hund " * 20, "나는 어제 도서관에서 " * 20, "a\x1b[31m\u2028" * 40])
def test_an_example_fits_its_columns_and_steers_no_terminal(line: str) -> None:
    shown = excerpt(line)
    assert cell_len(shown) <= EXCERPT_WIDTH
    assert len(shown) > EXCERPT_WIDTH / 3
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("line", "script"),
    [
        ("Ein Hund – 한", "Latin"),
        ("나는 어제 TV를 봤다", "Hangul"),
        ("私は昨日テレビを見た", "Han"),
        ("1, 2, 3!", None),
        ("", None),
    ],
)
def test_a_line_has_the_script_of_most_of_its_letters(line: str, script: str | None) -> None:
    assert find_main_script(line) == script


@pytest.mark.real
def test_a_real_corpus_is_nearly_healthy(shared_corpora: Path) -> None:
    files = tuple(shared_corpora / "multi30k" / f"val.{suffix}.gz" for suffix in ("de", "en"))
    assert check_corpus(Survey(Corpus(files, languages=("de", "en")))) == []


@pytest.mark.parametrize(
    "text",
    ["R & D; x & y;", "MANHÃ” e MAÃ", "Ñandú, Ðað, Ørsted", "à « là », ça…", "ãé", "Tom & Jerry; & so"],
)
def test_rare_letters_and_ampersands_are_no_damage(text: str) -> None:
    assert not [rule.description for rule in LINE_RULES if rule.pattern.search(text)]
