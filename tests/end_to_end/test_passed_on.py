"""What `nmt average` and `nmt export` write is for others: it has no path of this machine, and needs none."""

import getpass
import os
import shutil
import socket
from pathlib import Path
from tempfile import gettempdir

import pytest

from nmt.files import file_sha256
from nmt.recipe.file_settings import remove_paths
from nmt.recipe.reader import dump, read_any_recipe
from tests.end_to_end.test_custom_cells import MGU
from tests.end_to_end.toy import copied, done, nmt, write_corpus

RECIPE = """\
data:
  {root: HOME, src: src, tgt: tgt, valid: HOME/text/valid, test: ../private-home/text/test, train: [
    {name: clean, pairs: HOME/text/train, sentence_weights: HOME/weights},
    {name: noisy, pairs: [HOME/text/train.src, ../private-home/text/train.tgt]}]}
subwords: {kind: unigram, size: 30}
encoder: {cell: gru, embedding: 8, hidden: 8}
decoder: {cell: 'HOME/cells.py:MGU', embedding: 8, hidden: 8}
training: {stop_after: 1u, threads: 1, batch: {size: 8}}
"""
LM = """\
task: language-model
data: {root: HOME/text, train: train.tgt, valid: HOME/text/valid.tgt}
subwords: {same_as: HOME/run}
decoder: {cell: gru, embedding: 8, hidden: 8}
training: {stop_after: 1u, threads: 1, batch: {size: 8}}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with runs whose recipes name files by their absolute paths."""
    folder = tmp_path_factory.mktemp("place") / "private-home"
    write_corpus(folder / "text", copied, train=20, held_out=3)
    (folder / "weights").write_text("1\n" * 20, encoding="utf-8")
    (folder / "cells.py").write_text(MGU, encoding="utf-8")
    recipe, lm = folder / "recipe-of-mine.yaml", folder / "lm.yaml"
    recipe.write_text(RECIPE.replace("HOME", str(folder)), encoding="utf-8")
    lm.write_text(LM.replace("HOME", str(folder)), encoding="utf-8")
    done(nmt("train", recipe, "-o", folder / "run"))
    done(nmt("train", recipe, f"training.start_from={folder / 'run'}", "-o", folder / "tuned"))
    done(nmt("train", lm, "-o", folder / "lm"))
    return folder


def private_texts(output: Path, home: Path) -> dict[str, list[bytes]]:
    """The files of a directory that contain paths or names of this machine."""
    private = [os.fsencode(path) for path in (home, home.parent, Path.home(), Path.cwd(), Path(gettempdir()))]
    private = [path for path in private if len(path) > 3]
    private += [name.encode() for name in (socket.gethostname(), getpass.getuser()) if len(name) > 6]
    found = {file.name: [text for text in private if text in file.read_bytes()] for file in output.iterdir()}
    return {name: texts for name, texts in found.items() if texts}


@pytest.mark.parametrize("name", ["run", "tuned", "lm"])
def test_a_model_directory_has_no_path_or_name_of_this_machine(name: str, home: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    done(nmt("average", home / name, "-o", output))
    assert private_texts(output, home) == {}
    away = shutil.move(home, home.with_name("moved"))
    try:
        if name == "lm":
            done(nmt("sample", output, "--length", 3))
        else:
            assert done(nmt("translate", output, "-q", stdin=b"a b\n")).count("\n") == 1
        inspected = nmt("inspect", "gates", output)
        assert inspected.exit_code == 1
        assert "a model directory has no data: give some with --data" in inspected.stderr
    finally:
        shutil.move(away, home)


def test_a_recipe_keeps_what_it_can_keep(home: Path) -> None:
    portable = remove_paths(read_any_recipe([str(home / "recipe-of-mine.yaml")], ["training.start_from=run"]))
    assert portable.data.root == "."
    assert (portable.data.valid, portable.data.test) == ("valid", "test")
    assert [corpus.pairs for corpus in portable.data.corpora] == ["train", ["train.src", "train.tgt"]]
    assert portable.data.corpora[0].sentence_weights == "weights"
    assert portable.training.start_from == "run"
    shipped = read_any_recipe(["quickstart-lstm"])
    assert dump(remove_paths(shipped)) == dump(shipped)


def test_a_model_directory_names_no_data_of_its_reader(home: Path, tmp_path: Path) -> None:
    """A recipe of version 0.1, or a hostile one, has an absolute `data.root`; nothing is read from there."""
    done(nmt("average", home / "run", "-o", tmp_path / "model"))
    recipe, card = tmp_path / "model/recipe.yaml", tmp_path / "model/model.json"
    before = file_sha256(recipe)
    recipe.write_text(recipe.read_text("utf-8").replace("root: .", f"root: {home}/text"), encoding="utf-8")
    card.write_text(card.read_text("utf-8").replace(before, file_sha256(recipe)), encoding="utf-8")
    result = nmt("inspect", "gates", tmp_path / "model")
    assert result.exit_code == 1, result.output
    assert f"no file {tmp_path}/model/valid.src" in result.stderr
