"""Language models: trained by the one loop, run on their own output, and measured."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from nmt.data.batches import Batch, BatchPlan, read_validation_batches
from nmt.data.pair_rules import LineFilter
from nmt.data.pairs import Corpus, read_pairs
from nmt.data.sources import find_part
from nmt.data.store import TokenStore
from nmt.data.store.builder import prepare_store
from nmt.data.streams import StreamLayout, read_chunks
from nmt.data.text import read_lines
from nmt.data.vocabulary import EOS, UNK, Vocabulary, load_vocabulary
from nmt.decoding.ensemble import Fusion
from nmt.decoding.job import Job
from nmt.decoding.model import Model
from nmt.decoding.options import Options
from nmt.decoding.sampling import SampledTexts, sample_texts, split_lines
from nmt.errors import UsageError
from nmt.model.inference import InferenceModel
from nmt.model.translator import Translator
from nmt.recipe.artifact import LanguageModel
from nmt.recipe.build.model import build_language_model
from nmt.recipe.build.objective import likelihood
from nmt.recipe.prepare_data import (
    Pairs,
    Streams,
    forget,
    home,
    learn,
    remember,
    store_file,
    sums,
    vocabulary_file,
)
from nmt.recipe.schema import LanguageModelRecipe
from nmt.recipe.tasks.task import Task
from nmt.training.distributed import Processes
from nmt.training.gate_logging import log_gates
from nmt.training.loss import LossTotals
from nmt.training.settings import ValidateFunction
from nmt.training.validation import GeneratedText, ValidationResult, evaluation_mode, teacher_forced_totals

STREAMS, LONG, CHUNK = 16, 1_000, 256
"""A validation text is read in so many streams at most, of so many positions at least, so many at a time."""
LINES = 64
SHOWN = 60
"""Pieces of each text that a validation shows."""


def task(recipe: LanguageModelRecipe, run: Path, processes: Processes) -> Task:
    """A language model, ready to be trained in the directory `run`."""
    train, valid = find_part(recipe.data, "train"), find_part(recipe.data, "valid")
    if remember(run, {"the training text": sums(run, train), "the validation text": sums(run, valid)}):
        forget(run)
    vocabulary = _vocabulary(recipe, train, run)
    remember(run, {"the vocabulary": vocabulary.fingerprint()})
    learnt = stored(recipe, store_file(run, "train"), train, vocabulary, recipe.data.max_length)
    judged = stored(recipe, store_file(run, "valid"), valid, vocabulary)
    found = LanguageModel(build_language_model(recipe, len(vocabulary)), vocabulary, recipe)
    validate: ValidateFunction = Validator(found, judged, processes)
    if recipe.training.validation.gates and processes.is_first:
        chunked = recipe.training.chunk is not None
        validate = log_gates(validate, judged, seed=recipe.seed, chunked=chunked)
    return Task(
        found.model,
        epochs(recipe, learnt),
        likelihood(recipe),
        validate,
        "loss",
        f"training text: {learnt.report}\nvalidation text: {judged.report}\n{len(vocabulary):,} tokens",
    )


def _vocabulary(recipe: LanguageModelRecipe, train: Corpus, run: Path) -> Vocabulary:
    """The run's vocabulary, learnt or taken over when it starts."""
    kept = vocabulary_file(run, "target")
    if kept is not None:
        return load_vocabulary(kept)
    same_as, start = recipe.subwords.same_as, recipe.training.start_from
    if same_as is not None:
        vocabulary = _taken("subwords.same_as", Path(same_as))
    elif start is not None:
        vocabulary = _taken("training.start_from", home(Path(start)))
    else:
        vocabulary = learn(recipe, (line for _, line in read_pairs(train)))
    vocabulary.save(run / f"target{vocabulary.suffix}")
    return vocabulary


def _taken(setting: str, run: Path) -> Vocabulary:
    file = vocabulary_file(run, "target")
    if file is None:
        raise UsageError(f"{setting}: {run} is not a run or model directory: it has no target vocabulary")
    return load_vocabulary(file)


def stored(
    recipe: LanguageModelRecipe,
    path: Path,
    corpus: Corpus,
    vocabulary: Vocabulary,
    longest: int | None = None,
) -> TokenStore:
    """A text in pieces: as one stream with every line, or as lines without the blank ones."""
    workers = recipe.data.workers
    if recipe.training.chunk:
        return prepare_store(path, corpus, tgt=vocabulary, keep=None, with_ends=True, workers=workers)
    return prepare_store(path, corpus, tgt=vocabulary, keep=LineFilter(longest), workers=workers)


