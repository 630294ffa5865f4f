"""`nmt.Translator`, alone and as an actor of Ray Data."""

import html
import importlib.util
import json
import os
import pickle
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmt
from nmt.decoding.job import Line, LineConstraints
from nmt.decoding.options import Options
from nmt.errors import NmtError, UsageError
from nmt.recipe.tasks.language_model import load_language_model, sample_tokens
from nmt.trust import trust_file
from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import done
from tests.end_to_end.toy import nmt as command

ARTIFACTS = Path(__file__).resolve().parents[1] / "compatibility/v0.1"
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
    unlimited = replace(translator.options, suggestion_margin=1000.0)
    suggested: Any = {"Hund": ("fish stone", "suggested")}
    assert translator.translate(lines, options=unlimited, glossary=suggested) == [
        translator.translate(lines[0], glossary={"Hund": "fish stone"})
    ]
    own = Line(1, lines[0], constraints=LineConstraints(glossary=(("Baum", "red bird"),)))
    [both] = translator.translate([own], glossary={"baum": "man"})
    assert "red bird" in both.text
    wrong: list[Any] = [["Hund"], "Hund", {"Hund": 1}, {"Hund": " "}]
    for glossary in wrong:
        with pytest.raises(UsageError, match="glossary"):
            translator.translate(lines, glossary=glossary)
    for own_glossary in (
        *wrong,
        5,
        None,
        ("ab",),
        (("Hund",),),
        (("Hund", "dog", 1),),
        (("Hund", "dog", "x"),),
        ((["Hund"], "dog"),),
    ):
        constraints = LineConstraints(glossary=own_glossary)
        with pytest.raises(UsageError, match="glossary of line 1"):
            translator.translate([Line(1, lines[0], constraints=constraints)])


def test_a_pickle_holds_the_paths_of_the_models() -> None:
    trust_file(ARTIFACTS / "language-model" / "cells.py")
    translator, model = (
        nmt.Translator(ARTIFACTS / "averaged"),
        nmt.LanguageModel(ARTIFACTS / "language-model"),
    )
    assert pickle.loads(pickle.dumps(translator)).score("a", "b") == translator.score("a", "b")
    assert pickle.loads(pickle.dumps(model)).score("a") == model.score("a")


def test_lone_surrogates_are_scored_as_replacement_characters() -> None:
    translator = nmt.Translator(ARTIFACTS / "averaged")
    assert translator.score("a\ud800", "b\udcff") == translator.score("a\ufffd", "b\ufffd")
    assert translator.explain("a\ud800").trace.translation == translator("a\ufffd")
    trust_file(ARTIFACTS / "language-model" / "cells.py")
    model = nmt.LanguageModel(ARTIFACTS / "language-model")
    assert model.score("a\ud800").log_prob == model.score("a\ufffd").log_prob
    assert model.sample("a\ud800", length=2) == model.sample("a\ufffd", length=2)


def test_a_model_with_itself_is_an_ensemble(finished: Finished) -> None:
    alone = nmt.Translator(finished.run).translate(LINES)
    together = nmt.Translator(finished.run, finished.run).translate(LINES)
    assert [one.text for one in together] == [one.text for one in alone]


def test_a_call_returns_text_in_the_form_of_what_it_gets(finished: Finished) -> None:
    translator = nmt.Translator(finished.run)
    texts = [one.text for one in translator.translate(LINES)]
    assert translator(LINES) == texts
    assert translator(iter(LINES)) == texts
    assert translator(LINES[0]) == texts[0]
    assert translator([]) == []
    assert translator.translate(LINES[0]) == translator.translate(LINES[:1])[0]
    assert translator.translate(Line(7, LINES[0])).number == 7


def test_a_batch_gets_another_column(finished: Finished) -> None:
    """Ray Data passes arrays; `datasets.map` lists with `batched=True`, else single values."""
    translator = nmt.Translator(finished.run)
    texts = translator(LINES)
    assert translator({"id": 1, "text": LINES[0]}) == {"id": 1, "text": LINES[0], "translation": texts[0]}
    assert translator({"de": LINES}, column="de", output="en") == {"de": LINES, "en": texts}
    for kind in (object, str):
        batch = translator({"id": np.arange(3), "text": np.array(LINES, dtype=kind)})
        assert batch["translation"].tolist() == texts
        assert batch["translation"].dtype == object
        assert batch["id"].tolist() == [0, 1, 2]
    for names in ({"column": ["text"]}, {"output": ["text"]}):
        with pytest.raises(UsageError, match="must be a string"):
            translator({"text": LINES[0]}, **names)
    with pytest.raises(UsageError, match=r"no column 'text' \(columns: de, id\): name the text's"):
        translator({"de": LINES, "id": [1, 2, 3]})


