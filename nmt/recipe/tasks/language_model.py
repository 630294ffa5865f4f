"""Language models: preparation, training, sampling and perplexity."""

import math
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from nmt.data.batches import Batch, BatchPlan, BatchSettings, read_validation_batches
from nmt.data.pair_rules import LineFilter
from nmt.data.pairs import Corpus, find_text_file, read_pairs
from nmt.data.sources import find_part
from nmt.data.store import TokenStore
from nmt.data.store.builder import prepare_store
from nmt.data.streams import StreamLayout, read_chunks
from nmt.data.text import read_lines
from nmt.data.vocabulary import BOS, EOS, PAD, UNK, Vocabulary, load_vocabulary
from nmt.data.vocabulary.training import train_vocabulary
from nmt.decoding import SAMPLED_TOKENS
from nmt.decoding.ensemble import ShallowFusion
from nmt.decoding.job import Job
from nmt.decoding.model import Model
from nmt.decoding.options import Options
from nmt.decoding.sampling import SampledTexts, sample_texts, split_lines
from nmt.errors import DataError, UsageError
from nmt.model.decoder import build_language_model_decoder
from nmt.model.encoder import NoEncoder
from nmt.model.inference import InferenceModel
from nmt.model.translator import TranslationModel
from nmt.recipe.artifact import find_trained, load_trained
from nmt.recipe.model_memory import build_within_memory
from nmt.recipe.prepare_data import (
    PairBatches,
    StreamBatches,
    data_checksums,
    model_directory,
    record_checksums,
    remove_vocabularies,
    store_directory,
    vocabulary_file,
)
from nmt.recipe.schema import LanguageModelRecipe, select_task
from nmt.recipe.starting_point import adapt_vocabulary
from nmt.recipe.tasks.task import EvaluationReport, PreparedTask, Task
from nmt.training.distributed import Processes
from nmt.training.gate_logging import log_gates
from nmt.training.loss import LossTotals
from nmt.training.objectives.likelihood import Likelihood, Objective, add_r_drop
from nmt.training.validation import ValidateFunction, ValidationResult, evaluation_mode, sum_losses

STREAMS, LONG, CHUNK = 16, 1_000, 256
"""A validation text is read in at most STREAMS streams of at least LONG positions, CHUNK at a time."""
LINES = 64
SHOWN = 60
"""Tokens of each text that a validation shows."""


class LoadedLanguageModel(NamedTuple):
    """A language model with its vocabulary and its recipe."""

    model: TranslationModel
    vocabulary: Vocabulary
    recipe: LanguageModelRecipe
    shortlist: None = None

    @property
    def vocabularies(self) -> tuple[Vocabulary, ...]:
        return (self.vocabulary,)


class LanguageModelTask(Task[LanguageModelRecipe]):
    """The training of a language model on text."""

    usage_hint = "Generate text:  nmt sample {}"

    def prepare(self, run: Path, processes: Processes) -> PreparedTask:
        recipe, data = self.recipe, self.recipe.data
        train, valid = find_part(data, "train"), find_part(data, "valid")
        checksums = {
            "the training text": data_checksums(run, train),
            "the validation text": data_checksums(run, valid),
        }
        if record_checksums(run, checksums):
            remove_vocabularies(run)
        vocabulary = _vocabulary(recipe, train, run)
        record_checksums(run, {"the vocabulary": vocabulary.fingerprint()})
        train_store = encode_text(
            recipe, store_directory(run, "train"), train, vocabulary, max_length=data.max_length
        )
        valid_store = encode_text(recipe, store_directory(run, "valid"), valid, vocabulary)
        loaded = LoadedLanguageModel(self.build_model([len(vocabulary)]), vocabulary, recipe)
        validate: ValidateFunction = LanguageModelValidator(loaded, valid_store, processes)
        if recipe.training.validation.gates and processes.is_first:
            chunked = recipe.training.chunk is not None
            validate = log_gates(validate, valid_store, seed=recipe.seed, chunked=chunked)
        return PreparedTask(
            loaded.model,
            self.epoch_batches(train_store),
            build_likelihood(recipe),
            validate,
            f"training text: {train_store.report}\nvalidation text: {valid_store.report}\n"
            f"{len(vocabulary):,} tokens",
        )

    def build_model(self, vocabulary_sizes: Sequence[int]) -> TranslationModel:
        return build_within_memory(self.recipe, lambda: build_language_model(self.recipe, *vocabulary_sizes))

    def load(self, path: Path) -> LoadedLanguageModel:
        return load_language_model(path)

    def find_corpus(self, name: str) -> Corpus:
        return find_text_file(name, root=Path())

    def encode_corpus(self, vocabularies: Sequence[Vocabulary], corpus: Corpus, path: Path) -> TokenStore:
        [vocabulary] = vocabularies
        return encode_text(self.recipe, path, corpus, vocabulary)

    def translate_validation_lines(self, run: Path, count: int) -> list[tuple[int, str, str, str]]:
        return []

    def check_test_data(self) -> None:
        find_part(self.recipe.data, "test")

    def test(self, run: Path) -> EvaluationReport:
        [text] = find_part(self.recipe.data, "test").files
        loaded, most = self.load(run), SAMPLED_TOKENS
        return measure_perplexity(loaded, text, max_tokens=most, seed=self.recipe.seed).report()

    def read_once(self, store: TokenStore) -> Iterable[Batch]:
        return read_text(self.recipe, store, STREAMS)

    def epoch_batches(self, store: TokenStore) -> PairBatches | StreamBatches:
        batch, chunk = self.recipe.training.batch, self.recipe.training.chunk
        if chunk:
            return StreamBatches(store, StreamLayout(batch.size, chunk))
        return PairBatches(store, BatchPlan(batch, self.recipe.seed))


