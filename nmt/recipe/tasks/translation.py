"""Translation: preparation, training, search and test of translators."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from nmt.data.batches import Batch, BatchPlan, BatchSettings, SubwordSampling, read_validation_batches
from nmt.data.pair_joining import PairJoin
from nmt.data.pair_rules import ANY_LENGTH
from nmt.data.pairs import Corpus, find_corpus, read_pairs
from nmt.data.protection import build_protection
from nmt.data.protection.practice import CopyPractice
from nmt.data.shortlist import Shortlist, load_shortlist
from nmt.data.sources import compute_passes, find_part
from nmt.data.store import TokenStore
from nmt.data.store.builder import prepare_store
from nmt.data.trained_lengths import TrainedLengths, read_lengths
from nmt.data.vocabulary import EOS, PAD, SIDES, Vocabulary
from nmt.decoding.job import Job
from nmt.decoding.model import Model
from nmt.decoding.options import Options
from nmt.decoding.translation import translate_lines
from nmt.errors import DataError, UsageError
from nmt.evaluation.metrics import DEFAULT_METRICS, METRICS, score, sentence_utility
from nmt.evaluation.tuning import Tuning
from nmt.files import write_file
from nmt.model.decoder import build_decoder
from nmt.model.encoder import Encoder
from nmt.model.inference import InferenceModel
from nmt.model.translator import TranslationModel
from nmt.recipe.artifact import SHORTLIST, find_trained, load_trained
from nmt.recipe.model_memory import build_within_memory
from nmt.recipe.prepare_data import (
    PairBatches,
    TranslationData,
    load_vocabularies,
    model_directory,
    prepare_pairs,
)
from nmt.recipe.schema import TranslationRecipe, select_task
from nmt.recipe.tasks.task import EvaluationReport, PreparedTask, Task
from nmt.training.distributed import Processes
from nmt.training.gate_logging import log_gates
from nmt.training.objectives.likelihood import Likelihood, Objective, add_r_drop
from nmt.training.objectives.noise import SwitchOut, SwitchOutSettings
from nmt.training.objectives.risk import CandidateSampler, MinimumRisk, Reinforce, Utility
from nmt.training.validation import TranslationValidator, ValidateFunction

VALIDATION_BATCH = BatchSettings(size=64)


class LoadedTranslator(NamedTuple):
    """A translator with its vocabularies and its recipe."""

    model: TranslationModel
    source: Vocabulary
    target: Vocabulary
    recipe: TranslationRecipe
    shortlist: Shortlist | None = None
    lengths: TrainedLengths | None = None  # None if unknown
    tuning: Tuning | None = None  # of the search and the quality of these weights

    @property
    def vocabularies(self) -> tuple[Vocabulary, ...]:
        return self.source, self.target


class TranslationTask(Task[TranslationRecipe]):
    """The training of a translator on sentence pairs."""

    usage_hint = "Translate with it:  echo '...' | nmt translate {0}\nTry it in a browser:  nmt serve {0}"

    def prepare(self, run: Path, processes: Processes) -> PreparedTask:
        recipe = self.recipe
        data, alpha = prepare_pairs(recipe, run), recipe.subwords.sampling
        model = self.build_model([len(data.source), len(data.target)])
        validate: ValidateFunction = build_validator(recipe, data, run, model, processes)
        if recipe.training.validation.gates and processes.is_first:
            validate = log_gates(validate, data.valid, seed=recipe.seed)
        passes = compute_passes(recipe.data, [part.pairs for part in data.train.parts])
        plan = self._plan(passes)._replace(join=self._join(data))
        sampling = SubwordSampling(data.source, data.target, alpha) if alpha else None
        return PreparedTask(
            model,
            PairBatches(data.train, plan, sampling, _build_practice(recipe, data)),
            build_objective(recipe, data.target),
            validate,
            data.describe(),
        )

    def build_model(self, vocabulary_sizes: Sequence[int]) -> TranslationModel:
        return build_within_memory(self.recipe, lambda: build_translator(self.recipe, *vocabulary_sizes))

    def load(self, path: Path) -> LoadedTranslator:
        return load_translator(path)

    def find_corpus(self, name: str) -> Corpus:
        return find_corpus(name, root=Path(), src=self.recipe.data.src, tgt=self.recipe.data.tgt)

    def encode_corpus(self, vocabularies: Sequence[Vocabulary], corpus: Corpus, path: Path) -> TokenStore:
        source, target = vocabularies
        protection = build_protection(self.recipe.protected_kinds, source, target)
        return prepare_store(path, corpus, src=source, tgt=target, keep=ANY_LENGTH, protection=protection)

    def translate_validation_lines(self, run: Path, count: int) -> list[tuple[int, str, str, str]]:
        pairs = list(read_pairs(find_part(self.recipe.data, "valid")))
        indices = range(0, len(pairs), max(1, len(pairs) // count))  # spread evenly
        hyps = translate_lines(((pairs[i][0], None) for i in indices), build_job(load_translator(run)))
        return [(i + 1, *pairs[i], hyp.text) for i, hyp in zip(indices, hyps, strict=True)]

    def check_test_data(self) -> None:
        read_test_pairs(self.recipe)

    def test(self, run: Path) -> EvaluationReport:
        return translate_test_set(run)

    def read_once(self, store: TokenStore) -> Iterable[Batch]:
        return read_validation_batches(store, BatchPlan(VALIDATION_BATCH, self.recipe.seed))

    def epoch_batches(self, store: TokenStore) -> PairBatches:
        return PairBatches(store, self._plan(()))

    def _join(self, data: TranslationData) -> PairJoin | None:
        settings = self.recipe.data
        if not settings.join_sentences:
            return None
        tags = tuple(corpus.tag for corpus in settings.corpora) or (None,)
        return PairJoin(settings.join_sentences, settings.max_length, (data.source, data.target), tags)

    def _plan(self, passes: tuple[float, ...]) -> BatchPlan:
        return BatchPlan(self.recipe.training.batch, self.recipe.seed, passes)


def _build_practice(recipe: TranslationRecipe, data: TranslationData) -> CopyPractice | None:
    if build_protection(recipe.protected_kinds, data.source, data.target) is None:
        return None
    return CopyPractice(data.source, data.target, recipe.data.copy_practice)


def build_translator(recipe: TranslationRecipe, source_size: int, target_size: int) -> TranslationModel:
    """Build the translator of a recipe with initial weights, for vocabularies of the given sizes."""
    encoder = Encoder(recipe.encoder, source_size, pad=PAD, engine=recipe.engine)
    decoder = build_decoder(
        recipe.decoder,
        encoder,
        target_size,
        pad=PAD,
        engine=recipe.engine,
        recompute=recipe.training.recompute,
    )
    return TranslationModel(encoder, decoder, pad=PAD)


def load_translator(path: Path) -> LoadedTranslator:
    """Load the translator in a run directory (its best checkpoint), a checkpoint or a model directory.

    Raises UsageError if there is none, DataError if a file is damaged.
    """
    trained = find_trained(path)
    folder, weights, recipe = trained.folder, trained.weights, select_task(trained.recipe, TranslationRecipe)
    if recipe is None:
        raise UsageError(f"{path} is a language model, not a translator; try `nmt sample {path}`")
    source, target = load_vocabularies(folder)
    model = load_trained(recipe, lambda: build_translator(recipe, len(source), len(target)), weights)
    lengths = read_lengths(folder)
    return LoadedTranslator(model, source, target, recipe, lengths=lengths, tuning=trained.tuning)


def load_with_shortlist(path: Path) -> LoadedTranslator:
    """Load the translator at `path` with its shortlist.

    Raises UsageError if it has none, DataError if it is damaged or of other vocabularies.
    """
    translator, folder = load_translator(path), model_directory(path)
    file = folder / SHORTLIST
    if not file.is_file():
        raise UsageError(
            f"{folder} has no shortlist: create it with `nmt shortlist RUN` "
            "(`nmt average` then copies it into model directories)"
        )
    vocabularies = dict(zip(SIDES, translator.vocabularies, strict=True))
    shortlist = load_shortlist(file, vocabularies, f"make it again with `nmt shortlist {folder}`")
    return translator._replace(shortlist=shortlist)


def build_objective(recipe: TranslationRecipe, target: Vocabulary) -> Objective:
    """Build the training objective; `target` decodes translations for the score of a risk."""
    training, risk = recipe.training, recipe.training.risk
    objective = build_likelihood(recipe)
    if training.switchout != SwitchOutSettings():
        objective = SwitchOut(objective, training.switchout)
    if training.objective == "likelihood":
        return objective
    sampler = CandidateSampler(
        samples=risk.samples,
        utility=_utility(risk.metric, recipe.evaluation.tokenize, target),
        options=Options(max_ratio=recipe.search.max_ratio, max_extra=recipe.search.max_extra),
    )
    kind = Reinforce if training.objective == "reinforce" else MinimumRisk
    return kind(likelihood=objective, settings=risk, sampler=sampler)


def build_likelihood(recipe: TranslationRecipe) -> Objective:
    """Build the likelihood with its additional losses, and R-Drop."""
    training = recipe.training
    sample = training.teacher_forcing.feedback == "sample"
    return add_r_drop(Likelihood(settings=training, attention=training, sample=sample))


def _utility(metric: str, tokenize: str, target: Vocabulary) -> Utility:
    """Return a metric's score of a sentence of token ids, from 0 to 1."""
    score = sentence_utility(metric, tokenize)
    return lambda hyp, ref: score(target.decode(hyp), target.decode(ref)) / 100


