"""`nmt.Translator`, alone and as an actor of Ray Data."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nmt
from nmt.decoding.job import Line, LineConstraints
from nmt.errors import UsageError
from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import done
from tests.end_to_end.toy import nmt as command

LINES = ["Der alte Hund sucht einen Stein.", "", "Der gute Mann malt einen Baum."]


def test_it_translates_as_the_command_does(finished: Finished) -> None:
    found = nmt.Translator(finished.run).translate(LINES)
    text = done(command("translate", finished.run, "-q", stdin="\n".join(LINES).encode()))
    assert "".join(f"{one.text}\n" for one in found) == text
    assert [one.number for one in found] == [1, 2, 3]


def test_it_returns_what_was_requested(finished: Finished) -> None:
    translator = nmt.Translator(finished.run)
    [found] = translator.translate(LINES[:1], beam=4, n_best=3, aligned=True)
    assert len(found.candidates) == 3
    assert found.alignment
    [held] = translator.translate(
        [Line(1, LINES[0], constraints=LineConstraints(must_not=(found.text.split()[1],)))]
    )
    assert found.text.split()[1] not in held.text.split()
    with pytest.raises(UsageError, match="n_best 4 exceeds the beam of 3"):
        translator.translate(LINES, beam=3, n_best=4)


def test_a_glossary_is_a_mapping(finished: Finished) -> None:
    translator = nmt.Translator(finished.run)
    lines = ["Der alte Hund kennt einen Baum."]
    [found] = translator.translate(lines, glossary={"hund": "fish stone", "Katze": "bird"})
    assert "fish stone" in found.text
    own = Line(1, lines[0], constraints=LineConstraints(glossary=(("Baum", "red bird"),)))
    [both] = translator.translate([own], glossary={"baum": "man"})
    assert "red bird" in both.text
    wrong: list[Any] = [["Hund"], "Hund", {"Hund": 1}, {"Hund": " "}]
    for glossary in wrong:
        with pytest.raises(UsageError, match="glossary"):
            translator.translate(lines, glossary=glossary)


def test_a_model_with_itself_is_an_ensemble(finished: Finished) -> None:
    alone = nmt.Translator(finished.run).translate(LINES)
    together = nmt.Translator(finished.run, finished.run).translate(LINES)
    assert [one.text for one in together] == [one.text for one in alone]


def test_to_import_nmt_does_not_import_torch() -> None:
    code = "import sys, nmt; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Translater'"):
        _ = nmt.Translater


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed (recurrent-nmt[ray])"
)
def test_the_example_for_ray_runs(finished: Finished, tmp_path: Path) -> None:
    example = Path(__file__).resolve().parents[2] / "docs" / "examples" / "ray_data.py"
    source, output = tmp_path / "source", tmp_path / "output"
    source.write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    subprocess.run([sys.executable, example, finished.run, source, output], check=True)
    written = [
        json.loads(line)
        for path in sorted(output.iterdir())
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    expected = {one.line.text: one.text for one in nmt.Translator(finished.run).translate(LINES)}
    assert {one["text"]: one["translation"] for one in written} == expected
