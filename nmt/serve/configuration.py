"""The configuration of `nmt serve`: the command line, over a YAML file that is read again on SIGHUP."""

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from annotated_types import Ge, Le

from nmt.errors import DataError, UsageError
from nmt.files import expand_home, is_hub_name
from nmt.recipe.sections import STRICT
from nmt.recipe.settings_file import read_settings
from nmt.serve.requests import ModelSource
from nmt.settings import Conflict, Count, Positive, ProcessCount, Settings
from nmt.untrusted_files import CARD_BYTES, RefusedFile, read_bytes

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Names of this machine, at which nobody else reaches the server."""
RESTARTED = ("host", "port", "workers", "trust_code")
"""Settings that are read at the start only."""


@dataclass(frozen=True, kw_only=True)
class ServedModelSettings(Settings):
    """A model to serve."""

    path: str
    """A run, a checkpoint, a model directory, an export or hf:user/name; relative to this file."""
    name: str | None = None
    """The name that requests use; by default the last part of the path."""
    int8: bool = False
    """8-bit weights; an export has them if it was exported with --int8."""


@dataclass(frozen=True, kw_only=True)
class LimitSettings(Settings):
    """What a request may ask for at most."""

    body: Count = 1_000_000
    """Bytes of a request."""
    characters: Count = 20_000
    """Characters of a text, and of all its constraints."""
    texts: Count = 1_000
    """Texts of a request."""
    beam: Count = 50
    """Hypotheses of a search, and n-best translations."""
    seconds: Positive = 60.0
    """Time to translate a request."""
    queue: Count = 1_000
    """Lines of all requests that wait or are translated; with more, requests are answered with 429."""
    connections: Count = 1_000
    """Open connections."""
    worker_seconds: Positive = 15.0
    """Time in which a worker must advance, by one word of its lines; one that does not is replaced."""
    client_seconds: Positive = 30.0
    """Time in which a client must have sent its request, or have read what was written to it."""


@dataclass(frozen=True, kw_only=True)
class ServerSettings(Settings):
    """The configuration of a translation server."""

    __pydantic_config__ = STRICT

    models: list[ServedModelSettings] = field(default_factory=list)
    """The models, of which requests choose one by its name or its languages; the first is the default."""
    host: str = "127.0.0.1"
    """The address to listen at; 0.0.0.0: at every address of the machine."""
    port: Annotated[int, Ge(0), Le(65535)] = 5000
    """The port to listen at; 0: any that is free."""
    workers: ProcessCount = 1
    """Processes that translate, with one thread each."""
    limits: LimitSettings = LimitSettings()
    api_keys: str | None = None
    """A file of keys, one a line, one of which a request must carry; null: no key is asked for."""
    origins: list[str] = field(default_factory=list)
    """Web sites whose pages may send requests (CORS), such as https://example.org; "*": all."""
    hosts: list[str] = field(default_factory=list)
    """Host names under which the server is reached, behind a proxy say; others are refused. Without any, and
    with a host of this machine only, those of this machine."""
    log_texts: bool = False
    """Write texts and translations to the log."""
    trust_code: bool = False
    """Run the cell files of the models."""

    def conflicts(self) -> Iterator[Conflict]:
        """See `Settings.conflicts`."""
        names = Counter(source.name for source in self.sources())
        for name in (name for name, count in names.items() if count > 1):
            yield "models", f"{names[name]} models are named '{name}': give each its `name`"

    def sources(self) -> list[ModelSource]:
        """Return the models as the service takes them."""
        return [
            ModelSource(
                model.name or Path(model.path).resolve().name,
                model.path,
                "int8" if model.int8 else "float32",
            )
            for model in self.models
        ]

    def allowed_hosts(self) -> Sequence[str]:
        """Return the host names that requests may have; none: any."""
        own = LOOPBACK if self.host in LOOPBACK else ()
        return (*own, *self.hosts) if own or self.hosts else ()


class ApiKeys(NamedTuple):
    """The keys of a file, as digests, so that comparing takes the same time for each."""

    digests: tuple[bytes, ...]

    @classmethod
    def of(cls, keys: Iterable[str]) -> "ApiKeys":
        """Return the digests of keys."""
        return cls(tuple(map(_digest, keys)))

    def has_key(self, key: str) -> bool:
        """Return True for a key of the file."""
        digest = _digest(key)
        return sum(hmac.compare_digest(digest, one) for one in self.digests) > 0  # all are compared


class Configuration(NamedTuple):
    """Settings and what they name."""

    settings: ServerSettings
    keys: ApiKeys | None  # None: no key is asked for


class ConfigurationSource(NamedTuple):
    """Where the configuration comes from: a file, and settings of the command line, which replace its."""

    file: Path | None = None
    settings: Mapping[str, Any] = {}

    def read(self) -> Configuration:
        """Read the configuration; UsageError with every mistake of the file, DataError for the keys."""
        base = _read_file(self.file) if self.file else ServerSettings()
        settings = replace(base, **self.settings)
        if not settings.models:
            raise UsageError("no model to serve: name one, as in `nmt serve runs/mine`, or in --config FILE")
        for _, what in settings.conflicts():
            raise UsageError(what.replace("give each its `name`", "name each, as in name=path"))
        return Configuration(settings, read_keys(Path(settings.api_keys)) if settings.api_keys else None)


def _read_file(file: Path) -> ServerSettings:
    settings, _ = read_settings(ServerSettings, file, "configuration")
    models = [replace(model, path=_resolve(model.path, file.parent)) for model in settings.models]
    keys = settings.api_keys
    return replace(settings, models=models, api_keys=keys and _resolve(keys, file.parent))


def _resolve(path: str, folder: Path) -> str:
    return path if is_hub_name(path) else str(folder / expand_home(path))


def parse_model(text: str, *, int8: bool = False) -> ServedModelSettings:
    """Parse a model of the command line: a path, or `name=path`."""
    name, equals, path = text.partition("=")
    if not equals or "/" in name or "\\" in name:
        return ServedModelSettings(path=text, int8=int8)
    if not name or not path:
        raise UsageError(f"{text}: expected a path, or name=path")
    return ServedModelSettings(path=path, name=name, int8=int8)


def read_keys(file: Path) -> ApiKeys:
    """Read a file of keys: one a line, without blank lines and comments (#); DataError if it has none."""
    try:
        text = read_bytes(file, CARD_BYTES, "give a file of keys, one a line", inside=False).decode()
    except UnicodeDecodeError:
        raise RefusedFile(file, "it is not UTF-8 text", "give a file of keys, one a line") from None
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise DataError(f"{file}: it has no keys: write one a line, such as that of `openssl rand -hex 16`")
    return ApiKeys.of(keys)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
