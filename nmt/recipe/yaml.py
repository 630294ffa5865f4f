"""The YAML of recipes: version 1.2 (`no` is a word, `1e-3` a number), with the position of each value."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from nmt.errors import escape_controls

CORE = [  # the core schema of YAML 1.2, in the order in which it is tried
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?(?:\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN", "-+."),
]
LONGEST_TEXT = 2_000  # characters of a message: it may quote a value of any length
TAG = "tag:yaml.org,2002:"


MOST_VALUES = 20_000
"""Settings, list items and sections of a file, those repeated by aliases counted again."""
DEEPEST = 50
LONGEST_NAME, LONGEST_NUMBER = 200, 100  # characters


class Loader(yaml.SafeLoader):
    """A reader of YAML 1.2 that stops at a document that is too large or nested too deep."""

    yaml_implicit_resolvers: dict[str, Any] = {}

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.values = self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Build a node and those in it."""
        self.values, self.depth = self.values + 1, self.depth + 1
        if self.values > MOST_VALUES or self.depth > DEEPEST:
            what = _too_much(self.values)
            raise yaml.composer.ComposerError(None, None, what, self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _too_much(values: int) -> str:
    return f"more than {MOST_VALUES:,} values" if values > MOST_VALUES else "nested too deep"


class Dumper(yaml.SafeDumper):
    """A writer of YAML that means the same in 1.1 and 1.2: text that either reads as a number is quoted."""


for _name, _pattern, _first in CORE:
    for _class in (Loader, Dumper):
        _class.add_implicit_resolver(
            TAG + _name, re.compile(rf"(?:{_pattern})\Z"), [c if c != "\0" else "" for c in _first]
        )


def _write_list(dumper: Dumper, items: list[Any]) -> yaml.Node:
    return dumper.represent_sequence(TAG + "seq", items, flow_style=True)


def _write_text(dumper: Dumper, text: str) -> yaml.Node:
    """Write a text, in double quotes if it contains a YAML 1.1 line end."""
    style = '"' if re.search("[\\r\x85\u2028\u2029]", text) else None
    return dumper.represent_scalar(TAG + "str", text, style=style)


Dumper.add_representer(list, _write_list)
Dumper.add_representer(str, _write_text)


class YamlSource(NamedTuple):
    """The origin of a value: its name in messages, and the folder that its relative paths start from."""

    name: str
    folder: Path
    is_loaded: bool = False  # the folder is a run or a model directory, which others may have made


COMMAND_LINE = YamlSource("command line", Path())
OVERRIDES = YamlSource("overrides", Path())
"""Settings that a Python caller passes."""


class FilePosition(NamedTuple):
    """A line and column, counted from 1; None outside of files."""

    source: YamlSource
    line: int | None = None
    column: int | None = None

    def order(self) -> tuple[bool, str, int, int]:
        """Return a key that sorts by file, line and column, and what is in no file last."""
        return self.source in (COMMAND_LINE, OVERRIDES), self.source.name, self.line or 0, self.column or 0

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.source.name, self.line, self.column) if part is not None)


