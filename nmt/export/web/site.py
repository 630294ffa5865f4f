"""The directory of a page that translates in the browser: an exported model, the page and its libraries."""

import json
import shutil
from importlib.resources import as_file, files
from pathlib import Path

from nmt.data.vocabulary import SentencePieceVocabulary, Vocabulary, load_vocabulary
from nmt.errors import UsageError
from nmt.export.directory import CHECKSUMS, CONFIG, PROTECTION, ExportConfig
from nmt.export.export_model import ParityReport, ParityTexts, export_translator, write_checksums, write_json
from nmt.export.web.packages import check_packages, extract_packages
from nmt.export.web.patterns import describe_text
from nmt.files import atomic_directory, file_sha256
from nmt.outputs import check_new_directory
from nmt.protobuf import read_fields, read_messages
from nmt.untrusted_files import read_card, read_json

MODEL, RUNTIME = "model", "runtime"
SERVICE_WORKER = "service-worker.js"
TRAINER, DENORMALIZER = 2, 5  # fields of a SentencePiece model
SPACE_AS_SUFFIX, CHARSMAP = 24, 2  # of the trainer, of a normalizer


def write_site(
    path: Path, output: Path, packages: Path, *, check: ParityTexts | None = None
) -> ParityReport | None:
    """Write the page of a run, a checkpoint or a model directory; `packages` has the archives of npm.

    Returns the comparison of the exported model with the trained one, if there are texts to compare on.
    """
    check_new_directory(output, [path, packages])
    check_packages(packages)
    with atomic_directory(output) as folder:
        report = export_translator(path, folder / MODEL, int8=True, check=check, name=output.name)
        config = read_card(folder / MODEL / CONFIG, ExportConfig)
        _write_text_rules(folder, config)
        (folder / RUNTIME).mkdir()
        extract_packages(packages, folder / RUNTIME)
        with as_file(files(__package__) / "browser") as browser:
            for file in sorted(browser.iterdir()):
                shutil.copyfile(file, folder / file.name)
        write_json(folder / "manifest.json", _describe_application(config))
        _complete_service_worker(folder)
        write_checksums(folder)
    return report


def _write_text_rules(folder: Path, config: ExportConfig) -> None:
    """Write text.json; UsageError for a vocabulary that the page does not support."""
    vocabularies = [load_vocabulary(folder / MODEL / name) for name in config.vocabularies]
    for name, vocabulary in zip(config.vocabularies, vocabularies, strict=True):
        if problem := find_unsupported(vocabulary):
            raise UsageError(f"{name} {problem}, which the page does not support: use `nmt export --to onnx`")
    protection = folder / MODEL / PROTECTION
    kinds = read_json(protection, tuple[str, ...]) if protection.exists() else ()
    has_case = any(vocabulary.case_tokens() for vocabulary in vocabularies)
    rules = json.dumps(describe_text(kinds, has_case=has_case), separators=(",", ":"))
    (folder / "text.json").write_bytes(rules.encode())


def find_unsupported(vocabulary: Vocabulary) -> str | None:
    """Return the operation of a vocabulary that the page does not support; None if it supports all."""
    if not isinstance(vocabulary, SentencePieceVocabulary):
        return None
    model = memoryview(vocabulary.content)
    fields = [field for trainer in read_messages(model, TRAINER) for field in read_fields(trainer)]
    if (SPACE_AS_SUFFIX, 1) in fields:
        return "writes spaces at the end of words"
    if any(
        len(table) for one in read_messages(model, DENORMALIZER) for table in read_messages(one, CHARSMAP)
    ):
        return "changes characters of the output"
    return None


def _describe_application(config: ExportConfig) -> dict[str, object]:
    """Return the manifest by which a browser installs the page as an application."""
    return {
        "name": f"{' → '.join(config.languages)} translator",
        "short_name": " → ".join(config.languages),
        "id": "./",
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "background_color": "#ffffff",
        "theme_color": "#1457b0",
        "icons": [{"src": "icon.svg", "sizes": "any", "type": "image/svg+xml", "purpose": "any"}],
    }


def _complete_service_worker(folder: Path) -> None:
    """Write the names of all files, and a version that depends on their content, above the service worker."""
    write_checksums(folder)
    sums = read_json(folder / CHECKSUMS, dict[str, str])
    kept = sorted({"./", *sums} - {SERVICE_WORKER, f"{MODEL}/best.onnx", f"{MODEL}/report.json"})
    version, script = file_sha256(folder / CHECKSUMS)[:16], folder / SERVICE_WORKER
    head = f"const VERSION = {json.dumps(version)};\nconst FILES = {json.dumps(kept)};\n"
    script.write_bytes(head.encode() + (files(__package__) / "browser" / SERVICE_WORKER).read_bytes())
