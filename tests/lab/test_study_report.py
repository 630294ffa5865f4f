"""The report of a study, from synthetic runs."""

import math
import re
from pathlib import Path

import pytest

from nmt.evaluation.buckets import Bucket
from nmt.evaluation.metrics import Score
from nmt.lab.document import heading, paragraph, picture, preformatted, table, to_html, to_markdown
from nmt.lab.figure import Curve
from nmt.lab.study.report import StudySummary, write_report
from nmt.lab.study.trials import (
    MeanAndDeviation,
    Trial,
    build_group_curves,
    build_validation_curve,
    choose_validation_metric,
    compare_systems,
    group_trials,
    score_by_length,
)

REFS = [f"the old man number {n} sees a small red house ." for n in range(20)]
BAD = [f"the man {n} is a big house ." for n in range(20)]


def trial(system: str, group: str = "", seed: int = 1, *, bleu: float = 10.0, good: bool = False) -> Trial:
    events = [
        {"event": "update", "update": 50, "tokens": 1200, "seconds": 60.0},
        {"event": "validation", "update": 60, "bleu": bleu, "loss": 2.0, "seconds": 72.0},
    ]
    return Trial(
        *(system, group, seed, 1000, "8 + 16"),
        scores=[Score("BLEU", bleu, "nrefs:1")],
        sources=REFS,
        refs=REFS,
        hyps=REFS if good else BAD,
        word_counts={"the": 1000},
        events=events,
    )


def test_the_deviation_is_that_of_a_sample_and_one_seed_has_none() -> None:
    assert MeanAndDeviation.from_values([1.0, 3.0]) == (2.0, math.sqrt(2.0))
    assert str(MeanAndDeviation.from_values([1.0, 3.0])) == "2.00 ± 1.41"
    assert str(MeanAndDeviation.from_values([1.0])) == "1.00"
    assert str(MeanAndDeviation.from_values([])) == str(MeanAndDeviation.from_values([math.nan, 1.0])) == "-"


def test_trials_are_grouped_in_the_order_in_which_they_come() -> None:
    trials = [trial("b", "2"), trial("a", "2"), trial("b", "1"), trial("b", "2", 7)]
    found = group_trials(trials)
    assert {group: list(systems) for group, systems in found.items()} == {"2": ["b", "a"], "1": ["b"]}
    assert [one.seed for one in found["2"]["b"]] == [1, 7]


def test_a_better_system_differs_and_an_equal_one_does_not() -> None:
    base = [trial("a", seed=1), trial("a", seed=2)]
    better = compare_systems(base, [trial("b", seed=1, good=True), trial("b", seed=2)], "bleu")
    assert better is not None
    assert better.p_values[0] < 0.05
    assert better.p_values[1] == 1.0
    assert better.verdict == "1 higher, 0 lower, of 2"
    assert better.differences[0] > 20 > better.differences[1] == 0
    assert compare_systems(base, [trial("b", seed=3)], "bleu") is None  # no seed in common


def test_systems_with_other_test_sentences_are_not_compared() -> None:
    assert compare_systems([trial("a")], [trial("b")._replace(refs=BAD)], "bleu") is None


def test_a_score_by_length_needs_sentences_enough() -> None:
    few = trial("a", good=True)._replace(sources=[*["short"] * 4, *["a b c d e f"] * 16])
    [(bucket, spread)] = score_by_length([few], "bleu").items()
    assert (bucket, str(spread)) == (Bucket(6, 10), "100.00")


def test_a_curve_is_the_mean_where_all_seeds_have_a_validation() -> None:
    longer = trial("a", seed=2, bleu=30.0)
    longer = longer._replace(events=[*longer.events, {"event": "validation", "update": 99, "bleu": 50.0}])
    deviation = pytest.approx(math.sqrt(200.0))
    assert build_validation_curve("a", [trial("a"), longer], "bleu") == Curve("a", [60], [20.0], [deviation])
    assert (choose_validation_metric([longer], "bleu"), choose_validation_metric([longer], "ter")) == (
        "bleu",
        "loss",
    )


