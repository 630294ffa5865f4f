"""`nmt.LanguageModel`: texts and scores of a language model on disk."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, overload

from nmt.api.loading import check_path
from nmt.arguments import (
    check_flag,
    check_strings,
    check_text,
    check_whole_number,
    replace_surrogates,
)
from nmt.data.vocabulary import EOS
from nmt.decoding.job import Job
from nmt.decoding.options import Options, Request
from nmt.decoding.rescore import score_outputs
from nmt.decoding.translation import Candidate
from nmt.hub import find_model
from nmt.recipe.tasks.language_model import build_search_model, load_language_model, sample_lines
from nmt.trust import allow_code

MODEL_PATH = "a language model is the path of a run or a model directory, or a name such as hf:user/name"


class LanguageModel:
    """A language model on disk: a run directory (its best checkpoint), a checkpoint or a model directory.

    With `trust_code` the file of a custom cell runs and is trusted from then on. Raises UsageError if there
    is no language model, DataError if a file is damaged or not trusted.
    """

    def __init__(self, model: str | Path, *, trust_code: bool = False) -> None:
        self._path = find_model(check_path(MODEL_PATH, model))
        with allow_code(check_flag("trust_code", trust_code)):
            self._loaded = load_language_model(self._path)
        vocabulary = self._loaded.vocabulary
        options = Options(beam=1, length_penalty=0.0)
        self._job = Job(build_search_model(self._loaded), vocabulary, vocabulary, options, attends=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what a pickle holds: the path, from which another process loads the model."""
        return type(self), (self._path.resolve(),)

    def __repr__(self) -> str:
        return f"LanguageModel({str(self._path)!r})"

    def sample(
        self,
        prompt: str = "",
        *,
        length: int = 200,
        count: int = 1,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 1,
    ) -> list[str]:
        """Sample `count` texts of `length` tokens after a prompt, with which they begin.

        The end of a line counts as one token. `top_k` and `top_p` limit the choice to the best tokens and to
        a share of the probability. Raises UsageError for values out of range.
        """
        options = Options(
            sample=True, n_best=count, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
        )
        length = check_whole_number("length", length, 1)
        prompt = replace_surrogates(check_text("prompt", prompt))
        texts = sample_lines(self._loaded, options, length, prompt)
        return ["\n".join(lines) for lines in texts]

    @overload
    def score(self, lines: str) -> Candidate: ...  # type: ignore[overload-overlap]
    @overload
    def score(self, lines: Iterable[str]) -> list[Candidate]: ...

    def score(self, lines: str | Iterable[str]) -> Candidate | list[Candidate]:
        """Score a line, or each of a list of lines on its own.

        Each result has `log_prob`, the natural logarithm of the probability of the line with its end, and
        `tokens` with `token_log_probs`; exp(-log_prob / len(tokens)) is the perplexity.
        """
        several = check_strings("lines", [lines] if isinstance(lines, str) else lines)
        encoded = self._loaded.vocabulary.encode_all(list(map(replace_surrogates, several)))
        requests = [Request(number, (), [*ids, EOS]) for number, ids in enumerate(encoded)]
        scored = score_outputs(requests, self._job)
        found = [scored[number]._replace(text=line) for number, line in enumerate(several)]
        return found[0] if isinstance(lines, str) else found
