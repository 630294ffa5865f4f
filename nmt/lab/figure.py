"""Curves and heat maps as picture files. The only module that imports matplotlib, which is optional."""

import logging
import textwrap
import warnings
from collections.abc import Collection, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from io import BytesIO
from itertools import cycle
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nmt.errors import UsageError, escape_controls, report_missing_packages
from nmt.files import atomic_file, check_writable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontEntry

FORMATS = {"svg": {"Date": None}, "png": {}, "pdf": {"CreationDate": None}}
"""File formats and their metadata: without the date, equal pictures are equal files."""
WIDTH, HEIGHT, LEGEND = 8.0, 3.0, 0.2  # inches of a panel and of a row of maps, and of a line of the legend
ACROSS = 3  # heat maps per row, so that their labels can be read
SHORT_NAME = 32  # characters of a name up to which the legend has three columns
TITLE, WIDE_TITLE, TITLE_LINES = 75, 40, 3  # characters of a line of a title, also of wide ones; lines
LABEL = 24  # characters of a row's or column's name: a single unknown token may be of any length
MARKED_POINTS = 40  # points of a curve up to which each is marked: a single one would not be visible

LINES: tuple[dict[str, Any], ...] = (
    {"linestyle": "-", "marker": "."},
    {"linestyle": "-", "linewidth": 0.8},
    *({"linestyle": style, "marker": "."} for style in ("--", ":", "-.")),
)
"""The lines of the variants of a curve, in the order in which they appear."""

log = logging.getLogger(__name__)


class Curve(NamedTuple):
    """A curve of a panel; NaN in `y` is a gap. `around` is the half-width of a band around it.

    Its name determines the colour, its variant the line style: a run has one colour in all its curves.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    around: Sequence[float] | None = None
    variant: str = ""


class HeatMap(NamedTuple):
    """Values [rows][columns] between `low` and `high`; rows without names are not labelled."""

    title: str
    values: Sequence[Sequence[float]]
    rows: Sequence[str]
    columns: Sequence[str]
    low: float
    high: float


def draw_curves(
    path: Path,
    panels: Mapping[str, Sequence[Curve]],
    *,
    x: str,
    one_scale: bool = False,
    log_x: bool = False,
    shares: Collection[str] = (),
) -> None:
    """Draw panels below each other over one axis `x`, each labelled with its key, into a file.

    The file's suffix sets the format (svg, png, pdf). Curves of the same name have one colour in all panels.
    With `one_scale` the panels share the y axis; the panels `shares` show all of 0 to 1. With `log_x` the x
    axis is logarithmic, with a tick for each point. Raises UsageError as `check_picture` does.
    """
    names, size = _measure_curves(panels)
    with _open_figure(path, "".join([x, *panels, *names]), size) as figure:
        _draw_curves(figure, panels, x=x, one_scale=one_scale, log_x=log_x)
        for axes, label in zip(figure.axes, panels, strict=True):
            if label in shares:
                axes.set_ylim(-0.02, 1.02)


def build_curves(panels: Mapping[str, Sequence[Curve]], *, x: str) -> "Figure":
    """Return the figure that `draw_curves` writes, for a notebook, which shows it."""
    with report_missing_packages():
        import matplotlib.figure  # noqa: F401 - whether it is installed
    names, size = _measure_curves(panels)
    with _open_styled_figure("png", "".join([x, *panels, *names]), size) as figure:
        _draw_curves(figure, panels, x=x)
    figure._repr_png_ = partial(_encode_png, figure)  # type: ignore[attr-defined]
    return figure


def _encode_png(figure: "Figure") -> bytes:
    """Return a figure as notebooks show it without pyplot."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def _measure_curves(panels: Mapping[str, Sequence[Curve]]) -> tuple[list[str], tuple[float, float]]:
    """Return the entries of the legend, and the size of the figure."""
    names, variants = _name_curves(panels)
    names = [*(names if len(names) > 1 else []), *(variants if len(variants) > 1 else [])]
    return names, (WIDTH, HEIGHT * len(panels) + LEGEND * ceil(len(names) / _count_legend_columns(names)))


