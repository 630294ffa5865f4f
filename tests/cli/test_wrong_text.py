"""Every verb that reads text refuses other encodings, other line ends and files that are not text."""

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.toy import nmt

ARTIFACTS = Path(__file__).resolve().parent.parent / "compatibility" / "v0.1"
MODEL, EXPORT, LANGUAGE_MODEL = ARTIFACTS / "averaged", ARTIFACTS / "onnx", ARTIFACTS / "language-model"
TEXT = "저는 학생이에요. 오늘 학교에 갔어요.\n커피 한 잔 주세요.\n어제 친구들과 영화를 봤어요.\n" * 3
RECIPE = """\
data: {root: ., src: ko, tgt: en, train: train, valid: train, test: train}
subwords: {kind: char}
encoder: {cell: gru, embedding: 4, hidden: 4}
decoder: {embedding: 4, hidden: 4}
training: {stop_after: 1u, validation: {every: 1u}}
"""
LANGUAGE_MODEL_RECIPE = """\
task: language-model
data: {root: ., train: train.ko, valid: good.en}
subwords: {kind: char}
decoder: {cell: gru, embedding: 4, hidden: 4}
training: {stop_after: 1u, validation: {every: 1u}}
"""


def word(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<document/>")


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "cp949": (
        lambda path: path.write_bytes(TEXT.encode("cp949")),
        'it looks like (CP949|EUC-KR) text .it reads "저는 학생이에요. .*`iconv -f (CP949|EUC-KR) -t UTF-8',
    ),
    "utf-16": (
        lambda path: path.write_bytes(TEXT.encode("utf-16")),
        'it looks like UTF-16 text .it reads "저는 학생이에요. .*`iconv -f UTF-16 -t UTF-8',
    ),
    "mac": (
        lambda path: path.write_bytes(TEXT.replace("\n", "\r").encode()),
        r"8 of its lines end in a carriage return .* `tr '\\r' '\\n'",
    ),
    "word": (word, "it is a Word document, not plain text"),
}
VERBS: dict[str, tuple[object, ...]] = {
    "train": ("train", "a.yaml", "-o", "run"),
    "run": ("run", "a.yaml", "-o", "run"),
    "a language model": ("train", "lm.yaml", "-o", "run"),
    "score": ("score", "good.en", "-r", "train.ko"),
    "score, translations": ("score", "train.ko", "-r", "good.en"),
    "rescore": ("rescore", EXPORT, "-i", "train.ko", "-t", "good.en"),
    "perplexity": ("perplexity", LANGUAGE_MODEL, "train.ko", "--trust-code"),
    "clean": ("clean", "train.ko", "train.en", "-o", "out.tsv", "--src", "ko", "--tgt", "en"),
    "clean a table": ("clean", "train.tsv", "-o", "out.tsv", "--src", "ko", "--tgt", "en"),
    "new": ("new", "out", "train.ko", "train.en"),
    "new, of a table": ("new", "out", "train.tsv"),
    "export": ("export", MODEL, "-o", "out", "--check", "train.ko"),
    "prefixes": ("translate", EXPORT, "-i", "good.en", "-q", "--prefix", "train.ko"),
    "phrases": ("translate", EXPORT, "-i", "good.en", "-q", "--must", "train.ko"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("good.en", "train.en"):
        (tmp_path / name).write_text("words\n" * 9, encoding="utf-8")
    (tmp_path / "a.yaml").write_text(RECIPE, encoding="utf-8")
    (tmp_path / "lm.yaml").write_text(LANGUAGE_MODEL_RECIPE, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_names_the_file_and_what_it_is(verb: str, kind: str, folder: Path) -> None:
    write, pattern = WRONG[kind]
    for name in ("train.ko", "train.tsv"):
        write(folder / name)
    result = nmt(*VERBS[verb])
    assert result.exit_code == 1, result.output
    [message] = [line for line in result.stderr.splitlines() if line.startswith("nmt: ")]
    assert re.search(rf"train\.(ko|tsv)(, line 1)?: .*{pattern}", message), message
    assert not list(folder.glob("out*"))


@pytest.mark.parametrize("kind", WRONG)
def test_doctor_reports_it_as_an_error(kind: str, folder: Path) -> None:
    WRONG[kind][0](folder / "train.ko")
    result = nmt("doctor", "a.yaml", "--updates", 0)
    assert result.exit_code == 1, result.output
    shown = re.sub(r"\s+", "", result.stdout)  # wrapped anywhere
    assert re.search(re.sub(r"\s+", "", WRONG[kind][1]), shown)


@pytest.mark.parametrize("given", ["file", "stdin", "json"])
@pytest.mark.parametrize("kind", WRONG)
def test_translate_refuses_what_is_no_text_and_describes_another_encoding(
    kind: str, given: str, folder: Path
) -> None:
    write, pattern = WRONG[kind]
    write(folder / "in.ko")
    words = ["-i", "in.ko"] if given == "file" else ["--json"] if given == "json" else []
    content = b"" if given == "file" else (folder / "in.ko").read_bytes()
    result = nmt("translate", EXPORT, "-q", *words, stdin=content)
    if kind == "word" and given != "file":
        pattern = "it is a ZIP archive, not plain text"
    assert re.search(f"(in.ko|the input): {pattern}", result.stderr), result.stderr
    assert not re.search("Traceback|a bug", result.stderr)
    lines = len(TEXT.encode("cp949").splitlines()) if kind == "cp949" else 0
    assert len(result.stdout.splitlines()) == lines
    assert (result.exit_code == 0) == (kind == "cp949" and given != "json")  # lines that are no JSON


def test_a_recipe_in_another_encoding_is_refused_with_the_command(folder: Path) -> None:
    (folder / "b.yaml").write_bytes(f"# {TEXT.splitlines()[0]}\n{RECIPE}".encode("cp949"))
    for words in (("train", "b.yaml", "-o", "run"), ("recipes", "validate", "b.yaml")):
        result = nmt(*words)
        assert result.exit_code in (1, 2)
        assert re.search("b.yaml: (refused: )?not UTF-8 text: it looks like .* `iconv -f", result.stderr)


def test_nothing_is_trained_on_a_file_whose_encoding_is_named_wrongly(folder: Path) -> None:
    """What was advised once, LATIN1, decodes everything, and to nonsense."""
    (folder / "train.ko").write_bytes(TEXT.encode("cp949"))
    assert "LATIN1" not in nmt("train", "a.yaml", "-o", "run").stderr
    assert shutil.which("nmt") is None or not (folder / "run" / "checkpoints").exists()
