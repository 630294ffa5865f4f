"""Bodies of requests: read within limits, and parsed strictly."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl

from pydantic import FailFast, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import ClientDisconnect, Request

from nmt.errors import suggestion
from nmt.recipe.settings_file import describe_value
from nmt.serve.http.problems import RequestProblem

ShapeT = TypeVar("ShapeT")
MOST_FIELDS = 100  # of a form
DEEPEST = 50  # lists and objects of JSON within each other
LONGEST_NUMBER = 100  # digits
MOST_NAMES = 10_000  # of an object of JSON
BOUNDARY = re.compile(r'boundary="?([^";,\s]{1,70})')
FIELD_NAME = re.compile(rb'[; ]name="([^"\r\n]*)"')
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


class FirstMistake(FailFast):
    """A list of which the first mistake is reported; all those of a long list take seconds to collect."""

    def __hash__(self) -> int:
        return hash(self.fail_fast)


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body of a request; RequestProblem if it is longer than `limit` bytes."""
    too_long = RequestProblem(413, f"the request has more than {limit:,} bytes", "", "send less at once")
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or len(declared) > 18 or int(declared) > limit:
        raise too_long
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise too_long
    except ClientDisconnect:
        raise RequestProblem(400, "the connection was closed before the request was complete") from None
    return bytes(body)


def find_media_type(request: Request) -> str:
    """Return the media type of the body, in lower case and without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse_json(body: bytes, shape: type[ShapeT]) -> ShapeT:
    """Return a body in JSON as `shape`; RequestProblem unless it is strictly that."""
    value = load_json(body)
    try:
        parsed: ShapeT = adapt(shape).validate_json(body)  # strict about JSON, not about Python's objects
    except ValidationError as error:
        raise _describe_error(error, value, shape) from None
    return parsed


def load_json(body: bytes) -> Any:
    """Return a body in JSON; RequestProblem for what readers of JSON disagree about."""
    try:
        text = body.decode("utf-8-sig")
        if _depth(text) > DEEPEST:
            raise ValueError(f"nested deeper than {DEEPEST}")
        value = json.loads(
            text,
            parse_constant=_reject_constant,
            parse_float=_parse_finite,
            parse_int=_parse_int,
            object_pairs_hook=_build_object,
        )
    except UnicodeDecodeError as error:
        raise RequestProblem(
            400, f"byte {error.start} of the request is not UTF-8", "", "send UTF-8 text"
        ) from None
    except (ValueError, RecursionError) as error:
        raise RequestProblem(
            400, f"invalid JSON: {error}", "", 'send an object such as {"text": "…"}'
        ) from None
    check_texts(value)
    return value


def _depth(text: str) -> int:
    """Return a bound of the depth of JSON text: brackets in strings count too, if they are not escaped."""
    depth = deepest = 0
    for match in re.finditer(r'"(?:[^"\\]++|\\.?)*+"?|[\[{\]}]', text, re.DOTALL):  # in linear time
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        deepest = max(deepest, depth)
    return deepest


def _reject_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _parse_finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        _reject_constant(digits)
    return number


def _parse_int(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(digits):,} digits is too long")
    return int(digits)


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MOST_NAMES:
        raise ValueError(f"an object of {len(pairs):,} names is too large")
    built = dict(pairs)
    if len(built) < len(pairs):
        name = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the name {name!r} is given twice in one object")
    return built


def check_texts(value: Any, where: str = "") -> None:
    """Raise RequestProblem for a text that cannot be written in UTF-8, or has the character U+0000."""
    if isinstance(value, str):
        if "\0" in value:
            raise RequestProblem(400, "the character U+0000 is not text", where, "remove it")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            code = ord(value[error.start])
            what = f"U+{code:04X} at character {error.start} is half of a surrogate pair"
            raise RequestProblem(400, what, where, "send whole characters") from None
    for name, inner in value.items() if isinstance(value, dict) else ():
        check_texts(name, where)
        check_texts(inner, f"{where}.{name}" if where else name)
    for index, inner in enumerate(value if isinstance(value, list) else ()):
        check_texts(inner, f"{where}[{index}]")


adapt: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)
"""Build pydantic's validator of a shape, once."""


def _describe_error(error: ValidationError, value: Any, shape: type) -> RequestProblem:
    """Describe the first mistake of a value."""
    first, *others = error.errors(include_url=False)
    field = first["loc"][:1]  # of several kinds of value, the one that fits best
    located = [(*_follow(detail, value), detail) for detail in (first, *others) if detail["loc"][:1] == field]
    _, where, found, detail = max(located, key=lambda one: one[0])
    kind, last = detail["type"], str(detail["loc"][-1]) if detail["loc"] else ""
    if kind == "unexpected_keyword_argument":
        names = list(adapt(shape).json_schema().get("properties", {}))
        return RequestProblem(400, f"no such field, {suggestion(last, names)}", where)
    if kind == "missing":
        return RequestProblem(400, f"the field '{last}' is missing", where, "add it")
    if kind == "dataclass_type":
        return RequestProblem(400, "expected a JSON object", where, 'send an object such as {"text": "…"}')
    return RequestProblem(400, describe_value(detail, found), where)


def _follow(detail: ErrorDetails, value: Any) -> tuple[int, str, Any]:
    """Return the depth, the path and the value of the place where a mistake is."""
    depth, where, found = 0, "", value
    for step in detail["loc"]:
        if isinstance(found, dict) and step in found:
            depth, where, found = depth + 1, f"{where}.{step}" if where else str(step), found[step]
        elif isinstance(found, list) and isinstance(step, int) and step < len(found):
            depth, where, found = depth + 1, f"{where}[{step}]", found[step]
    return depth, where, found


def parse_fields(request: Request, body: bytes) -> dict[str, Any]:
    """Return the fields of a JSON object, or of a form and the query, whose values are texts."""
    media_type = find_media_type(request)
    if media_type == "application/json" or media_type.endswith("+json"):
        value = load_json(body)
        if not isinstance(value, dict):
            raise RequestProblem(400, "Invalid JSON format", "", "send an object")
        return value
    fields = dict(request.query_params)
    if media_type == FORM or (not media_type and body):
        fields |= dict(_parse_form(body))
    elif media_type == MULTIPART:
        fields |= _parse_multipart(body, request.headers["content-type"])
    check_texts(fields)
    return fields


def _parse_form(body: bytes) -> list[tuple[str, str]]:
    try:
        text = body.decode()  # what `curl -d` sends is not URL-encoded
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise RequestProblem(400, f"invalid form: {error}", "", "send UTF-8 text") from None


def _parse_multipart(body: bytes, content_type: str) -> dict[str, str]:
    """Return the fields of a form in parts; files are ignored."""
    boundary = BOUNDARY.search(content_type)
    delimiter = b"\r\n--" + (boundary[1] if boundary else "").encode("latin-1")
    pieces = (b"\r\n" + body).split(delimiter, MOST_FIELDS)
    if boundary is None or len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        what = "invalid form: its parts are not as its Content-Type says"
        raise RequestProblem(400, what, "", "send it URL-encoded")
    fields = {}
    for piece in pieces[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        name = FIELD_NAME.search(head)
        if name and b"filename=" not in head:
            try:
                fields[name[1].decode()] = content.decode()
            except UnicodeDecodeError:
                raise RequestProblem(400, "invalid form: it is not UTF-8", "", "send UTF-8 text") from None
    return fields