def epochs(recipe: LanguageModelRecipe, store: TokenStore) -> Pairs | Streams:
    batch, chunk = recipe.training.batch, recipe.training.chunk
    if chunk:
        return Streams(store, StreamLayout(batch.size, chunk))
    return Pairs(store, BatchPlan(batch.by, batch.size, recipe.seed))


def read(recipe: LanguageModelRecipe, store: TokenStore, streams: int) -> Iterable[Batch]:
    """The whole text once."""
    if recipe.training.chunk:
        return read_chunks(
            store, StreamLayout(max(1, min(streams, len(store.tgt.tokens.values) // LONG)), CHUNK)
        )
    return read_validation_batches(store, BatchPlan("sentences", LINES, recipe.seed))


class Validator:
    """Measures a language model on the validation text, and shows what it writes by itself."""

    def __init__(self, found: LanguageModel, judged: TokenStore, processes: Processes) -> None:
        self.found, self.judged, self.processes = found, judged, processes

    def __call__(self, model: Translator, name: str) -> ValidationResult:
        """Measure; the model's mode and the random generators are afterwards as they were."""
        recipe, count = self.found.recipe, self.found.recipe.training.validation.samples
        with evaluation_mode(model):
            scores = teacher_forced_totals(model, read(recipe, self.judged, STREAMS), self.processes).means()
            options = Options(sample=True, n_best=max(count, 1), seed=recipe.seed)
            texts = sampled(self.found, options, SHOWN) if count and self.processes.is_first else []
        return ValidationResult(scores, [GeneratedText(" ↵ ".join(text)) for text in texts])


def prepared(found: LanguageModel) -> Model:
    """The language model as a search wants it, with the weights that it has now."""
    return InferenceModel(found.model, eos=EOS)


def fused(job: Job, found: LanguageModel, weight: float) -> Job:
    """The job with a language model at its side; UsageError unless both write the same pieces."""
    if found.vocabulary.fingerprint() != job.target.fingerprint():
        raise UsageError(
            "the language model has a different vocabulary from the translator, so they cannot be combined: "
            "train it with subwords.same_as=RUN of the translator"
        )
    return job._replace(model=Fusion(job.model, prepared(found), weight))


def sampled(found: LanguageModel, options: Options, length: int, prompt: str = "") -> list[list[str]]:
    """`options.n_best` texts of `length` pieces after a prompt, which they begin with, as lines."""
    texts = run_free(found, options, length, prompt).tokens
    return [[found.vocabulary.decode(line) for line in split_lines(text)] for text in texts]


def run_free(found: LanguageModel, options: Options, length: int, prompt: str = "") -> SampledTexts:
    """What the model writes on its own output; see `nmt.decoding.sampling.sample_texts`."""
    encoded = found.vocabulary.encode_all(prompt.split("\n"))
    start = [piece for line in encoded for piece in (*line, EOS)][:-1]
    line_by_line = found.recipe.training.chunk is None
    return sample_texts(prepared(found), options, length, start, line_by_line=line_by_line)


class Perplexity(NamedTuple):
    """A language model on a text, and on its own."""

    text: LossTotals  # every piece of the text, the true ones before it read
    characters: int  # of the text, its line ends counted
    unknown: int  # pieces of the text that are <unk>
    kept: str  # which lines were read
    own: LossTotals  # pieces drawn from the model, its own ones before them read


def perplexity(found: LanguageModel, file: Path, *, most: int, seed: int) -> Perplexity:
    """Measure on a file, and on as much text of the model's own (at most `most` pieces)."""
    corpus = Corpus((file,), parallel=False)
    with TemporaryDirectory() as folder:
        store = stored(found.recipe, Path(folder) / "text", corpus, found.vocabulary)
        with evaluation_mode(found.model):
            text = teacher_forced_totals(found.model, read(found.recipe, store, 1))
        unknown = sum(int((pieces == UNK).sum()) for pieces in store.tgt.tokens.values.parts)
        kept, numbers = str(store.report), set(store.lines.tolist())
    characters = sum(len(line) + 1 for number, line in enumerate(read_lines(file), 1) if number in numbers)
    return Perplexity(text, characters, unknown, kept, _own(found, min(text.tokens, most), seed))


def _own(found: LanguageModel, pieces: int, seed: int) -> LossTotals:
    options = Options(sample=True, n_best=min(STREAMS, pieces), seed=seed)
    written = run_free(found, options, -(-pieces // options.n_best))
    nll = -float(written.log_probs.sum(dtype="float64"))
    return LossTotals(loss=nll, nll=nll, tokens=written.tokens.size)
