"""A language model from plain text: trained, gone on with, run on its own output, and beside a translator."""

import gzip
import json
import math
import re
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from nmt.data.store import TokenStore
from nmt.data.streams import StreamLayout, read_chunks
from nmt.data.vocabulary import EOS
from nmt.decoding.beam import search
from nmt.decoding.options import Options, Request
from nmt.recipe.tasks.language_model import build_search_model, fuse_language_model, load_language_model
from nmt.recipe.tasks.translation import build_job, load_translator
from nmt.training.checkpoint import find_latest
from nmt.training.validation import evaluation_mode, sum_losses
from tests.end_to_end.conftest import Finished
from tests.end_to_end.test_custom_cells import MGU
from tests.end_to_end.test_stop_and_resume import fail_after, names
from tests.end_to_end.toy import done, nmt, phrases, write_lines
from tests.grid import mark_slow

CHARACTERS = """\
task: language-model
data: {root: text, train: train.en, valid: valid.en, test: test.en}
subwords: {kind: char}
decoder: {cell: CELL, layers: 2, embedding: 16, hidden: 32, dropout: {output: 0.1, layers: 0.1}}
training:
  learning_rate: {peak: 1e-2, schedule: plateau}
  batch: {size: 8}
  chunk: 20
  stop_after: 60u
  checkpoint_every: 1u
  keep: 3
  validation: {every: 30u, samples: 2}
  threads: 1
"""
LINES = """\
task: language-model
data: {root: text, train: train.en, valid: valid.en, test: test.en}
subwords: {same_as: run}
decoder: {cell: gru, embedding: 32, hidden: 64}
training:
  learning_rate: {peak: 1e-2}
  batch: {size: 32}
  stop_after: 60u
  validation: {every: 30u}
  threads: 1
"""


class Text(NamedTuple):
    """A recipe beside its text, and a run of it that nothing disturbed."""

    recipe: Path
    run: Path
    printed: str


def write_recipe(folder: Path, recipe: str = CHARACTERS, cell: str = "gru") -> Path:
    english = [english for _, english in phrases(340)]
    (folder / "text").mkdir(exist_ok=True)
    for part, lines in {"train": english[:300], "valid": english[300:320], "test": english[320:]}.items():
        write_lines(folder / "text" / f"{part}.en", lines)
    (folder / "text.yaml").write_text(recipe.replace("CELL", cell), encoding="utf-8")
    return folder / "text.yaml"


@pytest.fixture(scope="module")
def characters(tmp_path_factory: pytest.TempPathFactory) -> Text:
    home = tmp_path_factory.mktemp("characters")
    recipe = write_recipe(home)
    return Text(recipe, home / "run", done(nmt("run", recipe, "-o", home / "run")))


