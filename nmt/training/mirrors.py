"""Where a run's numbers are shown besides its own files: a table of libraries, all of them extras."""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path

from nmt.errors import UsageError
from nmt.training.metrics import Event, Mirror

PROJECT = "nmt"


def mirror(name: str, run: Path) -> Mirror:
    """The mirror of a name for a run; UsageError if there is none, or its library is not installed."""
    if name not in MIRRORS:
        raise UsageError(f"--log-to: no '{name}', choose one of {', '.join(MIRRORS)}")
    return MIRRORS[name](run)


def numbers(event: Event) -> dict[str, float]:
    """The numbers of an event, named as `validation/bleu`."""
    return {
        f"{event['event']}/{key}": value
        for key, value in event.items()
        if isinstance(value, (int, float)) and key != "update"
    }


class Tensorboard:
    """Writes every number for tensorboard, into a folder of the run."""

    def __init__(self, run: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UsageError("tensorboard is not installed: pip install 'nmt[tensorboard]'") from error
        self.directory, self.make = str(run / "tensorboard"), SummaryWriter

    def begin(self, update: int) -> None:
        """Forget what was written after this update."""
        self.writer = self.make(self.directory, purge_step=update + 1)

    def write(self, event: Event) -> None:
        """Write the numbers of an event."""
        for name, value in numbers(event).items():
            self.writer.add_scalar(name, value, event["update"])

    def close(self) -> None:
        """Write out what is left."""
        self.writer.close()


class Tracker:
    """Sends every number to a library with wandb's three functions: init, log, finish.

    A run that goes on is the same run there. Updates that a crash made it learn twice are sent twice, with
    the same numbers.
    """

    def __init__(self, library: str, identity: Callable[[Path], Mapping[str, str]], run: Path) -> None:
        """`identity` is what the library knows the run by besides its name, as keywords of `init`."""
        try:
            self.library = import_module(library)
        except ImportError as error:
            raise UsageError(f"{library} is not installed: pip install {library}") from error
        self.name, self.identity = run.resolve().name, identity(run)

    def begin(self, update: int) -> None:
        """Begin the run, or go on with it."""
        self.library.init(project=PROJECT, name=self.name, resume="allow", **self.identity)

    def write(self, event: Event) -> None:
        """Send the numbers of an event."""
        self.library.log(numbers(event), step=event["update"])

    def close(self) -> None:
        """No number follows until the run goes on."""
        self.library.finish()


def _by_place(run: Path) -> Mapping[str, str]:
    """A name of its own for each run directory."""
    return {"id": hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:16]}


def _by_name(run: Path) -> Mapping[str, str]:
    return {}


MIRRORS: dict[str, Callable[[Path], Mirror]] = {
    "tensorboard": Tensorboard,
    "trackio": partial(Tracker, "trackio", _by_name),
    "wandb": partial(Tracker, "wandb", _by_place),
}