def _name_curves(panels: Mapping[str, Sequence[Curve]]) -> tuple[list[str], list[str]]:
    """Return the names and the variants of all curves."""
    lines = [line for lines in panels.values() for line in lines]
    return list(dict.fromkeys(line.name for line in lines)), list(
        dict.fromkeys(line.variant for line in lines)
    )


def _count_legend_columns(names: Sequence[str]) -> int:
    return 3 if max(map(len, names), default=0) < SHORT_NAME else 1


def _draw_curves(
    figure: "Figure",
    panels: Mapping[str, Sequence[Curve]],
    *,
    x: str,
    one_scale: bool = False,
    log_x: bool = False,
) -> None:
    names, variants = _name_curves(panels)
    colours = {name: f"C{i}" for i, name in enumerate(names)}
    styles = dict(zip(variants, cycle(LINES), strict=False))
    points = sorted({x for lines in panels.values() for line in lines for x in line.x})
    axes = figure.subplots(len(panels), sharex=True, sharey=one_scale, squeeze=False)[:, 0]
    for panel, (label, lines) in zip(axes, panels.items(), strict=True):
        _draw_panel(panel, label, lines, colours, styles)
    axes[-1].set_xlabel(escape_controls(x))
    if log_x:
        axes[-1].set_xscale("log")
        axes[-1].set_xticks(points, [f"{point:,g}" for point in points])
        axes[-1].set_xticks([], minor=True)
    elif all(map(float.is_integer, map(float, points))):
        axes[-1].xaxis.get_major_locator().set_params(integer=True)
    signs: dict[str, dict[str, Any]] = {name: {"color": colour} for name, colour in colours.items()}
    signs = signs if len(names) > 1 else {}
    if len(variants) > 1:
        colour = {"color": "dimgrey" if signs else "C0"}
        signs |= {variant: colour | style for variant, style in styles.items()}
    if signs:  # one legend for all panels; matplotlib omits names that begin with an underscore
        from matplotlib.lines import Line2D

        handles = [Line2D([], [], **sign) for sign in signs.values()]
        labels = [f" {escape_controls(name)}" for name in signs]
        figure.legend(
            handles, labels, loc="outside upper left", ncols=_count_legend_columns(labels), frameon=False
        )


def draw_heat_maps(
    path: Path, rows: Mapping[str, Sequence[HeatMap]], *, title: str, kind: str | None = None
) -> None:
    """Draw rows of heat maps, each headed by its key; `kind` defaults to the path's suffix.

    Raises UsageError as `draw_curves` does.
    """
    words = [word for maps in rows.values() for map_ in maps for word in (*map_.rows, *map_.columns)]
    lines = [ceil(len(maps) / ACROSS) for maps in rows.values()]
    with _open_figure(
        path, "".join([title, *rows, *words]), (WIDTH, HEIGHT * sum(lines) + 0.6), kind
    ) as figure:
        figure.suptitle(_wrap(title))  # matplotlib's wrapping takes a pair of $ for mathematics
        bands = figure.subfigures(len(rows), 1, squeeze=False, height_ratios=lines)[:, 0]
        for band, deep, (label, maps) in zip(bands, lines, rows.items(), strict=True):
            band.suptitle(escape_controls(label), x=0.01, ha="left", fontsize="medium")
            cells = band.subplots(deep, min(len(maps), ACROSS), squeeze=False).flat
            for axes, map_ in zip(cells, maps, strict=False):
                _draw_heat_map(axes, map_)
            for axes in cells:
                axes.remove()


def check_picture(path: Path, kind: str | None = None) -> str:
    """Return the format of a picture; UsageError or MissingPackage if it cannot be drawn."""
    kind = kind or path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise UsageError(
            f"{path}: the name of a picture must end in one of {', '.join('.' + kind for kind in FORMATS)}"
        )
    check_writable(path)
    with report_missing_packages():
        import matplotlib.figure  # noqa: F401 - whether it is installed
    return kind


@contextmanager
def _open_figure(
    path: Path, text: str, size: tuple[float, float], kind: str | None = None
) -> "Iterator[Figure]":
    """Yield a figure with fonts for the characters of `text`, written atomically when it is finished."""
    kind = check_picture(path, kind)
    with atomic_file(path) as aside, _open_styled_figure(kind, text, size) as figure:
        yield figure
        figure.savefig(aside, format=kind, dpi=120, metadata=FORMATS[kind])


