"""Shares of a file that are put together as if it had been one job."""

import random
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from nmt.cli.merge import merge
from nmt.cli.translate import translate
from nmt.decoding import shards
from nmt.errors import DataError, UsageError
from tests.decoding import small

TEXTS = [
    b"",
    b"\n",
    b"a",
    b"a\nb\n",
    b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n\n\nlong line here\nc",
    b"\n" * 9,
    b"x" * 50,
]
TEXT = "\n".join(f"{number} word" * (number % 5) for number in range(30)).encode()


@pytest.fixture(autouse=True)
def _small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    small.take_its_place(monkeypatch)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(TEXT)
    return path


def nmt(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(translate)
    app.command()(merge)
    return CliRunner().invoke(app, list(map(str, arguments)))


def shard(source: Path, number: int, of: int, *options: object) -> Path:
    output = source.with_name(f"out.{number}of{of}")
    asked = ["-i", source, "-o", output, "--alignments", f"{output}.pairs", "--shard", f"{number}/{of}"]
    done = nmt("translate", "model", *asked, *options)
    assert done.exit_code == 0 or "1 line was not valid" in str(done.exception), done.output
    return output


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_every_line_is_in_one_shard_in_order_and_knows_its_number(
    text: bytes, of: int, tmp_path: Path
) -> None:
    path = tmp_path / "text"
    path.write_bytes(text)
    whole = text.splitlines(keepends=True) if b"\r" not in text else []
    found: list[bytes] = []
    for number in range(1, of + 1):
        with path.open("rb") as stream:
            stretch = shards.find_shard(stream, number, of)
            lines = list(shards.read_shard(stream, stretch))
        assert not lines or stretch.first == len(found) + 1
        found += lines
    assert found == whole


def test_a_line_without_end_is_refused(source: Path) -> None:
    """The file is sparse and has 100 GB."""
    with source.open("r+b") as file:
        file.truncate(100 << 30)
    done = nmt("translate", "model", "-i", source, "-o", source.with_name("out"), "--shard", "2/3")
    message = f"{source}, the line at byte {(100 << 30) // 3}: longer than 16,777,216 bytes"
    assert (type(done.exception), message in str(done.exception)) == (DataError, True)
    done = nmt("translate", "model", "-i", source, "-o", source.with_name("out"))
    assert f"{source}, line " in str(done.exception)


@pytest.mark.parametrize("options", [(), ("--n-best", 2), ("--sample", "--seed", 4), ("--json", "--details")])
def test_shards_make_what_one_job_makes(source: Path, options: tuple[object, ...]) -> None:
    if "--json" in options:
        source.write_text("".join(f'{{"text": "word {n}"}}\n' for n in range(20)) + "bad", encoding="utf-8")
    outputs = [shard(source, number, 3, *options) for number in (1, 2, 3)]
    one = source.with_name("one")
    nmt("translate", "model", "-i", source, "-o", one, "--alignments", f"{one}.pairs", *options)
    random.Random(1).shuffle(outputs)
    merged = source.with_name("merged")
    assert nmt("merge", *outputs, "-o", merged).exit_code == 0
    assert merged.read_bytes() == one.read_bytes()
    assert nmt("merge", *(f"{output}.pairs" for output in outputs), "-o", merged).exit_code == 0
    assert merged.read_bytes() == Path(f"{one}.pairs").read_bytes()


def refused(*outputs: object) -> str:
    folder = Path(str(outputs[0])).parent / "refused"
    folder.mkdir(exist_ok=True)
    done = nmt("merge", *outputs, "-o", folder / "never")
    assert isinstance(done.exception, DataError)
    assert [*folder.iterdir()] == []
    return str(done.exception)


def test_a_missing_shard_or_one_too_many_is_refused(source: Path) -> None:
    one, two, three = (shard(source, number, 3) for number in (1, 2, 3))
    assert "shard 2 of 3 is missing" in refused(one, three)
    assert "shard 1 of 3 is given more than once" in refused(one, one, two, three)
    assert "different number of shards" in refused(one, shard(source, 2, 2))
    assert "different model or options" in refused(one, two, f"{three}.pairs")


def test_shards_of_other_jobs_are_refused(source: Path) -> None:
    one = shard(source, 1, 2)
    assert "different model or options" in refused(one, shard(source, 2, 2, "--beam", 3))
    source.write_bytes(TEXT.replace(b"29", b"28"))
    assert "different input" in refused(one, shard(source, 2, 2))


def test_an_altered_or_unknown_output_is_refused(source: Path) -> None:
    one, two = shard(source, 1, 2), shard(source, 2, 2)
    two.write_text("else\n", encoding="utf-8")
    assert "translate shard 2 again" in refused(one, two)
    assert "not the output of a complete shard" in refused(one, source)


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/2/3", "-1/2", "1/0"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected K/N"):
        shards.parse_shard(text)


def test_a_shard_needs_files(source: Path) -> None:
    assert isinstance(nmt("translate", "model", "-i", source, "--shard", "1/2").exception, UsageError)