class Problem(NamedTuple):
    """A mistake in a recipe."""

    position: FilePosition
    path: str
    what: str

    def __str__(self) -> str:
        text = f"{self.position}: {self.path + ': ' if self.path else ''}{self.what}"
        return escape_controls(text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…")


@dataclass(frozen=True)
class YamlNode:
    """A value and its position; the children of mappings and lists are nodes themselves."""

    value: Any
    position: FilePosition
    key: FilePosition | None = None

    @property
    def start(self) -> FilePosition:
        """The position to report: the key of a setting, or the item of a list."""
        return self.key or self.position

    def plain(self) -> Any:
        """Return the value without positions."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def find(self, *keys: str) -> "YamlNode | None":
        """Return the node of a nested setting, if it is given."""
        node: YamlNode | None = self
        for key in keys:
            node = node.value.get(key) if node and isinstance(node.value, dict) else None
        return node


def read(
    text: str, source: YamlSource, problems: list[Problem], only: FilePosition | None = None
) -> YamlNode | None:
    """Return the document in `text`; None, and problems, if it cannot be read.

    With `only`, every node has this position: the text is part of a command line.
    """
    try:
        root = yaml.compose(text, Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        position = only or FilePosition(source, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1)
        problems.append(Problem(position, "", f"not YAML: {_reason(error)}"))
        return None
    start = only or FilePosition(source, 1, 1)
    if root is None:
        return YamlNode({}, start)
    builder = _Builder(source, problems, only)
    tree = builder.build(root, "", ())
    if builder.values > MOST_VALUES:
        problems.append(Problem(start, "", f"with its aliases, it has {_too_much(builder.values)}"))
        return None
    return tree


def _reason(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        return f"the character U+{error.character:04X} is not allowed"
    reason = ", ".join(filter(None, (getattr(error, "context", None), getattr(error, "problem", None))))
    is_path = " escape " in reason  # as in "C:\data"
    return reason + "; between double quotes \\ begins an escape: use single quotes" * is_path


@dataclass
class _Builder:
    source: YamlSource
    problems: list[Problem]
    only: FilePosition | None
    values: int = 0

    def position(self, node: yaml.Node) -> FilePosition:
        return self.only or FilePosition(self.source, node.start_mark.line + 1, node.start_mark.column + 1)

    def report(self, node: yaml.Node, path: str, what: str) -> None:
        self.problems.append(Problem(self.position(node), path, what))

    def build(
        self, node: yaml.Node, path: str, parents: tuple[int, ...], key: yaml.Node | None = None
    ) -> YamlNode:
        return YamlNode(
            self.value(node, path, parents), self.position(node), self.position(key) if key else None
        )

    def value(self, node: yaml.Node, path: str, parents: tuple[int, ...]) -> Any:
        self.values += 1
        if self.values > MOST_VALUES:
            return None  # `read` reports it
        if id(node) in parents:
            return self.report(node, path, "this alias contains itself")
        if len(parents) > DEEPEST:
            return self.report(node, path, "nested too deep")
        inside = (*parents, id(node))
        if isinstance(node, yaml.MappingNode) and node.tag == TAG + "map":
            pairs = self.pairs(node, path)
            return {name: self.build(child, _join(path, name), inside, key) for name, key, child in pairs}
        if isinstance(node, yaml.SequenceNode) and node.tag == TAG + "seq":
            return [self.build(child, path, inside) for child in node.value]
        if isinstance(node, yaml.ScalarNode) and node.tag.removeprefix(TAG) in SCALARS:
            return self.scalar(node, path)
        return self.report(node, path, f"the tag {node.tag.replace(TAG, '!!')} is not used in recipes")

    def scalar(self, node: yaml.ScalarNode, path: str) -> Any:
        kind = node.tag.removeprefix(TAG)
        if kind != "str" and len(node.value) > LONGEST_NUMBER:
            return self.report(node, path, f"this {kind} is too long")
        try:
            return SCALARS[kind](node.value)
        except ValueError:
            return self.report(node, path, f"'{node.value}' is not a valid {kind}")

    def pairs(self, node: yaml.MappingNode, path: str) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        """Yield key and value nodes; a key that is repeated or not a word is a problem, and skipped."""
        seen: dict[str, yaml.Node] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode) or len(key.value) > LONGEST_NAME:
                self.report(key, path, "the name of a setting is one word")
            elif key.value == "<<":
                self.report(
                    key, path, "merge keys are not part of YAML 1.2; use extends:, or repeat the settings"
                )
            elif key.value in seen:
                first = seen[key.value].start_mark.line + 1
                self.report(key, _join(path, key.value), f"given twice, first on line {first}")
            else:
                seen[key.value] = key
                yield key.value, key, child


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _int(text: str) -> int:
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


SCALARS: dict[str, Callable[[str], Any]] = {
    "null": lambda text: None,
    "bool": _bool,
    "int": _int,
    "float": _float,
    "str": str,
}


def write(tree: dict[str, Any]) -> str:
    """Return the tree as YAML text: sections in blocks, lists in one line."""
    text: str = yaml.dump(tree, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text
