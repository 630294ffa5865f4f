"""Translating in 8-bit integers without an export, as a user does."""

import shutil
from pathlib import Path

import pytest

from nmt import Translator
from nmt.errors import UsageError
from nmt.recurrence.c import compiler
from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import done, nmt

needs_compiler = pytest.mark.skipif(
    compiler.find_obstacle() is not None, reason=str(compiler.find_obstacle())
)


@needs_compiler
def test_lines_come_out_the_same_in_every_batch_and_in_python(finished: Finished) -> None:
    source = finished.text / "test.de"
    by_batch = [
        done(nmt("translate", finished.run, "--int8", "-q", "-i", source, "--batch", batch))
        for batch in (1, 3, 20)
    ]
    assert by_batch[0] == by_batch[1] == by_batch[2]
    lines = source.read_text(encoding="utf-8").splitlines()
    found = Translator(finished.run, precision="int8").translate(lines)
    assert "".join(f"{one.text}\n" for one in found) == by_batch[0]


@needs_compiler
def test_scores_are_close_to_those_in_float32_and_not_equal(finished: Finished) -> None:
    pair = "--src", finished.text / "test.de", "--tgt", finished.text / "test.en"
    rounded, whole = (
        [float(line) for line in done(nmt("rescore", finished.run, *pair, "-q", *more)).split()]
        for more in (["--int8"], [])
    )
    assert rounded == pytest.approx(whole, abs=0.1)
    assert rounded != whole


@needs_compiler
def test_a_job_is_resumed_in_its_precision_only(finished: Finished, tmp_path: Path) -> None:
    broken = tmp_path / "source.de"
    shutil.copy(finished.text / "test.de", broken)
    prefix = tmp_path / "prefix"
    prefix.write_text("a\n" * 3, encoding="utf-8")  # too few: the job stops
    job = "translate", finished.run, "-i", broken, "-o", tmp_path / "out.en", "--prefix", prefix, "--batch", 1
    assert nmt(*job, "--int8", "--read-ahead", 0).exit_code == 1
    assert (tmp_path / "out.en.part").exists()
    other = nmt(*job, "--read-ahead", 0, "--resume")
    assert other.exit_code != 0
    assert "int8" in other.stderr


@pytest.mark.usefixtures("no_compiler")
@pytest.mark.parametrize("verb", ["translate", "rescore"])
def test_without_a_compiler_the_reason_and_the_export_are_named(finished: Finished, verb: str) -> None:
    files = ["-i", finished.text / "test.de"]
    files += ["-t", finished.text / "test.en"] if verb == "rescore" else []
    refused = nmt(verb, finished.run, "--int8", *files)
    assert refused.exit_code == 2
    assert "no C compiler" in refused.stderr
    assert "nmt export RUN --to onnx --int8" in refused.stderr
    with pytest.raises(UsageError, match="no C compiler"):
        Translator(finished.run, precision="int8")


def test_an_unknown_precision_is_refused(finished: Finished) -> None:
    with pytest.raises(UsageError, match="precision must be one of: float32, int8"):
        Translator(finished.run, precision="int4")  # type: ignore[arg-type]
