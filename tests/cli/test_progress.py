"""Progress without a terminal: a line every minute, whose remaining time agrees with its rate."""

import re
from io import StringIO

import pytest
from rich.console import Console

from nmt.cli import progress as module
from nmt.cli.progress import LineProgress, spinner


class Minutes:
    """A clock that a test advances."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def follow(
    lines: int, per_second: float, total: int | None, before: int = 0, quiet: bool = False
) -> list[str]:
    clock, output = Minutes(), StringIO()
    console = Console(file=output, width=200)
    progress = LineProgress(total, before, quiet=quiet, clock=clock, console=console)
    with progress.show():
        for _ in range(lines):
            clock.seconds += 1 / per_second
            progress.advance()
    return output.getvalue().splitlines()


def test_a_long_job_reports_every_minute() -> None:
    reports = follow(3500, 16.0, 9000)
    assert len(reports) == 3
    assert reports[0] == "nmt: 960 of 9,000 lines (11%), 16.0 lines/s, ETA 8:22"


@pytest.mark.parametrize("rate", [3.0, 11.7, 410.0])
@pytest.mark.parametrize("before", [0, 5000])
def test_the_remaining_time_agrees_with_the_rate(rate: float, before: int) -> None:
    total = before + round(rate * 300)
    for report in follow(round(rate * 250), rate, total, before):
        found = re.fullmatch(
            r"nmt: ([\d,]+) of [\d,]+ lines \(\d+%\), ([\d.]+) lines/s, ETA (\d+):(\d+)", report
        )
        assert found
        done, shown = int(found[1].replace(",", "")), float(found[2])
        seconds = 60 * int(found[3]) + int(found[4])
        assert seconds == pytest.approx((total - done) / shown, rel=0.02, abs=1)


def test_a_pipe_has_no_end_that_is_known() -> None:
    assert follow(150, 1.0, None) == [
        "nmt: 60 lines, 1.0 lines/s, 1:00 so far",
        "nmt: 120 lines, 1.0 lines/s, 2:00 so far",
    ]


def test_a_short_or_a_quiet_job_reports_nothing() -> None:
    assert follow(50, 1.0, 50) == []
    assert follow(500, 1.0, 500, quiet=True) == []


def test_work_without_a_finished_line_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    clock, output = Minutes(), StringIO()
    progress = LineProgress(9, clock=clock, console=Console(file=output, width=200))
    with progress.show():
        while not output.getvalue():
            pass
    assert output.getvalue().startswith("nmt: 0 of 9 lines (0%), 0.0 lines/s\n")


def test_a_spinner_off_a_terminal_reports_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL", 0.0)
    output = StringIO()
    with spinner("scoring [b]", Console(file=output, markup=False)) as show:
        while not output.getvalue():
            pass
        show("another text")
        while "another" not in output.getvalue():
            pass
    assert output.getvalue().startswith("nmt: scoring [b], 0:00 so far\n")
    assert "nmt: another text, 0:00 so far\n" in output.getvalue()
