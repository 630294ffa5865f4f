from pathlib import Path

import pytest

from nmt.errors import UsageError
from nmt.recipe.reader import dump, list_shipped_names, read_any_recipe, read_recipe, split_arguments
from nmt.recipe.schema import LanguageModelRecipe, TranslationRecipe
from nmt.settings import Duration, Units

DATA = "data: {root: corpus:x, src: de, tgt: en, train: train, valid: val}\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")
    return name


def mistakes(*names: str, overrides: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(UsageError) as caught:
        read_recipe(names, overrides)
    assert caught.value.exit_code == 2
    return str(caught.value).splitlines()[1:]


def test_a_recipe_of_data_alone_has_every_default() -> None:
    recipe = read_recipe([write("a.yaml", DATA)])
    assert recipe.decoder.hidden == 512
    assert recipe.training.stop_after == Duration(20, "e")


def test_norwegian_is_a_language() -> None:
    assert read_recipe([write("a.yaml", DATA.replace("de", "no"))]).data.src == "no"


def test_a_file_extends_a_file_beside_it_and_that_one_another() -> None:
    write("base/a.yaml", DATA + "search: {beam: 1}\nencoder: {cell: gru, layers: 2, dropout: {word: 0.1}}")
    write("base/b.yaml", "extends: a.yaml\nencoder: {cell: [lstm, gru], dropout: {layers: 0.2}}")
    recipe = read_recipe([write("c.yaml", "extends: base/b.yaml\nencoder: {hidden: 8}")])
    assert recipe.search.beam == 1
    assert recipe.encoder.cell == ["lstm", "gru"]
    assert (recipe.encoder.hidden, recipe.encoder.layers) == (8, 2)
    assert (recipe.encoder.dropout.word, recipe.encoder.dropout.layers) == (0.1, 0.2)


def test_sections_are_merged_and_every_other_value_is_replaced() -> None:
    write("a.yaml", DATA + "evaluation: {metrics: [bleu, ter]}\nencoder: {gate_bias: {f: 1.0}}")
    recipe = read_recipe(
        [write("b.yaml", "extends: a.yaml\nevaluation: {metrics: [chrf]}\nencoder: {gate_bias: {i: -1.0}}")]
    )
    assert recipe.evaluation.metrics == ["chrf"]
    assert recipe.encoder.gate_bias == {"i": -1.0}


def test_a_file_extends_a_shipped_recipe_by_its_name() -> None:
    recipe = read_recipe([write("a.yaml", "extends: multi30k-de-en-lstm\nsearch: {beam: 3}")])
    assert recipe.search.beam == 3
    assert recipe.data.test == "test_2016_flickr"


def test_of_several_recipes_the_later_wins_and_the_command_line_last() -> None:
    names = [write("a.yaml", DATA + "search: {beam: 1, batch: 7}"), write("b.yaml", "search: {beam: 2}")]
    assert read_recipe(names).search.beam == 2
    search = read_recipe(names, ["search.beam=3", "search.beam=4"]).search
    assert (search.beam, search.batch) == (4, 7)


def test_values_of_the_command_line_are_yaml() -> None:
    overrides = [
        "training.learning_rate.peak=5e-4",
        "evaluation.metrics=[bleu]",
        "training.clip_norm=",
        "data.src=no",
    ]
    recipe = read_recipe([write("a.yaml", DATA)], overrides)
    assert recipe.training.learning_rate.peak == 5e-4
    assert recipe.evaluation.metrics == ["bleu"]
    assert recipe.training.clip_norm is None
    assert recipe.data.src == "no"


def test_words_of_a_command_line_are_told_apart() -> None:
    words = ["a.yaml", "search.beam=1", "multi30k-de-en-lstm", "./x=y.yaml", "seed = 3"]
    assert split_arguments(words) == (
        ["a.yaml", "multi30k-de-en-lstm", "./x=y.yaml"],
        ["search.beam=1", "seed = 3"],
    )


def test_mistakes_of_all_sources_come_at_once_and_in_order() -> None:
    write("base.yaml", DATA + "search:\n  beem: 1\n  batch: 0\n")
    write("a.yaml", "extends: base.yaml\nencoder:\n  cell: ltsm\n")
    assert mistakes("a.yaml", overrides=("training.learning_rate.peek=1",)) == [
        "a.yaml:3:9: encoder.cell: no 'ltsm', did you mean 'lstm'?",
        "base.yaml:3:3: search.beem: no such setting, did you mean 'beam'?",
        "base.yaml:4:10: search.batch: expected at least 1 (got 0)",
        "command line: training.learning_rate.peek: no such setting, did you mean 'peak'?",
    ]


def test_a_mistake_that_a_later_file_repairs_is_none() -> None:
    write("base.yaml", DATA + "search: {beam: 0}")
    assert read_recipe([write("a.yaml", "extends: base.yaml\nsearch: {beam: 2}")]).search.beam == 2


def test_a_setting_of_another_section_is_pointed_to() -> None:
    write("a.yaml", DATA + "encoder: {attention: dot}\nbeam: 3\nlearning_rates: 1\n")
    assert mistakes("a.yaml") == [
        "a.yaml:2:11: encoder.attention: no such setting, did you mean decoder.attention?",
        "a.yaml:3:1: beam: no such setting, did you mean search.beam?",
        "a.yaml:4:1: learning_rates: no such setting, did you mean training.learning_rate?",
    ]


def test_what_is_missing_is_named_with_its_meaning() -> None:
    assert mistakes(write("a.yaml", "data:\n  src: de\n  tgt: en\n  train: train\n")) == [
        "a.yaml:1:1: data.valid: missing; "
        "Validation pairs, written like `train`; every choice is made on them."
    ]
    assert mistakes(write("b.yaml", "seed: 1\n")) == [
        "b.yaml:1:1: data: missing; it needs data.src, data.tgt, data.train, data.valid"
    ]


def test_what_is_missing_is_looked_for_in_a_file_not_on_the_command_line() -> None:
    write("a.yaml", "data: {src: de, tgt: en, train: train}\n")
    (line,) = mistakes("a.yaml", overrides=("data.root=x", "seed=2"))
    assert line.startswith("a.yaml:1:1: data.valid: missing")


def test_a_relative_root_starts_at_the_file_that_names_it(tmp_path: Path) -> None:
    write("conf/base.yaml", DATA.replace("corpus:x", "../corpus"))
    write("a.yaml", "extends: conf/base.yaml\n")
    assert read_recipe(["a.yaml"]).data.root == str(tmp_path / "corpus")
    assert read_recipe(["a.yaml"], ["data.root=corpus"]).data.root == str(tmp_path / "corpus")


def test_without_a_root_paths_start_at_the_file_that_names_the_training_pairs(tmp_path: Path) -> None:
    write("conf/base.yaml", DATA.replace("root: corpus:x, ", ""))
    write("a.yaml", "extends: conf/base.yaml\n")
    assert read_recipe(["a.yaml"]).data.root == str(tmp_path / "conf")
    assert read_recipe(["a.yaml"], ["data.train=t"]).data.root == str(tmp_path)


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert read_recipe([write("a.yaml", DATA)], ["data.root=~/pairs"]).data.root == "/home/ada/pairs"


def test_the_file_of_a_users_cell_is_found_beside_the_recipe(tmp_path: Path) -> None:
    write("conf/cells.py", "")
    write("conf/a.yaml", DATA + "encoder:\n  layers: 2\n  cell: [lstm, 'cells.py:Mine']\n")
    assert read_recipe(["conf/a.yaml"]).encoder.cell == ["lstm", f"{tmp_path}/conf/cells.py:Mine"]
    assert mistakes("conf/a.yaml", overrides=("decoder.cell=cells.py:Mine",)) == [
        f"command line: decoder.cell: no such file: {tmp_path}/cells.py"
    ]


def test_the_model_that_a_run_starts_from_is_found_beside_the_recipe(tmp_path: Path) -> None:
    write("conf/a.yaml", DATA + "training: {start_from: ../runs/one}\n")
    assert read_recipe(["conf/a.yaml"]).training.start_from == f"{tmp_path}/runs/one"
    here = read_recipe(["conf/a.yaml"], ["training.start_from=two"])
    assert here.training.start_from == f"{tmp_path}/two"


def test_a_resolved_recipe_reads_back_equal_from_anywhere(tmp_path: Path) -> None:
    write("conf/a.yaml", DATA.replace("corpus:x", "../corpus").replace("de", "'on'"))
    recipe = read_recipe(["conf/a.yaml"], ["training.stop_after=2.5e", "training.learning_rate.peak=1e-7"])
    write("elsewhere/recipe.yaml", dump(recipe))
    assert "stop_after: 2.5e\n" in dump(recipe)
    assert read_recipe(["elsewhere/recipe.yaml"]) == recipe


def test_durations_read_and_write_exactly() -> None:
    for text in ("10e", "0.5e", "1234567u", "30m", "0.5m"):
        assert str(Units("eum", "").parse(text)) == text


def test_a_circle_of_extends_is_refused() -> None:
    write("a.yaml", "extends: b.yaml\n")
    write("b.yaml", "\nextends: a.yaml\n")
    assert mistakes("a.yaml") == [
        "b.yaml:2:10: extends: recipes extend each other in a circle: a.yaml -> b.yaml -> a.yaml"
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("extends: none.yaml", "a.yaml:1:10: extends: none.yaml: no such file or directory"),
        (
            "extends: multi30k-de-en-lst",
            "extends: no recipe 'multi30k-de-en-lst', did you mean 'multi30k-de-en-lstm'?",
        ),
        ("extends: [b.yaml]", "a.yaml:1:10: extends: expected one recipe"),
        ("extends: &a b.yaml\nseed: 1", "b.yaml:1:1: a recipe is made of settings"),
        ("just text", "a.yaml:1:1: a recipe is made of settings, `name: value`"),
    ],
)
def test_what_cannot_be_read_is_said_once(text: str, what: str) -> None:
    write("b.yaml", "- a list\n")
    (line,) = mistakes(write("a.yaml", text))
    assert what in line


