"""`tuning.json`: the search and the estimate of quality that `nmt tune` chose for a model's weights."""

import json
import logging
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from annotated_types import Ge

from nmt import __version__
from nmt.decoding.options import Beam, LengthPenalty, SearchSettings
from nmt.evaluation.quality import QualityModel
from nmt.settings import Number
from nmt.untrusted_files import read_json

log = logging.getLogger(__name__)

TUNING = "tuning.json"  # in run, model and export directories


@dataclass(frozen=True)
class BeamAndPenalty:
    """A beam and a length penalty."""

    beam: Beam
    length_penalty: LengthPenalty

    __pydantic_config__ = {"allow_inf_nan": False}

    def __str__(self) -> str:
        return f"beam {self.beam}, length penalty {self.length_penalty:g}"


@dataclass(frozen=True)
class TunedSearch:
    """The chosen search, the recipe's search that it replaces, and their scores on validation pairs."""

    chosen: BeamAndPenalty
    replaced: BeamAndPenalty
    metric: str
    score: Number
    replaced_score: Number
    lines: Annotated[int, Ge(1)]


@dataclass(frozen=True)
class Tuning:
    """The content of `tuning.json`."""

    weights: str  # SHA-256 of the file of the weights that it is for
    search: TunedSearch
    quality: QualityModel | None = None
    nmt: str = __version__  # the version that wrote it

    def apply(self, search: SearchSettings) -> SearchSettings:
        """Return `search` with the choice applied, unless the recipe's search changed after the tuning."""
        known = (self.search.replaced, self.search.chosen)
        if BeamAndPenalty(search.beam, search.length_penalty) not in known:
            log.warning("the search of recipe.yaml has changed since `nmt tune`: %s is not used", TUNING)
            return search
        return replace(search, **asdict(self.search.chosen))

    def describe(self) -> list[str]:
        """Describe the choice and the quality, a sentence each."""
        tuned = self.search
        texts = [
            f"search: {tuned.chosen}, chosen on {tuned.lines:,} validation lines: {tuned.metric} "
            f"{tuned.score:.2f}; with the recipe's {tuned.replaced}: {tuned.replaced_score:.2f}"
        ]
        return texts + ([self.quality.describe()] if self.quality else [])

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"


def read_tuning(folder: Path) -> Tuning | None:
    """Return the choice in a directory; None if there is none."""
    file = folder / TUNING
    return read_json(file, Tuning) if os.path.lexists(file) else None


def find_tuning(folder: Path, weights: str, *, is_named: bool = True) -> Tuning | None:
    """Return the choice in a directory if it is for the weights with this SHA-256.

    A choice for other weights is ignored, with a warning if the user named the directory (`is_named`).
    """
    tuning = read_tuning(folder)
    if tuning is None or tuning.weights == weights:
        return tuning
    if is_named:
        log.warning(
            "%s is for other weights and not used, the search is the recipe's: run `nmt tune %s --write`",
            folder / TUNING,
            folder,
        )
    return None
