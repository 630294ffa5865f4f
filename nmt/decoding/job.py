"""What a translation job is told: which model, how it searches, and what is made of what it finds."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple, Protocol

from nmt.decoding import LONGEST_PART, READ_AHEAD
from nmt.decoding.mbr import Utility
from nmt.decoding.model import Model
from nmt.decoding.options import Options


class Vocabulary(Protocol):
    """What the job asks of a vocabulary."""

    def encode(self, line: str, /) -> list[int]: ...

    def decode(self, ids: Sequence[int], /) -> str: ...

    def pieces(self, ids: Sequence[int], /) -> list[str]: ...

    def fingerprint(self) -> str: ...


class Job(NamedTuple):
    """All that the translations of lines follow from."""

    model: Model
    source: Vocabulary
    target: Vocabulary
    options: Options
    attends: bool = True  # whether the model has attention
    longest_part: int = LONGEST_PART  # source pieces; longer lines go in parts
    read_ahead: int = READ_AHEAD  # batches of lines; 0 translates each line as it comes
    n_best: int = 1  # candidates of each line
    aligned: bool = False  # whether the best one is aligned with its source
    copy_unknown: bool = False  # whether unk is written as the source word it looked at most
    utility: Utility | None = None  # by which the output of least risk is put first

    def settings(self) -> dict[str, Any]:
        """What decides what comes out besides models and functions, in plain JSON values."""
        options = {name: value for name, value in asdict(self.options).items() if name != "batch"}
        return options | {"longest_part": self.longest_part, "copy_unknown": self.copy_unknown}
