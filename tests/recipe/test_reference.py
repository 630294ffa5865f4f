import re
from pathlib import Path
from typing import Any

from nmt.recipe.reference import build_json_schema, format_reference_page
from nmt.training.settings import TranslationTrainingSettings

PAGE = Path(__file__).parents[2] / "docs/reference/recipe.md"


def test_the_page_in_the_repository_is_the_one_that_the_schema_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == format_reference_page(), (
        "run: nmt recipes reference > docs/reference/recipe.md"
    )


def tasks(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [schema["then"], schema["else"]]


def test_editors_tell_the_tasks_apart() -> None:
    schema = build_json_schema()
    assert schema["if"]["properties"]["task"]["const"] == "language-model"
    assert "encoder" in schema["else"]["properties"]
    assert "encoder" not in schema["then"]["properties"]
    assert "chunk" in schema["$defs"]["LanguageModelTrainingSettings"]["properties"]


def test_every_setting_has_a_meaning() -> None:
    schema = build_json_schema()
    for section in (*tasks(schema), *schema["$defs"].values()):
        for name, field in section["properties"].items():
            assert "$ref" in field or field["description"], name


def test_editors_are_offered_the_names_of_a_choice() -> None:
    definitions = build_json_schema()["$defs"]
    assert "multi-head" in definitions["DecoderSettings"]["properties"]["attention"]["enum"]
    one, several = definitions["EncoderSettings"]["properties"]["cell"]["oneOf"]
    assert "gru-reset-after" in one["anyOf"][0]["enum"]
    assert several["items"] == one


def test_editors_match_the_whole_text_of_a_custom_cell_or_a_device() -> None:
    definitions = build_json_schema()["$defs"]
    one, _ = definitions["EncoderSettings"]["properties"]["cell"]["oneOf"]
    device = definitions["TranslationTrainingSettings"]["properties"]["device"]
    for choice, right, wrong in ((one, "cells.py:MGU", "cells.py:MGU x"), (device, "cuda:1", "xcuda:1")):
        pattern = choice["anyOf"][1]["pattern"]
        assert re.search(pattern, right) and not re.search(pattern, wrong)


def test_editors_refuse_unknown_settings_and_require_none() -> None:
    schema = build_json_schema()
    assert all("extends" in task["properties"] for task in tasks(schema))
    for section in (*tasks(schema), *schema["$defs"].values()):
        assert section["additionalProperties"] is False
        assert "required" not in section


def test_defaults_are_shown_as_one_writes_them() -> None:
    training: dict[str, Any] = build_json_schema()["$defs"]["TranslationTrainingSettings"]["properties"]
    assert training["stop_after"]["default"] == str(TranslationTrainingSettings().stop_after)
    assert "| `clip_norm` | number > 0 and ≤ 1e+38 or null | `1.0` |" in format_reference_page()
