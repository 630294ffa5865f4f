"""What a run leaves to read: the live line, a line for each validation, train.log, metrics.jsonl."""

import builtins
import io
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

from nmt.cli.progress import spinner
from nmt.console import format_clock
from nmt.errors import DataError, MissingPackage, UsageError
from nmt.training.console import Progress, StepReport, format_number
from nmt.training.logging import LOGGERS, MetricsLog, build_logger
from nmt.training.settings import ValidationSettings
from nmt.training.validation import ValidationResult
from tests.training.runs import Duration, make_forcing, make_training

REPORT = StepReport(
    update=120,
    last_update=9000,
    epochs=1.25,
    loss=2.5,
    perplexity=9.1,
    rate=1e-3,
    forcing_ratio=None,
    words=1000,
    seconds=0.5,
)
KOREAN = "나는 어제 도서관에서 그 책을 세 권이나 빌려 왔는데 아직 한 권도 읽지 못했다고 친구에게 말했다"
FOUND = ValidationResult(
    {"loss": 2.0, "perplexity": 7.39, "accuracy": 0.5, "bleu": 31.25, "chrf": 55.5},
    [{"src": KOREAN, "ref": "a [bold]reference[/bold] \x1b[31mwith markup", "hyp": "a translation " * 9}],
)


def shown(folder: Path, *, terminal: bool) -> str:
    """Everything a run's display writes to a console."""
    out = io.StringIO()
    progress = Progress(folder / "train.log", Console(file=out, force_terminal=terminal, width=80))
    with progress.live():
        progress.begin(100)
        progress.show_update(REPORT)
        progress.log_update(REPORT)
        progress.show_validation(REPORT, FOUND, best=True, seconds=61)
        progress.note("a note")
    return out.getvalue()


def test_away_from_a_terminal_every_entry_is_a_line(tmp_path: Path) -> None:
    text = shown(tmp_path, terminal=False)
    assert "epoch 1.25 120/9000 loss 2.50 ppl 9.10 2000 w/s lr 1.0e-03 ETA " in text
    assert "\x1b" not in text


def test_on_a_terminal_the_line_is_drawn_in_place(tmp_path: Path) -> None:
    text = shown(tmp_path, terminal=True)
    assert "loss 2.50 " in text
    assert "\x1b[2K" in text  # erased again


class ZMQInteractiveShell:
    """The shell of a notebook's kernel, which rich knows by this name."""


