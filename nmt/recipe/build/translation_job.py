"""From models on disk to a translation job, on the command line and in Python."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from nmt.data.vocabulary import EOS
from nmt.decoding.ensemble import combine_jobs
from nmt.decoding.job import Job
from nmt.decoding.job import Line
from nmt.decoding.model import Model
from nmt.decoding.options import Options
from nmt.decoding.translation import translate_window
from nmt.decoding.translation import Translation
from nmt.model.inference import InferenceModel
from nmt.recipe.artifact import Loaded, load_translator


def job(translator: Loaded) -> Job:
    """The translation job that a recipe's section `search` describes."""
    options = Options(**vars(translator.recipe.search))
    attends = translator.recipe.decoder.attention != "none"
    return Job(prepared(translator), translator.source, translator.target, options, attends)


def prepared(translator: Loaded) -> Model:
    """The translator as a search wants it, with the weights that it has now."""
    shortlist = translator.shortlist
    return InferenceModel(translator.model, eos=EOS, shortlist=None if shortlist is None else shortlist.select)


class Translator:
    """A model on disk, or several combined, ready to translate.

    Raises UsageError where there is no model, DataError where a file is not what was written.
    """

    def __init__(self, *models: str | Path) -> None:
        self._job = combine_jobs([job(load_translator(Path(model))) for model in models])

    @property
    def options(self) -> Options:
        """How the recipe searches; change it with `dataclasses.replace`."""
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
        """A translation for each line, in order. A `Line` may carry wishes of its own.

        `beam` and `n_best` are put into `options`, which are the recipe's if none are given.
        """
        chosen = options or self.options
        beam = beam or max(chosen.beam, n_best)
        chosen = replace(chosen, beam=beam, n_best=n_best, attention=chosen.attention or aligned)
        job = self._job._replace(options=chosen, n_best=n_best, aligned=aligned)
        return translate_window(list(_lines(lines)), job)


def _lines(lines: Iterable[str | Line]) -> Iterable[Line]:
    for number, line in enumerate(lines, 1):
        yield line if isinstance(line, Line) else Line(number, line)
