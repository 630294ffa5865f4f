"""Embeddings that start with the vectors of a file, and parameters that are not trained."""

import gzip
from pathlib import Path

import pytest
import torch

from nmt.recipe.tasks.translation import load_translator
from nmt.training.checkpoint import read_tensors
from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import done, nmt

STILL = ("training.stop_after=1u", "training.learning_rate.peak=1e-30", "training.validation.metric=loss")
NEW = ("subwords.joint=false", "decoder.tie=target")
ROWS = {"der": 0.25, "mann": 0.5, "dog": -0.125, "nothing": 9.0}


def write_vectors(file: Path, size: int = 32, *, header: bool = False) -> Path:
    lines = [f"{word} {' '.join([str(value)] * size)}" for word, value in ROWS.items()]
    content = "\n".join([f"{len(ROWS)} {size}"] * header + lines).encode() + b"\n"
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    return file


@pytest.mark.parametrize(
    ("name", "header"), [("glove.txt", False), ("word2vec.txt", True), ("cc.de.vec.gz", True)]
)
def test_an_embedding_starts_with_the_vectors_of_a_file(
    name: str, header: bool, finished: Finished, tmp_path: Path
) -> None:
    file, run = write_vectors(tmp_path / name, header=header), tmp_path / "run"
    vectors = (f"encoder.embedding={{file: {file}}}", f"decoder.embedding_file={file}")
    began = nmt("train", finished.recipe, *STILL, *NEW, *vectors, "subwords.kind=pretokenized", "-o", run)
    done(began)
    assert f"encoder.embedding: {file} has " in began.stderr
    made = load_translator(run)
    for side, vocabulary in (("encoder", made.source), ("decoder", made.target)):
        table = getattr(made.model, side).embedding.weight
        words = {word: i for i, word in enumerate(vocabulary.spellings)}
        expected = {"Der": 0.25} if side == "encoder" else {"dog": -0.125}
        for word, value in expected.items():
            assert torch.equal(table[words[word]], torch.full((32,), value)), word
    file.unlink()  # a resumed run does not read it
    done(
        nmt(
            "train",
            finished.recipe,
            *NEW,
            *vectors[1:],
            *STILL[1:],
            "training.stop_after=2u",
            "subwords.kind=pretokenized",
            f"encoder.embedding_file={file}",
            "-o",
            run,
        )
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("mann 1 2 3\n", "has vectors of size 3, the embedding has 32"),
        ("2 300\nmann 1 2\n", "has vectors of size 300"),
        ("", "line 1: expected a word and the numbers"),
        ("mann eins zwei\n", "line 1: expected a word and the numbers"),
        ("mann " + "nan " * 32, "line 1: expected a word and the numbers"),
        ("a " + "1 " * 32 + "\nmann" + " x" * 32, "line 2: expected a word and 32 numbers"),
        ("1 32\nMann 1 2", "line 2: expected a word and 32 numbers"),
        ("zzz " + "1 " * 32, "has the vector of none of the"),
    ],
)
def test_a_file_that_is_not_one_of_vectors_is_refused(
    content: str, message: str, finished: Finished, tmp_path: Path
) -> None:
    file, run = tmp_path / "vectors.txt", tmp_path / "run"
    file.write_text(content, encoding="utf-8")
    words = (f"encoder.embedding_file={file}", "subwords.kind=pretokenized")
    result = nmt("train", finished.recipe, *STILL, *words, "-o", run)
    assert (result.exit_code in (1, 2), message in result.stderr) == (True, True), result.stderr


def test_the_size_of_an_embedding_is_that_of_its_file(finished: Finished, tmp_path: Path) -> None:
    file = write_vectors(tmp_path / "v.txt", size=12)
    shown = done(nmt("recipes", "show", finished.recipe, f"encoder.embedding.file={file}", *NEW))
    assert f"embedding: 12\n  embedding_file: {file}" in shown
    missing = nmt("recipes", "show", finished.recipe, "encoder.embedding={file: nowhere.txt}")
    assert (missing.exit_code, "nowhere.txt" in missing.stderr) == (2, True)


FROZEN = [
    ("[encoder.embedding]", ["encoder.embedding.weight"]),
    ("[decoder.output]", ["encoder.embedding.weight", "decoder.output.bias"]),  # the tied matrices, too
    ("[encoder.stack, 'decoder.*.bias']", ["encoder.stack.layers.0.directions.0.W", "decoder.output.bias"]),
    ("[encoder, decoder.attention]", ["encoder.stack.layers.0.directions.1.U", "encoder.embedding.weight"]),
]


@pytest.mark.parametrize(("patterns", "names"), FROZEN)
def test_frozen_parameters_do_not_change_and_the_run_resumes_exactly(
    patterns: str, names: list[str], finished: Finished, tmp_path: Path
) -> None:
    freeze, once, twice = f"training.freeze={patterns}", tmp_path / "once", tmp_path / "twice"
    command = ("train", finished.recipe, freeze, "training.validation.metric=loss", "training.keep=9")
    began = nmt(*command, "training.validation.every=2u", "training.stop_after=4u", "-o", once)
    done(began)
    assert f"frozen: {names[0]}" in began.stderr or "frozen: " in began.stderr
    for stop in (2, 4):
        done(nmt(*command, "training.validation.every=2u", f"training.stop_after={stop}u", "-o", twice))
    first, last = (read_tensors(once / f"checkpoints/u000000{i}/model.safetensors") for i in (2, 4))
    again = read_tensors(twice / "checkpoints/u0000004/model.safetensors")
    assert all(torch.equal(again[name], tensor) for name, tensor in last.items())
    for name in names:
        assert torch.equal(first[name], last[name]), name
    assert sum(not torch.equal(first[name], last[name]) for name in first) > 3
    moments = read_tensors(once / "checkpoints/u0000004/trainer.safetensors")
    assert not [key for key in moments if any(key.endswith(f"/{name}") for name in names)]


@pytest.mark.parametrize("optimiser", ["muon", "adafactor", "sgd", "nadam"])
def test_every_optimiser_leaves_frozen_parameters_out(
    optimiser: str, finished: Finished, tmp_path: Path
) -> None:
    frozen = "training.freeze=['*.W', '*.U', '*.weight']"
    short = ("training.stop_after=2u", "training.validation.metric=loss", f"training.optimiser={optimiser}")
    done(nmt("train", finished.recipe, frozen, *short, "-o", tmp_path / "run"))


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ("[encoder.embeding]", "no parameter 'encoder.embeding', did you mean 'encoder.embedding'"),
        ("[decoder.stak]", "no parameter 'decoder.stak'"),
        ("['*']", "nothing is left to train"),
        ("[encoder, decoder]", "nothing is left to train"),
    ],
)
def test_unknown_parameters_are_not_frozen(
    patterns: str, message: str, finished: Finished, tmp_path: Path
) -> None:
    result = nmt("train", finished.recipe, f"training.freeze={patterns}", "-o", tmp_path / "run")
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr
