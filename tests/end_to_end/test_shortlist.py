"""A shortlist as a user makes it, translates with it and passes it on."""

import re
import shutil
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import done, nmt


@pytest.fixture
def run(finished: Finished, tmp_path: Path) -> Path:
    """A copy of the finished run, to be changed."""
    return Path(shutil.copytree(finished.run, tmp_path / "run"))


def source(finished: Finished) -> tuple[object, ...]:
    return "-q", "-i", finished.text / "test.de"


def test_one_that_allows_everything_changes_nothing_and_a_small_one_is_smaller(
    finished: Finished, run: Path
) -> None:
    printed = done(nmt("shortlist", run, "--frequent", 60))
    assert "100.00% of the reference tokens" in printed
    whole = done(nmt("translate", run, *source(finished)))
    assert done(nmt("translate", run, "--shortlist", *source(finished))) == whole
    small = re.search(
        r"([\d,]+) bytes; (\d+) tokens per validation sentence",
        done(nmt("shortlist", run, "--best", 1, "--frequent", 0)),
    )
    assert small is not None
    assert 2 < int(small[2]) < 40
    assert done(nmt("translate", run, "--shortlist", *source(finished))) != whole
    assert done(nmt("translate", run, "--no-shortlist", *source(finished))) == whole


def test_lines_come_out_the_same_in_every_batch(finished: Finished, run: Path) -> None:
    done(nmt("shortlist", run, "--best", 3, "--frequent", 5))
    by_batch = [
        done(nmt("translate", run, "--shortlist", "--batch", batch, *source(finished)))
        for batch in (1, 3, 20)
    ]
    assert by_batch[0] == by_batch[1] == by_batch[2]


def test_it_is_copied_into_an_averaged_model(finished: Finished, run: Path, tmp_path: Path) -> None:
    done(nmt("shortlist", run))
    done(nmt("average", run, "-o", tmp_path / "model"))
    assert (
        len(done(nmt("translate", tmp_path / "model", "--shortlist", *source(finished))).splitlines()) == 20
    )
    file = tmp_path / "model" / "shortlist.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    altered = nmt("translate", tmp_path / "model", "--shortlist", *source(finished))
    assert altered.exit_code == 1
    assert "checksum mismatch" in altered.stderr


def test_a_missing_shortlist_is_reported_with_the_command_that_makes_it(
    finished: Finished, tmp_path: Path
) -> None:
    missing = nmt("translate", finished.run, "--shortlist", *source(finished))
    assert missing.exit_code == 2
    assert "create it with `nmt shortlist" in missing.stderr
    done(nmt("average", finished.run, "-o", tmp_path / "model"))
    not_a_run = nmt("shortlist", tmp_path / "model")
    assert not_a_run.exit_code == 2
    assert "made from the encoded pairs of a run" in not_a_run.stderr


def test_constraints_are_refused_with_a_shortlist(finished: Finished, tmp_path: Path) -> None:
    (tmp_path / "must").write_text("dog\n", encoding="utf-8")
    refused = nmt("translate", finished.run, "--shortlist", "--must", tmp_path / "must", *source(finished))
    assert refused.exit_code == 2
    assert "--shortlist may exclude the tokens" in refused.stderr


def test_one_of_another_run_is_refused(finished: Finished, run: Path) -> None:
    for side in ("source", "target"):
        vocabulary = run / f"{side}.spm"
        vocabulary.write_bytes(vocabulary.read_bytes() + b"\x12\x00")  # an empty field of a protocol buffer
    done(nmt("shortlist", run))
    for side in ("source", "target"):
        shutil.copyfile(finished.run / f"{side}.spm", run / f"{side}.spm")
    refused = nmt("translate", run, "--shortlist", *source(finished))
    assert refused.exit_code == 1
    assert "was made for a different source vocabulary" in refused.stderr
