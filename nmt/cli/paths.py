"""The paths that a verb reads and writes, declared with its options and compared before it starts."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import Any

from nmt.files import is_hub_name
from nmt.hub import find_model
from nmt.operating_system import STANDARD_INPUT, STANDARD_OUTPUT
from nmt.outputs import check_output_directory, check_output_files


class PathRole(Enum):
    """What a verb does with the path of an option: part of the option's annotation."""

    READ = "read"
    READ_OR_STDIN = "read; stdin if it is not given"
    WRITTEN_FILE = "written as a file"
    WRITTEN_DIRECTORY = "written as a directory"
    CHECKED_LATER = "written, and compared with the inputs once these are known"


READ, READ_OR_STDIN, WRITTEN_FILE, WRITTEN_DIRECTORY, CHECKED_LATER = PathRole


def check_paths(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a verb: models of the Hub are downloaded, and an output that is one of its inputs is refused."""

    @wraps(verb)
    def checked(**values: Any) -> Any:
        roles = find_path_roles(verb)
        for name in (name for name in roles if roles[name] in (READ, READ_OR_STDIN)):
            values[name] = _find_models(values.get(name))
        inputs = [path for name in roles for path in _list_inputs(roles[name], values.get(name))]
        names = {name: f"--{name.replace('_', '-')}" for name in roles if values.get(name) is not None}
        files = {names[name]: values[name] for name in names if roles[name] is WRITTEN_FILE}
        check_output_files({"standard output": STANDARD_OUTPUT, **files}, inputs)
        for name in names:
            if roles[name] is WRITTEN_DIRECTORY:
                check_output_directory(names[name], values[name], inputs)
        return verb(**values)

    return checked


def find_path_roles(verb: Callable[..., Any]) -> Mapping[str, PathRole]:
    """Return the roles of the parameters of a verb that have one."""
    parameters = inspect.signature(verb, eval_str=True).parameters
    return {
        name: mark
        for name, parameter in parameters.items()
        for mark in getattr(parameter.annotation, "__metadata__", ())
        if isinstance(mark, PathRole)
    }


def _find_models(value: Any) -> Any:
    """Replace names of models on the Hub by the directories that they are downloaded to."""
    if isinstance(value, list):
        return [_find_models(one) for one in value]
    return type(value)(find_model(Path(value))) if is_hub_name(value) else value


def _list_inputs(role: PathRole, value: Any) -> Iterator[Path]:
    """Yield the existing paths that an option reads; arguments such as KEY=VALUE are not paths."""
    if role is READ_OR_STDIN and value is None:
        yield STANDARD_INPUT
    elif role in (READ, READ_OR_STDIN) and value is not None:
        paths = map(Path, value if isinstance(value, list) else [value])
        yield from (path for path in paths if path.exists())
