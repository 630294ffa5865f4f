"""The inputs of a project directory, and the results of the steps that create it."""

from collections import Counter
from dataclasses import dataclass, field

from nmt.data.pair_rules import FilterReport
from nmt.data.pairs import Corpus
from nmt.data.splitting import SplitReport, SplitSettings
from nmt.lab.doctor.finding import Finding
from nmt.lab.project.fitting import FittedSettings
from nmt.lab.project.pair_files import PairInputs


@dataclass
class ProjectFacts:
    """Inputs of a project, with the results of survey, cleaning, split and fitting as they become known."""

    inputs: PairInputs
    split_settings: SplitSettings
    findings: list[tuple[Corpus, list[Finding]]] = field(default_factory=list)
    scripts: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))
    longest: tuple[int, int] = (0, 0)  # characters that 99% of the lines of each side have at most
    characters: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))
    cleaning: FilterReport = field(default_factory=FilterReport)
    language_findings: list[Finding] = field(default_factory=list)
    split: SplitReport = field(default_factory=SplitReport)
    fitted: FittedSettings | None = None
