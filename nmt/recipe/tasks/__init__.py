"""The tasks that a recipe can name: translation and language modelling."""

from pathlib import Path
from typing import Any

from nmt.recipe.artifact import LoadedModel
from nmt.recipe.prepare_data import model_directory
from nmt.recipe.reader import read_any
from nmt.recipe.schema import LanguageModelRecipe, Recipe, TranslationRecipe
from nmt.recipe.tasks.language_model import LanguageModelTask
from nmt.recipe.tasks.task import Task
from nmt.recipe.tasks.translation import TranslationTask

TASKS: dict[type[Recipe], type[Task[Any]]] = {
    TranslationRecipe: TranslationTask,
    LanguageModelRecipe: LanguageModelTask,
}


def find_task(recipe: Recipe) -> Task[Any]:
    """The task of a recipe."""
    return TASKS[type(recipe)](recipe)


def load_model(path: Path) -> LoadedModel:
    """Load the model of any task in a run directory, a checkpoint or a model directory."""
    return find_task(read_any([str(model_directory(path) / "recipe.yaml")])).load(path)
