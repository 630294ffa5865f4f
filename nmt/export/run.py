"""The export of a run, a checkpoint or a model directory."""

import copy
from dataclasses import asdict
from pathlib import Path

import onnx
import torch

from nmt import __version__
from nmt.data.pairs import read_pairs
from nmt.data.sources import find_part
from nmt.data.text import read_lines
from nmt.data.vocabulary import BOS, EOS, PAD, SIDES, UNK
from nmt.errors import DataError, UsageError
from nmt.export.directory import FORMAT, GRAPHS, ExportConfig, graph_file, load_export, write, write_json
from nmt.export.model import encoder_graph, memory_names, step_graph, top_k_graph
from nmt.export.parity import ParityReport, ParityTexts, compare
from nmt.export.parts import state_sizes
from nmt.model.translator import TranslationModel
from nmt.recipe.tasks.translation import LoadedTranslator, build_job, load_translator

REPORT = "report.json"


def export(path: Path, output: Path, *, int8: bool, check: ParityTexts | None = None) -> ParityReport | None:
    """Write an exported directory and compare it with the trained model on the lines of `check`.

    Without `check` the recipe's validation pairs are used; returns None if these do not exist.
    """
    if output.exists():
        raise UsageError(f"{output} already exists; choose another name")
    loaded = load_translator(path)
    texts = check or validation_texts(loaded)
    reports: list[ParityReport] = []

    def fill(folder: Path) -> None:
        traced = prepare_for_tracing(loaded.model)
        graphs = (encoder_graph(traced, int8=int8), step_graph(traced, int8=int8), top_k_graph())
        for name, graph in zip(GRAPHS, graphs, strict=True):
            onnx.save(graph, folder / graph_file(name))
        for side, vocabulary in zip(SIDES, (loaded.source, loaded.target), strict=True):
            vocabulary.save(folder / (side + vocabulary.suffix))

    def finish(folder: Path) -> None:
        if texts is not None:
            reports.append(compare_with_trained(loaded, folder, texts))
            write_json(folder / REPORT, asdict(reports[0]))

    write(output, export_config(loaded, int8=int8), fill, finish)
    return reports[0] if reports else None


def prepare_for_tracing(translator: TranslationModel) -> TranslationModel:
    """Return a copy that multiplies by torch alone, which can be traced."""
    copied = copy.deepcopy(translator).requires_grad_(False)
    for layer in (*copied.encoder.stack.layers, *copied.decoder.stack.layers):
        layer.engine = "torch"
    return copied


def export_config(loaded: LoadedTranslator, *, int8: bool) -> ExportConfig:
    """Return the content of `config.json`."""
    recipe, translator = loaded.recipe, loaded.model
    return ExportConfig(
        format=FORMAT,
        nmt=__version__,
        languages=(recipe.data.src, recipe.data.tgt),
        int8=int8,
        parameters=sum(parameter.numel() for parameter in translator.parameters()),
        pieces=(len(loaded.source), len(loaded.target)),
        ids={"pad": PAD, "bos": BOS, "eos": EOS, "unk": UNK},
        vocabularies=("source" + loaded.source.suffix, "target" + loaded.target.suffix),
        memory=memory_names(translator),
        state=state_sizes(translator.decoder),
        search=asdict(recipe.search),
    )


def compare_with_trained(loaded: LoadedTranslator, folder: Path, texts: ParityTexts) -> ParityReport:
    """Compare the trained model and the directory on the same lines, each on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        weights = 4 * sum(parameter.numel() for parameter in loaded.model.parameters())
        graphs = sum((folder / graph_file(name)).stat().st_size for name in GRAPHS)
        return compare(texts, (build_job(loaded), weights / 1e6), (load_export(folder), graphs / 1e6))
    finally:
        torch.set_num_threads(before)


def validation_texts(loaded: LoadedTranslator) -> ParityTexts | None:
    """Read the validation pairs of a model's recipe, if they exist."""
    try:
        corpus = find_part(loaded.recipe.data, "valid")
        pairs = list(read_pairs(corpus))
    except (DataError, UsageError):
        return None
    return ParityTexts(str(corpus), [pair[0] for pair in pairs], [pair[1] for pair in pairs])


def read_texts(source: Path, reference: Path | None) -> ParityTexts:
    """Read the lines of a file and of its reference."""
    lines = list(read_lines(source))
    references = None if reference is None else list(read_lines(reference))
    if references is not None and len(references) != len(lines):
        raise DataError(f"{source} has {len(lines):,} lines but {reference} has {len(references):,}")
    return ParityTexts(str(source), lines, references)
