"""Study files: their members, and messages about mistakes."""

from pathlib import Path

import pytest

from nmt.errors import UsageError
from nmt.files import find_shipped_files
from nmt.lab.study.definition import count_parameters, match_parameters, read_study
from nmt.recipe.reader import read_recipe
from nmt.recipe.sections import to_plain
from nmt.recipe.tasks.translation import build_translator

STUDY = """\
# Two cells.
recipe: quickstart-lstm
settings:
  encoder: {embedding: 16, hidden: 16}
  decoder: {embedding: 16, hidden: 32}
vary:
  pairs:
    50: {data: {first: 50}}
    100: {data: {first: 100}}
  cell:
    lstm: {}
    gru:
      encoder: {cell: gru}
      decoder: {cell: gru}
compare: cell
seeds: [1, 7]
"""


def study(folder: Path, text: str = STUDY) -> str:
    path = folder / "study.yaml"
    path.write_text(text, "utf-8")
    return str(path)


def refused(folder: Path, old: str, new: str, *overrides: str) -> list[str]:
    """The lines of the message when a part of the study is something else."""
    assert old in STUDY
    with pytest.raises(UsageError) as caught:
        read_study(study(folder, STUDY.replace(old, new, 1)), overrides)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_every_combination_is_a_member_with_each_seed(tmp_path: Path) -> None:
    _, members = read_study(study(tmp_path))
    assert [member.name for member in members] == [
        *("50,lstm,seed1", "50,lstm,seed7", "50,gru,seed1", "50,gru,seed7"),
        *("100,lstm,seed1", "100,lstm,seed7", "100,gru,seed1", "100,gru,seed7"),
    ]
    last = members[-1].recipe
    assert (last.data.first, last.encoder.cell, last.decoder.cell, last.seed) == (100, "gru", "gru", 7)
    assert last.encoder.hidden == 16  # the settings of all
    assert members[0].recipe.encoder.cell == "lstm"


def test_settings_of_the_command_line_come_last_in_every_member(tmp_path: Path) -> None:
    _, members = read_study(study(tmp_path), ["data.first=5", "training.stop_after=9e"])
    assert {(m.recipe.data.first, str(m.recipe.training.stop_after)) for m in members} == {(5, "9e")}


def test_a_recipe_beside_the_study_is_found_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: quickstart-rnn\n", "utf-8")
    _, members = read_study(study(tmp_path, STUDY.replace("quickstart-lstm", "mine.yaml")))
    assert members[0].recipe.encoder.cell == "rnn"


def test_a_mistake_is_told_once_with_its_line_in_the_study(tmp_path: Path) -> None:
    found = refused(tmp_path, "decoder: {cell: gru}", "decoder: {cell: grru}")
    assert found == [
        "1 mistake in the study",
        "study.yaml:14:23: decoder.cell: no 'grru', did you mean 'gru'?",
    ]


def test_mistakes_of_several_values_are_told_together(tmp_path: Path) -> None:
    found = refused(tmp_path, "50: {data: {first: 50}}", "50: {data: {first: 0, fist: 1}}")
    assert found == [
        "2 mistakes in the study",
        "study.yaml:8:24: data.first: expected at least 1 (got 0)",
        "study.yaml:8:27: data.fist: no such setting, did you mean 'first'?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("compare: cell", "compare: cel", "compare: no axis 'cel', did you mean 'cell'?"),
        ("seeds: [1, 7]", "seeds: [1, 1]", "seeds: 1 is listed 2 times"),
        ("seeds: [1, 7]", "seeds: []", "seeds: expected a list of at least 1 (got [])"),
        ("seeds: [1, 7]", "sseeds: [1, 7]", "sseeds: no such setting, did you mean 'seeds'?"),
        ("seeds: [1, 7]", "data: {}", "data: no such setting, choose one of recipe, settings, vary"),
        ("compare: cell", "match: params", "match: no 'params', did you mean 'parameters'?"),
        ("    lstm: {}", "    a/b: {}", "a name must have at most 40 letters, digits and . + - _"),
        ("    lstm: {}", "    lstm: {evaluation: {metrics: [chrf]}}", "evaluation: differs between members"),
        ("[1, 7]", "[1, 99999999999999999999]", "seeds: expected at most 9007199254740992"),
        ("    lstm: {}", "    lstm: gru", "expected settings, `name: value` (got 'gru')"),
        ("    lstm: {}", "    lstm: {seed: 3}", "seed: set the seeds of a study in its list"),
        ("vary:\n", "vary:\n  depth: {}\n", "study.yaml:7:3: vary.depth: give the axis a value"),
        ("vary:", "vari:", "vary: missing; The axes of the grid"),
        (
            "settings:",
            "settings:\n  data: {test: null}",
            "data.test: missing; a study is evaluated on test pairs",
        ),
        ("quickstart-lstm", "quickstart-ltsm", "did you mean 'quickstart-lstm'?"),
        ("quickstart-lstm", "hello", "encoder: no such setting here, only where task is translation"),
        ("recipe: quickstart-lstm", "- 1", "not YAML"),
        ("recipe: quickstart-lstm", "recipe: " + 3000 * "[", "not YAML: nested too deep"),
    ],
)
def test_what_is_wrong_is_said_with_advice(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in "\n".join(refused(tmp_path, old, new))


def test_a_study_that_is_not_there_is_refused_with_a_near_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'gru-against-lstm'"):
        read_study("gru-against-lst")
    with pytest.raises(UsageError, match="no such file"):
        read_study("nowhere.yaml")


def test_a_study_that_varies_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="vary: add an axis and its values"):
        read_study(study(tmp_path, "recipe: quickstart-lstm\nvary: {}\n"))