def build_language_model(recipe: LanguageModelRecipe, vocabulary_size: int) -> TranslationModel:
    """Build the language model of a recipe with initial weights: a decoder alone."""
    decoder = build_language_model_decoder(
        recipe.decoder,
        vocabulary_size,
        pad=PAD,
        bos=BOS,
        eos=EOS,
        engine=recipe.engine,
        recompute=recipe.training.recompute,
    )
    return TranslationModel(NoEncoder(), decoder, pad=PAD)


def build_likelihood(recipe: LanguageModelRecipe) -> Objective:
    """Build the training objective."""
    training = recipe.training
    sample = training.teacher_forcing.feedback == "sample"
    return add_r_drop(Likelihood(settings=training, sample=sample))


def load_language_model(path: Path) -> LoadedLanguageModel:
    """Load the language model of a run or model directory, or of a checkpoint; see `load_translator`."""
    trained = find_trained(path)
    folder, recipe = trained.folder, select_task(trained.recipe, LanguageModelRecipe)
    if recipe is None:
        raise UsageError(f"{path} is a translator; expected a language model (task: language-model)")
    file = vocabulary_file(folder, "target")
    if file is None:
        raise DataError(f"{folder} has no vocabulary: is it a run or a model directory?")
    vocabulary = load_vocabulary(file)
    model = load_trained(recipe, lambda: build_language_model(recipe, len(vocabulary)), trained.weights)
    return LoadedLanguageModel(model, vocabulary, recipe)


def _vocabulary(recipe: LanguageModelRecipe, train: Corpus, run: Path) -> Vocabulary:
    """Load the run's vocabulary; a new run's is trained, or copied from another model."""
    kept = vocabulary_file(run, "target")
    if kept is not None:
        return load_vocabulary(kept)
    same_as, start = recipe.subwords.same_as, recipe.training.start_from
    train_new = partial(train_vocabulary, lines := (pair[1] for pair in read_pairs(train)), seed=recipe.seed)
    if same_as is not None:
        vocabulary = _vocabulary_of("subwords.same_as", Path(same_as))
    elif start is None or recipe.subwords.from_start == "new":
        vocabulary = train_new(recipe.subwords)
    else:
        old = _vocabulary_of("training.start_from", folder := model_directory(Path(start)))
        vocabulary = adapt_vocabulary(recipe, folder, old, "training", lines, train_new)
    vocabulary.save(run / f"target{vocabulary.suffix}")
    return vocabulary


def _vocabulary_of(setting: str, run: Path) -> Vocabulary:
    file = vocabulary_file(run, "target")
    if file is None:
        raise UsageError(f"{setting}: {run} is not a run or model directory: it has no target vocabulary")
    return load_vocabulary(file)


def encode_text(
    recipe: LanguageModelRecipe,
    path: Path,
    corpus: Corpus,
    vocabulary: Vocabulary,
    *,
    max_length: int | None = None,
) -> TokenStore:
    """Encode a text: with chunks as one stream of all lines, else as lines without the blank ones."""
    workers = recipe.data.workers
    if recipe.training.chunk:
        return prepare_store(path, corpus, tgt=vocabulary, keep=None, with_ends=True, workers=workers)
    return prepare_store(path, corpus, tgt=vocabulary, keep=LineFilter(max_length), workers=workers)