@contextmanager
def _open_styled_figure(kind: str, text: str, size: tuple[float, float]) -> "Iterator[Figure]":
    """Yield a figure with the settings of this module, and fonts for the characters of `text`."""
    from matplotlib import rc_context, rcParamsDefault
    from matplotlib.figure import Figure

    # Neither a matplotlibrc of the current directory nor the user's changes a picture: one may run LaTeX.
    settings: dict[Any, object] = {
        **{name: value for name, value in rcParamsDefault.items() if not name.startswith("backend")},
        "text.parse_math": False,
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "nmt",
        "font.family": ["DejaVu Sans", *([] if kind == "svg" else _find_fallback_fonts(text)), "sans-serif"],
    }
    with rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        yield Figure(figsize=size, layout="constrained")


def _wrap(title: str) -> str:
    width = TITLE if title.isascii() else WIDE_TITLE
    return textwrap.fill(escape_controls(title), width, max_lines=TITLE_LINES, placeholder=" …")


def _shorten(label: str) -> str:
    label = escape_controls(label)
    return label if len(label) <= LABEL else f"{label[: LABEL - 1]}…"


def _draw_heat_map(axes: "Axes", map_: HeatMap) -> None:
    colours = "RdBu" if map_.low < 0 else "YlGnBu"
    image = axes.imshow(
        map_.values, cmap=colours, vmin=map_.low, vmax=map_.high, aspect="auto", interpolation="nearest"
    )
    axes.set_title(escape_controls(map_.title), fontsize="medium", family="monospace")
    columns, rows = (list(map(_shorten, names)) for names in (map_.columns, map_.rows))
    axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize="small")
    axes.set_yticks(range(len(rows)), rows, fontsize="small")
    axes.figure.colorbar(image, ax=axes, pad=0.02)


def _draw_panel(
    axes: "Axes",
    label: str,
    lines: Sequence[Curve],
    colours: Mapping[str, str],
    styles: Mapping[str, Mapping[str, Any]],
) -> None:
    for line in lines:
        style = {**styles[line.variant], **({} if len(line.x) <= MARKED_POINTS else {"marker": ""})}
        axes.plot(line.x, line.y, color=colours[line.name], **style)
        if line.around is not None:
            pairs = list(zip(line.y, line.around, strict=True))
            below, above = ([y + sign * around for y, around in pairs] for sign in (-1, 1))
            axes.fill_between(line.x, below, above, color=colours[line.name], alpha=0.15, linewidth=0)
    axes.set_ylabel(escape_controls(label))
    axes.grid(alpha=0.3)


def _find_fallback_fonts(text: str) -> list[str]:
    """Find an installed font for the characters that matplotlib's lacks; log a warning if there is none."""
    from matplotlib import font_manager

    def find_missing(file: str, wanted: set[str]) -> set[str]:
        font = font_manager.get_font(file)
        return {letter for letter in wanted if not font.get_char_index(ord(letter))}

    missing = find_missing(font_manager.findfont("DejaVu Sans"), {c for c in text if c.isprintable()})
    if not missing:
        return []
    for font in _list_fonts():
        if "Last Resort" not in font.name and not find_missing(font.fname, missing):
            return [font.name]
    letters = "".join(sorted(missing)[:10])
    log.warning(f"no installed font has {letters}: they are drawn as boxes; use .svg, which keeps text")
    return []


def _list_fonts() -> "Iterator[FontEntry]":
    """Yield the fonts that matplotlib has cached, regular ones first, then those installed since."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    def sort_key(font: "FontEntry") -> tuple[bool, bool]:
        return font.style != "normal", font.weight != 400

    cached = fontManager.ttflist.copy()
    yield from sorted(cached, key=sort_key)
    for file in sorted({*findSystemFonts()} - {font.fname for font in cached}):
        with suppress(OSError, RuntimeError):  # unreadable fonts are ignored
            fontManager.addfont(file)
    yield from sorted(fontManager.ttflist[len(cached) :], key=sort_key)