def test_a_study_of_language_models_is_refused(tmp_path: Path) -> None:
    text = "recipe: hello\nvary: {layers: {one: {}, two: {decoder: {layers: 2}}}}\n"
    with pytest.raises(UsageError, match="a study compares translators, not a language-model"):
        read_study(study(tmp_path, text))


@pytest.mark.parametrize("path", find_shipped_files("studies"), ids=lambda path: path.stem)
def test_a_shipped_study_is_right_and_headed_by_purpose_command_and_time(path: Path) -> None:
    _, members = read_study(path.stem)
    assert len(members) == len({member.name for member in members}) > 2
    head = path.read_text("utf-8").splitlines()
    assert f"nmt study run {path.stem}" in head[2]
    assert head[3].startswith("# time: ")


def test_the_study_of_the_docs_is_right(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/inspect.md").read_text("utf-8")
    shown = page.split("## Studies")[1].split("```yaml\n")[1].split("```")[0]
    _, members = read_study(study(tmp_path, shown))
    assert len(members) == 12


def test_parameters_are_those_of_the_model_that_is_built() -> None:
    recipe = read_recipe(["quickstart-lstm"], ["subwords.size=100", "encoder.hidden=8", "decoder.hidden=16"])
    model = build_translator(recipe, 100, 100)
    assert count_parameters(recipe) == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm-coupled", "gru-reset-after"])
def test_another_cell_gets_the_parameters_that_are_wanted(cell: str) -> None:
    wanted = count_parameters(read_recipe(["quickstart-lstm"]))
    other = read_recipe(["quickstart-lstm"], [f"encoder.cell={cell}", f"decoder.cell={cell}"])
    assert count_parameters(other) < 0.95 * wanted
    found = match_parameters(other, wanted)
    assert count_parameters(found) == pytest.approx(wanted, rel=0.01)
    assert found.decoder.hidden == 2 * found.encoder.hidden  # as in the recipe
    unlike = to_plain(found)
    for side in ("encoder", "decoder"):
        unlike[side]["hidden"] = getattr(other, side).hidden
    assert unlike == to_plain(other)


def test_sizes_of_a_coarse_proportion_are_matched_nearly_in_it() -> None:
    sizes = ["encoder.hidden=30", "decoder.hidden=49"]  # nothing divides both
    wanted = count_parameters(read_recipe(["quickstart-lstm"], sizes))
    found = match_parameters(
        read_recipe(["quickstart-lstm"], [*sizes, "encoder.cell=gru", "decoder.cell=gru"]), wanted
    )
    assert count_parameters(found) == pytest.approx(wanted, rel=0.005)
    assert found.decoder.hidden / found.encoder.hidden == pytest.approx(49 / 30, rel=0.03)


def test_a_model_whose_embeddings_are_too_large_cannot_be_matched() -> None:
    with pytest.raises(UsageError, match=r"no hidden sizes give a model near 1,000 parameters: with 1 and 1"):
        match_parameters(read_recipe(["quickstart-lstm"]), 1000)


def test_a_model_that_is_too_large_is_made_smaller_and_heads_still_share_it() -> None:
    settings = ["decoder.attention=multi-head", "decoder.heads=8"]
    large = read_recipe(["quickstart-lstm"], [*settings, "encoder.hidden=256", "decoder.hidden=512"])
    wanted = count_parameters(read_recipe(["quickstart-gru"], settings))
    found = match_parameters(large, wanted)
    assert found.decoder.hidden % 8 == 0
    assert count_parameters(found) == pytest.approx(wanted, rel=0.05)


def test_members_of_a_study_are_matched_with_the_baseline_beside_them(tmp_path: Path) -> None:
    _, plain = read_study(study(tmp_path))
    _, members = read_study(study(tmp_path, STUDY + "match: parameters\n"))
    sizes = [member.recipe.encoder.hidden for member in members]
    assert [member.recipe.encoder.hidden for member in plain] == [16] * 8
    assert sizes == [16, 16, 19, 19] * 2
    assert [member.seed for member in members] == [1, 7] * 4
