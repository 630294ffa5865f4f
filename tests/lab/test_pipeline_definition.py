"""Pipeline files: the commands that they expand to, and messages about mistakes."""

from pathlib import Path

import pytest

from nmt.cli.pipeline_steps import plan_steps
from nmt.errors import UsageError
from nmt.files import find_shipped_files
from nmt.lab.pipeline.definition import read_pipeline
from nmt.lab.pipeline.placeholders import expand_name, expand_word
from nmt.lab.pipeline.steps import PipelineStep

PIPELINE = """\
# Two models.
recipes: {recipe: quickstart-lstm}
files: {extra: corpus:phrasebook/free.tsv}
parameters:
  seeds: [1, 2]
  beam: 4
steps:
  model-{seeds}: train {recipe} seed={seeds} -o model-{seeds}
  out: translate model-{seeds[0]} --ensemble=model-{seeds[1:]} -i {test[0]} --beam {beam} -o out.{tgt}
  scores: score out.{tgt} -r {test[1]} --json > scores.json
"""
VALUES = {"seeds": [1, 2, 3], "round": 2, "tag": "<bt>", "none": [], "yes": True}


def plan(folder: Path, text: str = PIPELINE, *settings: str) -> list[PipelineStep]:
    path = folder / "pipeline.yaml"
    path.write_text(text, "utf-8")
    return plan_steps(read_pipeline(str(path), settings, folder / "out"))


def refused(folder: Path, old: str, new: str, *settings: str) -> str:
    """The message when a part of the pipeline is something else."""
    assert old in PIPELINE
    with pytest.raises(UsageError) as caught:
        plan(folder, PIPELINE.replace(old, new, 1), *settings)
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("--tag={tag}", ["--tag=<bt>"]),
        ("m-{seeds}", ["m-1", "m-2", "m-3"]),
        ("{seeds[0]}/{seeds[1:]}", ["1/2", "1/3"]),
        ("{seeds[:2]}", ["1", "2"]),
        ("{seeds-1}-{seeds}", None),
        ("m-{round-1}{round+10}", ["m-112"]),
        ("{none}", []),
        ("{yes}", ["true"]),
        ("[{name: a, pairs: [x, y]}]", ["[{name: a, pairs: [x, y]}]"]),
        ("{seeds[3]}", None),
        ("{round[0]}", None),
        ("{tag+1}", None),
        ("{taag}", None),
    ],
)
def test_placeholders(word: str, words: list[str] | None) -> None:
    if words is None:
        with pytest.raises(
            ValueError, match=r"whole number here|is not a list here|has 3 items|did you mean 'tag'"
        ):
            expand_word(word, VALUES)
    else:
        assert expand_word(word, VALUES) == words


def test_a_step_is_repeated_for_each_item_of_a_list_in_its_name() -> None:
    assert [(name, values["seeds"]) for name, values in expand_name("m-{seeds}-{round}", VALUES)] == [
        *(("m-1-2", 1), ("m-2-2", 2), ("m-3-2", 3)),
    ]
    assert [name for name, _ in expand_name("m-{none}", VALUES)] == []


def test_what_a_step_reads_and_writes_follows_from_its_command(tmp_path: Path) -> None:
    first, second, out, scores = plan(tmp_path)
    assert first.command == "nmt train quickstart-lstm seed=1 -o model-1"
    assert [Path(name).name for name in first.inputs] == [
        f"{part}.{language}" for part in ("train", "valid", "test") for language in ("ko", "en")
    ]
    assert (first.outputs, second.outputs) == (["model-1"], ["model-2"])
    assert out.command.startswith("nmt translate model-1 --ensemble=model-2 -i /")
    assert [Path(name).name for name in out.inputs] == ["model-1", "test.ko", "model-2"]
    assert scores.command.endswith(" --json > scores.json")
    assert (scores.outputs, scores.needs) == (["scores.json"], ["out"])


def test_settings_are_for_all_recipes_but_those_of_a_step_win(tmp_path: Path) -> None:
    steps = plan(tmp_path, PIPELINE, "seeds=[7]", "beam=2", "seed=9", "training.stop_after=5u")
    assert [step.name for step in steps] == ["model-7", "out", "scores"]
    assert steps[0].command == "nmt train quickstart-lstm seed=9 training.stop_after=5u seed=7 -o model-7"
    assert "seed: 7\n" in steps[0].recipe
    assert steps[1].command.endswith("--beam 2 -o out.en")


def test_a_directory_of_nmt_new_is_its_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = tmp_path / "mine" / "recipe.yaml"
    recipe.parent.mkdir()
    for part in ("train", "valid", "test"):
        for language in ("ko", "en"):
            (recipe.parent / f"{part}.{language}").write_text("a\n", "utf-8")
    recipe.write_text("data: {src: ko, tgt: en, train: train, valid: valid, test: test}\n", "utf-8")
    (recipe.parent / "split.json").write_text("{}", "utf-8")
    assert plan(tmp_path, PIPELINE, "recipe=mine")[0].words[:2] == ["train", str(recipe)]