def test_a_batch_is_translated_by_a_subclass_whose_calls_wait_for_a_thread(finished: Finished) -> None:
    """As Ray Data's actors do: a call within a call would wait for itself."""
    busy = threading.Lock()

    class Actor(nmt.Translator):
        def __call__(self, *arguments: Any) -> Any:
            assert busy.acquire(blocking=False)
            try:
                return super().__call__(*arguments)
            finally:
                busy.release()

    actor = Actor(finished.run)
    assert actor({"text": LINES[:1]})["translation"] == [actor(LINES[0])]


def test_constraints_are_arguments(finished: Finished) -> None:
    translator = nmt.Translator(finished.run)
    plain = translator(LINES[0])
    found = translator.translate(LINES[0], prefix="The small", must=["red"], must_not=plain.split()[-1:])
    assert found.text.startswith("The small")
    assert "red" in found.text
    assert plain.split()[-1] not in found.text.split()
    own = Line(2, LINES[0], constraints=LineConstraints(prefix="The good"))
    one, other = translator.translate([LINES[0], own], prefix="The small")
    assert one.text.startswith("The small")
    assert other.text.startswith("The good")


def test_attention_is_an_array_of_tokens(finished: Finished) -> None:
    translator = nmt.Translator(finished.run)
    several = f"{LINES[0]} {LINES[2]}"
    [one, joined] = translator.translate([LINES[0], several], n_best=2, attention=True)
    for found in (one, joined):
        for candidate in found.candidates:
            assert candidate.attention is not None
            assert candidate.attention.shape == (len(candidate.tokens), len(found.source_tokens))
            assert (candidate.attention.sum(axis=1) <= 1.0001).all()
    assert len(joined.parts) == 2  # each attends to its own source only
    first, last = one.candidates[0].attention, joined.candidates[0].attention
    assert first is not None
    assert last is not None
    np.testing.assert_allclose(last[: len(first), : first.shape[1]], first, atol=1e-6)
    assert not last[: len(first), first.shape[1] :].any()
    assert translator.translate(LINES[0]).candidates[0].attention is None


def test_given_translations_are_scored(finished: Finished) -> None:
    translator = nmt.Translator(finished.run)
    found = translator.translate(LINES[0])
    scored = translator.score(LINES[0], found.text)
    assert scored.log_prob == pytest.approx(found.candidates[0].log_prob, abs=1e-4)
    assert scored.tokens == found.candidates[0].tokens
    assert [one.log_prob for one in translator.score(LINES, [found.text, "", "dog"])] == [
        scored.log_prob,
        0.0,
        translator.score(LINES[2], "dog").log_prob,
    ]
    with pytest.raises(UsageError, match="src has 3 lines, tgt has 1"):
        translator.score(LINES, ["a"])
    with pytest.raises(UsageError, match="tgt must be a list of strings"):
        translator.score(LINES, "a")  # type: ignore[call-overload]


def test_a_sentence_is_explained_by_its_page(finished: Finished, tmp_path: Path) -> None:
    translator = nmt.Translator(finished.run)
    page = translator.explain(LINES[0])
    done(command("inspect", "sentence", finished.run, LINES[0], "-o", tmp_path / "command.html"))
    page.save(tmp_path / "python.html")
    assert (tmp_path / "python.html").read_bytes() == (tmp_path / "command.html").read_bytes()
    frame = page._repr_html_()
    assert frame.startswith("<iframe srcdoc=")
    assert html.unescape(frame.split('"')[1]) == page.html
    assert page.trace.translation == translator(LINES[0])
    with pytest.raises(UsageError, match="not an ensemble: open the run itself"):
        nmt.Translator(finished.run, finished.run).explain(LINES[0])
    with pytest.raises(UsageError, match="not an export"):
        nmt.Translator(ARTIFACTS / "onnx").explain("Hund")


