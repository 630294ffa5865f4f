"""Export of a run, a checkpoint or a model directory, and comparison with the trained model."""

import copy
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import onnx
import torch

from nmt.data.pairs import read_pairs
from nmt.data.sources import find_part
from nmt.data.text import read_lines
from nmt.data.trained_lengths import write_lengths
from nmt.data.vocabulary import BOS, EOS, PAD, UNK
from nmt.decoding.job import Job
from nmt.decoding.translation import translate_lines
from nmt.errors import DataError, UsageError
from nmt.evaluation.metrics import DEFAULT_METRICS, Score, score
from nmt.evaluation.tuning import TUNING
from nmt.export.directory import (
    CHECKSUMS,
    CONFIG,
    GRAPHS,
    PROTECTION,
    ExportConfig,
    load_export,
    name_graph_file,
)
from nmt.export.traced_modules import find_state_sizes
from nmt.export.translator_graphs import (
    build_encoder_graph,
    build_step_graph,
    build_top_k_graph,
    list_memory_names,
)
from nmt.files import atomic_directory, file_sha256
from nmt.formats import PROSE, stamp
from nmt.model.translator import TranslationModel
from nmt.outputs import check_new_directory
from nmt.recipe.model_card import CardScores, describe_tuning, find_corpus, format_card
from nmt.recipe.prepare_data import model_directory
from nmt.recipe.tasks.translation import LoadedTranslator, build_job, load_translator

REPORT, EXTRA = "report.json", "recurrent-nmt[fast]"


class ParityTexts(NamedTuple):
    """Lines to compare on, and their references, if any."""

    name: str  # without the directory: it is in the report, which is passed on
    sources: list[str]
    references: list[str] | None


@dataclass(frozen=True)
class SideMeasurements:
    """Size, speed and scores of one of the two translators."""

    megabytes: float  # of weights, or of graphs
    milliseconds: float  # per line, on one thread
    scores: dict[str, float]  # by signature


@dataclass(frozen=True)
class ParityReport:
    """The comparison; its fields are the keys of `report.json`."""

    name: str
    lines: int
    beam: int
    batch: int
    differing: list[int]  # numbers of the lines that differ, from 1
    trained: SideMeasurements
    exported: SideMeasurements


def export_translator(
    path: Path, output: Path, *, int8: bool, check: ParityTexts | None = None, name: str | None = None
) -> ParityReport | None:
    """Write an exported directory and compare it with the trained model on the lines of `check`.

    Without `check` the recipe's validation pairs are used; returns None if these do not exist. `name` is what
    the model card calls it: by default the name of the directory.
    """
    check_new_directory(output, [path])
    loaded = load_translator(path)
    texts = check or read_validation_texts(loaded)
    config, report = build_config(loaded, int8=int8), None
    with atomic_directory(output) as folder:
        write_json(folder / CONFIG, asdict(config))
        traced = prepare_for_tracing(loaded.model)
        graphs = (
            build_encoder_graph(traced, int8=int8),
            build_step_graph(traced, int8=int8),
            build_top_k_graph(),
        )
        for graph_name, graph in zip(GRAPHS, graphs, strict=True):
            onnx.save(graph, folder / name_graph_file(graph_name))
        for file, vocabulary in zip(config.vocabularies, (loaded.source, loaded.target), strict=True):
            vocabulary.save(folder / file)
        if loaded.lengths is not None:
            write_lengths(folder, loaded.lengths)
        if loaded.tuning is not None:
            (folder / TUNING).write_bytes(loaded.tuning.to_bytes())
        if loaded.recipe.protected_kinds:
            write_json(folder / PROTECTION, loaded.recipe.protected_kinds)
        write_checksums(folder)
        if texts is not None:
            report = compare_with_trained(loaded, folder, texts)
            write_json(folder / REPORT, asdict(report))
            write_checksums(folder)
        card = describe_export(name or output.name, loaded, report, model_directory(path), int8=int8)
        (folder / PROSE).write_bytes(card.encode())
    return report


def describe_export(
    name: str, loaded: LoadedTranslator, report: ParityReport | None, run: Path, *, int8: bool
) -> str:
    """Return the model card of an export, with the scores of its comparison."""
    scores = None
    if report is not None and report.exported.scores:
        measured = f"On {report.name} ({report.lines:,} lines), with beam {report.beam}:"
        scores = CardScores(
            measured,
            [
                Score(key.partition("|")[0], value, key.partition("|")[2])
                for key, value in report.exported.scores.items()
            ],
        )
    what = f"ONNX graphs{' with 8-bit weights' * int8}, translated with onnxruntime (`pip install '{EXTRA}'`)"
    corpus, tuned = find_corpus(loaded.recipe, run), describe_tuning(loaded.tuning)
    return format_card(name, loaded.recipe, corpus, what=what, paragraphs=tuned, scores=scores)


