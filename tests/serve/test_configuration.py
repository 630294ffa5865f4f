"""The configuration of the server: its file, the command line over it, and the keys."""

from pathlib import Path

import pytest

from nmt.errors import DataError, UsageError
from nmt.serve.configuration import ConfigurationSource, ServerSettings, parse_model, read_keys
from tests.end_to_end.toy import nmt


def write(folder: Path, text: str) -> Path:
    file = folder / "serve.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(UsageError) as error:
        ConfigurationSource(write(folder, text)).read()
    return [line.removeprefix(f"{folder}/serve.yaml:") for line in str(error.value).splitlines()[1:]]


def test_a_file_gives_models_limits_and_keys(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# of friends\n one \n\ntwo\n", encoding="utf-8")
    file = write(
        tmp_path,
        "models:\n  - {path: runs/ko-en, int8: true}\n  - {path: hf:user/model, name: hub}\n"
        "port: 8000\nlimits:\n  seconds: 5\napi_keys: keys\n",
    )
    settings, keys = ConfigurationSource(file).read()
    assert settings.sources() == [
        ("ko-en", f"{tmp_path}/runs/ko-en", "int8"),
        ("hub", "hf:user/model", "float32"),
    ]
    assert (settings.port, settings.limits.seconds, settings.limits.texts) == (8000, 5.0, 1000)
    assert keys is not None
    assert [keys.has_key(key) for key in ("one", "two", "# of friends", "", "ONE")] == [
        True,
        True,
        *[False] * 3,
    ]


def test_the_command_line_replaces_settings_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "models: [{path: a}]\nport: 8000\nworkers: 3\n")
    models = [parse_model("name=runs/b"), parse_model("runs/c=d", int8=True), parse_model("./e/")]
    settings = ConfigurationSource(file, {"models": models, "port": 9000}).read().settings
    assert [source[:2] for source in settings.sources()] == [
        ("name", "runs/b"),
        ("c=d", "runs/c=d"),
        ("e", "./e/"),
    ]
    assert (settings.port, settings.workers, settings.host) == (9000, 3, "127.0.0.1")


def test_every_mistake_of_a_file_is_reported_with_its_line(tmp_path: Path) -> None:
    text = "models:\n  - {path: a, nmae: b}\n  - {name: c}\nprot: 5\n"
    text += "limits: {texts: 0, secnods: 1}\nworkers: two\n"
    assert problems(tmp_path, text) == [
        "2:15: models.nmae: no such setting, did you mean 'name'?",
        "3:5: models.path: missing; A run, a checkpoint, a model directory, an export or hf:user/name; "
        "relative to this file.",
        "4:1: prot: no such setting, did you mean 'port'?",
        "5:17: limits.texts: expected at least 1 (got 0)",
        "5:20: limits.secnods: no such setting, did you mean 'seconds'?",
        "6:10: workers: expected a whole number (got 'two')",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models: [{path: a}, {path: b/a}]", "1:1: models: 2 models are named 'a': give each its `name`"),
        ("models: [a]", "1:10: models: expected a section with path, name, int8 (got 'a')"),
        ("- a", "1:1: a configuration consists of settings, `name: value`"),
        ("port: 5\nport: 6", "2:1: port: given twice, first on line 1"),
        ("port: 70000", "1:7: port: expected at most 65535 (got 70000)"),
        (
            "a: [",
            "1:5: not YAML: while parsing a flow node, expected the node content, but found '<stream end>'",
        ),
    ],
)
def test_mistakes_of_a_file(tmp_path: Path, text: str, message: str) -> None:
    assert problems(tmp_path, text) == [message]


def test_a_file_or_keys_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"serve.yaml: no such file or directory"):
        ConfigurationSource(tmp_path / "serve.yaml").read()
    with pytest.raises(DataError, match=r"keys: refused: no such file or directory; give a file of keys"):
        read_keys(tmp_path / "keys")
    with pytest.raises(DataError, match="not a regular file"):
        read_keys(tmp_path)
    (tmp_path / "keys").write_text("# none\n\n", encoding="utf-8")
    with pytest.raises(DataError, match="it has no keys: write one a line"):
        read_keys(tmp_path / "keys")
    (tmp_path / "keys").write_bytes(b"\xff")
    with pytest.raises(DataError, match="it is not UTF-8 text"):
        read_keys(tmp_path / "keys")


def test_two_models_of_one_name_are_refused() -> None:
    models = [parse_model("a/run"), parse_model("b/run")]
    with pytest.raises(UsageError, match=r"2 models are named 'run': name each, as in name=path"):
        ConfigurationSource(None, {"models": models}).read()
    for text in ("=a", "a="):
        with pytest.raises(UsageError, match="expected a path, or name=path"):
            parse_model(text)


def test_hosts_that_requests_may_have() -> None:
    def hosts(host: str, *names: str) -> tuple[str, ...]:
        return tuple(ServerSettings(host=host, hosts=[*names]).allowed_hosts())

    assert hosts("127.0.0.1") == hosts("localhost") == ("localhost", "127.0.0.1", "::1")
    assert hosts("::1", "a.example")[-1] == "a.example"
    assert hosts("0.0.0.0") == ()
    assert hosts("0.0.0.0", "a.example") == ("a.example",)


def test_the_command_reports_what_is_wrong(tmp_path: Path) -> None:
    import socket

    def fail(*words: object) -> tuple[int, str]:
        result = nmt("serve", *words)
        return result.exit_code, result.stderr.strip()

    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        assert fail(tmp_path, "--port", port) == (
            1,
            f"nmt: cannot listen at 127.0.0.1, port {port}: Address already in use; stop the program that "
            "uses it, or choose another port with --port",
        )
    assert fail(tmp_path, "--host", "no.such.name.invalid")[0] == 1
    assert "give an address of this machine" in fail(tmp_path, "--host", "no.such.name.invalid")[1]
    assert "no model to serve" in fail()[1]
    assert fail()[0] == 2
    assert "keys: refused: no such file or directory" in fail(tmp_path, "--api-keys", tmp_path / "keys")[1]
    assert "no such setting" in fail("--config", write(tmp_path, "a: 1"))[1]
