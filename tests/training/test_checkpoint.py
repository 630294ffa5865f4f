"""Checkpoints are whole or absent, whatever happens to the disk or the process."""

import json
import os
from pathlib import Path

import pytest
import torch

from nmt import files
from nmt.errors import DataError
from nmt.training import checkpoint
from nmt.training.checkpoint import METADATA, MODEL, TRAINER, find_latest, read, write
from nmt.training.ema import average_weights
from nmt.training.run_state import read_process_count

FILES = (MODEL, TRAINER, METADATA)


def save(folder: Path, update: int) -> Path:
    """A checkpoint whose numbers are all `update`."""
    directory = folder / checkpoint.checkpoint_name(update)
    write(
        directory,
        {"w": torch.full((50,), float(update))},
        {"m": torch.full((3,), update)},
        {"update": update},
    )
    return directory


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("count", [None, "2", [], 1.5])
def test_a_number_of_processes_that_is_none_is_refused(count: object) -> None:
    saved = checkpoint.Checkpoint(Path("u0000005"), {}, {}, {"processes": count})
    with pytest.raises(DataError, match=r"u0000005/checkpoint\.json: refused: its content is wrong"):
        read_process_count(saved)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    saved = read(save(tmp_path, 5))
    assert torch.equal(saved.model["w"], torch.full((50,), 5.0))
    assert torch.equal(saved.trainer["m"], torch.full((3,), 5))
    assert saved.metadata == {"update": 5}


def test_checkpoint_json_holds_the_sums_of_its_files(tmp_path: Path) -> None:
    directory = save(tmp_path, 5)
    sums = json.loads((directory / METADATA).read_text(encoding="utf-8"))["sha256"]
    assert set(sums) == {MODEL, TRAINER}
    assert checkpoint.load_tensors(directory / MODEL, sums[MODEL]).keys() == {"w"}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("harm", [truncate, empty, flip, Path.unlink])
def test_a_harmed_checkpoint_is_refused_by_name_and_the_one_before_is_used(tmp_path, file, harm) -> None:  # type: ignore[no-untyped-def]
    good, harmed = save(tmp_path, 10), save(tmp_path, 20)
    harm(harmed / file)
    with pytest.raises(DataError, match=f"u0000020/{file}: refused"):
        read(harmed)
    found = find_latest(tmp_path)
    assert found.checkpoint is not None
    assert found.checkpoint.directory == good
    assert list(found.refused) == [harmed]


def test_facts_altered_by_hand_are_refused(tmp_path: Path) -> None:
    directory = save(tmp_path, 10)
    facts = (directory / METADATA).read_text(encoding="utf-8")
    (directory / METADATA).write_text(facts.replace('"update": 10', '"update": 11'), encoding="utf-8")
    with pytest.raises(DataError, match="checksum mismatch"):
        read(directory)


@pytest.mark.parametrize("content", ["", "[]", "{}", "1", '{"seal": 1}', '{"seal'])
def test_facts_that_are_no_facts_are_refused(tmp_path: Path, content: str) -> None:
    directory = save(tmp_path, 10)
    (directory / METADATA).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="checkpoint.json: refused"):
        read(directory)


def test_when_all_are_torn_the_run_is_not_started_over(tmp_path: Path) -> None:
    for update in (10, 20):
        truncate(save(tmp_path, update) / MODEL)
    with pytest.raises(DataError, match=r"no complete checkpoint is left(.|\n)*u0000020(.|\n)*u0000010"):
        find_latest(tmp_path)


def test_an_empty_or_absent_folder_has_no_latest(tmp_path: Path) -> None:
    assert find_latest(tmp_path) == (None, {})
    assert find_latest(tmp_path / "absent") == (None, {})


@pytest.mark.parametrize("step", ["save_tensors", "_with_checksum", "flush_to_disk"])
def test_a_write_killed_at_any_step_leaves_no_checkpoint_and_harms_none(tmp_path, monkeypatch, step) -> None:  # type: ignore[no-untyped-def]
    good = save(tmp_path, 10)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(files if step == "flush_to_disk" else checkpoint, step, die)
        patched.setattr(files, "remove_path", lambda path: None)  # a killed process removes nothing
        with pytest.raises(KeyboardInterrupt):
            save(tmp_path, 20)
    assert checkpoint.list_checkpoints(tmp_path) == [good]
    assert any(path.name.startswith(".") for path in tmp_path.iterdir())
    checkpoint.remove_partial_writes(tmp_path)
    assert list(tmp_path.iterdir()) == [good]
    read(save(tmp_path, 20))


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = save(tmp_path, 10)

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "flush_to_disk", full)
    with pytest.raises(DataError, match="u0000020.*No space left.*untouched"):
        save(tmp_path, 20)
    assert list(tmp_path.iterdir()) == [good]


def test_a_checkpoint_written_again_replaces_the_old_one(tmp_path: Path) -> None:
    truncate(save(tmp_path, 10) / MODEL)
    assert read(save(tmp_path, 10)).metadata == {"update": 10}
    assert [path.name for path in tmp_path.iterdir()] == ["u0000010"]


@pytest.mark.parametrize(
    ("keep", "best", "left"),
    [
        (2, "u0000001", [1, 4, 5]),
        (1, "u0000005", [5]),
        (3, None, [3, 4, 5]),
        (0, None, [5]),
        (9, None, [1, 2, 3, 4, 5]),
    ],
)
def test_pruning_keeps_the_latest_and_the_best(tmp_path, keep, best, left) -> None:  # type: ignore[no-untyped-def]
    for update in (1, 2, 3, 4, 5):
        save(tmp_path, update)
    checkpoint.prune(tmp_path, keep, best)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [f"u{update:07d}" for update in left]


def test_links_are_relative_and_can_be_moved_to_another(tmp_path: Path) -> None:
    save(tmp_path, 1), save(tmp_path, 2)
    checkpoint.link(tmp_path, "best", "u0000001")
    checkpoint.link(tmp_path, "best", "u0000002")
    assert os.readlink(tmp_path / "best") == "u0000002"
    assert read(tmp_path / "best").metadata == {"update": 2}


def test_the_average_is_the_mean_of_the_weights(tmp_path: Path) -> None:
    mean = average_weights([save(tmp_path, update) for update in (1, 2, 6)])
    assert torch.equal(mean["w"], torch.full((50,), 3.0))
    assert mean["w"].dtype == torch.float32


def test_checkpoints_of_different_models_are_not_averaged(tmp_path: Path) -> None:
    one = save(tmp_path, 1)
    other = tmp_path / "u0000002"
    write(other, {"w": torch.ones(3)}, {}, {})
    with pytest.raises(DataError, match="u0000002: not the same model as .*u0000001: w"):
        average_weights([one, other])


def test_a_torn_checkpoint_is_not_averaged(tmp_path: Path) -> None:
    one, other = save(tmp_path, 1), save(tmp_path, 2)
    truncate(other / MODEL)
    with pytest.raises(DataError, match="refused"):
        average_weights([one, other])
