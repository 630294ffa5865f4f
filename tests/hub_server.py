"""A stand-in for the Hugging Face Hub on the loopback: the part of its interface that is used here."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]


class StandInHub(ThreadingHTTPServer):
    """Repositories in memory; each is a list of its commits, and a commit is its files."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.commits: dict[str, dict[str, Files]] = {}  # by repository and checksum, the latest last
        self.sizes: dict[str, int] = {}  # of files that are said to be larger than they are
        self.token: str | None = None  # needed for everything
        self.private: set[str] = set()
        self.downloaded: list[str] = []
        self.fails = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def commit(self, repository: str, files: Files) -> str:
        """Add a commit with exactly these files."""
        commits = self.commits.setdefault(repository, {})
        content = b"".join(name.encode() + body for name, body in files.items())
        sha = hashlib.sha1(content + str(len(commits)).encode()).hexdigest()
        commits[sha] = files
        return sha

    def latest(self, repository: str) -> Files:
        """The files of a repository's last commit."""
        return [*self.commits[repository].values()][-1]


@contextmanager
def serve_hub() -> Iterator[StandInHub]:
    """Run a stand-in in a thread."""
    with StandInHub() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: StandInHub  # every answer closes its connection, so a stand-in that is stopped is gone

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(b"")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._answer(self._read())

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, body: bytes) -> None:
        words = [unquote(word) for word in urlsplit(self.path).path.strip("/").split("/")]
        if self.server.fails:
            self._reply(500, {"error": "out of order"})
        elif self.server.token and self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self._reply(401, {"error": "Invalid username or password."})
        elif words[0] != "api":
            self._send_file("/".join(words[:2]), words[3], "/".join(words[4:]))
        elif words == ["api", "repos", "create"]:
            self._create(json.loads(body))
        elif words == ["api", "validate-yaml"]:
            self._reply(200, {"errors": [], "warnings": []})
        else:
            self._answer_repository("/".join(words[2:4]), words[4:], body)

    def _create(self, wanted: Mapping[str, Any]) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        exists = name in self.server.commits
        if not exists:
            self.server.commit(name, {".gitattributes": b"*.safetensors filter=lfs\n"})
            if wanted.get("private") or wanted.get("visibility") == "private":
                self.server.private.add(name)
        self._reply(409 if exists else 200, {"url": f"{self.server.url}/{name}", "error": "exists"})

    def _answer_repository(self, name: str, rest: list[str], body: bytes) -> None:
        commits = self.server.commits.get(name)
        if commits is None:
            self._reply(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif rest[:1] == ["preupload"]:
            paths = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]
            self._reply(200, {"files": modes})
        elif rest[:1] == ["commit"]:
            self._commit(name, [json.loads(line) for line in body.splitlines()])
        elif (sha := self._find(name, rest[1] if rest else "main")) is None:
            self._reply(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})
        else:
            sizes = {path: self.server.sizes.get(path, len(file)) for path, file in commits[sha].items()}
            if rest[:1] == ["tree"]:
                entry = {"type": "file", "oid": "0" * 40}
                self._reply(200, [{**entry, "path": path, "size": size} for path, size in sizes.items()])
            else:
                siblings = [{"rfilename": path, "size": size} for path, size in sizes.items()]
                self._reply(200, {"id": name, "sha": sha, "siblings": siblings})

    def _find(self, name: str, revision: str) -> str | None:
        commits = self.server.commits[name]
        if revision == "main":
            return [*commits][-1]
        return next((sha for sha in commits if sha.startswith(revision)), None)

    def _commit(self, name: str, operations: list[Mapping[str, Any]]) -> None:
        files = dict(self.server.latest(name))
        for one in operations:
            if one["key"] == "file":
                files[one["value"]["path"]] = base64.b64decode(one["value"]["content"])
            elif one["key"] == "deletedFile":
                del files[one["value"]["path"]]
        sha = self.server.commit(name, files)
        self._reply(200, {"commitUrl": f"{self.server.url}/{name}/commit/{sha}", "commitOid": sha})

    def _send_file(self, name: str, revision: str, path: str) -> None:
        sha = self._find(name, revision)
        assert sha is not None
        content = self.server.commits[name][sha][path]
        if self.command == "GET":
            self.server.downloaded.append(path)
        etag = f'"{hashlib.sha1(content).hexdigest()}"'
        self._reply(200, content, {"ETag": etag, "X-Repo-Commit": sha})

    def _reply(self, status: int, content: object, headers: Mapping[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
