"""Cards, fetching and checking, against a server on this machine that can misbehave."""

import gzip
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nmt.data import corpora, download
from nmt.data.corpora import CorpusCard, CorpusFile
from nmt.errors import DataError, UsageError
from nmt.files import lock_path

CONTENT = bytes(range(256)) * 1200  # several chunks


class Server(ThreadingHTTPServer):
    """Serves CONTENT under every name, or what a test puts in its way."""

    content = CONTENT
    ranges = True  # whether it knows the Range header
    cuts: list[int]  # for the next answers: how many bytes until the connection drops
    statuses: list[int]  # for the next answers: an error instead
    asked: list[str | None]  # the Range header of each request

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.cuts, self.statuses, self.asked = [], [], []

    def url(self, name: str = "file.gz") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        if self.server.statuses:
            self.send_error(self.server.statuses.pop(0))
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.ranges else 0
        body = self.server.content[start:]
        if wanted and not body:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            total = len(self.server.content)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cuts.pop(0)] if self.server.cuts else body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def sum_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Bring:
    """Calls `download` for CONTENT and remembers what it said and how long it would have waited."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.part = target.with_name(target.name + ".part")
        self.said: list[str] = []
        self.waited: list[float] = []
        self.reported: list[int] = []

    def __call__(self, url: str, size: int | None = len(CONTENT)) -> None:
        download.download(
            url,
            self.target,
            sha256=sum_of(CONTENT),
            size=size,
            report=self.reported.append,
            warn=self.said.append,
            pause=self.waited.append,
        )


@pytest.fixture
def bring(tmp_path: Path) -> Bring:
    return Bring(tmp_path / "file.gz")


def test_a_complete_file_leaves_nothing_else_behind(server: Server, bring: Bring) -> None:
    bring(server.url())
    assert bring.target.read_bytes() == CONTENT
    assert not bring.part.exists()
    assert bring.reported[-1] == len(CONTENT)
    assert bring.said == []


def test_a_file_that_is_there_is_not_asked_for_again(server: Server, bring: Bring) -> None:
    bring.target.write_bytes(CONTENT)
    bring(server.url())
    assert server.asked == []


def test_another_file_of_the_same_name_is_not_overwritten(server: Server, bring: Bring) -> None:
    bring.target.write_bytes(b"mine")
    with pytest.raises(DataError, match="a different file already exists"):
        bring(server.url())
    assert bring.target.read_bytes() == b"mine"


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_broken_connection_is_resumed_where_it_broke(
    server: Server, bring: Bring, size: int | None
) -> None:
    server.cuts = [100_000, 50_000]
    bring(server.url(), size)
    assert bring.target.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=150000-"]
    assert "100,000 of 307,200 bytes" in bring.said[0]
    assert bring.waited == [1.0, 2.0]


def test_a_connection_that_always_breaks_is_given_up_and_the_beginning_kept(
    server: Server, bring: Bring
) -> None:
    server.cuts = [1000] * download.ATTEMPTS
    with pytest.raises(DataError, match="run the same command again to resume") as refused:
        bring(server.url())
    assert "4,000 bytes are kept" in str(refused.value)
    assert not bring.target.exists()
    bring(server.url())
    assert server.asked[-1] == "bytes=4000-"
    assert bring.target.read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(server: Server, bring: Bring) -> None:
    server.ranges = False
    server.cuts = [100_000]
    bring(server.url())
    assert server.asked == [None, "bytes=100000-"]
    assert bring.target.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [None, len(CONTENT)])
@pytest.mark.parametrize(
    "wrong", [b"x" + CONTENT[1:], CONTENT[:-1], CONTENT[:10], CONTENT + b"x", CONTENT * 2, b""]
)
def test_an_altered_short_or_long_file_is_refused_and_deleted(
    server: Server, bring: Bring, wrong: bytes, size: int | None
) -> None:
    server.content = wrong
    with pytest.raises(DataError):
        bring(server.url(), size)
    assert not bring.target.exists()


def test_a_short_file_is_refused_with_what_came_and_what_was_expected(server: Server, bring: Bring) -> None:
    server.content = CONTENT[:-1]
    with pytest.raises(DataError, match=f"not the expected file .*307,199 bytes.*{sum_of(CONTENT)}"):
        bring(server.url())
    assert not bring.part.exists()


@pytest.mark.parametrize("left", [b"something else", CONTENT + b"too much", b"x" * len(CONTENT)])
def test_a_partial_file_that_does_not_match_is_deleted_and_downloaded_again(
    server: Server, bring: Bring, left: bytes
) -> None:
    bring.part.write_bytes(left)
    bring(server.url())
    assert bring.target.read_bytes() == CONTENT
    assert any("does not match" in said for said in bring.said)


def test_a_complete_partial_file_needs_no_request(server: Server, bring: Bring) -> None:
    bring.part.write_bytes(CONTENT)
    bring(server.url())
    assert server.asked == []
    assert bring.target.read_bytes() == CONTENT


def test_a_complete_partial_file_of_unknown_size_survives_status_416(server: Server, bring: Bring) -> None:
    bring.part.write_bytes(CONTENT)
    bring(server.url(), None)
    assert bring.target.read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(server: Server, bring: Bring) -> None:
    server.statuses = [503, 429]
    bring(server.url())
    assert bring.target.read_bytes() == CONTENT
    assert "503" in bring.said[0]


def test_a_file_that_is_not_there_is_refused_at_once(server: Server, bring: Bring) -> None:
    server.statuses = [404]
    with pytest.raises(DataError, match="the server answered 404"):
        bring(server.url())
    assert len(server.asked) == 1
    assert not bring.part.exists()


def test_no_server_at_all_is_one_clear_message(bring: Bring) -> None:
    with Server() as gone:
        url = gone.url()
    with pytest.raises(DataError, match=r"no connection .*refused.*; nothing was kept"):
        bring(url)
    assert len(bring.said) == download.ATTEMPTS - 1


def test_a_folder_that_cannot_be_written_is_one_clear_message(server: Server, tmp_path: Path) -> None:
    bring = Bring(tmp_path / "nowhere" / "file.gz")
    with pytest.raises(DataError, match="cannot write .*: No such file or directory"):
        bring(server.url())


def card_of(server: Server, **changes: object) -> CorpusCard:
    file = {"name": "a.gz", "sha256": sum_of(CONTENT), "bytes": len(CONTENT), "url": server.url("a.gz")}
    card = {"name": "tiny", "languages": ["de"], "description": "d", "licence": "l", "source": "s"}
    return CorpusCard.model_validate(card | {"files": [file, file | {"name": "b.gz"}]} | changes)


def test_fetching_a_corpus_brings_what_is_missing(server: Server, tmp_path: Path) -> None:
    heard: list[tuple[str, int]] = []
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "a.gz").write_bytes(CONTENT)
    corpora.fetch_corpus(
        card_of(server), tmp_path / "c", progress=lambda *news: heard.append(news), warn=lambda said: None
    )
    assert len(server.asked) == 1
    assert heard[-1] == ("b.gz", len(CONTENT))
    assert corpora.check_files(card_of(server), tmp_path / "c") == {}


def test_a_directory_that_another_process_is_writing_is_refused(server: Server, tmp_path: Path) -> None:
    with lock_path(tmp_path, tmp_path), pytest.raises(UsageError, match="another process is writing"):
        corpora.fetch_corpus(card_of(server), tmp_path, warn=lambda said: None)
    assert server.asked == []


def test_a_corpus_without_an_address_says_how_to_obtain_it(server: Server, tmp_path: Path) -> None:
    file = CorpusFile(name="a.gz", sha256=sum_of(CONTENT))
    card = card_of(server).model_copy(update={"files": [file], "obtain": "Ask the author."})
    with pytest.raises(
        UsageError, match=r"its card has no URL for a.gz.\nAsk the author.\nThen: nmt corpus check"
    ):
        corpora.fetch_corpus(card, tmp_path / "c", warn=lambda said: None)


def test_checking_names_each_fault(server: Server, tmp_path: Path) -> None:
    assert corpora.check_files(card_of(server), tmp_path) == {"a.gz": "missing", "b.gz": "missing"}
    (tmp_path / "a.gz").write_bytes(CONTENT[:-1])
    (tmp_path / "b.gz").write_bytes(b"x" + CONTENT[1:])
    assert corpora.check_files(card_of(server), tmp_path) == {
        "a.gz": "307,199 bytes instead of 307,200",
        "b.gz": "checksum mismatch",
    }


@pytest.mark.parametrize("name", corpora.list_corpus_names())
def test_every_card_reads_and_has_an_address_or_a_way_to_obtain_the_files(name: str) -> None:
    card = corpora.read_card(name)
    reachable = corpora.is_built_in(card) or all(file.url for file in card.files)
    assert reachable != (card.obtain is not None)
    assert len({file.name for file in card.files}) == len(card.files)


@pytest.mark.parametrize(
    "name", [name for name in corpora.list_corpus_names() if not corpora.is_built_in(corpora.read_card(name))]
)
@pytest.mark.real
def test_every_card_fits_the_real_files(name: str, shared_corpora: Path) -> None:
    card = corpora.read_card(name)
    assert corpora.check_files(card, shared_corpora / name) == {}
    for file in card.files:
        if file.lines is not None:
            with gzip.open(shared_corpora / name / file.name) as lines:
                assert sum(1 for _ in lines) == file.lines


def test_a_name_that_is_no_corpus_gets_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="no corpus 'multi3k', did you mean 'multi30k'?"):
        corpora.read_card("multi3k")


@pytest.mark.parametrize(
    "text", ["[", "name: x", "name: x\nfiles: {}", "just words"], ids=["yaml", "few", "types", "text"]
)
def test_a_wrong_card_is_refused_with_its_path(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "shipped_directory", lambda name: tmp_path)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "card.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"x/card.yaml: not a valid corpus card"):
        corpora.read_card("x")


@pytest.mark.parametrize("name", ["../a", "a/b", ".hidden", ""])
def test_a_file_on_a_card_cannot_leave_its_folder(name: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        CorpusFile(name=name, sha256="0" * 64)


def test_a_recipe_finds_a_downloaded_corpus_or_reports_how_to_fetch_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NMT_CORPORA", str(tmp_path))
    with pytest.raises(UsageError, match=r"run: nmt corpus fetch multi30k\nor .*data.root=DIR"):
        corpora.corpus_root("multi30k")
    (tmp_path / "multi30k").mkdir()
    for file in corpora.read_card("multi30k").files:
        (tmp_path / "multi30k" / file.name).touch()
    assert corpora.corpus_root("multi30k") == tmp_path / "multi30k"


def test_the_error_says_how_to_obtain_a_corpus_without_a_url() -> None:
    with pytest.raises(UsageError, match="to get it: .*scrollmapper"):
        corpora.corpus_root("bible-ko-en")


def test_shipped_corpora_are_complete() -> None:
    whole = [
        card for card in map(corpora.read_card, corpora.list_corpus_names()) if corpora.is_built_in(card)
    ]
    assert {"hello", "phrasebook"} <= {card.name for card in whole}
    for card in whole:
        assert corpora.check_files(card, corpora.shipped_directory("corpora") / card.name) == {}
