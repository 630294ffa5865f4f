"""Several corpora with shares, tags, weights and alignments: from the recipe to a run."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from nmt.data.store import TokenStore
from nmt.data.vocabulary import load_vocabulary
from nmt.recipe.prepare_data import prepare_pairs
from nmt.recipe.reader import read_recipe
from nmt.recipe.training import build_trainer, find_task, single_process
from nmt.training.console import Progress
from nmt.training.distributed import SINGLE_PROCESS
from tests.end_to_end.toy import done, nmt, write_lines, write_phrases

RECIPE = """\
data:
  src: de
  tgt: en
  valid: valid
  train:
    - {name: own, pairs: own}
    - {name: back, pairs: back, weight: 0.5, tag: <bt>, sentence_weights: weights, alignments: links}
subwords: {size: 60}
encoder: {embedding: 8, hidden: 8}
decoder: {embedding: 8, hidden: 8}
training: {stop_after: 6u, batch: {size: 8}, validation: {every: 6u, metric: loss}, threads: 1}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_phrases(tmp_path, {"own": 20, "back": 30, "valid": 5})
    write_lines(tmp_path / "weights", ["0.5"] * 30)
    write_lines(tmp_path / "links", ["0-0 1-1"] * 30)
    file = tmp_path / "mixed.yaml"
    file.write_text(RECIPE, "utf-8")
    return file


def test_shares_tags_weights_and_alignments_reach_the_batches(recipe: Path) -> None:
    read, run = read_recipe([str(recipe)]), Path("run")
    run.mkdir()
    material = prepare_pairs(read, run)
    assert [(part.name, part.pairs) for part in material.train.parts] == [("own", 20), ("back", 30)]
    tag = material.source.encode("<bt>")
    assert len(tag) == 1
    task = find_task(read).prepare(run, SINGLE_PROCESS)
    for epoch in (0, 1):
        batches = list(task.epochs.batches(epoch, 0))
        pairs = [pair for batch in batches for pair in batch.pairs.tolist()]
        assert len(batches) == task.epochs.count(epoch)
        assert sorted(pair for pair in pairs if pair < 20) == list(range(20))
        assert len(pairs) == 35
        for batch in batches:
            assert batch.weights is not None
            assert batch.alignments is not None
            back = batch.pairs >= 20
            assert batch.weights.tolist() == [0.5 if one else 1.0 for one in back.tolist()]
            assert (batch.src[:, 0] == tag[0]).tolist() == back.tolist()
            assert {*batch.alignments[:, 0].tolist()} == {*back.nonzero().flatten().tolist()}


def test_the_doctor_reports_each_corpus_with_its_lines(recipe: Path) -> None:
    lines = Path("back.de").read_text("utf-8").splitlines()
    write_lines(Path("back.de"), [*lines[:6], " ".join(lines), *lines[7:]])
    told = json.loads(done(nmt("doctor", recipe, "--updates", 0, "--json")))
    where = {finding["what"].partition(":")[0]: finding["where"] for finding in told["findings"]}
    assert where["3.3% of the training pairs of back are dropped"] == "data.train of back, first: line 7"


def test_a_terminal_shows_that_the_data_are_being_prepared(recipe: Path) -> None:
    read, run, shown = read_recipe([str(recipe)]), _made(Path("run")), io.StringIO()
    progress = Progress(run / "train.log", Console(file=shown, force_terminal=True))
    build_trainer(read, run, progress, single_process(read))
    assert "reading and encoding the data" in shown.getvalue()
    assert "reading and encoding" not in (run / "train.log").read_text("utf-8")


def test_too_large_weights_are_refused(recipe: Path) -> None:
    write_lines(Path("weights"), ["1", "1e300", *["1"] * 28])
    result = nmt("train", recipe, "-o", "run")
    assert result.exit_code == 1
    assert "weights, line 2: expected a weight from 0 to 1,000,000, got '1e300'" in result.stderr


