"""The interface of a task: everything that training and loading need to know about a task."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, NamedTuple

from nmt.data.batches import Batch
from nmt.data.pairs import Corpus
from nmt.data.store import TokenStore
from nmt.data.vocabulary import Vocabulary
from nmt.evaluation.metrics import Score
from nmt.model.translator import TranslationModel
from nmt.recipe.artifact import LoadedModel
from nmt.recipe.schema import RecipeT
from nmt.training.distributed import Processes
from nmt.training.loop import EpochBatches
from nmt.training.objectives.likelihood import Objective
from nmt.training.validation import ValidateFunction


class PreparedTask(NamedTuple):
    """A model and all that training it needs: batches, objective and validation."""

    model: TranslationModel
    epochs: EpochBatches
    objective: Objective
    validate: ValidateFunction
    description: str  # of the data and the vocabularies, for the log


class EvaluationReport(NamedTuple):
    """The results of a model on the test data, for `nmt run`."""

    data: str = ""  # what was read
    texts: Sequence[Mapping[str, str]] = ()  # each test line with its translation, by their labels
    scores: Sequence[Score] = ()
    measurements: Sequence[tuple[str, str]] = ()  # other results: label and value
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Task(ABC, Generic[RecipeT]):
    """A recipe and everything that depends on its task."""

    recipe: RecipeT
    usage_hint: ClassVar[str]
    """A use of the trained model: a line with `{}` for the run directory."""

    @abstractmethod
    def prepare(self, run: Path, processes: Processes) -> PreparedTask:
        """Prepare the data in the run directory, and build the model with initial weights."""

    @abstractmethod
    def build_model(self, vocabulary_sizes: Sequence[int]) -> TranslationModel:
        """Build the model with initial weights, for vocabularies of the given sizes."""

    @abstractmethod
    def load(self, path: Path) -> LoadedModel:
        """Load the trained model in a run directory, a checkpoint or a model directory."""

    @abstractmethod
    def find_corpus(self, name: str) -> Corpus:
        """Find a corpus of this task's kind, relative to the current folder."""

    @abstractmethod
    def encode_corpus(self, vocabularies: Sequence[Vocabulary], corpus: Corpus, path: Path) -> TokenStore:
        """Encode a corpus without limiting the length of lines."""

    @abstractmethod
    def translate_validation_lines(self, run: Path, count: int) -> list[tuple[int, str, str, str]]:
        """Translate about `count` validation lines with the best checkpoint, if the task is translation.

        Returns the number, source, reference and translation of each line.
        """

    @abstractmethod
    def check_test_data(self) -> None:
        """Raise an error if the test data cannot be read."""

    @abstractmethod
    def test(self, run: Path) -> EvaluationReport:
        """Test the best checkpoint of a run on the test data of its recipe."""

    @abstractmethod
    def read_once(self, store: TokenStore) -> Iterable[Batch]:
        """Read an encoded corpus once, in batches like those of validation."""

    @abstractmethod
    def epoch_batches(self, store: TokenStore) -> EpochBatches:
        """Return the batches of an encoded corpus in each epoch, like those of training."""
