"""The Python interface: everything that `import nmt` offers."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from nmt.decoding.ensemble import combine_jobs
from nmt.decoding.job import Line
from nmt.decoding.options import Options
from nmt.decoding.translation import Translation, translate_window
from nmt.recipe.tasks.translation import build_job, load_translator
from nmt.trust import allow_code


class Translator:
    """A model on disk, or an ensemble of several, that translates lines.

    A model with a custom cell is loaded if the user trusts the cell's file, or with `trust_code`, which runs
    it and trusts it from then on. Raises UsageError if there is no model, DataError if a file is damaged or
    not trusted.
    """

    def __init__(self, *models: str | Path, trust_code: bool = False) -> None:
        with allow_code(trust_code):
            self._job = combine_jobs([build_job(load_translator(Path(model))) for model in models])

    @property
    def options(self) -> Options:
        """The options of the recipe's search; change them with `dataclasses.replace`."""
        return self._job.options

    def translate(
        self,
        lines: Iterable[str | Line],
        *,
        beam: int | None = None,
        n_best: int = 1,
        options: Options | None = None,
        aligned: bool = False,
    ) -> list[Translation]:
        """Translate each line, in order. A `Line` may have its own lexical constraints.

        `beam` and `n_best` override those of `options`, which are the recipe's by default.
        """
        chosen = options or self.options
        beam = beam or max(chosen.beam, n_best)
        chosen = replace(chosen, beam=beam, n_best=n_best, attention=chosen.attention or aligned)
        job = self._job._replace(options=chosen, n_best=n_best, aligned=aligned)
        return translate_window(list(_lines(lines)), job)


def _lines(lines: Iterable[str | Line]) -> Iterable[Line]:
    for number, line in enumerate(lines, 1):
        yield line if isinstance(line, Line) else Line(number, line)
