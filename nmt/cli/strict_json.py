"""JSON that every reader takes: what is no number, or has no end, is null."""

import json
import math


def dumps(value: object) -> str:
    """A value as JSON; a named tuple is an object."""
    return json.dumps(_plain(value))


def _plain(value: object) -> object:
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
