"""Curves and heat maps as picture files."""

import builtins
import logging
import re
import xml.etree.ElementTree as xml
from math import nan
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from matplotlib import font_manager

from nmt.errors import MissingPackage, UsageError
from nmt.lab.figure import Curve, draw_curves

BEGINS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
PANELS = {"loss": [Curve("_a $x$", [1, 2, 3], [3.0, nan, 1.0]), Curve("b", [1], [2.0])], "BLEU": []}


def texts(picture: Path) -> list[str]:
    """What is written in an SVG."""
    return ["".join(node.itertext()) for node in xml.parse(picture).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("kind", BEGINS)
def test_the_ending_says_what_a_picture_becomes(tmp_path: Path, kind: str) -> None:
    draw_curves(tmp_path / f"a.{kind}", PANELS, x="update")
    assert (tmp_path / f"a.{kind}").read_bytes().startswith(BEGINS[kind])
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{kind}"]


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"a\.gif: the name of a picture must end in one of \.svg, \.png, \.pdf"
    ):
        draw_curves(tmp_path / "a.gif", PANELS, x="update")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such directory: .*none"):
        draw_curves(tmp_path / "none" / "a.svg", PANELS, x="update")


def test_names_and_axes_are_written_as_they_are(tmp_path: Path) -> None:
    draw_curves(tmp_path / "a.svg", {**PANELS, "낱말 $": []}, x="갱신")
    assert {"_a $x$", "b", "loss", "BLEU", "낱말 $", "갱신"} <= {
        text.strip() for text in texts(tmp_path / "a.svg")
    }


def test_a_logarithmic_axis_has_a_tick_for_each_point(tmp_path: Path) -> None:
    lines = [Curve("a", [1000, 29000], [1.0, 2.0]), Curve("b", [3000], [2.0])]
    draw_curves(tmp_path / "a.svg", {"BLEU": lines}, x="pairs", log_x=True)
    assert [text for text in texts(tmp_path / "a.svg") if text.endswith(",000")] == [
        "1,000",
        "3,000",
        "29,000",
    ]


def test_panels_of_one_scale_have_the_same_ticks(tmp_path: Path) -> None:
    panels = {"one": [Curve("a", [1, 2], [0.0, 100.0])], "two": [Curve("a", [1, 2], [3.0, 4.0])]}
    for one_scale, hundreds in ((True, 2), (False, 1)):
        draw_curves(tmp_path / "a.svg", panels, x="gap", one_scale=one_scale)
        assert texts(tmp_path / "a.svg").count("100") == hundreds


def test_a_deviation_is_a_band_from_below_the_line_to_above_it(tmp_path: Path) -> None:
    draw_curves(tmp_path / "line.svg", {"BLEU": [Curve("a", [1, 2], [5.0, 5.0])]}, x="pairs")
    draw_curves(tmp_path / "band.svg", {"BLEU": [Curve("a", [1, 2], [5.0, 5.0], [1.0, 2.0])]}, x="pairs")
    bands = ["FillBetween" in (tmp_path / f"{name}.svg").read_text("utf-8") for name in ("line", "band")]
    assert bands == [False, True]
    heights = [float(text) for text in texts(tmp_path / "band.svg") if text not in ("pairs", "BLEU")]
    assert max(heights) > 6


def test_the_same_lines_give_the_same_file(tmp_path: Path) -> None:
    for kind in BEGINS:
        for name in ("one", "two"):
            draw_curves(tmp_path / f"{name}.{kind}", PANELS, x="update")
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


def test_letters_are_taken_from_a_font_that_has_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draw_curves(
        tmp_path / "a.png", {"\u24b6": []}, x="update"
    )  # in matplotlib's STIX, not in its DejaVu Sans
    assert caplog.messages == []


def test_a_font_that_was_installed_since_matplotlib_looked_is_found(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fonts = font_manager.fontManager.ttflist
    stix = [font.fname for font in fonts if font.name == "STIXGeneral" and font.style == "normal"]
    (tmp_path / "torn.ttf").write_bytes(b"no font")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [f for f in fonts if "DejaVu" in f.name])
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(tmp_path / "torn.ttf"), *stix])
    draw_curves(tmp_path / "a.png", {"\u24b6": []}, x="update")
    assert caplog.messages == []


def test_letters_of_no_font_are_boxes_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        draw_curves(tmp_path / "a.png", {"\U00012345": []}, x="update")
    assert "no installed font has \U00012345" in caplog.text


def test_without_matplotlib_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(name, name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingPackage, match=r"recurrent-nmt\[plot\]"):
        draw_curves(tmp_path / "a.svg", PANELS, x="update")


def test_a_matplotlibrc_of_the_current_directory_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may ask for LaTeX, which reads other files."""
    draw_curves(tmp_path / "a.svg", PANELS, x="update")
    for name, value in {"text.usetex": True, "lines.linewidth": 9.0, "savefig.format": "pdf"}.items():
        monkeypatch.setitem(matplotlib.rcParams, name, value)
    draw_curves(tmp_path / "b.svg", PANELS, x="update")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_run_has_one_colour_and_its_variants_have_lines(tmp_path: Path) -> None:
    loss = [Curve("a", [1, 2], [1.0, 2.0], None, variant) for variant in ("validation", "training")]
    draw_curves(tmp_path / "one.svg", {"loss": loss}, x="update")
    other = Curve("b", [1, 2], [2.0, 3.0], None, "training")
    draw_curves(tmp_path / "two.svg", {"loss": [*loss, other]}, x="update")
    one, two = ((tmp_path / name).read_text(encoding="utf-8") for name in ("one.svg", "two.svg"))
    assert {"stroke-width: 1.5", "stroke-width: 0.8"} <= {
        *re.findall(r"#1f77b4; (stroke-width: [.0-9]+)", one)
    }
    assert "stroke: #ff7f0e" not in one  # C1
    assert "stroke: #ff7f0e" in two
    assert all(f"> {name}<" in two for name in ("a", "b", "validation", "training"))


def test_shares_are_drawn_from_0_to_1(tmp_path: Path) -> None:
    panels = {"gates": [Curve("f", [1, 2], [0.5, 0.6])], "norm": [Curve("f", [1, 2], [0.5, 0.6])]}
    draw_curves(tmp_path / "a.svg", panels, x="position", shares=["gates"])
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert text.count(">0.0<") == text.count(">1.0<") == 1
