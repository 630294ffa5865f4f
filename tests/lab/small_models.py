"""A small translator and a job that translates with it."""

from typing import Any

from nmt.data.vocabulary import EOS
from nmt.decoding.job import Job
from nmt.decoding.options import Options
from nmt.model.inference import InferenceModel
from nmt.model.translator import TranslationModel
from tests.decoding.words import CutWords
from tests.model.test_translator import build

TEXT = "abcdef gh ij"  # four pieces of CutWords, and the end


def with_job(model: TranslationModel, **options: Any) -> tuple[TranslationModel, Job]:
    """The model and the job that translates with it."""
    words = CutWords(10)
    found = Options(beam=3, max_ratio=1.0, max_extra=3, **options)
    return model, Job(InferenceModel(model, eos=EOS), words, words, found)


def small(**parts: Any) -> tuple[TranslationModel, Job]:
    """As `build`s in single precision."""
    return with_job(build(**parts).float())