class DisplayHandle:
    """Stands in for IPython's display: `lines` is what a notebook shows, `updates` how often it changed."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.updates = 0

    def display(self, data: Any, *, raw: bool = False, display_id: bool = False) -> "DisplayHandle":
        assert display_id, f"shown by rich, as an output of its own: {data}"
        self.lines.append(data["text/plain"])
        return self

    def update(self, data: dict[str, str], *, raw: bool) -> None:
        self.lines[-1] = data["text/plain"]
        self.updates += 1


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> DisplayHandle:
    """The process as the kernel of a notebook."""
    handle = DisplayHandle()
    for name in ("IPython", "IPython.display"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules["IPython.display"], "display", handle.display, raising=False)
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")  # a kernel sets it, for the commands that it runs
    return handle


def test_in_a_notebook_one_line_is_updated_and_everything_is_shown_and_logged_once(
    tmp_path: Path, notebook: DisplayHandle, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress(tmp_path / "train.log")
    with progress.live():
        progress.begin(100)
        progress.note("a note")
        for update in range(101, 111):
            progress.show_update(REPORT._replace(update=update))
        progress.log_update(REPORT._replace(update=110))
        progress.show_validation(REPORT, FOUND, best=True, seconds=61)
        progress.show_update(REPORT._replace(update=111))
    shown = capsys.readouterr()
    log = (tmp_path / "train.log").read_text(encoding="utf-8")
    [line] = notebook.lines
    assert "111/9000 loss 2.50" in line  # the last one
    assert notebook.updates < 5  # not for every update
    assert shown.err == ""
    assert shown.out.splitlines() == [text for text in log.splitlines() if " 110/9000 " not in text]
    assert [log.count(text) for text in ("a note", "110/9000", "31.25")] == [1, 1, 1]


def test_without_a_log_a_notebook_shows_nothing(
    notebook: DisplayHandle, capsys: pytest.CaptureFixture[str]
) -> None:
    """In all processes but the first."""
    progress = Progress(None)
    progress.log_update(REPORT)
    progress.note("a note")
    assert (notebook.lines, capsys.readouterr()) == ([], ("", ""))


def test_a_command_in_a_notebook_writes_lines_into_its_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    progress = Progress(tmp_path / "train.log")
    with progress.live(), spinner("reading"):
        progress.show_update(REPORT)
        progress.log_update(REPORT)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", (tmp_path / "train.log").read_text(encoding="utf-8"))


def test_the_line_of_a_long_run_fits_eighty_columns(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "train.log", Console(file=io.StringIO(), width=80))
    long = REPORT._replace(update=98000, last_update=99000, epochs=13.96, forcing_ratio=0.75)
    assert len(progress._format(long).plain) <= 80


def test_a_validation_is_one_line_and_its_samples_are_text_as_it_is(tmp_path: Path) -> None:
    text = shown(tmp_path, terminal=False)
    assert text.splitlines()[1:] == [
        "epoch 1.25 120 valid ppl 7.39 acc 0.50 BLEU 31.25 chrF 55.50 1:01 best",
        f"  src  {KOREAN}",
        "  ref  a [bold]reference[/bold] \\x1b[31mwith markup",
        f"  hyp  {'a translation ' * 9}",
        "a note",
    ]


def test_a_run_shows_samples_on_request(tmp_path: Path) -> None:
    assert ValidationSettings().samples == 0
    progress = Progress(tmp_path / "train.log", Console(quiet=True))
    progress.show_validation(REPORT, FOUND._replace(samples=[]), best=False, seconds=5)
    log = (tmp_path / "train.log").read_text(encoding="utf-8")
    assert log == "epoch 1.25 120 valid ppl 7.39 acc 0.50 BLEU 31.25 chrF 55.50 0:05\n"


def test_the_log_has_all_that_the_console_had(tmp_path: Path) -> None:
    text = shown(tmp_path, terminal=False)
    assert (tmp_path / "train.log").read_text(encoding="utf-8") == text


def test_slow_updates_are_printed_every_minute_but_not_logged(tmp_path: Path) -> None:
    out, seconds = io.StringIO(), iter(range(0, 10_000, 8))
    console = Console(file=out, width=80)
    progress = Progress(tmp_path / "train.log", console, clock=lambda: float(next(seconds)))
    for update in range(1, 31):
        progress.show_update(REPORT._replace(update=update, seconds=8.0))
    assert 3 <= out.getvalue().count("loss 2.50") <= 12
    assert not (tmp_path / "train.log").exists()


def test_the_ratio_of_teacher_forcing_is_shown_where_it_is_scheduled(tmp_path: Path) -> None:
    for folder, forcing in (("always", make_forcing()), ("linear", make_forcing("linear", span=20.0))):
        make_training(tmp_path / folder, forcing=forcing, settings={"stop_after": Duration(6, "u")}).train()
    assert " tf " not in (tmp_path / "always" / "train.log").read_text(encoding="utf-8")
    assert "tf 0.75" in (tmp_path / "linear" / "train.log").read_text(encoding="utf-8")


def test_numbers_and_times_are_short() -> None:
    numbers = (7.389, 2343.0, 123456.0, 1.23e9)
    assert [format_number(value) for value in numbers] == ["7.39", "2,343", "123,456", "1.2e+09"]
    assert [format_clock(seconds) for seconds in (5, 65, 3725)] == ["0:05", "1:05", "1:02:05"]


def test_events_after_the_checkpoint_and_a_torn_line_are_forgotten(tmp_path: Path) -> None:
    metrics = MetricsLog(tmp_path / "metrics.jsonl")
    with metrics.open(0):
        for update in (1, 2, 3):
            metrics.write({"event": "update", "update": update})
    metrics.path.write_bytes(metrics.path.read_bytes() + b'{"event": "upd')
    with metrics.open(2):
        metrics.write({"event": "update", "update": 3, "loss": 1.5})
    lines = [json.loads(line) for line in metrics.path.read_text(encoding="utf-8").splitlines()]
    assert [line["update"] for line in lines] == [1, 2, 3]
    assert lines[-1]["loss"] == 1.5


def test_a_line_torn_inside_the_wanted_part_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"event": "update", "update": 1}\n{"event": \n')
    with MetricsLog(path).open(5):
        pass
    assert path.read_bytes() == b'{"event": "update", "update": 1}\n'


def test_what_is_no_number_is_null_so_that_the_file_stays_json(tmp_path: Path) -> None:
    metrics = MetricsLog(tmp_path / "metrics.jsonl")
    with metrics.open(0):
        metrics.write({"event": "validation", "update": 1, "loss": float("nan"), "best": False})
    assert json.loads(metrics.path.read_text(encoding="utf-8"))["loss"] is None


def test_nothing_in_the_metrics_depends_on_the_clock(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        make_training(tmp_path / folder, settings={"stop_after": Duration(12, "u")}).train()
    one, two = ((tmp_path / folder / "metrics.jsonl").read_bytes() for folder in ("one", "two"))
    assert one == two


def test_the_times_of_events_stand_beside_them(tmp_path: Path) -> None:
    metrics = MetricsLog(tmp_path / "metrics.jsonl")
    for last in (2, 1):  # a run that went on from update 1
        with metrics.open(last - 1):
            for update in (last, last + 1):
                metrics.write({"event": "update", "update": update}, seconds=0.5 * update)
    times = [json.loads(line) for line in (tmp_path / "times.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["event"], line["update"], line["seconds"]) for line in times] == [
        ("update", 1, 0.5),
        ("update", 2, 1.0),
    ]
    assert times[0]["clock"] <= times[1]["clock"]


def test_a_run_keeps_a_time_for_every_event(tmp_path: Path) -> None:
    make_training(tmp_path, settings={"stop_after": Duration(12, "u")}).train()
    events, times = (
        [json.loads(line) for line in (tmp_path / name).read_text(encoding="utf-8").splitlines()]
        for name in ("metrics.jsonl", "times.jsonl")
    )
    assert [(e["event"], e["update"]) for e in events] == [(e["event"], e["update"]) for e in times]


EVENT = {"event": "update", "update": 7, "loss": 1.5, "note": "text", "nothing": None}


def test_tensorboard_gets_the_numbers_where_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    metrics = MetricsLog(tmp_path / "metrics.jsonl", build_logger("tensorboard", tmp_path))
    with metrics.open(0):
        metrics.write(EVENT)
    (file,) = (tmp_path / "tensorboard").iterdir()
    assert b"update/loss" in file.read_bytes()


class StandIn(ModuleType):
    """A tracking library that remembers its calls."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.calls: list[tuple[str, Any]] = []

    def init(self, **known_by: str) -> None:
        self.calls.append(("init", known_by))

    def log(self, numbers: dict[str, float], step: int) -> None:
        self.calls.append(("log", (numbers, step)))

    def finish(self) -> None:
        self.calls.append(("finish", None))


