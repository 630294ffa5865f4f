"""Download of a file over HTTP: resumed, verified by its checksum, renamed when complete."""

import ssl
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from nmt import __version__
from nmt.errors import DataError
from nmt.files import file_sha256, part_file, replace_file

ATTEMPTS = 4
CHUNK = 1 << 16
TIMEOUT = 30.0  # seconds without a byte
RETRY_STATUS = (408, 416, 425, 429, 500, 502, 503, 504)  # 416: the part on disk is too long
TRANSIENT_ERRORS = (URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError)

Report = Callable[[int], None]
Warn = Callable[[str], None]


def download(
    url: str,
    target: Path,
    *,
    sha256: str,
    size: int | None = None,
    report: Report = lambda held: None,
    warn: Warn = lambda message: None,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Download `url` to `target`, unless it exists.

    Until it is complete the file is `target.part`, which the next call resumes. `report` is called with the
    number of bytes so far, `warn` with errors that lead to another attempt. Raises DataError.
    """
    if target.exists():
        actual = file_sha256(target)
        if actual != sha256:
            raise DataError(
                f"{target}: a different file already exists (sha256 {actual}, expected {sha256}); "
                "move it away and download again"
            )
        return
    part = part_file(target)
    is_resumed = part.exists()
    try:
        _download_part(url, part, size, report, warn, pause)
        if is_resumed and file_sha256(part) != sha256:
            warn(f"{part.name}: the partial download does not match; starting again")
            part.unlink()
            _download_part(url, part, size, report, warn, pause)
        actual, held = file_sha256(part), part.stat().st_size
        if actual != sha256:
            part.unlink()
            raise DataError(
                f"{url}: not the expected file ({held:,} bytes, sha256 {actual}, expected {sha256}); "
                "it was damaged in transit or changed at its source, and has been deleted"
            )
        replace_file(part, target)
    except OSError as error:
        raise DataError(f"cannot write {error.filename or target}: {error.strerror or error}") from error


def _download_part(
    url: str, part: Path, size: int | None, report: Report, warn: Warn, pause: Callable[[float], None]
) -> None:
    """Append to `part` until the file is complete, with several attempts if the connection fails."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _request_rest(url, part, size, report)
            return
        except TRANSIENT_ERRORS as error:
            reason = _describe_error(error, part)
            if attempt == ATTEMPTS or (isinstance(error, HTTPError) and error.code not in RETRY_STATUS):
                kept = "nothing was kept"
                if held := _size(part):
                    kept = f"{held:,} bytes are kept in {part}; run the same command again to resume"
                else:
                    part.unlink(missing_ok=True)
                raise DataError(f"{url}: {reason}; {kept}") from error
            warn(f"{part.stem}: {reason}; retrying ({attempt} of {ATTEMPTS - 1})")
            pause(2.0 ** (attempt - 1))


def _request_rest(url: str, part: Path, size: int | None, report: Report) -> None:
    """Request the file from the first byte missing in `part`."""
    held = _size(part)
    if size is not None and held >= size:
        return  # complete, or too long: the checksum decides
    headers = {"User-Agent": f"nmt/{__version__}"} | ({"Range": f"bytes={held}-"} if held else {})
    with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as reply:
        if reply.status != 206 or not reply.headers.get("Content-Range", "").startswith(f"bytes {held}-"):
            held = 0  # a server without ranges sends all, with status 200
        length = reply.headers.get("Content-Length")
        total = size if length is None else held + int(length)
        with part.open("ab" if held else "wb") as out:
            while (size is None or held <= size) and (chunk := reply.read(CHUNK)):
                out.write(chunk)
                held += len(chunk)
                report(held)
    if total is not None and held < total:
        raise ConnectionError(f"the connection ended after {held:,} of {total:,} bytes")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _describe_error(error: Exception, part: Path) -> str:
    if isinstance(error, HTTPError):
        error.close()
        if error.code == 416:
            part.unlink(missing_ok=True)
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, URLError):
        return f"no connection ({error.reason})"
    return str(error) or type(error).__name__
