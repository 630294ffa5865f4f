"""Runs with vocabularies that other programs made, and with text that subword-nmt has segmented."""

import json
import re
from pathlib import Path

import pytest

from nmt.data.vocabulary.codes import join_segments
from nmt.evaluation.metrics import score
from tests.data.test_imported_vocabularies import foreign_model
from tests.end_to_end.toy import done, nmt, write_lines, write_phrases

SHORT = ("training.stop_after=60u", "training.validation.every=30u", "training.threads=1")
MODEL = ("encoder={cell: gru, embedding: 32, hidden: 32}", "decoder={cell: gru, embedding: 32, hidden: 32}")
FAST = ("training.learning_rate.peak=1e-2", *MODEL, *SHORT)
DATA = "data: {root: text, src: de, tgt: en, train: train, valid: valid, test: test}\n"


def segment(line: str) -> str:
    return re.sub(r"(\w{2})(?=\w)", r"\1@@ ", line.replace(".", " ."))


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe without vocabulary, next to its text."""
    write_phrases(tmp_path / "text", {"train": 200, "valid": 20, "test": 20})
    path = tmp_path / "recipe.yaml"
    path.write_text(DATA, encoding="utf-8")
    return path


def test_segments_are_joined_in_output_and_before_scoring(recipe: Path, tmp_path: Path) -> None:
    for file in (tmp_path / "text").iterdir():
        write_lines(file, [segment(line) for line in file.read_text("utf-8").splitlines()])
    run = tmp_path / "run"
    done(nmt("run", recipe, "-o", run, "subwords.kind=pretokenized", *FAST))
    references = (tmp_path / "text/test.en").read_text("utf-8").splitlines()
    hypotheses = (run / "test.hyp").read_text("utf-8").splitlines()
    assert any("@@ " in line for line in references)
    assert not any("@@" in line for line in hypotheses)
    [bleu] = score(hypotheses, [list(map(join_segments, references))], ["bleu"])
    found = json.loads((run / "scores.json").read_text("utf-8"))[0]
    assert found["value"] == pytest.approx(bleu.value)
    assert not any("@@" in file.read_text("utf-8") for file in (run / "validation").iterdir())
    source = (tmp_path / "text/test.de").read_bytes()
    alignments = done(nmt("translate", run, "--json", "--details", "-q", stdin=segmented_json(source)))
    record = json.loads(alignments.splitlines()[0])
    words = len(record["translation"].split())
    assert all(target < words for _, target in record["alignment"])


def segmented_json(source: bytes) -> bytes:
    return (json.dumps({"text": source.decode().splitlines()[0]}) + "\n").encode()


def test_codes_divide_raw_text_and_its_translation_is_joined(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "codes").write_text("#version: 0.2\nH u\nd o\nu n\ne r</w>\n", encoding="utf-8")
    run = tmp_path / "run"
    done(
        nmt("train", recipe, "-o", run, "subwords.min_count=2", f"subwords.codes={tmp_path / 'codes'}", *FAST)
    )
    (tmp_path / "codes").unlink()
    found = done(nmt("translate", run, "-q", stdin=b"Der alte Hund sucht einen Vogel.\n"))
    assert found.strip()
    assert "@@" not in found
    must = done(
        nmt("translate", run, "-q", "--json", stdin=b'{"text": "Der alte Hund", "must": ["dog", "bird"]}\n')
    )
    translation = json.loads(must)["translation"].split()
    assert {"dog", "bird"} <= set(translation)


def test_a_sentencepiece_model_is_copied_into_the_run(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "foreign.model").write_bytes(foreign_model("bpe", byte_fallback=True))
    recipe.write_text(DATA + "subwords: {model: foreign.model}\n", encoding="utf-8")
    run = tmp_path / "run"
    done(nmt("train", recipe, "-o", run, *FAST))
    assert (run / "source.spm").read_bytes() == (run / "target.spm").read_bytes()
    (tmp_path / "foreign.model").unlink()
    done(nmt("average", run, "-o", tmp_path / "model"))
    assert str(tmp_path) not in (tmp_path / "model/recipe.yaml").read_text("utf-8")
    prefix = json.dumps({"text": "Der Hund", "prefix": "Győr"}) + "\n"
    found = done(nmt("translate", tmp_path / "model", "--json", "-q", stdin=prefix.encode()))
    assert json.loads(found)["translation"].startswith("Győr")


def test_a_missing_file_is_refused_by_name(recipe: Path, tmp_path: Path) -> None:
    refused = nmt("train", recipe, "-o", tmp_path / "run", "subwords.codes=absent.codes", *FAST)
    assert refused.exit_code == 1
    assert "absent.codes: refused: no such file or directory; give the codes that" in refused.stderr
