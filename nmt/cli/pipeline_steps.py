"""The files that the commands of a pipeline read and write, from the options of their verbs."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from nmt.cli.paths import PathRole, find_path_roles
from nmt.data.pairs import find_file, list_pair_files
from nmt.data.sources import list_files
from nmt.errors import NmtError, suggestion
from nmt.files import is_hub_name
from nmt.lab.pipeline.definition import PipelinePlan, StepLine
from nmt.lab.pipeline.steps import LOGS, REPORTS, PipelineStep, sort_steps
from nmt.recipe.file_settings import find_cell_files
from nmt.recipe.reader import OVERRIDE, dump, read_any_recipe, split_arguments
from nmt.recipe.run_directory import list_named_paths
from nmt.recipe.settings_file import build_error
from nmt.recipe.yaml import COMMAND_LINE, Problem

READS = (PathRole.READ, PathRole.READ_OR_STDIN)
TRAINERS = ("train", "run")
"""Verbs with a recipe and settings."""
EXCLUDED = ("pipeline",)
RESERVED = (LOGS, *REPORTS)


def plan_steps(plan: PipelinePlan, *, trust_code: bool = False) -> list[PipelineStep]:
    """Return the steps of a pipeline in order, with all that they read and write.

    Every command is checked as the command line would. UsageError with every mistake.
    """
    problems: list[Problem] = []
    commands = dict[str, tuple[StepLine, _Command]]()
    for line in plan.lines:
        try:
            commands[line.name] = line, _Command(line.words, plan.overrides, trust_code)
        except (NmtError, ValueError) as error:
            problems.append(Problem(line.position, f"steps.{line.name}", str(error)))
    if problems:
        raise build_error(problems, "pipeline")
    writers: dict[str, str] = {}
    for name, (line, command) in commands.items():
        for output in command.outputs:
            other = next(
                (one for one in writers if _is_inside(output, [one]) or _is_inside(one, [output])), None
            )
            if other is not None:
                what = f"{output} is an output of {writers[other]}, or inside one: choose another"
                problems.append(Problem(line.position, f"steps.{name}", what))
            writers[output] = name
    steps = []
    for name, (line, command) in commands.items():
        try:
            steps.append(command.build_step(name, writers, plan.directory))
        except (NmtError, ValueError) as error:
            problems.append(Problem(line.position, f"steps.{name}", str(error)))
    if problems:
        raise build_error(problems, "pipeline")
    return sort_steps(steps)


class _Command:
    """A command of `nmt`, parsed. ValueError, or an error of a recipe, if it is wrong."""

    def __init__(self, words: Sequence[str], overrides: Sequence[str], trust_code: bool) -> None:
        self.stdout = words[-1] if words[-2:-1] == [">"] else None
        words = words[:-2] if self.stdout else words
        if not words:
            raise ValueError("expected a command of nmt, such as: train {recipe} -o model")
        self.verb = words[0]
        self.words = list(words)
        if self.verb in TRAINERS:  # settings of the step itself take precedence
            first = next((i for i, word in enumerate(words) if OVERRIDE.match(word)), len(words))
            self.words[first:first] = overrides
        values, verb = _parse(self.words)
        if trust_code and "trust_code" in values:
            self.words.append("--trust-code")
        self.values, self.roles = values, find_path_roles(verb)
        self.outputs = [*self._find_outputs(), *([self.stdout] if self.stdout else [])]
        for output in self.outputs:
            if os.path.isabs(output) or output != os.path.normpath(output) or output.startswith(("..", ".")):
                raise ValueError(f"the output {output} must be a path inside the directory of the pipeline")
            if Path(output).parts[0] in RESERVED:
                raise ValueError(f"the name {output} is used by the pipeline itself: choose another")

    def _find_outputs(self) -> Iterator[str]:
        written = [name for name, role in self.roles.items() if role not in READS]
        for name in written:
            value = self.values.get(name)
            if value is None and name == "output":
                raise ValueError("add --output: the outputs of a pipeline have names")
            if value is not None and self.verb == "clean":
                yield from list_pair_files(value, *_find_clean_languages(self.values))
            elif value is not None:
                yield str(value)

    def build_step(self, name: str, writers: Mapping[str, str], directory: Path) -> PipelineStep:
        """Return the step, with what it reads; ValueError for an input that neither exists nor is written."""
        written = {
            os.path.abspath(directory / output): output for output in writers if writers[output] != name
        }
        paths, recipe = self._find_inputs(directory, list(written))
        inputs = dict[str, None]()
        for path in paths:
            full = os.path.abspath(directory / path)
            uses = [output for place, output in written.items() if _is_inside(full, [place])]
            if not uses and not Path(full).exists():
                raise ValueError(f"no such file, and no step writes it: {path}")
            inputs |= dict.fromkeys(uses or [full])
        needs = list(dict.fromkeys(writers[path] for path in inputs if path in written.values()))
        return PipelineStep(name, self.words, list(inputs), self.outputs, self.stdout, recipe, needs)

    def _find_inputs(self, directory: Path, written: Sequence[str]) -> tuple[list[str], str]:
        """Return the paths that the command reads, and the resolved recipe of a model that it trains."""
        if self.verb in TRAINERS:
            return _find_recipe_inputs(self.values["words"], directory, written)
        if self.verb == "clean":
            names, languages = self.values["names"], _find_clean_languages(self.values)
            return list_pair_files(names[0] if len(names) == 1 else names, *languages), ""
        read = []
        for name, role in self.roles.items():
            value = self.values.get(name)
            if role is PathRole.READ_OR_STDIN and value is None:
                raise ValueError("it reads standard input: add --input FILE")
            if role in READS and value is not None:
                read += [str(one) for one in (value if isinstance(value, (list, tuple)) else [value])]
        return [path for path in read if not is_hub_name(path)], ""


def _parse(words: Sequence[str]) -> tuple[Mapping[str, Any], Any]:
    """Return the values of a verb's options by name, and its function."""
    from nmt.cli.app import app

    group = get_command(app)
    verbs = {name: verb for name, verb in group.commands.items() if not hasattr(verb, "commands")}  # type: ignore[attr-defined]
    name, *arguments = words
    if name not in verbs or name in EXCLUDED:
        raise ValueError(
            f"no verb '{name}', {suggestion(name, [one for one in verbs if one not in EXCLUDED])}"
        )
    try:
        with verbs[name].make_context(name, arguments) as context:
            return context.params, context.command.callback
    except typer.TyperException as error:
        raise ValueError(error.format_message()) from None
    except typer.Exit:
        raise ValueError("--help is not a step of a pipeline") from None


def _find_clean_languages(values: Mapping[str, Any]) -> tuple[str, str]:
    from nmt.cli.clean import find_languages

    return find_languages(values["names"], values["output"], values["src"], values["tgt"])


def _find_recipe_inputs(
    words: Sequence[str], directory: Path, written: Sequence[str]
) -> tuple[list[str], str]:
    """Return the files and models that training a recipe reads, and the resolved recipe."""
    here = COMMAND_LINE._replace(folder=Path(os.path.abspath(directory)))  # where the command runs
    recipe = read_any_recipe(*split_arguments(words), source=here)
    root, paths = recipe.data.root_directory, [*list_named_paths(recipe), *find_cell_files(recipe)]
    for name in list_files(recipe.data):
        paths.append(root / name if _is_inside(str(root / name), written) else find_file(root, name))
    return [str(path) for path in paths if not is_hub_name(path)], dump(recipe)


def _is_inside(path: str, folders: Sequence[str]) -> bool:
    """Return True if a path is one of the others or inside one of them."""
    folders = [os.path.abspath(folder) for folder in folders]
    return any(f"{os.path.abspath(path)}{os.sep}".startswith(f"{folder}{os.sep}") for folder in folders)