def write_checksums(folder: Path) -> None:
    """Write the checksums of all files of a directory, and of the directories in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / CHECKSUMS)
    sums = {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}
    write_json(folder / CHECKSUMS, sums)


def write_json(file: Path, facts: object) -> None:
    """Write a value as JSON."""
    file.write_bytes(json.dumps(facts, indent=2, ensure_ascii=False).encode() + b"\n")


def prepare_for_tracing(translator: TranslationModel) -> TranslationModel:
    """Return a copy that multiplies by torch alone, which can be traced."""
    copied = copy.deepcopy(translator).requires_grad_(False)
    for layer in (*copied.encoder.stack.layers, *copied.decoder.stack.layers):
        layer.engine = "torch"
    return copied


def build_config(loaded: LoadedTranslator, *, int8: bool) -> ExportConfig:
    """Return the content of `config.json`."""
    recipe, translator = loaded.recipe, loaded.model
    return ExportConfig(
        **stamp(),
        languages=(recipe.data.src, recipe.data.tgt),
        int8=int8,
        parameters=sum(parameter.numel() for parameter in translator.parameters()),
        pieces=(len(loaded.source), len(loaded.target)),
        ids={"pad": PAD, "bos": BOS, "eos": EOS, "unk": UNK},
        vocabularies=("source" + loaded.source.suffix, "target" + loaded.target.suffix),
        memory=list_memory_names(translator),
        state=find_state_sizes(translator.decoder),
        search=recipe.search,
        tokenize=recipe.evaluation.tokenize,
    )


def compare_with_trained(loaded: LoadedTranslator, folder: Path, texts: ParityTexts) -> ParityReport:
    """Translate the same lines with the trained model and the directory, each on one thread."""
    before, tokenize = torch.get_num_threads(), loaded.recipe.evaluation.tokenize
    torch.set_num_threads(1)
    try:
        weights = 4 * sum(parameter.numel() for parameter in loaded.model.parameters())
        graphs = sum((folder / name_graph_file(name)).stat().st_size for name in GRAPHS)
        exported_job = load_export(folder)
        ours, trained = _translate(build_job(loaded), texts, weights, tokenize)
        theirs, exported = _translate(exported_job, texts, graphs, tokenize)
    finally:
        torch.set_num_threads(before)
    differing = [number for number, (a, b) in enumerate(zip(ours, theirs, strict=True), 1) if a != b]
    search = exported_job.options
    return ParityReport(texts.name, len(ours), search.beam, search.batch, differing, trained, exported)


def _translate(job: Job, texts: ParityTexts, size: int, tokenize: str) -> tuple[list[str], SideMeasurements]:
    start = time.perf_counter()
    lines = [one.text for one in translate_lines(((line, None) for line in texts.sources), job)]
    milliseconds = 1000 * (time.perf_counter() - start) / max(1, len(lines))
    refs = texts.references
    scores = [] if refs is None else score(lines, [refs], DEFAULT_METRICS, tokenize=tokenize)
    by_signature = {one.full_signature: one.value for one in scores}
    return lines, SideMeasurements(size / 1e6, milliseconds, by_signature)


def read_validation_texts(loaded: LoadedTranslator) -> ParityTexts | None:
    """Read the validation pairs of a model's recipe, if they exist."""
    try:
        corpus = find_part(loaded.recipe.data, "valid")
        pairs = list(read_pairs(corpus))
    except (DataError, UsageError):
        return None
    return ParityTexts(
        " and ".join(file.name for file in corpus.files),
        [pair[0] for pair in pairs],
        [loaded.target.join(pair[1]) for pair in pairs],
    )


def read_texts(source: Path, reference: Path | None) -> ParityTexts:
    """Read the lines of a file and of its reference."""
    lines = list(read_lines(source))
    references = None if reference is None else list(read_lines(reference))
    if references is not None and len(references) != len(lines):
        raise DataError(f"{source} has {len(lines):,} lines but {reference} has {len(references):,}")
    return ParityTexts(source.name, lines, references)


def format_report(report: ParityReport) -> str:
    """Format the report as a table."""
    trained, exported = report.trained, report.exported
    time_label = f"ms per line, beam {report.beam}, batch {report.batch}"
    rows = [("size, MB", trained.megabytes, exported.megabytes)]
    rows += [(time_label, trained.milliseconds, exported.milliseconds)]
    rows += [(name.partition("|")[0], value, exported.scores[name]) for name, value in trained.scores.items()]
    table = [f"{'':<32}{'trained':>10}{'exported':>10}{'change':>10}"]
    table += [f"  {name:<30}{a:>10.2f}{b:>10.2f}{b - a:>+10.2f}" for name, a, b in rows]
    differing = f"{report.name}: {len(report.differing):,} of {report.lines:,} lines differ"
    return "\n".join([differing, *table, *(f"  {name}" for name in trained.scores)])
