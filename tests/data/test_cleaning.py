"""What `nmt clean` removes, and that it says so."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nmt.cli.app import app
from nmt.data.pair_rules import CleaningRules, find_duplicates
from nmt.data.script import parse_scripts, script_share

PAIRS = [
    ("Ein Hund.", "A dog."),
    ("", "blank"),
    ("\u00a0 ", "blank, too"),
    ("Ein Hund.", "A dog."),
    ("same", " same"),
    ("a\u0007b", "bell"),
    ("zwei\u2028Zeilen", "two lines"),
    ("eins zwei drei vier", "one"),
    ("собака", "dog"),
    ("Ein Hund.", "One dog."),
    ("x" * 50, "long word"),
    ("12 + 3", "15"),
]
RULES = {
    "control character": CleaningRules(),
    "blank side": CleaningRules(),
    "identical sides": CleaningRules(),
    "duplicate": CleaningRules(),
    "one side more than 3 times the other": CleaningRules(max_ratio=3),
    "source not in Latin": CleaningRules(scripts=parse_scripts("Latin,Latin")),
    "longer than 3 words": CleaningRules(max_words=3),
    "longer than 40 characters": CleaningRules(max_characters=40),
    "shorter than 2 words": CleaningRules(min_words=2),
}
LINES = {
    "control character": [6, 7],
    "blank side": [2, 3],
    "identical sides": [5],
    "duplicate": [4],
    "one side more than 3 times the other": [8],
    "source not in Latin": [9],
    "longer than 3 words": [8],
    "longer than 40 characters": [11],
    "shorter than 2 words": [5, 8, 9, 11, 12],
}


@pytest.fixture
def tsv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "in.tsv"
    path.write_text("".join(f"{s}\t{t}\n" for s, t in PAIRS), encoding="utf-8", newline="\n")
    return path


def nmt(*words: object) -> Result:
    return CliRunner().invoke(app, ["clean", *map(str, words)])


@pytest.mark.parametrize("reason", RULES)
def test_a_rule_removes_what_it_says(reason: str) -> None:
    repeated = find_duplicates(PAIRS)
    found = [
        number
        for number, pair in enumerate(PAIRS, 1)
        if (RULES[reason].drop_reason(*pair) or ("duplicate" if repeated[number - 1] else None)) == reason
    ]
    assert found == LINES[reason]


def test_rules_that_are_turned_off_remove_nothing() -> None:
    assert CleaningRules(identical=False).drop_reason("same", "same") is None


def test_each_pair_is_written_or_counted(tsv: Path) -> None:
    result = nmt(tsv, "-o", "out.tsv", "--max-ratio", 3, "--scripts", "Latin,Latin")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "kept 4 of 12 pairs; dropped:",
        "  2 blank side (first: line 2)",
        "  1 duplicate (first: line 4)",
        "  1 identical sides (first: line 5)",
        "  2 control character (first: line 6)",
        "  1 one side more than 3 times the other (first: line 8)",
        "  1 source not in Latin (first: line 9)",
    ]
    assert Path("out.tsv").read_text("utf-8").splitlines() == ["\t".join(PAIRS[i]) for i in (0, 9, 10, 11)]


def test_the_output_has_the_form_that_its_name_says(tsv: Path) -> None:
    assert nmt(tsv, "-o", "out.jsonl", "--src", "de", "--tgt", "en").exit_code == 0
    entries = [json.loads(line) for line in Path("out.jsonl").read_text("utf-8").splitlines()]
    assert nmt("out.jsonl", "-o", "two", "--src", "de", "--tgt", "en").exit_code == 0
    sides = [Path(f"two.{side}").read_text("utf-8").splitlines() for side in ("de", "en")]
    assert [(entry["de"], entry["en"]) for entry in entries] == list(zip(*sides, strict=True))
    assert nmt("two.de", "two.en", "-o", "again").exit_code == 0
    assert Path("again.de").read_bytes() == Path("two.de").read_bytes()
    assert nmt("two", "-o", "back.tsv", "--src", "de", "--tgt", "en").exit_code == 0
    assert Path("back.tsv").read_text("utf-8").count("\n") == len(entries)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("in.tsv", "-o", "out"), 2, "the languages of the pairs are not known"),
        (("in", "-o", "out.tsv"), 2, "the languages of the pairs are not known"),
        (("in.tsv", "-o", "in.tsv"), 2, "--output (tsv) in.tsv is the same file as the input in.tsv"),
        (("in.tsv", "-o", "out.tsv.gz"), 2, "give a .tsv or .jsonl file, or a prefix"),
        (("in.tsv", "-o", "out.tmx", "--src", "a", "--tgt", "b"), 2, "give a .tsv or .jsonl file"),
        (("a", "b", "c", "-o", "out.tsv"), 2, "3 input files: give one file of pairs"),
        (("no.tsv", "-o", "out.tsv"), 1, "no file no.tsv"),
        (("in.tsv", "-o", "two", "--src", "de", "--tgt", "de"), 2, "both sides are named 'de'"),
        (("in.tsv", "-o", "out.jsonl", "--src", "de", "--tgt", "de"), 2, "both sides are named 'de'"),
        (("in.tsv", "-o", "none/out.tsv"), 2, "cannot write none/out.tsv: no such directory: none"),
        (("in.tsv", "-o", "folder.tsv"), 2, "cannot write folder.tsv: it is a directory"),
        (
            ("in.tsv", "-o", "out.tsv", "--min-words", "3", "--max-words", "2"),
            2,
            "--min-words 3 is greater",
        ),
        (("in.tsv", "-o", "out.tsv", "--scripts", "Latn,Latin"), 2, "no script 'Latn'"),
        (("in.tsv", "-o", "out.tsv", "--scripts", "Latin"), 2, "expected a script for each side"),
        (("in.tsv", "-o", "out.tsv", "--share", "1.01"), 2, "1.01 is not between 0 and 1"),
        (("in.tsv", "-o", "out.tsv", "--share", "nan"), 2, "nan is not between 0 and 1"),
    ],
)
@pytest.mark.usefixtures("tsv")
def test_a_wrong_request_is_refused_and_writes_nothing(
    words: tuple[str, ...], code: int, message: str
) -> None:
    before = Path("in.tsv").read_bytes()
    Path("folder.tsv").mkdir()
    result = nmt(*words)
    assert (result.exit_code, message in result.stderr) == (code, True), result.output
    assert {path.name for path in Path().iterdir()} == {"in.tsv", "folder.tsv"}
    assert Path("in.tsv").read_bytes() == before


def test_a_damaged_input_leaves_the_old_output(tsv: Path) -> None:
    Path("out.tsv").write_text("old\n", encoding="utf-8")
    tsv.write_bytes(tsv.read_bytes() + b"one column\n")
    assert nmt(tsv, "-o", "out.tsv", "--no-duplicates").exit_code == 1
    assert Path("out.tsv").read_text(encoding="utf-8") == "old\n"
    assert {path.name for path in Path().iterdir()} == {"in.tsv", "out.tsv"}


def test_duplicates_are_found_share_by_share() -> None:
    pairs = [(str(n % 97), str(n % 7)) for n in range(1500)]
    seen: set[tuple[str, str]] = set()
    expected = [pair in seen or bool(seen.add(pair)) for pair in pairs]
    assert find_duplicates(pairs, block=100).tolist() == expected
    assert find_duplicates([]).tolist() == []
    assert find_duplicates([("a", "b c"), ("a b", "c")]).tolist() == [False, False]


@pytest.mark.parametrize(
    ("text", "scripts", "share"),
    [
        ("abc", "Latin", 1),
        ("새 ab", "Hangul", 1 / 3),
        ("漢かカ", "Han+Hiragana+Katakana", 1),
        ("1, 2!", "Thai", 1),
    ],
)
def test_letters_tell_the_script(text: str, scripts: str, share: float) -> None:
    assert script_share(text, scripts.split("+")) == pytest.approx(share)
