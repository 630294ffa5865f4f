"""Models of the Hugging Face Hub: `hf:user/name` in the place of a path, and the upload of a directory.

The only module that imports huggingface_hub, once a name is used; endpoint (HF_ENDPOINT), cache (HF_HOME),
tokens (HF_TOKEN, `hf auth login`) and proxies are the library's. Only files that nmt reads are downloaded,
none larger than its kind can be; what is in them is checked when the model is loaded, as in any directory.
"""

import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nmt.errors import DataError, UsageError, escape_controls, report_missing_packages
from nmt.files import HUB_PREFIX, is_hub_name
from nmt.formats import PROSE
from nmt.trust import CODE_BYTES
from nmt.untrusted_files import CARD_BYTES, GRAPH_BYTES, RECIPE_BYTES, TEXT_BYTES, WEIGHT_BYTES

log = logging.getLogger(__name__)

REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
REVISION = re.compile(r"(?!.*\.\.)\w[\w./+-]*", re.ASCII)
FILE_NAME = re.compile(r"[\w-][\w.-]*")
SIZES: Mapping[str, int] = {
    **{"*.json": CARD_BYTES, "recipe.yaml": RECIPE_BYTES, PROSE: CARD_BYTES, "*.py": CODE_BYTES},
    **{"*.spm": TEXT_BYTES, "*.vocab": TEXT_BYTES, "*.onnx": GRAPH_BYTES, "*.safetensors": WEIGHT_BYTES},
}
"""The files that are downloaded, and the bytes that one has at most."""
MOST_FILES = 100
LISTS = ("model.json", "checksums.json")
"""The lists of checksums of a model directory and of an export."""


def find_model(path: Path) -> Path:
    """Return the directory of a model: of `hf:user/name[@revision]` in the cache, after downloading it.

    Any other path is returned as it is. Raises UsageError for a wrong name, DataError if there is no such
    model, or no connection and no copy in the cache.
    """
    if not is_hub_name(path):
        return path
    name = path.as_posix().removeprefix(HUB_PREFIX)
    repository, has_revision, revision = name.partition("@")
    check_repository(repository, HUB_PREFIX)
    if has_revision and not REVISION.fullmatch(revision):
        shown = escape_controls(HUB_PREFIX + name)
        raise UsageError(f"{shown} names no revision after @: write {HUB_PREFIX}user/name@revision")
    return _download(repository, revision or None)


def check_repository(name: str, prefix: str = "") -> None:
    """Raise UsageError unless a name can be that of a repository."""
    if not REPOSITORY.fullmatch(name):
        shown = escape_controls(prefix + name)
        raise UsageError(f"{shown} is not the name of a model on the Hub: write {prefix}user/name")


def _download(repository: str, revision: str | None) -> Path:
    with _import_library():
        from huggingface_hub import HfApi, constants, snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError
    wanted = f"{repository}@{revision}" if revision else repository
    with _report_hub_errors(wanted):
        files, problem = [*SIZES], None
        try:
            info = HfApi().model_info(repository, revision=revision, files_metadata=True)
            files = _choose_files(wanted, {file.rfilename: file.size for file in info.siblings or ()})
        except _connection_errors() as error:
            problem = _first_line(error)
        try:
            found = snapshot_download(
                repository,
                revision=revision,
                allow_patterns=files,
                ignore_patterns=["*/*"],
                local_files_only=problem is not None,
            )
        except LocalEntryNotFoundError as error:
            raise DataError(
                f"cannot download {wanted} from {constants.ENDPOINT}: {problem or _first_line(error)}; "
                f"the cache {constants.HF_HUB_CACHE} has no complete copy"
            ) from None
    if problem and not constants.HF_HUB_OFFLINE:
        log.warning("no connection to %s (%s): %s is the cached copy", constants.ENDPOINT, problem, wanted)
    return Path(found)


def _choose_files(wanted: str, sizes: Mapping[str, int | None]) -> list[str]:
    """Return the files of a repository to download; DataError if it is no model, or if one is too large."""
    found = {
        name: kind for name in sizes for kind in SIZES if FILE_NAME.fullmatch(name) and _matches(name, kind)
    }
    if not {*LISTS} & {*found}:
        raise DataError(f"{wanted} is not a model of nmt: it has neither {' nor '.join(LISTS)}")
    if len(found) > MOST_FILES:
        raise DataError(f"{wanted} is refused: it has {len(found):,} files, and a model at most {MOST_FILES}")
    for name, kind in found.items():
        size = sizes[name]
        if size is None or size > SIZES[kind]:
            has = "an unknown size" if size is None else f"{size:,} bytes"
            raise DataError(
                f"{wanted} is refused: {name} has {has}, and a file of this kind at most {SIZES[kind]:,}"
            )
    return [*found]


def _matches(name: str, kind: str) -> bool:
    return name.endswith(kind[1:]) if kind.startswith("*") else name == kind


def upload(directory: Path, repository: str, *, private: bool = False) -> str:
    """Upload the files of a directory in one commit, creating the repository; return the URL of the commit.

    Files of another model that the repository had are removed, others stay.
    """
    check_repository(repository)
    with _import_library():
        from huggingface_hub import HfApi
    with _report_hub_errors(repository):
        api = HfApi()
        api.create_repo(repository, private=private or None, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=directory,
            commit_message="Upload a model of nmt",
            delete_patterns=[kind for kind in SIZES if kind != PROSE],
        )
    return str(commit.commit_url)


@contextmanager
def _import_library() -> Iterator[None]:
    """Report a missing library; progress bars are for terminals."""
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    with report_missing_packages():
        yield


def _connection_errors() -> tuple[type[Exception], ...]:
    """Return the errors of a server that is not reached. The HTTP library is another in each version."""
    from huggingface_hub.errors import OfflineModeIsEnabled
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    return httpx.TransportError, OfflineModeIsEnabled


@contextmanager
def _report_hub_errors(wanted: str) -> Iterator[None]:
    """Turn errors of the Hub and its library into messages that name the model and the server."""
    from huggingface_hub import constants, errors

    where = f"{wanted} at {constants.ENDPOINT}"
    try:
        yield
    except errors.GatedRepoError:
        raise DataError(f"{where}: ask for access on its page, and log in with `hf auth login`") from None
    except errors.RevisionNotFoundError:
        raise DataError(f"{where}: there is no such revision (a branch, a tag or a commit)") from None
    except errors.RepositoryNotFoundError:
        raise DataError(
            f"{where}: there is no such model, or it is private: check the name, "
            "log in with `hf auth login`, or set HF_TOKEN"
        ) from None
    except errors.HfHubHTTPError as error:
        status, advice = error.response.status_code, ""
        if status in (401, 403):
            advice = "; log in with `hf auth login`, or set HF_TOKEN to a token that may write there"
        raise DataError(f"{where}: {_first_line(error)}{advice}") from None
    except errors.XetDownloadError as error:
        raise DataError(f"{where}: {_first_line(error)}") from None
    except _connection_errors() as error:
        raise DataError(f"{where}: no connection ({_first_line(error)})") from None
    except ValueError as error:
        raise UsageError(f"{where}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return escape_controls(lines[0][:200]) if lines else type(error).__name__
