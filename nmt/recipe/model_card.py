"""The model card: README.md of a directory that is passed on, with the front matter that model hubs read."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from nmt import __version__
from nmt.data.corpora import CorpusCard, list_corpus_names, read_card
from nmt.data.sources import PairSettings
from nmt.errors import escape_controls
from nmt.evaluation.metrics import Score
from nmt.evaluation.tuning import Tuning
from nmt.recipe.file_settings import find_cell_files
from nmt.recipe.prepare_data import read_checksums
from nmt.recipe.schema import Recipe, find_stack_settings

LIBRARY = "recurrent-nmt"
LICENCES = (
    *("apache-2.0", "mit", "unlicense", "gpl-3.0", "cc0-1.0", "pddl", "odc-by", "cc-by-2.0", "cc-by-3.0"),
    *("cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0"),
)
"""Licences that hubs know by an identifier; any other is `other`, with its name."""
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*")
UNKNOWN_LICENCE = (
    "The licence of this text is not recorded. Before you publish the model, add it here and, as `license:`, "
    "to the front matter."
)
TUNING_HEADING = "## Search and quality"
TASKS = {"translation": "translation", "language-model": "text-generation"}
"""The names of the tasks on hubs."""


class CardScores(NamedTuple):
    """Scores, and what they were measured with and on."""

    measured: str  # a sentence
    scores: Sequence[Score]
    dataset: str | None = None  # a corpus, if the scores are those of this very model on its test set


def find_corpus(recipe: Recipe, folder: Path) -> CorpusCard | None:
    """Return the card of the corpus that a model was trained on: by its name, or by checksums of the run.

    None if it has no card.
    """
    kind, _, name = recipe.data.root.partition(":")
    if kind == "corpus" and name in list_corpus_names():
        return read_card(name)
    sums = {sum for sums in read_checksums(folder).values() if isinstance(sums, list) for sum in sums}
    cards = map(read_card, list_corpus_names())
    return next((card for card in cards if sums & {file.sha256 for file in card.files}), None)


def find_languages(recipe: Recipe, corpus: CorpusCard | None) -> list[str]:
    """Return the language codes of a model: source and target, or those of a language model's corpus."""
    if isinstance(recipe.data, PairSettings):
        return [recipe.data.src, recipe.data.tgt]
    return corpus.languages if corpus else []


def describe_tuning(tuning: Tuning | None) -> list[str]:
    """Return a section about what `nmt tune` chose, as paragraphs."""
    if tuning is None:
        return []
    return [TUNING_HEADING, *(f"{text[0].upper()}{text[1:]}." for text in tuning.describe())]


def format_card(
    name: str,
    recipe: Recipe,
    corpus: CorpusCard | None,
    *,
    what: str,
    paragraphs: Iterable[str] = (),
    scores: CardScores | None = None,
) -> str:
    """Return the model card of a directory, or of `hf:user/name`; `what` ends its first sentence."""
    languages, title = find_languages(recipe, corpus), name.rpartition("/")[2]
    pair = f" from {languages[0]} to {languages[1]}" if isinstance(recipe.data, PairSettings) else ""
    front = _front_matter(title, recipe, corpus, languages, scores)
    sections = [
        f"# {title}",
        f"A {recipe.kind}{pair} for nmt {__version__} (`pip install {LIBRARY}`): {what}.",
        f"    {recipe.usage.format(name)}",
        *paragraphs,
    ]
    for file in find_cell_files(recipe):
        sections.append(
            f"{file.name} is Python code of its cells, and runs only if you allow it: read it, then add "
            "`--trust-code` to the first command."
        )
    if scores is not None and scores.scores:
        rows = [f"| {score.name} | {score.value:.2f} | `{score.signature}` |" for score in scores.scores]
        table = "\n".join(["| score | value | signature |", "|---|---:|---|", *rows])
        sections += ["## Scores", scores.measured, table]
    sections += ["## Training data", *_describe_data(recipe, corpus)]
    sections += ["## Intended use and limits", *_describe_use(recipe, pair)]
    text = "\n\n".join(escape_controls(section, keep="\n") for section in sections)
    return f"---\n{front}---\n\n{text}\n"


def _front_matter(
    name: str, recipe: Recipe, corpus: CorpusCard | None, languages: Sequence[str], scores: CardScores | None
) -> str:
    task = TASKS[recipe.task]
    cells = [settings.cell for settings in find_stack_settings(recipe).values()]
    named = (cell for entry in cells for cell in (entry if isinstance(entry, list) else [entry]))
    entries: dict[str, Any] = {
        "language": sorted({code for code in languages if LANGUAGE.fullmatch(code)}),
        **(_licence(corpus.licence) if corpus else {}),
        "library_name": LIBRARY,
        "pipeline_tag": task,
        "tags": [task, "recurrent-neural-network", *dict.fromkeys(c for c in named if ".py:" not in c)],
    }
    if scores is not None and scores.dataset:
        dataset = {"type": scores.dataset, "name": scores.dataset, "split": "test"}
        metrics = [
            {"type": re.sub(r"[\d+]+$", "", score.name.lower()), "value": round(score.value, 2)}
            | {"name": f"{score.name}|{score.signature}"}
            for score in scores.scores
        ]
        results = [{"task": {"type": task}, "dataset": dataset, "metrics": metrics}]
        entries["model-index"] = [{"name": name, "results": results}]
    return yaml.safe_dump({key: value for key, value in entries.items() if value}, sort_keys=False)


def _licence(text: str) -> dict[str, str]:
    """Return the entries of a corpus's licence: an identifier, or `other` and its name."""
    name = re.sub(r"[^a-z0-9.]+", "-", text.partition("(")[0].strip().lower())
    return {"license": name} if name in LICENCES else {"license": "other", "license_name": name}


def _describe_data(recipe: Recipe, corpus: CorpusCard | None) -> list[str]:
    if corpus is not None:
        return [
            f"The corpus {corpus.name} ({corpus.source.strip()}): {corpus.description.strip()}",
            f"Licence of the corpus: {corpus.licence}.",
        ]
    if isinstance(recipe.data, PairSettings) and recipe.data.corpora:
        names = f"The corpora {', '.join(corpus.name for corpus in recipe.data.corpora)}"
    else:
        names = "Text of whoever trained the model"
    return [f"{names}, as recipe.yaml names it.", UNKNOWN_LICENCE]


def _describe_use(recipe: Recipe, pair: str) -> list[str]:
    use = f"Translation{pair}" if pair else "Sampling, scoring and shallow fusion"
    return [
        f"{use} of text like the training data, line by line. On other text expect more mistakes: words that "
        "the training data does not have, other domains and styles, longer sentences.",
        "Output can be fluent and wrong, and can repeat sentences and prejudices of the training data: have "
        "it checked wherever a mistake does harm.",
    ]