def test_steps_in_a_cycle_and_unknown_files_are_reported(tmp_path: Path) -> None:
    assert "no such file, and no step writes it: nowhere" in refused(
        tmp_path, "score out.{tgt}", "score nowhere"
    )
    text = PIPELINE.replace("-i {test[0]}", "-i scores.json")
    with pytest.raises(UsageError, match=r"steps depend on each other in a cycle: \w+ -> \w+ -> \w+"):
        plan(tmp_path, text)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("--beam {beam}", "--baem {beam}", "pipeline.yaml:9:8: steps.out: No such option: --baem"),
        ("--beam {beam}", "--beam no", "pipeline.yaml:9:8: steps.out: Invalid value for"),
        (
            "score out",
            "scoer out",
            "pipeline.yaml:10:11: steps.scores: no verb 'scoer', did you mean 'score'?",
        ),
        ("{beam} -o", "{bean} -o", "pipeline.yaml:9:3: steps.out: no recipe, file or parameter 'bean'"),
        ("-o model-{seeds}", "-o model", "steps.model-2: model is an output of model-1, or inside one"),
        (" -o model-{seeds}", "", "steps.model-1: add --output"),
        (
            "-o model-{seeds}",
            "-o ../m",
            "the output ../m must be a path inside the directory of the pipeline",
        ),
        ("> scores.json", "> model-1/s.json", "model-1/s.json is an output of model-1, or inside one"),
        ("> scores.json", "> report.json", "the name report.json is used by the pipeline itself"),
        ("-i {test[0]} ", "", "steps.out: it reads standard input: add --input FILE"),
        ("score out.{tgt} -r", "score out.{tgt} 'a", "steps.scores: No closing quotation"),
        ("beam: 4", "beam: null", "pipeline.yaml:6:3: beam: missing: add beam=... to the command"),
        (
            "beam: 4",
            "beam: {a: 1}",
            "pipeline.yaml:6:3: parameters.beam: expected a text, a number, or a list",
        ),
        ("beam: 4", "extra: 4", "parameters.extra: another recipe, file or parameter has this name"),
        ("beam: 4", "src: 4", "parameters.src: choose another name, one word, none of here, src"),
        ("free.tsv", "fre.tsv", "pipeline.yaml:3:9: extra: no such file: "),
        ("corpus:phrasebook", "corpus:phrase", "extra: no corpus 'phrase'"),
        ("quickstart-lstm", "quickstart-lst", "no recipe 'quickstart-lst', did you mean 'quickstart-lstm'?"),
        ("seed={seeds}", "sed={seeds}", "sed: no such setting, did you mean 'seed'?"),
        ("steps:", "stepps:", "steps: missing; The command of each step"),
        ("recipes: {recipe: quickstart-lstm}", "recipes: {}", "recipes: add a recipe"),
        ("train {recipe}", "pipeline {recipe}", "no verb 'pipeline'"),
        ("train {recipe}", "train --help {recipe}", "--help is not a step of a pipeline"),
    ],
)
def test_what_is_wrong_is_reported_with_its_position(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in refused(tmp_path, old, new)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("seeds=3", "command line: seeds: expected a list, such as [1, 2]"),
        ("beam=[1]", "command line: beam: expected one value"),
        ("beam=many", "command line: beam: expected a number (got 'many')"),
        ("extra=no.tsv", "command line: extra: no such file: "),
        ("extra=3", "command line: extra: expected the name of a file"),
        ("bem=3", "command line: bem: no such setting"),
        ("seeds=[", "command line: seeds: not YAML"),
    ],
)
def test_a_wrong_setting_of_the_command_line_is_reported(tmp_path: Path, setting: str, said: str) -> None:
    assert said in refused(tmp_path, "beam", "beam", setting)


@pytest.mark.parametrize("path", find_shipped_files("pipelines"), ids=lambda path: path.stem)
def test_a_shipped_pipeline_is_headed_by_purpose_command_and_time(path: Path) -> None:
    head = path.read_text("utf-8").splitlines()
    assert head[0].startswith("# ")
    assert f"nmt pipeline {path.stem}" in head[2]
    assert head[3].startswith("# time: ")


def test_the_pipeline_of_the_docs_is_right(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/pipelines.md").read_text("utf-8")
    shown = page.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "lines").write_text("a\n", "utf-8")
    steps = plan(tmp_path, shown, f"extra={tmp_path}/lines")
    assert [step.name for step in steps] == ["model-1", "model-2", "extra", "ensemble", "scores"]


def test_a_prefix_of_files_that_a_step_writes_is_an_input(tmp_path: Path) -> None:
    text = (
        PIPELINE.split("steps:")[0]
        + """steps:
  pairs: clean {train} -o pairs
  again: clean pairs --src {src} --tgt {tgt} -o again.tsv
  model: train {recipe} data.root=. data.train=pairs data.valid=pairs data.test=null -o model
  child: train {recipe} training.start_from=model -o child
"""
    )
    pairs, again, model, child = plan(tmp_path, text)
    assert pairs.outputs == again.inputs == model.inputs == ["pairs.ko", "pairs.en"]
    assert child.needs == ["model"]