def build_validator(
    recipe: TranslationRecipe, data: TranslationData, run: Path, model: TranslationModel, processes: Processes
) -> TranslationValidator:
    """Build the validation: the loss on the validation pairs, and scores of greedy translations."""
    sources = [source for source, _ in data.valid_pairs]
    references = [data.target.join(reference) for _, reference in data.valid_pairs]
    plan = BatchPlan(VALIDATION_BATCH, recipe.seed)
    evaluation, validation = recipe.evaluation, recipe.training.validation
    names = dict.fromkeys([*DEFAULT_METRICS, validation.deciding_metric, *validation.stop_on])
    metrics = [name for name in names if name in METRICS]
    translator = LoadedTranslator(model, data.source, data.target, recipe, lengths=data.lengths)

    def translate(lines: Sequence[str]) -> list[str]:
        job = build_job(translator)  # bound to the current weights
        greedy = job._replace(options=replace(job.options, beam=1))
        return [translation.text for translation in translate_lines(((line, None) for line in lines), greedy)]

    score_lines = partial(
        score, metrics=metrics, lowercase=evaluation.lowercase, tokenize=evaluation.tokenize
    )
    score_lines([""], [[""]])  # a tokenizer that is not installed fails now, not at the first validation

    def compute_scores(hyps: list[str]) -> dict[str, float]:
        scores = score_lines(hyps, [references])
        return {name: score.value for name, score in zip(metrics, scores, strict=True)}

    return TranslationValidator(
        lambda: read_validation_batches(data.valid, plan),
        sources,
        references,
        translate=None if validation.deciding_metric == "loss" else translate,
        score=compute_scores,
        directory=run / "validation",
        samples=validation.samples,
        processes=processes,
    )


