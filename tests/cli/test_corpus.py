"""The command line of `nmt corpus`."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nmt.cli.corpus import app
from nmt.data import corpora
from nmt.errors import DataError, UsageError

WORDS = b"eins\nzwei\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One corpus, `words`, whose file a server offers out of the folder given here."""
    origin, cards = tmp_path / "origin", tmp_path / "cards" / "words"
    origin.mkdir()
    cards.mkdir(parents=True)
    (origin / "train.de").write_bytes(WORDS)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(origin))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        (cards / "card.yaml").write_text(
            "{name: words, languages: [de], description: Two words., licence: none, source: here, files: "
            f"[{{name: train.de, sha256: {hashlib.sha256(WORDS).hexdigest()}, "
            f"url: 'http://127.0.0.1:{server.server_address[1]}/train.de'}}]}}",
            encoding="utf-8",
        )
        monkeypatch.setattr(corpora, "shipped_directory", lambda name: cards.parent)
        monkeypatch.setenv("NMT_CORPORA", str(tmp_path / "store"))
        yield origin
        server.shutdown()
        thread.join()


def test_listing_names_every_corpus_with_its_licence() -> None:
    result = CliRunner().invoke(app, ["ls"])
    assert result.exit_code == 0
    for name in corpora.list_corpus_names():
        assert name in result.output
    assert "research and education" in result.output


def test_fetching_prints_only_the_directory_to_stdout(served: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["fetch", "words"])
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path}/store/words\n")
    assert (tmp_path / "store/words/train.de").read_bytes() == WORDS
    assert corpora.corpus_root("words") == tmp_path / "store/words"


def test_fetching_into_a_folder_and_checking_it(served: Path, tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["fetch", "words", "--to", str(tmp_path / "words")]).exit_code == 0
    by_folder = CliRunner().invoke(app, ["check", str(tmp_path / "words")])
    by_both = CliRunner().invoke(app, ["check", "words", str(tmp_path / "words")])
    assert by_folder.exit_code == by_both.exit_code == 0
    assert by_folder.stdout == by_both.stdout == "train.de: ok\n"


def test_checking_by_name_looks_in_the_download_directory(served: Path) -> None:
    before = CliRunner().invoke(app, ["check", "words"])
    assert before.stdout == "train.de: missing\n"
    assert isinstance(before.exception, DataError)
    CliRunner().invoke(app, ["fetch", "words"])
    assert CliRunner().invoke(app, ["check", "words"]).exit_code == 0


def test_an_altered_file_is_an_error_of_the_data(served: Path, tmp_path: Path) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "train.de").write_bytes(b"eins\nzwo\n")
    result = CliRunner().invoke(app, ["check", str(tmp_path / "words")])
    assert "train.de: checksum mismatch" in result.stdout
    assert isinstance(result.exception, DataError)
    assert result.exception.exit_code == 1


def test_an_altered_download_is_an_error_of_the_data(served: Path, tmp_path: Path) -> None:
    (served / "train.de").write_bytes(b"eins\nzwo\n")
    result = CliRunner().invoke(app, ["fetch", "words"])
    assert isinstance(result.exception, DataError)
    assert list((tmp_path / "store/words").iterdir()) == []


def test_a_built_in_corpus_is_not_downloaded(served: Path, tmp_path: Path) -> None:
    (tmp_path / "cards/words/train.de").write_bytes(WORDS)
    result = CliRunner().invoke(app, ["fetch", "words"])
    assert isinstance(result.exception, UsageError)
    assert "data.root=corpus:words" in str(result.exception)
    assert CliRunner().invoke(app, ["check", "words"]).exit_code == 0


def test_an_unknown_name_is_a_usage_error(served: Path) -> None:
    result = CliRunner().invoke(app, ["fetch", "wrods"])
    assert isinstance(result.exception, UsageError)
    assert "did you mean 'words'?" in str(result.exception)
