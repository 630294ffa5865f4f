"""Questions about how a model translates a line.

A worker answers them between the positions of its searches; where processes are forked, another one traces.
"""

from typing import Any, NamedTuple

from nmt.api.loading import LoadedJob
from nmt.errors import UsageError
from nmt.serve.alternatives import Pauses, WordAlternatives, find_alternatives


class TraceRequest(NamedTuple):
    """A line whose sentence page is asked for."""

    model: str
    text: str

    def answer(self, loaded: LoadedJob) -> Pauses[dict[str, Any]]:
        """Return the data of the page, of a sentence of few tokens: without a pause in its search."""
        yield
        if loaded.translator is None:
            raise UsageError("an export has no gates to show: serve the run that it was made from")
        from nmt.lab.inspect.page import pack_trace
        from nmt.lab.inspect.sentence import trace_sentence

        trace = trace_sentence(loaded.translator.model, loaded.job, self.text)
        return pack_trace(trace, self.model)


class WordRequest(NamedTuple):
    """A word of a line's translation, whose attention and alternatives are asked for."""

    model: str
    text: str
    before: str  # the translation up to the word
    word: str

    def answer(self, loaded: LoadedJob) -> Pauses[WordAlternatives]:
        """Return the attention and the alternatives of the word."""
        return find_alternatives(loaded.job, self.text, self.before, self.word)


Inspection = TraceRequest | WordRequest
Answer = dict[str, Any] | WordAlternatives