def build_job(translator: LoadedTranslator, *, int8: bool = False) -> Job:
    """Build the translation job of a recipe's section `search`; with int8 weights are 8-bit integers."""
    recipe = translator.recipe
    attends = recipe.decoder.attention != "none"
    protection = build_protection(recipe.protected_kinds, translator.source, translator.target)
    options = Options(**vars(recipe.search), unk=not translator.target.byte_tokens())
    job = Job(
        build_search_model(translator, int8=int8),
        translator.source,
        translator.target,
        options,
        attends,
        bleu_tokenizer=recipe.evaluation.tokenize,
        languages=(recipe.data.src, recipe.data.tgt),
        protection=protection,
        estimator=translator.tuning.quality if translator.tuning else None,
    )
    return job.with_lengths(translator.lengths)


def build_search_model(translator: LoadedTranslator, *, int8: bool = False) -> Model:
    """Build the model that a search runs, from the current weights."""
    shortlist = translator.shortlist
    select = None if shortlist is None else shortlist.select
    return InferenceModel(translator.model, eos=EOS, shortlist=select, int8=int8)


def read_test_pairs(recipe: TranslationRecipe) -> list[tuple[str, str]]:
    """Read the test pairs; DataError if there are none, UsageError if the recipe names none."""
    corpus = find_part(recipe.data, "test")
    pairs = list(read_pairs(corpus))
    if not pairs:
        raise DataError(f"data.test: {corpus} has no pairs")
    return pairs


def translate_test_set(run: Path) -> EvaluationReport:
    """Translate and score the test set of a run's recipe; the translations are kept in `run/test.hyp`."""
    translator = load_translator(run)
    evaluation = translator.recipe.evaluation
    sources, segmented = zip(*read_test_pairs(translator.recipe), strict=True)
    refs = list(map(translator.target.join, segmented))
    job, file = build_job(translator), run / "test.hyp"
    hyps = [translation.text for translation in translate_lines(((line, None) for line in sources), job)]
    write_file(file, "".join(f"{hyp}\n" for hyp in hyps).encode())
    scores = score(
        hyps,
        [refs],
        evaluation.metrics,
        lowercase=evaluation.lowercase,
        tokenize=evaluation.tokenize,
        name=str(file),
    )
    labels = ("source", "reference", "translation")
    texts = [dict(zip(labels, line, strict=True)) for line in zip(sources, refs, hyps, strict=True)]
    return EvaluationReport(texts=texts, scores=scores)
