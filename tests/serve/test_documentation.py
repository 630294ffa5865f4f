"""The commands and settings of docs/serve.md work as they are written."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from nmt.recipe.sections import to_plain, validate
from nmt.serve.configuration import ServerSettings
from nmt.serve.http.operations import OPERATIONS
from nmt.serve.http.problems import format_json
from tests.serve.stand_in import RunningServer, run_server

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "serve.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (curl .*)$", PAGE, re.MULTILINE)
JSON_BODY, FORM = "{[", "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with run_server() as running:
        ko_en = running.service.models.pop("ko-en")
        running.service.models = {"ko-en": ko_en, **running.service.models}
        yield running


@pytest.mark.parametrize("command", COMMANDS)
def test_the_requests_of_the_page_are_answered(server: RunningServer, command: str) -> None:
    words = shlex.split(command)[1:]
    path = next(word for word in words if word.startswith("http")).partition(":5000")[2]
    data = [words[index + 1] for index, word in enumerate(words) if word == "-d"]
    is_form = bool(data) and data[0][0] not in JSON_BODY
    body = "&".join(data)
    answer = server.ask(path, body.encode() or None, headers={"Content-Type": FORM} if is_form else {})
    assert answer.status == 200, answer.body


def test_the_configuration_of_the_page_has_every_setting_with_its_default() -> None:
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    written: dict[str, Any] = yaml.safe_load(text)
    settings = validate(ServerSettings, written)
    assert [one[0] for one in settings.sources()] == ["ko-en", "de-en"]
    shown = {"models", "workers", "api_keys"}
    defaults = to_plain(ServerSettings())
    assert {**defaults, **{name: written[name] for name in shown}} == {"trust_code": False, **written}


def test_the_page_lists_the_paths_and_statuses() -> None:
    for operation in OPERATIONS:
        if not operation.path.startswith("/translator/") or operation.path.endswith("translate"):
            assert operation.path in PAGE
    assert format_json({"error": {"status": 400}})[:-2].decode().replace(":", ": ") in PAGE


def test_the_example_of_compose_names_files_that_there_are() -> None:
    file = CHECKOUT / "docs" / "examples" / "compose.yaml"
    service = yaml.safe_load(file.read_text(encoding="utf-8"))["services"]["nmt"]
    assert (file.parent / service["build"] / "Dockerfile").is_file()
    assert service["command"][0] == "serve"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
def test_the_unit_of_systemd_is_valid(tmp_path: Path) -> None:
    [unit] = re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "nmt.service").write_text(unit.replace("/opt/nmt/bin/nmt", sys.executable), encoding="utf-8")
    command = ["systemd-analyze", "verify", str(tmp_path / "nmt.service")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert [line for line in done.stderr.splitlines() if "nmt.service" in line] == []