def test_a_file_that_is_absent_or_no_text_is_refused() -> None:
    assert mistakes("none.yaml") == ["none.yaml: no such file or directory"]
    Path("latin.yaml").write_bytes(b"data: \xff")
    (line,) = mistakes("latin.yaml")
    assert line.startswith("latin.yaml: not UTF-8 text: it looks like ")


def test_a_wrong_word_of_the_command_line_is_refused() -> None:
    write("a.yaml", DATA)
    assert mistakes("a.yaml", overrides=("beam", "search.beam=[1")) == [
        "command line: 'beam' is not a setting: write key=value, as search.beam=1",
        "command line: search.beam: not YAML: while parsing a flow sequence, "
        "expected ',' or ']', but got '<stream end>'",
    ]


def test_a_section_given_as_a_value_lists_its_settings() -> None:
    (line,) = mistakes(write("a.yaml", DATA), overrides=("training.learning_rate=5e-4",))
    assert line.startswith("command line: training.learning_rate: expected a section with peak, schedule,")
    assert line.endswith("(got 0.0005)")


@pytest.mark.parametrize("name", list_shipped_names())
def test_a_shipped_recipe_is_right_and_headed_by_purpose_command_time_and_score(name: str) -> None:
    from nmt.files import shipped_directory

    assert isinstance(read_any_recipe([name]), TranslationRecipe | LanguageModelRecipe)
    purpose, *head = (shipped_directory("recipes") / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert purpose.startswith("# ")
    assert purpose.endswith(".")
    for line in (f"# command:  nmt run {name}", "# time:     ", "# score:    "):
        assert any(found.startswith(line) for found in head)


def test_shipped_recipes_read_back_equal() -> None:
    for name in list_shipped_names():
        recipe = read_any_recipe([name])
        assert read_any_recipe([write("resolved.yaml", dump(recipe))]) == recipe