def read_text(recipe: LanguageModelRecipe, store: TokenStore, streams: int) -> Iterable[Batch]:
    """Read the whole text once."""
    if recipe.training.chunk:
        return read_chunks(
            store, StreamLayout(max(1, min(streams, len(store.tgt.tokens.values) // LONG)), CHUNK)
        )
    return read_validation_batches(store, BatchPlan(BatchSettings(size=LINES), recipe.seed))


class LanguageModelValidator:
    """An evaluation of a language model on the validation text, with texts sampled from it."""

    def __init__(self, loaded: LoadedLanguageModel, store: TokenStore, processes: Processes) -> None:
        self.loaded, self.store, self.processes = loaded, store, processes

    def __call__(self, model: TranslationModel, name: str) -> ValidationResult:
        """Measure; the model's mode and the random generators are restored."""
        recipe, count = self.loaded.recipe, self.loaded.recipe.training.validation.samples
        with evaluation_mode(model):
            batches = read_text(recipe, self.store, STREAMS)
            scores = sum_losses(model, batches, self.processes).means()
            options = Options(sample=True, n_best=max(count, 1), seed=recipe.seed)
            texts = sample_lines(self.loaded, options, SHOWN) if count and self.processes.is_first else []
        return ValidationResult(scores, [{"text": " ↵ ".join(text)} for text in texts])


def build_search_model(loaded: LoadedLanguageModel) -> Model:
    """Build the model that a search or a sampler runs, from the current weights."""
    return InferenceModel(loaded.model, eos=EOS)


def fuse_language_model(job: Job, loaded: LoadedLanguageModel, weight: float) -> Job:
    """Add a language model to a translation job (shallow fusion); UsageError if the vocabularies differ."""
    if loaded.vocabulary.fingerprint() != job.target.fingerprint():
        raise UsageError(
            "the language model has a different vocabulary from the translator, so they cannot be combined: "
            "train it with subwords.same_as=RUN of the translator"
        )
    fused = ShallowFusion(job.model, build_search_model(loaded), weight)
    return job._replace(model=fused, estimator=None)


def sample_lines(
    loaded: LoadedLanguageModel, options: Options, length: int, prompt: str = ""
) -> list[list[str]]:
    """Sample `options.n_best` texts of `length` tokens after a prompt, with which they begin, as lines."""
    texts = sample_tokens(loaded, options, length, prompt).tokens
    return [[loaded.vocabulary.decode(line) for line in split_lines(text)] for text in texts]


def sample_tokens(
    loaded: LoadedLanguageModel, options: Options, length: int, prompt: str = ""
) -> SampledTexts:
    """Sample texts after a prompt; see `nmt.decoding.sampling.sample_texts`."""
    encoded = loaded.vocabulary.encode_all(prompt.split("\n"))
    start = [token for line in encoded for token in (*line, EOS)][:-1]
    line_by_line = loaded.recipe.training.chunk is None
    return sample_texts(build_search_model(loaded), options, length, start, line_by_line=line_by_line)


class Perplexity(NamedTuple):
    """The losses of a language model on a text, and on text sampled from it."""

    text: LossTotals  # of every token of the text, after the true previous tokens
    characters: int  # of the text, with line ends
    unknown: int  # tokens of the text that are <unk>
    kept: str  # the lines that were read
    sampled: LossTotals  # of tokens sampled from the model, after its own previous tokens

    def report(self) -> EvaluationReport:
        """Lay out the measurements for printing."""
        text, sampled = self.text.means(), self.sampled.means()
        bits = self.text.nll / self.characters / math.log(2)
        per_token = "{:.3f} per token ({:,} tokens)".format
        on_text = per_token(text["perplexity"], self.text.tokens)
        measurements = [
            ("on the text", f"{on_text}, {bits:.3f} bits per character ({self.characters:,})"),
            ("on its output", per_token(sampled["perplexity"], self.sampled.tokens)),
            ("gap", f"{text['loss'] - sampled['loss']:+.3f} nats per token"),
        ]
        note = f"{self.unknown:,} tokens are <unk>: not comparable with a model that knows all characters"
        return EvaluationReport(
            data=self.kept, measurements=measurements, notes=[note] if self.unknown else []
        )


def measure_perplexity(loaded: LoadedLanguageModel, file: Path, *, max_tokens: int, seed: int) -> Perplexity:
    """Measure on a file, and on as many tokens sampled from the model (at most `max_tokens`)."""
    corpus = Corpus((file,), parallel=False)
    with TemporaryDirectory() as folder:
        store = encode_text(loaded.recipe, Path(folder) / "text", corpus, loaded.vocabulary)
        with evaluation_mode(loaded.model):
            text = sum_losses(loaded.model, read_text(loaded.recipe, store, 1))
        unknown = sum(int((tokens == UNK).sum()) for tokens in store.tgt.tokens.values.parts)
        kept, numbers = str(store.report), set(store.lines.tolist())
    characters = sum(len(line) + 1 for number, line in enumerate(read_lines(file), 1) if number in numbers)
    return Perplexity(
        text, characters, unknown, kept, _sampled_totals(loaded, min(text.tokens, max_tokens), seed)
    )


def _sampled_totals(loaded: LoadedLanguageModel, tokens: int, seed: int) -> LossTotals:
    options = Options(sample=True, n_best=min(STREAMS, tokens), seed=seed)
    written = sample_tokens(loaded, options, -(-tokens // options.n_best))
    nll = -float(written.log_probs.sum(dtype="float64"))
    return LossTotals(loss=nll, nll=nll, tokens=written.tokens.size)