@pytest.mark.parametrize("library", ["trackio", "wandb"])
def test_a_tracker_gets_the_numbers_of_one_run_also_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    stand_in = StandIn(library)
    monkeypatch.setitem(sys.modules, library, stand_in)
    for _ in range(2):
        metrics = MetricsLog(tmp_path / "run" / "metrics.jsonl", build_logger(library, tmp_path / "run"))
        with metrics.open(0):
            metrics.write(EVENT)
    first = stand_in.calls[:3]
    assert stand_in.calls[3:] == first
    assert [name for name, _ in first] == ["init", "log", "finish"]
    assert first[0][1] | {"project": "nmt", "name": "run", "resume": "allow"} == first[0][1]
    assert ("id" in first[0][1]) == (library == "wandb")
    assert first[1][1] == ({"update/loss": 1.5}, 7)


@pytest.mark.parametrize("library", LOGGERS)
def test_a_library_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(MissingPackage, match=f"{library} is not installed: pip install"):
        build_logger(library, tmp_path)


def test_a_mirror_that_is_unknown_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--log-to: no 'wnb', choose one of tensorboard, trackio, wandb"):
        build_logger("wnb", tmp_path)


def test_a_directory_in_place_of_a_log_is_refused_as_damage(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(DataError, match="not a regular file"), MetricsLog(tmp_path / "metrics.jsonl").open(0):
        raise AssertionError