def test_a_run_is_trained_resumed_and_translates_with_the_tag(recipe: Path) -> None:
    done(nmt("train", recipe, "-o", "run"))
    log = Path("run/train.log").read_text("utf-8")
    assert "training pairs of own: kept 20 of 20 pairs" in log
    assert "training pairs of back: kept 30 of 30 pairs" in log
    whole = done(nmt("train", recipe, "training.stop_after=12u", "-o", "run"))
    assert whole
    straight = nmt("train", recipe, "training.stop_after=12u", "-o", "straight")
    assert straight.exit_code == 0, straight.stderr
    metrics = [
        Path(run, "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1] for run in ("run", "straight")
    ]
    assert metrics[0] == metrics[1]
    assert nmt("translate", "run", "-q", stdin=b"<bt> Der alte Hund.\n").stdout.count("\n") == 1
    vocabulary = load_vocabulary(Path("run/source.spm"))
    assert vocabulary.tokens(vocabulary.encode("<bt> Der <bt>"))[0] == "<bt>"
    assert "<bt>" not in vocabulary.tokens(vocabulary.encode("Der <bt>"))
    assert len(TokenStore(Path("run/data/train"))) == 50


CHANGES = {
    "a weight": ("weight: 0.5", "weight: 0.25", "data.train.back.weight was 0.5, is 0.25"),
    "a tag": ("tag: <bt>, ", "", "data.train.back.tag was <bt>, is null"),
    "a corpus less": ("    - {name: own, pairs: own}\n", "", "data.train.own.weight was 1.0, is not given"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_settings_that_determine_an_epoch_may_not_change_in_a_run(
    recipe: Path, change: tuple[str, str, str]
) -> None:
    done(nmt("train", recipe, "-o", "run"))
    before, after, message = change
    recipe.write_text(RECIPE.replace(before, after), "utf-8")
    other = nmt("train", recipe, "-o", "run")
    assert other.exit_code == 2
    assert message in other.stderr


def test_the_path_of_a_corpus_may_change(recipe: Path) -> None:
    done(nmt("train", recipe, "-o", "run"))
    Path("links").rename("words")
    recipe.write_text(RECIPE.replace("alignments: links", "alignments: words"), "utf-8")
    done(nmt("train", recipe, "training.stop_after=7u", "-o", "run"))
    write_lines(Path("words"), [""] * 30)
    other = nmt("train", recipe, "training.stop_after=8u", "-o", "run")
    assert other.exit_code == 1
    assert "the training pairs changed since run started" in other.stderr


def test_another_column_of_the_same_file_is_another_corpus(recipe: Path) -> None:
    pairs = zip(
        Path("back.de").read_text(encoding="utf-8").splitlines(),
        Path("back.en").read_text(encoding="utf-8").splitlines(),
        strict=True,
    )
    lines = [json.dumps({"de": src, "en": tgt, "even": 1.0, "mean": 0.5}) for src, tgt in pairs]
    write_lines(Path("back.jsonl"), lines)
    text = RECIPE.replace("pairs: back", "pairs: back.jsonl").replace(
        "weights: weights", "weights: column:even"
    )
    recipe.write_text(text, "utf-8")
    done(nmt("train", recipe, "-o", "run"))
    done(nmt("train", recipe, "training.stop_after=7u", "-o", "run"))
    recipe.write_text(text.replace("column:even", "column:mean"), "utf-8")
    other = nmt("train", recipe, "training.stop_after=8u", "-o", "run")
    assert other.exit_code == 1
    assert "the training pairs changed since run started" in other.stderr


def test_a_bad_batch_is_reported_with_the_corpus_of_each_line(recipe: Path) -> None:
    settings = ("training.learning_rate.peak=1e38", "training.clip_norm=null", "training.guards.skip=0")
    settings = (*settings, "training.batch.size=35")
    assert nmt("train", recipe, *settings, "-o", "run").exit_code == 1
    facts = json.loads(Path("run/bad-batch/batch.json").read_text("utf-8"))["facts"]
    [corpora], [lines], [pairs] = facts["corpora"], facts["lines"], facts["pairs"]
    assert {*corpora} == {"own", "back"}
    assert [(pair < 20, pair % 20 + 1 if pair < 20 else pair - 19) for pair in pairs] == [
        (name == "own", line) for name, line in zip(corpora, lines, strict=True)
    ]


def test_temperature_takes_the_largest_once_and_the_others_more_often(recipe: Path) -> None:
    recipe.write_text(
        RECIPE.replace("weight: 0.5, ", "").replace("  src: de", "  src: de\n  temperature: 2"),
        encoding="utf-8",
    )
    task = find_task(read_recipe([str(recipe)])).prepare(_made(Path("run")), SINGLE_PROCESS)
    pairs = [pair for batch in task.epochs.batches(0, 0) for pair in batch.pairs.tolist()]
    assert sum(pair >= 20 for pair in pairs) == 30
    assert sum(pair < 20 for pair in pairs) == round(20 * 1.5**0.5)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


WRONG = {
    "a tag of two words": (
        "tag: <bt>",
        "tag: a b",
        "data.train.tag: expected one word in angle",
    ),
    "a reserved tag": ("tag: <bt>", "tag: </s>", "data.train.tag: </s> is reserved"),
    "two of a name": ("name: back", "name: own", "data.train: 2 corpora are named 'own'"),
    "a setting that is none": (
        "weight: 0.5",
        "weigth: 1",
        "7:33: data.train.weigth: no such setting, did",
    ),
    "a weight of nothing": ("weight: 0.5", "weight: 0", "data.train.weight: expected more than 0 (got 0)"),
    "no pairs": ("pairs: own", "weight: 1", "data.train.pairs: missing; Its pairs, written like"),
    "both": ("  src: de", "  src: de\n  temperature: 2", "data.temperature: the weights of the corpora"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_corpus_is_reported_with_its_position(recipe: Path, wrong: tuple[str, str, str]) -> None:
    recipe.write_text(RECIPE.replace(wrong[0], wrong[1]), "utf-8")
    refused = nmt("recipes", "validate", recipe)
    assert refused.exit_code == 2
    assert wrong[2] in refused.stderr


def test_a_temperature_without_corpora_is_refused(recipe: Path) -> None:
    refused = nmt("train", recipe, "data.train=own", "data.temperature=5", "-o", "run")
    assert "data.temperature: needs several corpora in data.train" in refused.stderr
