"""Recipes of any size and with any numbers: answered at once, and before memory is taken."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt import operating_system
from nmt.errors import DataError, UsageError, is_out_of_memory
from nmt.recipe import reader, training
from nmt.recipe.model_memory import available_memory, build_within_memory, check_loading_memory, outline_model
from nmt.recipe.schema import TASKS, TranslationRecipe
from nmt.recipe.sections import adapter
from nmt.recipe.tasks.translation import build_translator
from nmt.training.optimisers import MOMENTS, OPTIMISERS

DATA = "data: {src: de, tgt: en, train: train, valid: val}\n"

LARGE = {
    "unknown names": ("".join(f"k{i}: 1\n" for i in range(300_000)), "more than 20,000 values"),
    "a comment": ("#" + "x" * 10_000_000, "it has 10,000,0.. bytes"),
    "a bomb of aliases": (
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)),
        "with its aliases, it has more than 20,000 values",
    ),
    "a chain of aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 3000)),
        "nested too deep",
    ),
    "lists in lists": ("seed: " + "[" * 100_000, "nested too deep"),
    "a hexadecimal number": ("seed: 0x" + "f" * 100_000, "this int is too long"),
    "a long name": ("x" * 500 + ": 1", "the name of a setting is one word"),
}


def mistakes(text: str, *overrides: str) -> str:
    Path("wrong.yaml").write_text(DATA + text, encoding="utf-8")
    with pytest.raises(UsageError) as error:
        reader.read_any_recipe(["wrong.yaml"], overrides)
    return str(error.value)


@pytest.mark.parametrize("name", LARGE)
def test_a_recipe_that_is_too_large_is_refused_in_few_lines(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text, what = LARGE[name]
    message = mistakes(text)
    assert re.search(what, message), message[:500]
    assert len(message) < 20_000


def test_many_mistakes_are_counted_and_the_first_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    message = mistakes("".join(f"sed{i}: 1\n" for i in range(9000)))
    assert message.startswith("9,000 mistakes in the recipe\n")
    assert len(message.splitlines()) == 52
    assert message.endswith("... and 8,950 more")


def test_a_recipe_of_a_megabyte_is_read(tmp_path: Path) -> None:
    file = tmp_path / "long.yaml"
    file.write_text(DATA + "# " + "x" * 1_000_000, encoding="utf-8")
    assert reader.read_any_recipe([str(file)]).seed == 1


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        (
            "encoder.gate_bias={zz: 1}",
            "encoder.gate_bias.zz: no cell here has a gate 'zz' (gates: f, g, i, o)",
        ),
        ("decoder.gate_bias={f: 1e300}", "expected at most 1e+38 (got 1e+300)"),
        ("subwords.size=99999999999", "subwords.size: expected at most 10000000 (got 99999999999)"),
        ("encoder.hidden=2000000000", "encoder.hidden: expected at most 1000000"),
        ("encoder.layers=1000000", "encoder.layers: expected at most 128"),
        ("training.learning_rate.peak=1e300", "expected at most 1e+38"),
        ("training.threads=1000000", "expected at most 1024"),
        ("search.max_extra=1000000000", "search.max_extra: expected at most 10000"),
        ("search.beam=99999999999999999999999999", "expected at most"),
        (".".join("a" * 1000) + "=1", "a setting is nested too deep"),
    ],
)
def test_what_training_would_refuse_is_refused_by_the_reader(
    setting: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert what in mistakes("", setting)


def test_the_bias_of_a_gate_of_an_upper_cell_only_is_accepted_with_a_conditional_decoder() -> None:
    settings = ("decoder.cell=[lstm, gru]", "decoder.layers=2", "decoder.gate_bias={z: 1.0}")
    recipe = large("decoder.conditional=true", *settings)
    assert outline_model(lambda: build_translator(recipe, 10, 10)).decoder.conditional is not None


def large(*overrides: str) -> TranslationRecipe:
    return reader.read_recipe(["quickstart-lstm"], overrides)


def test_a_model_that_does_not_fit_is_refused_before_it_is_built() -> None:
    recipe = large("encoder.hidden=1000000")
    for check in (
        lambda: build_within_memory(recipe, lambda: build_translator(recipe, 10, 10)),
        lambda: training._check_smallest(recipe, torch.device("cpu")),
    ):
        with pytest.raises(UsageError, match=r"needs [\d,.]+ GB of memory for .*encoder\.hidden=1000000"):
            check()
    with pytest.raises(DataError, match="GB of memory to load it"):
        check_loading_memory(recipe, outline_model(lambda: build_translator(recipe, 10, 10)))


def test_the_memory_of_a_control_group_and_of_the_process_is_respected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operating_system, "CGROUPS", tmp_path)
    group = tmp_path / "pod" / "container"
    group.mkdir(parents=True)
    for folder, maximum in ((group, "max"), (tmp_path / "pod", "5000")):
        (folder / "memory.max").write_text(maximum + "\n", encoding="utf-8")
        (folder / "memory.current").write_text("4000\n", encoding="utf-8")
        (folder / "memory.stat").write_text("anon 1\ninactive_file 300\nactive_file 20\n", encoding="utf-8")
    assert list(operating_system._cgroup_limits(group, "memory.max", "memory.current")) == [1320]
    assert 0 < (available_memory(torch.device("cpu")) or 0) < 1 << 50


def test_the_moments_of_every_optimiser_are_counted() -> None:
    assert MOMENTS.keys() == OPTIMISERS.keys()


def test_every_number_has_an_upper_bound() -> None:
    """A number without one overflows in some library."""
    for kind in TASKS.values():
        for path, schema in numbers(adapter(kind).json_schema()):
            assert "maximum" in schema or "exclusiveMaximum" in schema, path


def numbers(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The descriptions of numbers in a JSON schema."""
    if isinstance(schema, dict):
        if schema.get("type") in ("integer", "number"):
            yield path, schema
        for name, inner in schema.items():
            yield from numbers(inner, f"{path}.{name}")
    for index, inner in enumerate(schema if isinstance(schema, list) else ()):
        yield from numbers(inner, f"{path}.{index}")


def test_memory_errors_of_the_libraries_are_recognised() -> None:
    with pytest.raises(RuntimeError) as error:
        torch.empty(1 << 45)
    assert is_out_of_memory(error.value)
    assert is_out_of_memory(ImportError("libtorch_cpu.so: failed to map segment from shared object"))
    assert not is_out_of_memory(RuntimeError("sizes do not match"))
