"""Source code of cell classes, including those of a notebook, so that a run can keep it."""

import ast
import builtins
import hashlib
import linecache
import symtable
import sys
from contextlib import suppress
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from nmt.cells import CELLS, cell_name
from nmt.cells.cell import Cell
from nmt.errors import UsageError
from nmt.files import write_file
from nmt.user_directories import cache_directory

LIBRARIES = ("torch", "torch.nn.functional", "math", "typing")
"""Modules that are searched for a function whose `__module__` is wrong or missing."""
CONSTANTS = (bool, int, float, str, tuple, type(None))


def name_cell(kind: type[Cell]) -> str:
    """Return the name of a cell class in a recipe: that of the table, else `FILE.py:Class`.

    A class of a module is named with its file. For one of a notebook or a script, its definition and what it
    uses (imports, constants, functions and classes defined there too) are written to a file in the user's
    cache, of which a run keeps a copy. Raises UsageError for code that cannot be saved in this way.
    """
    if kind in CELLS.values():
        return cell_name(kind)
    if kind.__qualname__ != kind.__name__:
        raise _build_error(kind, "it is defined in a function or a class")
    file = kind.step.__code__.co_filename
    if kind.__module__ != "__main__" and Path(file).is_file():
        return f"{Path(file).resolve()}:{kind.__name__}"
    content = (_collect(kind) + "\n").encode()
    folder = cache_directory() / "cells" / hashlib.sha256(content).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind.__name__.lower()}.py"
    write_file(path, content)
    return f"{path}:{kind.__name__}"


def _build_error(kind: type[Cell], reason: str) -> UsageError:
    file = f"{kind.__name__.lower()}.py"
    return UsageError(
        f"the cell {kind.__name__} cannot be saved with a run: {reason}\n"
        f"write it into a file, and name it as '{file}:{kind.__name__}'"
    )


def _collect(kind: type[Cell]) -> str:
    """Return the source of a module with a class and what it uses."""
    imports: dict[str, None] = {}
    definitions: dict[str, str] = {}
    _add_definition(kind, kind, imports, definitions)
    return "\n\n\n".join(["\n".join(imports), *definitions.values()])


def _add_definition(
    kind: type[Cell], value: Any, imports: dict[str, None], definitions: dict[str, str]
) -> None:
    """Add the definition of a class or a function after the definitions that it uses."""
    functions = [v for v in (value, *vars(value).values()) if isinstance(v, FunctionType)]
    scope = kind.step.__globals__
    files = [functions[0].__code__.co_filename] if functions else _list_sources(scope.get("__file__"))
    sources = ("".join(linecache.getlines(file)) for file in files)
    nodes = [(source, node) for source in sources for node in _find_definitions(source, value.__name__)]
    if not nodes:
        raise _build_error(kind, f"the source of {value.__name__} is not known")
    source, node = nodes[-1]
    definitions[value.__name__] = ""  # it may use itself
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    text = "\n".join(source.split("\n")[first - 1 : node.end_lineno])
    inner = _find_inner_names(text)
    for name in dict.fromkeys(part.id for part in ast.walk(node) if isinstance(part, ast.Name)):
        if name in scope and not (name in definitions or name in inner or hasattr(builtins, name)):
            _add_name(kind, name, scope[name], imports, definitions)
    del definitions[value.__name__]
    definitions[value.__name__] = text


def _find_inner_names(definition: str) -> set[str]:
    """Return the names that are local wherever a definition uses them: parameters, variables, attributes."""
    tables = symtable.symtable(definition, "<cell>", "exec").get_children()
    inner, outer = set[str](), set[str]()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            (inner if symbol.is_local() or symbol.is_free() else outer).add(symbol.get_name())
    return inner - outer


def _list_sources(script: str | None) -> list[str]:
    """Return the script, or the input cells of the notebook in the order in which they ran."""
    return [script] if script else [file for file in linecache.cache if not Path(file).is_file()]


def _find_definitions(source: str, name: str) -> list[ast.FunctionDef | ast.ClassDef]:
    """Return the definitions of a class or function at the top of a module."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    with suppress(SyntaxError):
        return [node for node in ast.parse(source).body if isinstance(node, kinds) and node.name == name]
    return []


def _add_name(
    kind: type[Cell], name: str, value: Any, imports: dict[str, None], definitions: dict[str, str]
) -> None:
    """Add the import, the definition or the constant that a name refers to."""
    own = getattr(value, "__name__", name)
    is_class = isinstance(value, type) and issubclass(value, Cell)
    if isinstance(value, ModuleType):
        imports[f"import {own} as {name}" if own != name else f"import {own}"] = None
    elif module := _find_module(value, own):
        imports[f"from {module} import {own}" + (f" as {name}" if own != name else "")] = None
    elif own == name and (isinstance(value, FunctionType) or is_class):
        _add_definition(kind, value, imports, definitions)
    elif isinstance(value, CONSTANTS):
        definitions[name] = f"{name} = {value!r}"
    else:
        raise _build_error(kind, f"it uses {name}, which is no import, constant, function or cell")


def _find_module(value: Any, name: str) -> str | None:
    """Return the module from which a value can be imported; None for one of the notebook."""
    modules = [getattr(value, "__module__", None), *LIBRARIES]
    known = (module for module in modules if module and module != "__main__")
    return next((m for m in known if getattr(sys.modules.get(m), name, None) is value), None)
