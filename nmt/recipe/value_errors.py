"""Messages about single values that pydantic refuses: those of recipes and of the command line's options."""

import json
import re
from typing import TYPE_CHECKING, Any

from nmt.errors import UnknownName, suggestion

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "settings, `name: value`",
}
LONGEST = 60  # characters of a value that a message quotes
LIMITS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
    "too_short": ("a list of at least", "min_length"),
    "too_long": ("a list of at most", "max_length"),
}


def describe_value(detail: "ErrorDetails", value: Any) -> str:
    """Describe what is wrong with a value of a recipe."""
    kind, context, got = detail["type"], detail.get("ctx", {}), format_value(value)
    if kind == "missing":
        return f"the list is too short (got {got})"
    if kind == "literal_error":
        names = re.findall(r"'([^']*)'", context["expected"])
        if isinstance(value, str):
            return f"no '{value}', {suggestion(value, names)}"
        return f"expected one of {', '.join(names)} (got {got})"
    quoted = isinstance(value, str) and re.fullmatch(r"[-+.\d]+(e[-+]?\d+)?|true|false", value)
    return _describe(detail, f"{got}; leave the quotes out" if quoted and kind in EXPECTED else got)


def describe_option(error: BaseException | None) -> str | None:
    """Describe what is wrong with the value of an option; None if pydantic did not raise the error."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return None
    detail = error.errors()[0]
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])  # it contains the value
    return _describe(detail, _shorten(str(detail["input"])))


def _describe(detail: "ErrorDetails", got: str) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        error = context["error"]
        return str(error) if isinstance(error, UnknownName) else f"{error} (got {got})"
    if kind in LIMITS:
        words, bound = LIMITS[kind]
        return f"expected {words} {context[bound]:.16g} (got {got})"
    if kind in EXPECTED:
        return f"expected {EXPECTED[kind]} (got {got})"
    return f"{detail['msg'][:1].lower()}{detail['msg'][1:]} (got {got})"


def format_value(value: Any) -> str:
    """Return the value as written in a recipe, shortened."""
    text = f"'{value}'" if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _shorten(text.replace("Infinity", ".inf").replace("NaN", ".nan"))


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
