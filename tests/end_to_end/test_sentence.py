"""`nmt inspect sentence` on a model from disk, in each of its forms."""

import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import done, nmt
from tests.grid import mark_slow


@pytest.fixture
def source(finished: Finished) -> str:
    return (finished.text / "test.de").read_text(encoding="utf-8").splitlines()[0]


def test_the_text_format_fits_80_columns(finished: Finished, source: str) -> None:
    lines = done(nmt("inspect", "sentence", finished.run, source, "--format", "txt")).splitlines()
    translation = done(nmt("translate", finished.run, "-q", stdin=f"{source}\n".encode())).strip()
    assert lines[0] == f"source       {source}"
    assert lines[1] == f"translation  {translation}"
    assert all(cell_len(line) <= 80 for line in lines[3:])
    assert sum("*" in line for line in lines) == 1  # the end that was chosen
    assert [line.split()[4] for line in lines if line.startswith("encoder, layer 1, forward")] == [*"rznh"]


def test_json_has_every_number(finished: Finished, source: str) -> None:
    told = json.loads(done(nmt("inspect", "sentence", finished.run, source, "--format", "json")))
    assert len(told["attention"]) == len(told["words"])
    sizes = {(one["side"], len(one["values"]["h"][0])) for one in told["recurrences"]}
    assert sizes == {("encoder", 32), ("decoder", 64)}


@pytest.mark.parametrize(
    ("kind", "begins"),
    mark_slow(
        [("html", "<!doctype html>"), ("svg", "<?xml"), ("png", "\x89PNG")],
        default=[("html", "<!doctype html>")],
    ),
)
def test_a_file_is_written_whole_and_named(
    finished: Finished, source: str, tmp_path: Path, kind: str, begins: str
) -> None:
    file = tmp_path / f"a.{kind}"
    assert done(nmt("inspect", "sentence", finished.run, source, "-o", file)).strip() == str(file)
    assert file.read_bytes().startswith(begins.encode("latin-1"))
    assert [*tmp_path.iterdir()] == [file]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a", "-o", "a.gif"), "choose one of html, svg, png, txt, json"),
        (("a", "--format", "pdf"), "unknown format 'pdf'; choose one of html, svg, png, txt, json"),
        (("a", "-o", "nowhere/a.html"), "no such directory: nowhere"),
        (("  ",), "nothing to inspect"),
    ],
)
def test_impossible_requests_are_reported(finished: Finished, words: tuple[str, ...], message: str) -> None:
    result = nmt("inspect", "sentence", finished.run, *words)
    assert (result.exit_code, message in " ".join(result.stderr.split())) == (2, True)


def test_bytes_of_the_sentence_that_are_not_utf_8_are_replaced_and_noted(finished: Finished) -> None:
    result = nmt("inspect", "sentence", finished.run, "\udcffa b", "--format", "json")
    assert json.loads(done(result))["text"] == "\ufffda b"
    assert "byte 0xff at position 1 is not UTF-8 and was replaced by U+FFFD" in result.stderr
