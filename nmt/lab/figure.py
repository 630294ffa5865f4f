"""Lines on panels as a picture: the one door to matplotlib, which is an extra."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nmt.errors import UsageError
from nmt.files import atomic_file, check_writable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontEntry

KINDS = {"svg": {"Date": None}, "png": {}, "pdf": {"CreationDate": None}}
"""What a picture can become, without the dates that would make two files of one picture differ."""
WIDTH, HEIGHT, LEGEND = 8.0, 3.0, 0.2
"""Inches of a panel and of a row of maps, and of a line of the legend."""
ACROSS = 3
"""Maps beside each other, so that their words can be read."""
COLUMN = 32
"""Letters of a name, up to which three stand beside each other."""
SEPARATE = 40
"""Points of a line, up to which each is marked: one alone would not be seen."""

log = logging.getLogger(__name__)


class Line(NamedTuple):
    """A line of a panel; NaN in `y` is a gap. `around` is how far a band reaches to either side of it."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    around: Sequence[float] | None = None


class HeatMap(NamedTuple):
    """A picture of values [rows][columns] between `low` and `high`; rows without names are not labelled."""

    title: str
    values: Sequence[Sequence[float]]
    rows: Sequence[str]
    columns: Sequence[str]
    low: float
    high: float


def draw(
    path: Path, panels: Mapping[str, Sequence[Line]], *, x: str, one_scale: bool = False, log_x: bool = False
) -> None:
    """Draw panels one above the other over one axis `x`, each labelled with its key, into a file.

    Its ending says what it becomes (svg, png, pdf). A line of a name has one colour in all panels. With
    `one_scale` a height is the same value in all of them; with `log_x` the axis is logarithmic, with a tick
    for each point. Raises UsageError as `drawable` does.
    """
    names = list(dict.fromkeys(line.name for lines in panels.values() for line in lines))
    colours = {name: f"C{place}" for place, name in enumerate(names)}
    points = sorted({x for lines in panels.values() for line in lines for x in line.x})
    columns = 3 if max(map(len, names), default=0) < COLUMN else 1
    height = HEIGHT * len(panels) + LEGEND * ceil(len(names) / columns)
    with _figure(path, "".join([x, *panels, *names]), (WIDTH, height)) as figure:
        axes = figure.subplots(len(panels), sharex=True, sharey=one_scale, squeeze=False)[:, 0]
        for place, (label, lines) in zip(axes, panels.items(), strict=True):
            _panel(place, label, lines, colours)
        axes[-1].set_xlabel(x)
        if log_x:
            axes[-1].set_xscale("log")
            axes[-1].set_xticks(points, [f"{point:,g}" for point in points])
            axes[-1].set_xticks([], minor=True)
        elif all(map(float.is_integer, map(float, points))):
            axes[-1].xaxis.get_major_locator().set_params(integer=True)
        if len(names) > 1:
            _legend(figure, colours, columns)


def draw_heat_maps(
    path: Path, rows: Mapping[str, Sequence[HeatMap]], *, title: str, kind: str | None = None
) -> None:
    """Draw rows of maps one above the other, each headed by its key; `kind` is told by the path's ending.

    Raises UsageError as `draw` does.
    """
    words = [word for maps in rows.values() for map_ in maps for word in (*map_.rows, *map_.columns)]
    lines = [ceil(len(maps) / ACROSS) for maps in rows.values()]
    with _figure(path, "".join([title, *rows, *words]), (WIDTH, HEIGHT * sum(lines) + 0.6), kind) as figure:
        figure.suptitle(title, wrap=True)
        bands = figure.subfigures(len(rows), 1, squeeze=False, height_ratios=lines)[:, 0]
        for band, deep, (label, maps) in zip(bands, lines, rows.items(), strict=True):
            band.suptitle(label, x=0.01, ha="left", fontsize="medium")
            places = band.subplots(deep, min(len(maps), ACROSS), squeeze=False).flat
            for axes, map_ in zip(places, maps, strict=False):
                _map(axes, map_)
            for axes in places:
                axes.remove()


