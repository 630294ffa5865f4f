"""Settings that are `auto` are chosen when a run starts, and stay as they are."""

import json
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from nmt.evaluation import tokenizers
from nmt.evaluation.metrics import score
from nmt.recipe.automatic import find_tokenizer, fix_automatic_settings
from nmt.recipe.reader import read_model_recipe, read_recipe
from nmt.recipe.schema import Recipe, TranslationRecipe, select_task
from tests.end_to_end.toy import done, nmt, write_lines

WORDS = {"hund": "狗", "vogel": "鸟", "mann": "男人", "baum": "树", "fisch": "鱼", "stein": "石头"}
VERBS = {"sucht": "在找", "kennt": "认识", "malt": "在画"}
PAIRS = [
    (f"{one} {verb} {two}", f"那个{WORDS[one]}{VERBS[verb]}{WORDS[two]}。")
    for one in WORDS
    for verb in VERBS
    for two in WORDS
]
RECIPE = """\
data: {src: de, tgt: TGT, train: train, valid: valid, test: valid}
subwords: {kind: char, joint: false}
encoder: {embedding: 16, hidden: 16}
decoder: {embedding: 16, hidden: 32}
training:
  learning_rate: {peak: 3e-2, warmup: 0}
  batch: {size: 24}
  stop_after: 30u
  validation: {every: 10u}
  threads: 1
search: {beam: 1}
"""


def write_recipe(folder: Path, tgt: str) -> Path:
    for name, pairs in (("train", PAIRS[::2] + PAIRS[1::4]), ("valid", PAIRS[3::4])):
        for suffix, side in (("de", 0), (tgt, 1)):
            write_lines(folder / f"{name}.{suffix}", [pair[side] for pair in pairs])
    (folder / "toy.yaml").write_text(RECIPE.replace("TGT", tgt), encoding="utf-8")
    return folder / "toy.yaml"


def translation(recipe: Recipe) -> TranslationRecipe:
    found = select_task(recipe, TranslationRecipe)
    assert found is not None
    return found


def choices(run: Path) -> tuple[str, str]:
    recipe = translation(read_model_recipe(run))
    return recipe.evaluation.tokenize, recipe.training.validation.metric


@pytest.fixture(scope="module")
def chinese(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a Chinese target, whose suffix says nothing of the language."""
    folder = tmp_path_factory.mktemp("chinese")
    done(nmt("run", write_recipe(folder, "tgt"), "-o", folder / "run"))
    return folder / "run"


def test_a_chinese_run_is_scored_in_chinese_words_everywhere(chinese: Path) -> None:
    assert choices(chinese) == ("zh", "chrf")
    scores = json.loads((chinese / "scores.json").read_text(encoding="utf-8"))
    assert "tok:zh|" in scores[0]["signature"]
    refs = [tgt for _, tgt in PAIRS[3::4]]
    lines = (chinese / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    validations = [event for event in map(json.loads, lines) if event["event"] == "validation"]
    assert validations[-1]["bleu"] > 5
    for event in validations:
        hyps = (chinese / "validation" / f"u{event['update']:07}.hyp").read_text(encoding="utf-8").split("\n")
        [expected] = score(hyps[:-1], [refs], ["bleu"], tokenize="zh")
        assert event["bleu"] == pytest.approx(expected.value)
    best = max(validations, key=lambda event: float(event["chrf"]))
    assert (chinese / "checkpoints" / "best").resolve().name == f"u{best['update']:07}"


def test_a_run_resumes_with_what_it_was_begun_with(tmp_path: Path) -> None:
    recipe, run = write_recipe(tmp_path, "tgt"), tmp_path / "run"
    done(nmt("train", recipe, "training.stop_after=1u", "evaluation.tokenize=char", "-o", run))
    done(nmt("train", recipe, "training.stop_after=2u", "-o", run))
    assert choices(run) == ("char", "chrf")
    refused = nmt("train", recipe, "training.stop_after=3u", "evaluation.tokenize=zh", "-o", run)
    assert refused.exit_code == 2
    assert "evaluation.tokenize was char, is zh" in refused.stderr


def test_analysers_that_are_installed_later_do_not_change_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = read_recipe([str(write_recipe(tmp_path, "ja"))])
    monkeypatch.setattr(tokenizers, "find_spec", lambda name: None)
    begun = fix_automatic_settings(recipe)
    monkeypatch.setattr(tokenizers, "find_spec", lambda name: ModuleSpec(name, None))
    assert fix_automatic_settings(recipe, begun) == begun
    assert begun.evaluation.tokenize == "char"
    assert fix_automatic_settings(recipe).evaluation.tokenize == "ja-mecab"


def test_the_script_of_several_corpora_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = write_recipe(tmp_path, "tgt")
    write_lines(tmp_path / "other.de", ["hund"])
    write_lines(tmp_path / "other.tgt", ["ok"])
    corpora = "data.train=[{name: a, pairs: other}, {name: b, pairs: train}]"
    assert find_tokenizer(read_recipe([str(file)], [corpora]).data) == "zh"
    write_lines(tmp_path / "train.tgt", ["ข้าวผัด"] * len(PAIRS[::2] + PAIRS[1::4]))
    assert find_tokenizer(read_recipe([str(file)], [corpora]).data) == "char"


def test_runs_of_version_0_1_keep_13a_and_bleu() -> None:
    run = Path(__file__).parents[1] / "compatibility" / "v0.1" / "interrupted"
    assert choices(run) == ("13a", "loss")
    begun = read_recipe([str(run / "recipe.yaml")], ["training.validation.metric=bleu"])
    recipe = read_recipe([str(run.parent / "translation.yaml")], ["training.validation.metric=auto"])
    assert (recipe.evaluation.tokenize, recipe.training.validation.metric) == ("auto", "auto")
    fixed = fix_automatic_settings(recipe, begun)
    assert (fixed.evaluation.tokenize, fixed.training.validation.metric) == ("13a", "bleu")


def test_a_patience_given_twice_is_refused_once_the_metric_is_chosen(tmp_path: Path) -> None:
    patience = "training.validation.patience=3", "training.validation.stop_on={chrf: 5}"
    refused = nmt("train", write_recipe(tmp_path, "zh"), *patience, "-o", tmp_path / "run")
    assert refused.exit_code == 2
    assert "training.validation.stop_on: the patience for chrf is given twice" in refused.stderr


def test_minimum_bayes_risk_by_bleu_uses_the_tokenizer_of_the_run(
    chinese: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nmt.cli import translate_job
    from nmt.evaluation.metrics import sentence_utility

    used = []

    def record(metric: str, tokenize: str) -> object:
        used.append((metric, tokenize))
        return sentence_utility(metric, tokenize)

    monkeypatch.setattr(translate_job, "sentence_utility", record)
    done(nmt("translate", chinese, "-q", "--mbr", "bleu", "--beam", 3, stdin=b"hund sucht vogel\n"))
    assert used == [("bleu", "zh")]
    assert sentence_utility("bleu", "zh")("他是老师。", "他是学生。") > 10