@pytest.fixture(scope="module")
def lines(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Text:
    """A language model of the pieces of the translator `finished`."""
    home = tmp_path_factory.mktemp("lines")
    recipe = write_recipe(home, LINES.replace("run}", f"{finished.run}}}"))
    return Text(recipe, home / "run", done(nmt("run", recipe, "-o", home / "run")))


def validations(run: Path) -> list[float]:
    events = map(json.loads, (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [event["perplexity"] for event in events if event["event"] == "validation"]


@pytest.mark.parametrize("which", ["characters", "lines"])
def test_it_learns_what_follows_what(which: str, request: pytest.FixtureRequest) -> None:
    first, last = validations(request.getfixturevalue(which).run)
    assert last < first
    assert last < {"characters": 3.0, "lines": 3.5}[which]


@pytest.mark.parametrize(
    ("cell", "after"),
    mark_slow([("gru", 1), ("lstm", 13), ("lstm", 19), ("rhn", 8)], default=[("gru", 1), ("lstm", 13)]),
)
def test_a_run_interrupted_between_chunks_is_resumed_exactly(
    cell: str, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, whole, run = write_recipe(tmp_path, cell=cell), tmp_path / "whole", tmp_path / "run"
    settings = ("training.stop_after=20u", "training.accumulate=2", "training.checkpoint_every=1u")
    done(nmt("train", recipe, *settings, "-o", whole))
    with monkeypatch.context() as broken:
        fail_after(after, broken)
        assert nmt("train", recipe, *settings, "-o", run).exit_code == 130
    assert f"u{after:07d}" in names(run / "checkpoints")
    done(nmt("train", recipe, *settings, "-o", run))
    for name in (
        "checkpoints/last/model.safetensors",
        "checkpoints/last/trainer.safetensors",
        "metrics.jsonl",
    ):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_checkpoint_holds_the_state_of_the_next_chunk(characters: Text) -> None:
    found = find_latest(characters.run / "checkpoints").checkpoint
    assert found is not None
    carried = [tensor for name, tensor in found.trainer.items() if name.startswith("carried/")]
    assert [tuple(tensor.shape) for tensor in carried] == [(8, 32)] * 2  # h of two layers
    assert all(bool(tensor.ne(0).any()) for tensor in carried)


def test_a_run_without_chunks_carries_nothing(lines: Text) -> None:
    found = find_latest(lines.run / "checkpoints").checkpoint
    assert found is not None
    assert not [name for name in found.trainer if name.startswith("carried/")]


def test_the_same_seed_writes_the_same_text_and_another_another(characters: Text) -> None:
    def sample(*options: object) -> str:
        return done(nmt("sample", characters.run, "-l", 60, *options))

    assert sample() == sample()
    assert sample() != sample("--seed", 2)
    assert sample("-n", 3).startswith(sample().rstrip("\n") + "\n\n")


def test_a_sample_begins_with_its_prompt_and_goes_on_line_after_line(characters: Text) -> None:
    text = done(nmt("sample", characters.run, "-p", "The old m", "-l", 90, "--top-k", 1))
    assert re.match(r"The old m\w+ .+\.\nThe .+\.\nThe ", text), text


@pytest.mark.parametrize("which", ["characters", "lines"])
def test_perplexity_is_the_mean_over_pieces_of_the_probabilities_that_a_search_sees(
    which: str, request: pytest.FixtureRequest
) -> None:
    text = request.getfixturevalue(which)
    found, file = load_language_model(text.run), text.recipe.parent / "text" / "test.en"
    sentences = file.read_text(encoding="utf-8").splitlines()[: 1 if which == "characters" else 20]
    short = file.with_name(f"{which}.en")
    write_lines(short, sentences)
    texts = [Request(i, [], [*found.vocabulary.encode(line), EOS]) for i, line in enumerate(sentences)]
    hypotheses = [hyp for _, [hyp] in search(build_search_model(found), texts, Options(beam=1))]
    pieces = sum(len(hyp.ids) + 1 for hyp in hypotheses)
    nll = -sum(hyp.log_prob for hyp in hypotheses)
    printed = done(nmt("perplexity", text.run, short, "-l", 100))
    said = re.search(r"on the text +([\d.]+) per token \((\d+) tokens\), ([\d.]+) bits", printed)
    assert said, printed
    assert float(said[1]) == pytest.approx(math.exp(nll / pieces), abs=6e-4)
    assert int(said[2]) == pieces
    assert float(said[3]) == pytest.approx(nll / math.log(2) / len("\n".join([*sentences, ""])), abs=6e-4)


def test_run_prints_what_perplexity_prints(characters: Text) -> None:
    test = characters.recipe.parent / "text" / "test.en"
    assert done(nmt("perplexity", characters.run, test)) in characters.printed


def test_a_text_is_read_in_one_piece_whatever_its_chunks(characters: Text) -> None:
    """Chunks of 1 and of 256 positions give one perplexity: the state is carried over."""
    found, store = load_language_model(characters.run), TokenStore(characters.run / "data/valid")
    with evaluation_mode(found.model):
        one, other = (
            sum_losses(found.model, read_chunks(store, StreamLayout(1, size))).nll for size in (1, 256)
        )
    assert one == pytest.approx(other, rel=1e-5)


def test_fusion_adds_the_weighed_log_probabilities_of_both(finished: Finished, lines: Text) -> None:
    translator, language = load_translator(finished.run), load_language_model(lines.run)
    alone = build_job(translator)
    german, english = phrases(20)[7]
    pair = Request(0, translator.source.encode(german), [*translator.target.encode(english), EOS])

    def log_prob(model: object) -> float:
        [(_, [hypothesis])] = search(model, [pair], Options(beam=1))  # type: ignore[arg-type]
        return hypothesis.log_prob

    together = log_prob(fuse_language_model(alone, language, 0.3).model)
    assert together == pytest.approx(
        log_prob(alone.model) + 0.3 * log_prob(build_search_model(language)), abs=1e-4
    )


def test_a_translation_with_a_language_model_of_no_weight_is_the_translators(
    finished: Finished, lines: Text
) -> None:
    source = (finished.text / "test.de").read_bytes()

    def translated(*options: object) -> bytes:
        return nmt("translate", finished.run, "-q", *options, stdin=source).stdout_bytes

    assert translated("--lm", lines.run, "--lm-weight", 0) == translated()
    assert translated("--lm", lines.run, "--lm-weight", 5) != translated()


def test_fusion_needs_the_same_vocabulary(finished: Finished, characters: Text) -> None:
    refused = nmt("translate", finished.run, "--lm", characters.run, stdin=b"Der Hund\n")
    assert refused.exit_code == 2
    assert "different vocabulary from the translator" in refused.stderr
    assert "subwords.same_as" in refused.stderr


def test_each_verb_reports_the_kind_of_model_it_needs(finished: Finished, characters: Text) -> None:
    for verb in (("translate", characters.run), ("translate", finished.run, "--lm", finished.run)):
        refused = nmt(*verb, stdin=b"x\n")
        assert refused.exit_code == 2, refused.output
    assert "is a language model, not a translator" in nmt("translate", characters.run).stderr
    for verb in (("sample", finished.run), ("perplexity", finished.run, finished.text / "test.en")):
        refused = nmt(*verb)
        assert refused.exit_code == 2
        assert "is a translator; expected a language model" in refused.stderr


def test_an_averaged_language_model_generates_text(characters: Text, tmp_path: Path) -> None:
    done(nmt("average", characters.run, "-o", tmp_path / "mean"))
    assert {path.name for path in (tmp_path / "mean").iterdir()} >= {"recipe.yaml", "target.spm"}
    assert "nmt sample" in (tmp_path / "mean" / "README.md").read_text(encoding="utf-8")
    assert done(nmt("sample", tmp_path / "mean", "-l", 10))


def test_scheduled_sampling_needs_a_translator(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    forcing = ("schedule=linear", "span=10u", "feedback=sample", "end=0.5")
    settings = [f"training.teacher_forcing.{setting}" for setting in forcing]
    done(nmt("train", recipe, *settings, "training.stop_after=12u", "-o", tmp_path / "run"))
    assert torch.isfinite(torch.tensor(validations(tmp_path / "run"))).all()


@pytest.mark.parametrize("recipe", [CHARACTERS, LINES.replace("{same_as: run}", "{size: 60}")])
def test_wrong_texts_are_reported_in_one_line(recipe: str, tmp_path: Path) -> None:
    file = write_recipe(tmp_path, recipe)
    for change, said in (
        ("data.train=nowhere", "no file "),
        ("data.valid=empty.en", "no line is left of "),
        ("data.test=nowhere", "no file "),
    ):
        write_lines(tmp_path / "text" / "empty.en", [])
        refused = nmt("run", file, change, "-o", tmp_path / "run")
        assert refused.exit_code == 1, refused.output
        assert said in refused.stderr
        assert "Traceback" not in refused.output


def test_subwords_of_something_that_is_not_a_run_are_refused(tmp_path: Path) -> None:
    refused = nmt("train", write_recipe(tmp_path, LINES), "-o", tmp_path / "new")
    assert refused.exit_code == 2
    assert f"subwords.same_as: {tmp_path}/run is not a run or model directory" in refused.stderr


def test_a_run_of_another_text_is_refused(characters: Text, tmp_path: Path) -> None:
    refused = nmt("train", characters.recipe, "data.train=valid.en", "-o", characters.run)
    assert refused.exit_code == 1
    assert "the training text changed since" in refused.stderr
    refused = nmt("train", characters.recipe, "training.chunk=21", "-o", characters.run)
    assert refused.exit_code == 2
    assert "training.chunk was 20, is 21" in refused.stderr


def test_compressed_text_with_blank_lines_is_one_stream(tmp_path: Path) -> None:
    file = write_recipe(tmp_path)
    with gzip.open(tmp_path / "text" / "blank.en.gz", "wt", encoding="utf-8") as text:
        text.write("a b\n\n\nb a\n" * 30)
    changes = ("data.train=blank.en", "data.valid=blank.en", "training.stop_after=40u")
    done(nmt("train", file, *changes, "decoder.dropout.output=0", "-o", tmp_path / "run"))
    written = done(nmt("sample", tmp_path / "run", "-p", "a b", "--top-k", 1, "-l", 12))
    assert written.startswith("a b\n\n\nb a\n"), written


def test_a_custom_cell_generates_text_and_is_kept_with_the_run(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, cell="mine.py:MGU")
    (tmp_path / "mine.py").write_text(MGU, encoding="utf-8")
    done(nmt("train", recipe, "training.stop_after=4u", "-o", tmp_path / "run"))
    (tmp_path / "mine.py").unlink()
    assert done(nmt("sample", tmp_path / "run", "-l", 5))