def drawable(path: Path, kind: str | None = None) -> str:
    """What a picture becomes, to be asked before any work; UsageError where it could not be drawn then."""
    kind = kind or path.suffix.removeprefix(".").lower()
    if kind not in KINDS:
        raise UsageError(f"{path}: a picture's name ends in one of {', '.join('.' + kind for kind in KINDS)}")
    check_writable(path)
    try:
        import matplotlib.figure  # noqa: F401 - whether it can be
    except ImportError as error:
        raise UsageError("matplotlib is not installed: pip install 'nmt[plot]'") from error
    return kind


@contextmanager
def _figure(path: Path, text: str, size: tuple[float, float], kind: str | None = None) -> "Iterator[Figure]":
    """A figure to be drawn on, whose letters are those of `text`; written whole when it is finished."""
    kind = drawable(path, kind)
    from matplotlib.figure import Figure

    with atomic_file(path) as aside, _style(text, kind):
        figure = Figure(figsize=size, layout="constrained")
        yield figure
        figure.savefig(aside, format=kind, dpi=120, metadata=KINDS[kind])


def _map(axes: "Axes", map_: HeatMap) -> None:
    colours = "RdBu" if map_.low < 0 else "YlGnBu"
    image = axes.imshow(
        map_.values, cmap=colours, vmin=map_.low, vmax=map_.high, aspect="auto", interpolation="nearest"
    )
    axes.set_title(map_.title, fontsize="medium", family="monospace")
    axes.set_xticks(range(len(map_.columns)), map_.columns, rotation=90, fontsize="small")
    axes.set_yticks(range(len(map_.rows)), map_.rows, fontsize="small")
    axes.figure.colorbar(image, ax=axes, pad=0.02)


def _panel(axes: "Axes", label: str, lines: Sequence[Line], colours: Mapping[str, str]) -> None:
    for line in lines:
        marker = "." if len(line.x) <= SEPARATE else ""
        axes.plot(line.x, line.y, colours[line.name], marker=marker)
        if line.around is not None:
            _band(axes, line, colours[line.name])
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)


def _legend(figure: "Figure", colours: Mapping[str, str], columns: int) -> None:
    """One for all panels, above them, where it hides nothing.

    A space before each name: matplotlib leaves out those that begin with a low line.
    """
    from matplotlib.lines import Line2D

    signs = [Line2D([], [], color=colour) for colour in colours.values()]
    names = [f" {name}" for name in colours]
    figure.legend(signs, names, loc="outside upper left", ncols=columns, frameon=False)


def _band(axes: "Axes", line: Line, colour: str) -> None:
    pairs = list(zip(line.y, line.around or (), strict=True))
    below, above = ([y + sign * around for y, around in pairs] for sign in (-1, 1))
    axes.fill_between(line.x, below, above, color=colour, alpha=0.15, linewidth=0)


@contextmanager
def _style(text: str, kind: str) -> "Iterator[None]":
    """Fonts that have the letters of a text; in SVG, text that stays text."""
    from matplotlib import rc_context

    families = [] if kind == "svg" else _fallback(text)
    settings: dict[Any, object] = {
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "nmt",
        "font.family": ["DejaVu Sans", *families, "sans-serif"],
    }
    with rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        yield


def _fallback(text: str) -> list[str]:
    """A font of this machine with the letters that matplotlib's own has not; a note if there is none."""
    from matplotlib import font_manager

    def lacking(file: str, wanted: set[str]) -> set[str]:
        font = font_manager.get_font(file)
        return {letter for letter in wanted if not font.get_char_index(ord(letter))}

    missing = lacking(font_manager.findfont("DejaVu Sans"), {c for c in text if c.isprintable()})
    if not missing:
        return []
    for font in _fonts():
        if "Last Resort" not in font.name and not lacking(font.fname, missing):
            return [font.name]
    letters = "".join(sorted(missing)[:10])
    log.warning(f"no font of this machine has {letters}: they become boxes; in an .svg they stay text")
    return []


def _fonts() -> "Iterator[FontEntry]":
    """Those that matplotlib remembers, the upright and regular ones first; then those installed since."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    remembered = fontManager.ttflist.copy()
    yield from sorted(remembered, key=_plainness)
    for file in sorted({*findSystemFonts()} - {font.fname for font in remembered}):
        with suppress(OSError, RuntimeError):  # one that cannot be read is none
            fontManager.addfont(file)
    yield from sorted(fontManager.ttflist[len(remembered) :], key=_plainness)


def _plainness(font: "FontEntry") -> tuple[bool, bool]:
    return font.style != "normal", font.weight != 400