@pytest.mark.parametrize("form", ["run", "checkpoint", "link", "average", "home"])
def test_a_model_is_loaded_in_every_form(
    form: str, finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints, averaged = finished.run / "checkpoints", tmp_path / "averaged"
    if form == "average":
        done(command("average", finished.run, "-o", averaged))
    monkeypatch.setenv("HOME", str(finished.run.parent))
    best = (checkpoints / "best").resolve()
    paths = {"run": finished.run, "checkpoint": best, "link": checkpoints / "best", "average": averaged}
    path = {**paths, "home": "~/run"}[form]
    assert nmt.Translator(path)(LINES[0])
    assert repr(nmt.Translator(path)).startswith("Translator('/")


def test_an_export_scores_and_translates_strings() -> None:
    pytest.importorskip("onnxruntime", reason="an exported translator needs the extra [fast]")
    translator = nmt.Translator(ARTIFACTS / "onnx")
    text = translator("ein Hund")
    assert translator.score("ein Hund", text).log_prob < 0


def test_a_language_model_samples_and_scores() -> None:
    trust_file(ARTIFACTS / "language-model" / "cells.py")
    model = nmt.LanguageModel(ARTIFACTS / "language-model")
    text = done(command("sample", ARTIFACTS / "language-model", "-n", 2, "-l", 20, "-p", "Ein"))
    assert "\n\n".join(model.sample("Ein", length=20, count=2)) + "\n" == text
    one, other = model.score(["Ein Hund", "zzz"])
    assert model.score("Ein Hund") == one
    assert one.tokens[-1] == "</s>"
    assert one.log_prob == pytest.approx(sum(one.token_log_probs), abs=1e-4)
    assert one.text == "Ein Hund"
    loaded = load_language_model(ARTIFACTS / "language-model")
    forced = sample_tokens(loaded, Options(sample=True), 1, "Ein Hund\n")  # ends with the end of the line
    assert one.token_log_probs == pytest.approx(forced.log_probs[0, :-1].tolist(), abs=1e-4)
    assert other.tokens != one.tokens
    with pytest.raises(UsageError, match="is a translator; expected a language model"):
        nmt.LanguageModel(ARTIFACTS / "averaged")
    with pytest.raises(UsageError, match="length must be 1 or more"):
        model.sample(length=0)
    with pytest.raises(UsageError, match="lines must be a list of strings"):
        model.score(3)  # type: ignore[call-overload]


def test_translations_are_scored_against_references(tmp_path: Path) -> None:
    hyps, refs = ["The dog sees a bird.", "A fish."], ["The dog sees the bird.", "A fish."]
    found = nmt.score(hyps, refs, metrics=["bleu", "ter"], tokenize="13a")
    for name, lines in (("hyp", hyps), ("ref", refs)):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), "utf-8")
    text = done(command("score", tmp_path / "hyp", "-r", tmp_path / "ref", "-m", "bleu,ter", "--json"))
    assert f"{found['bleu'].value}" in text
    assert found["bleu"].signature in text
    assert list(found) == ["bleu", "ter"]
    assert nmt.score(hyps, [refs, hyps])["bleu"].value == pytest.approx(100)
    assert nmt.score("A fish.", "A fish.", metrics="chrf")["chrf"].value == pytest.approx(100)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"hyps": 3}, "hyps must be a list of strings"),
        ({"refs": 3}, "refs must be a list of lines"),
        ({"refs": [refs, 3]}, "reference 2 must be a list of strings"),
        ({"refs": []}, "hyps: 2 lines, but the reference has 0"),
        ({"metrics": ["blue"]}, "no metric 'blue'"),
        ({"tokenize": "13b"}, "13b"),
    ]
    for arguments, message in wrong:
        with pytest.raises(NmtError, match=message):
            nmt.score(**{"hyps": hyps, "refs": refs, **arguments})


def test_every_name_of_the_package_is_there_and_listed() -> None:
    for name, module in nmt.MODULES.items():
        assert getattr(nmt, name).__module__.startswith("nmt.")
        assert name in dir(nmt)
        assert module in sys.modules


def test_to_import_nmt_imports_no_library() -> None:
    code = "import sys; before = {*sys.modules}; import nmt; print(*{*sys.modules} - before)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, encoding="utf-8")
    imported = {name.split(".")[0] for name in found.stdout.split()}
    assert imported - {*sys.stdlib_module_names} == {"nmt"}


def test_what_needs_torch_says_so() -> None:
    code = "import sys; sys.modules['torch'] = None; import nmt; nmt.score('a', 'a'); nmt.train('hello')"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, encoding="utf-8")
    assert found.stderr.splitlines()[-1].startswith(
        "nmt.errors.MissingPackage: torch is not installed: pip install torch"
    )


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Translater'"):
        _ = nmt.Translater


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed (recurrent-nmt[ray])"
)
@pytest.mark.parametrize("cpus", [1, 2])
def test_the_example_for_ray_runs(cpus: int, finished: Finished, tmp_path: Path) -> None:
    """With a single CPU too, where it waited for ever when reading or writing reserved it."""
    example = Path(__file__).resolve().parents[2] / "docs" / "examples" / "ray_data.py"
    source, output = tmp_path / "source", tmp_path / "output"
    source.write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    start = (
        f"import ray, runpy; ray.init(num_cpus={cpus}); runpy.run_path({str(example)!r}, run_name='__main__')"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    command = [sys.executable, "-c", start, finished.run, source, output, str(cpus)]
    subprocess.run(command, env=environment, check=True)
    written = [
        json.loads(line)
        for path in sorted(output.iterdir())
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    expected = {one.line.text: one.text for one in nmt.Translator(finished.run).translate(LINES)}
    assert {one["text"]: one["translation"] for one in written} == expected