def test_groups_whose_names_are_numbers_are_an_axis() -> None:
    trials = [trial("a", "1000", bleu=1.0), trial("a", "200", bleu=3.0), trial("b", "200", bleu=5.0)]
    assert build_group_curves(group_trials(trials), "BLEU") == [
        Curve("a", (200.0, 1000.0), [3.0, 1.0]),
        Curve("b", (200.0,), [5.0]),
    ]
    assert build_group_curves(group_trials([trial("a", "200")]), "BLEU") == []
    assert build_group_curves(group_trials([trial("a", "200"), trial("a", "none")]), "BLEU") == []


def test_markdown_keeps_a_table_whole_and_a_page_escapes(tmp_path: Path) -> None:
    (tmp_path / "p.svg").write_text("<svg/>", "utf-8")
    blocks = [
        heading("<T>", 1),
        paragraph("a < b"),
        preformatted("x\n y"),
        table(["s", "n"], [["a|b\nc", "1"]]),
        table(["s", "t", "n"], [["a", "b", "1"]], names=2),
        picture(tmp_path / "p.svg", tmp_path, "shows"),
    ]
    assert to_markdown(blocks) == (
        "# &lt;T>\n\na &lt; b\n\n    x\n     y\n\n| s | n |\n| --- | --: |\n| a\\|b c | 1 |\n\n"
        "| s | t | n |\n| --- | --- | --: |\n| a | b | 1 |\n\n![shows](p.svg)\n"
    )
    html = to_html(blocks, "<T>")
    assert "<h1>&lt;T&gt;</h1>" in html
    assert "<td class=name>a|b\nc</td><td>1</td>" in html
    assert 'src="data:image/svg+xml;base64,PHN2Zy8+"' in html
    assert "prefers-color-scheme: dark" in html


def test_a_report_has_scores_signatures_differences_and_what_failed(tmp_path: Path) -> None:
    trials = [
        trial(system, group, seed, bleu=value, good=system == "gru")
        for group in ("100", "200")
        for system, value in (("lstm", 10.0), ("gru", 20.0))
        for seed in (1, 2)
    ]
    about = StudySummary(
        "A | B",
        *("cell", "lstm"),
        ["pairs"],
        "bleu",
        9,
        "nmt study run a",
        "# A\nrecipe: x\n",
        {"rnn,100,seed1": "killed"},
    )
    assert write_report(tmp_path, about, trials) == tmp_path / "report.html"
    text = (tmp_path / "report.md").read_text("utf-8")
    head = text.split("## Scores")[0]
    assert "8 of 9 runs" in head
    assert "| pairs | best cell | BLEU | next | lead | significant |" in head
    assert "| 200 | gru | 20.00 ± 0.00 | lstm | " in head
    assert "- [By sentence length](#by-sentence-length)" in head
    for part in (
        "BLEU|nrefs:1",
        "| 200 | gru | 20.00 ± 0.00 | 2 |",
        "| 200 | gru | 8 + 16 | 1,000 | 20 | 1.2 | 60 |",
        "| 2 higher, 0 lower, of 2 |",
        "| rnn,100,seed1 | killed |",
        "    recipe: x",
        "### pairs: 200",
    ):
        assert part in text
    assert "| 11 to 15 |" in text  # by length
    assert "| 1,000 or more |" in text  # by frequency
    html = (tmp_path / "report.html").read_text("utf-8")
    assert html.count("<img ") == text.count("![") == 3
    assert not {"http:", "https:"} & {*re.findall(r"https?:", html.replace("http://www.w3.org", ""))}


def test_a_system_without_its_baseline_is_compared_with_no_other(tmp_path: Path) -> None:
    trials = [trial(system, "100") for system in ("lstm", "gru")] + [
        trial(system, "200") for system in ("gru", "rnn")
    ]
    write_report(tmp_path, StudySummary("A", "cell", "lstm", ["pairs"], "bleu", 6, "", "", {}), trials)
    text = (tmp_path / "report.md").read_text("utf-8").split("## Against lstm")[1].split("## Pictures")[0]
    assert "| 100 | gru | 0.00 | 1.000 | 0 higher, 0 lower, of 1 |" in text
    for system in ("gru", "rnn"):
        assert f"| 200 | {system} | - | - | no run of the baseline with the same seed and test set |" in text


def test_a_report_without_matplotlib_says_so_and_has_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    write_report(tmp_path, StudySummary("A", "cell", "lstm", [], "bleu", 1, "", "", {}), [trial("lstm")])
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "No pictures: matplotlib is not installed: pip install 'recurrent-nmt[plot]'" in text
    assert "| lstm | 10.00 | 1 |" in text
