"""Models that are pushed to the Hub and read from it by name, with a stand-in for the Hub on the loopback."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nmt
from nmt.errors import DataError, UsageError
from nmt.hub import find_model
from nmt.recipe.reader import read_any_recipe, read_model_recipe
from nmt.trust import VARIABLE
from nmt.untrusted_files import RefusedFile, check_inside
from tests.end_to_end.toy import done
from tests.end_to_end.toy import nmt as run
from tests.hub_server import StandInHub, serve_hub

pytest.importorskip("huggingface_hub", reason="models of the Hub need the extra [hub]")

ARTIFACTS = Path(__file__).parent / "compatibility" / "v0.1"
LINE = ("-q", "--split", "never", "-i", ARTIFACTS / "lines.de")
NAME = "hf:me/mini"


def forget_library() -> None:
    """The library reads its environment when it is imported."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
        del sys.modules[name]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """A stand-in, and a cache of its own."""
    with serve_hub() as server:
        for name, value in {
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_TOKEN": "hf_x",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        forget_library()
        yield server
        if "huggingface_hub" in sys.modules:
            sys.modules["huggingface_hub"].close_session()
        forget_library()


def files_of(directory: Path) -> dict[str, bytes]:
    """The files that are found in a directory."""
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_model_pushed_and_pulled_by_name_translates_to_the_same_bytes(
    hub: StandInHub, tmp_path: Path
) -> None:
    printed = done(run("push", ARTIFACTS / "averaged", "me/mini"))
    assert "model.safetensors" in printed
    assert f"{hub.url}/me/mini/commit/" in printed
    expected = (ARTIFACTS / "expected" / "averaged.en").read_bytes()
    assert run("translate", NAME, *LINE).stdout_bytes == expected
    uploaded = hub.latest("me/mini")
    assert uploaded["model.safetensors"] == (ARTIFACTS / "averaged/model.safetensors").read_bytes()
    assert {"config.json", "README.md", "model.json", "recipe.yaml", "source.spm"} <= {*uploaded}
    assert b"nmt translate hf:me/mini" in uploaded["README.md"]
    assert nmt.Translator(NAME)("a") == nmt.Translator(ARTIFACTS / "averaged")("a")


def test_a_run_is_pushed_without_paths_and_an_export_as_it_is(hub: StandInHub, tmp_path: Path) -> None:
    home, export = tmp_path / "private-home", tmp_path / "export"
    shutil.copytree(ARTIFACTS / "interrupted", home / "run", symlinks=True)
    done(run("push", home / "run", "me/mini", "--private"))
    assert hub.private == {"me/mini"}
    assert not [name for name, body in hub.latest("me/mini").items() if b"private-home" in body]
    ours, theirs = (run("translate", model, *LINE).stdout_bytes for model in (home / "run", NAME))
    assert ours == theirs
    assert run("push", ARTIFACTS / "onnx", "me/mini").exit_code == 2  # of version 0.1, it has no card
    shutil.copytree(ARTIFACTS / "onnx", export)
    (export / "README.md").write_text("---\nlanguage: [de, en]\n---\n# Mine\n", encoding="utf-8")
    assert "names no licence" in run("push", export, "me/mini").stderr
    assert {*hub.latest("me/mini")} == {".gitattributes", *files_of(export)}  # nothing of the model before
    assert hub.latest("me/mini")["README.md"] == (export / "README.md").read_bytes()
    assert run("translate", NAME, *LINE).stdout_bytes == (ARTIFACTS / "expected/onnx.en").read_bytes()


def test_the_card_of_a_model_directory_is_kept_and_a_dry_run_uploads_nothing(
    hub: StandInHub, tmp_path: Path
) -> None:
    model, card = tmp_path / "model", "---\nlicense: mit\n---\n# My words\n"
    shutil.copytree(ARTIFACTS / "averaged", model)
    (model / "README.md").write_text(card, encoding="utf-8")
    assert "README.md" in done(run("push", model, "me/mini", "--dry-run"))
    assert hub.commits == {}
    assert "licence" not in run("push", model, "me/mini").stderr
    assert hub.latest("me/mini")["README.md"].decode() == card


def test_a_cached_model_is_read_without_a_connection(
    hub: StandInHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hub.commit("me/mini", files_of(ARTIFACTS / "averaged"))
    found = find_model(Path(NAME))
    downloaded = len(hub.downloaded)
    assert find_model(Path(NAME)) == found
    assert len(hub.downloaded) == downloaded
    hub.shutdown()
    hub.server_close()
    assert find_model(Path(NAME)) == found
    assert "no connection to http://127.0.0.1" in caplog.text
    with pytest.raises(DataError, match="cannot download me/other from http://127.* has no complete copy"):
        find_model(Path("hf:me/other"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    forget_library()
    caplog.clear()
    assert find_model(Path(NAME)) == found
    assert caplog.text == ""
    (found / "target.spm").unlink()
    with pytest.raises(DataError, match="has no complete copy"):
        find_model(Path(NAME))


def test_a_revision_can_be_named(hub: StandInHub) -> None:
    first = hub.commit("me/mini", files_of(ARTIFACTS / "averaged"))
    changed = {**files_of(ARTIFACTS / "averaged"), "README.md": b"# New\n"}
    second = hub.commit("me/mini", changed)
    assert find_model(Path(f"{NAME}@{first}")).name == first
    assert find_model(Path(NAME)).name == second
    with pytest.raises(DataError, match="me/mini@v9 at http.*no such revision"):
        find_model(Path(f"{NAME}@v9"))


@pytest.mark.parametrize(
    "name",
    [
        *("hf:", "hf:mini", "hf:a/b/c", "hf:../mini", "hf:me/mi ni", "hf:me/..", "hf:/me/mini"),
        *(f"hf:me/mini@{revision}" for revision in ("", "../main", "a/../../b", "/etc", "a\x1b[1m", " ")),
    ],
)
def test_a_name_that_is_none_is_refused(name: str, hub: StandInHub) -> None:
    with pytest.raises(UsageError, match="hf:user/name"):
        find_model(Path(name))
    result = run("translate", name)
    assert result.exit_code == 2
    assert "hf:user/name" in result.stderr


def test_errors_name_the_model_and_the_server(hub: StandInHub) -> None:
    result = run("translate", "hf:me/none")
    assert result.exit_code == 1
    assert f"me/none at {hub.url}: there is no such model" in result.stderr
    hub.token = "another"
    result = run("push", ARTIFACTS / "averaged", "me/mini")
    assert result.exit_code == 1
    assert f"me/mini at {hub.url}: " in result.stderr
    assert "hf auth login" in result.stderr
    hub.token, hub.fails = None, True
    with pytest.raises(DataError, match=r"me/none at http.*500"):
        find_model(Path("hf:me/none"))


def test_only_files_of_a_model_are_downloaded(hub: StandInHub) -> None:
    strange = {
        "model.bin": b"\x80\x04.",
        "setup.py.txt": b"",
        "deep/model.json": b"{}",
        ".hidden.json": b"{}",
    }
    hub.commit("me/mini", {**files_of(ARTIFACTS / "averaged"), **strange})
    assert {path.name for path in find_model(Path(NAME)).iterdir()} == {*files_of(ARTIFACTS / "averaged")}
    hub.commit("me/other", {"pytorch_model.bin": b"", "config.json": b"{}"})
    with pytest.raises(DataError, match="me/other is not a model of nmt"):
        find_model(Path("hf:me/other"))


@pytest.mark.parametrize("name", ["model.json", "recipe.yaml", "source.spm", "model.safetensors"])
def test_files_that_are_too_large_are_not_downloaded(name: str, hub: StandInHub) -> None:
    hub.commit("me/mini", files_of(ARTIFACTS / "averaged"))
    hub.sizes[name] = 1 << 40
    with pytest.raises(DataError, match=rf"me/mini is refused: {name} has 1,099,511,627,776 bytes"):
        find_model(Path(NAME))
    assert hub.downloaded == []


def test_too_many_files_are_refused(hub: StandInHub) -> None:
    hub.commit("me/mini", {**files_of(ARTIFACTS / "averaged"), **{f"{i}.json": b"{}" for i in range(101)}})
    with pytest.raises(DataError, match="me/mini is refused: it has 107 files"):
        find_model(Path(NAME))


def test_what_is_downloaded_is_checked(hub: StandInHub) -> None:
    files = files_of(ARTIFACTS / "averaged")
    hub.commit("me/mini", {**files, "source.spm": files["source.spm"] + b"x"})
    result = run("translate", NAME)
    assert result.exit_code == 1
    assert "source.spm: refused: checksum mismatch" in result.stderr


def test_cells_are_uploaded_on_request_and_run_with_consent(
    hub: StandInHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv(VARIABLE, "")
    result = run("push", ARTIFACTS / "language-model", "me/mini")
    assert result.exit_code == 2
    assert "cells.py" in result.stderr
    assert "--with-code" in result.stderr
    assert hub.commits == {}
    done(run("push", ARTIFACTS / "language-model", "me/mini", "--with-code"))
    refused = run("sample", NAME, "--length", 3)
    assert refused.exit_code == 1
    assert "you have not allowed to run" in refused.stderr
    assert done(run("sample", NAME, "--length", 3, "--trust-code"))


def test_a_recipe_starts_from_a_model_of_the_hub_but_none_that_is_loaded_does(
    hub: StandInHub, tmp_path: Path
) -> None:
    hub.commit("me/mini", files_of(ARTIFACTS / "averaged"))
    recipe = read_any_recipe(["quickstart-lstm"], [f"training.start_from={NAME}"])
    assert recipe.training.start_from == str(find_model(Path(NAME)))
    hub.downloaded.clear()
    shutil.copytree(ARTIFACTS / "interrupted", tmp_path / "run", symlinks=True)
    text = (tmp_path / "run/recipe.yaml").read_text(encoding="utf-8")
    assert "start_from: null" in text
    changed = text.replace("start_from: null", "start_from: hf:me/other")
    (tmp_path / "run/recipe.yaml").write_text(changed, encoding="utf-8")
    read_model_recipe(tmp_path / "run")
    assert hub.downloaded == []


def test_links_of_the_cache_lead_to_its_blobs_only(tmp_path: Path) -> None:
    repository, other = tmp_path / "models--me--mini", tmp_path / "other"
    snapshot, blob, secret = repository / "snapshots/abc", repository / "blobs/1", tmp_path / "secret"
    for file in (
        snapshot / "x",
        blob,
        secret,
        tmp_path / "other/blobs/1",
        tmp_path / "other/snapshots/abc/x",
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps("x"), encoding="utf-8")
    links = {"in": blob, "out": secret, "refs": repository / "snapshots"}
    for name, target in links.items():
        (snapshot / name).symlink_to(target)
    (other / "snapshots/abc/in").symlink_to(other / "blobs/1")
    assert check_inside(snapshot / "in", snapshot) == blob.resolve()
    for path in (snapshot / "out", snapshot / "refs", other / "snapshots/abc/in"):
        with pytest.raises(RefusedFile, match="a link out of"):
            check_inside(path, path.parent)
