"""Lexical constraints and the other options of `nmt translate`, as they are typed."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from nmt.cli.translate import translate
from nmt.decoding.translation import Translation
from nmt.errors import DataError, UsageError
from nmt.evaluation import invariance as verify
from tests.decoding import small

LINES = b"a dog runs\na cat\nanother line of words\n"


@pytest.fixture(autouse=True)
def _small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    small.take_its_place(monkeypatch)


def nmt(*arguments: object, stdin: bytes = LINES) -> Result:
    app = typer.Typer()
    app.command()(translate)
    return CliRunner().invoke(app, ["model", "-q", *map(str, arguments)], input=stdin)


def lines(*arguments: object, stdin: bytes = LINES) -> list[str]:
    done = nmt(*arguments, stdin=stdin)
    assert done.exit_code == 0, done.output
    return done.stdout_bytes.decode().removesuffix("\n").split("\n")


def piece(text: str) -> str:
    """How the small model's vocabulary spells a short word."""
    words = small.CutWords(60)
    return words.decode(words.encode(text))


def test_an_output_begins_with_its_prefix_and_holds_its_phrases(tmp_path: Path) -> None:
    prefix, must = tmp_path / "prefix", tmp_path / "must"
    prefix.write_text("xy\n\nzz\n", encoding="utf-8")
    must.write_text("\nab\tcd\n\n", encoding="utf-8")
    found = lines("--prefix", prefix, "--must", must)
    assert found[0].startswith(piece("xy"))
    assert found[2].startswith(piece("zz"))
    assert piece("ab") in found[1]
    assert piece("cd") in found[1]


def test_an_output_holds_nothing_of_what_it_must_not_hold(tmp_path: Path) -> None:
    free, must_not = lines("--beam", 3), tmp_path / "must_not"
    words = small.CutWords(60)
    letters = {
        words.decode(words.encode(letter)): letter for letter in "abcdefghijklmnopqrstuvwxyzäöüß0123456789"
    }
    banned = [next((letters[word] for word in line.split() if word in letters), "") for line in free]
    assert any(banned)
    must_not.write_text("".join(f"{word}\n" for word in banned), encoding="utf-8")
    held = lines("--beam", 3, "--must-not", must_not)
    assert all(not word or piece(word) not in line.split() for word, line in zip(banned, held, strict=True))


@pytest.mark.parametrize(
    ("text", "said"), [("x\n", "ends before line 2"), ("x\n" * 4, "more lines than the text")]
)
def test_a_file_of_constraints_has_a_line_for_each_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "prefix").write_text(text, encoding="utf-8")
    refused = nmt("--prefix", tmp_path / "prefix").exception
    assert isinstance(refused, DataError)
    assert said in str(refused)


def test_a_line_of_json_has_its_own_constraints() -> None:
    text = b'{"text": "a dog", "prefix": "xy", "seed": 4}\n{"text": "a dog", "seed": 4}\n{"text": "a dog"}'
    first, second, third = lines("--json", "--sample", "--temperature", 3, stdin=text)
    assert f'"translation": "{piece("xy")}' in first
    assert second.split('"translation"')[1] != third.split('"translation"')[1]
    [alone] = lines("--json", "--sample", "--temperature", 3, stdin=text.split(b"\n")[1])
    assert alone == second


def test_samples_follow_from_the_seed_and_the_line_alone() -> None:
    drawn = lines("--sample", "--temperature", 3, "--seed", 5)
    assert lines("--sample", "--temperature", 3, "--seed", 5, "--batch", 1, "--read-ahead", 0) == drawn
    assert lines("--sample", "--temperature", 3, "--seed", 6) != drawn


def test_what_must_be_written_cannot_be_sampled(tmp_path: Path) -> None:
    (tmp_path / "must").write_text("x\n\n\n", encoding="utf-8")
    done = nmt("--sample", "--must", tmp_path / "must")
    assert done.stdout.startswith("\n")
    assert "line 1: required phrases cannot be combined with sampling" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--length-penalty-kind", "none"),
        ("--length-penalty-kind", "average"),
        ("--length-penalty-kind", "reward", "--length-penalty", 2),
        ("--coverage-penalty", 3),
        ("--min-ratio", 0.9),
        ("--max-ratio", 0.1, "--max-extra", 1),
        ("--sample", "--top-k", 40, "--temperature", 2),
        ("--sample", "--top-p", 0.99, "--temperature", 2),
        ("--mbr", "chrf", "--samples", 20),
    ],
    ids=lambda options: " ".join(map(str, options)),
)
def test_each_option_of_the_search_reaches_it(options: tuple[object, ...]) -> None:
    assert lines("--scores", *options) != lines("--scores")


def test_no_piece_comes_twice_if_it_must_not() -> None:
    long = ("--min-ratio", 9, "--max-ratio", 12, "--format", "fairseq")

    def repeats(*options: object) -> list[bool]:
        outputs = [line.split("\t")[2].split() for line in lines(*long, *options) if line.startswith("H-")]
        return [len(output) > len(set(output)) for output in outputs]

    assert repeats() == [True] * 3
    assert repeats("--no-repeat-ngram", 1) == [False] * 3


def test_a_model_with_itself_is_an_ensemble() -> None:
    together = ("--ensemble", "model", "--weights", "2,1")
    assert lines(*together) == lines(*together, "--average", "log") == lines()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--ensemble", "model", "--weights", "a"), "expected 2 numbers"),
        (("--ensemble", "model", "--weights", "1"), "1 weights for 2 models"),
        (("--weights", "1"), "--weights needs an ensemble"),
        (("--samples", 3), "--mbr"),
        (("--suggestion-margin", 2), "add --glossary, or --json"),
        (("--json", "--must", "f"), "constraints are the fields"),
        (("--workers", 2, "--threads", 2), "one thread"),
        (("--sample", "--temperature", 0), "temperature"),
    ],
)
def test_what_does_not_go_together_is_said(options: tuple[object, ...], said: str) -> None:
    refused = nmt(*options).exception
    assert isinstance(refused, UsageError)
    assert said in str(refused)


def test_verify_proves_a_sample_and_finds_what_is_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()
    app.command()(translate)
    proved = CliRunner().invoke(app, ["model", "--verify", "2"], input=LINES)
    assert proved.exit_code == 0
    assert "verified: 2 lines are identical in shuffled batches" in proved.stderr
    monkeypatch.setattr(verify, "translate_window", _otherwise(verify.translate_window))
    refused = nmt("--verify", 3)
    assert isinstance(refused.exception, DataError)
    assert "lines 2" in str(refused.exception)
    assert refused.stdout_bytes.count(b"\n") == 3


def _otherwise(translate_window):  # type: ignore[no-untyped-def]
    """Translates the second line otherwise where it comes first."""

    def translated(some: list[object], job: object) -> list[Translation]:
        return [
            one._replace(notes=["otherwise"]) if one.number == 2 and place == 0 else one
            for place, one in enumerate(translate_window(some, job))
        ]

    return translated
