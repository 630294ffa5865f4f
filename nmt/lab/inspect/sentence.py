"""The trace of one sentence through a translator: its tokens, attention, gates and beam."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nmt.data.vocabulary import BOS, EOS
from nmt.decoding.beam import TraceStep, run_together, search
from nmt.decoding.job import Job, Line
from nmt.decoding.translation import join_parts, plan_line
from nmt.errors import UsageError
from nmt.lab.inspect.beam import BeamBranch, build_beam_tree
from nmt.model.translator import TranslationModel
from nmt.recurrence.recording import CellRecord, record_values
from nmt.training.validation import evaluation_mode

CANDIDATES = 8  # most probable tokens that are listed at each position
DIGITS = 5  # decimals of attention and values in JSON


class OutputToken(NamedTuple):
    """A token of the translation and the model's most probable tokens at its position."""

    piece: str
    log_prob: float
    likeliest: list[tuple[str, float]]  # tokens and log probabilities, best first


class SentenceTrace(NamedTuple):
    """The computations of a translator for one sentence."""

    text: str
    translation: str
    source: list[str]  # tokens, with eos
    words: list[OutputToken]  # of the translation, with eos where it was generated
    score: float  # by which the translation is ranked
    attention: Tensor | None  # [T, S]
    recurrences: list[CellRecord]  # with values [T, H]; without `kept`
    beam: list[BeamBranch]
    spelling: dict[int, str]  # of the tokens in the beam

    @property
    def log_prob(self) -> float:
        """The log probability of the translation, eos included."""
        return sum(word.log_prob for word in self.words)


def trace_sentence(model: TranslationModel, job: Job, text: str) -> SentenceTrace:
    """Translate a line with the job's options, then feed the best translation to the model and record it.

    Raises UsageError for an empty line, and for one that is too long to be translated in one part.
    """
    job = job._replace(split="never")
    [plan] = run_together([plan_line(Line(1, text), job)], job.model, job.options)
    if not plan.parts:
        raise UsageError("the sentence has no tokens in the source vocabulary: there is nothing to inspect")
    if len(plan.parts) > 1:
        raise UsageError(f"the sentence is translated in parts ({'; '.join(plan.blank.notes)}); shorten it")
    expansions: list[TraceStep] = []
    ids = plan.parts[0].ids
    [(_, hypotheses)] = search(job.model, plan.requests, job.options, expansions.append)
    best = hypotheses[0]
    output = [*best.ids, *[EOS] * best.finished]
    log_probs, attention, records = _run_forced(model, [*ids, EOS], output)
    beam = build_beam_tree(expansions, best, job.options)
    return SentenceTrace(
        text,
        join_parts(plan, [hypotheses], job).text,
        job.source.tokens([*ids, EOS]),
        _list_output_tokens(job, output, log_probs),
        best.score,
        attention,
        [_map_values(record, lambda value: value[:, 0].cpu())._replace(kept={}) for record in records],
        beam,
        {branch.piece: job.target.tokens([branch.piece])[0] for branch in beam},
    )


def _map_values(record: CellRecord, change: Callable[[Tensor], Tensor]) -> CellRecord:
    return record._replace(values={name: change(value) for name, value in record.values.items()})


@torch.no_grad()
def _run_forced(
    model: TranslationModel, source: list[int], output: list[int]
) -> tuple[Tensor, Tensor | None, list[CellRecord]]:
    """Return log probabilities [T, V], attention [T, S] and cells of the model on its translation."""
    device = next(model.parameters()).device
    src, tgt_in = (torch.tensor([row], device=device) for row in (source, [BOS, *output[:-1]]))
    with evaluation_mode(model), record_values(model.recurrent_cells()) as records:
        unrolled = model.unroll(model.encode(src), tgt_in, return_weights=True)
        log_probs = model.output(unrolled.features[0]).log_softmax(-1)
    return log_probs.cpu(), None if unrolled.weights is None else unrolled.weights[0].cpu(), records


def _list_output_tokens(job: Job, output: Sequence[int], log_probs: Tensor) -> list[OutputToken]:
    values, likeliest = log_probs.topk(min(CANDIDATES, log_probs.shape[1]), dim=1)
    tokens = zip(output, job.target.tokens(output), log_probs, values, likeliest, strict=True)
    return [
        OutputToken(
            piece,
            row[token].item(),
            list(zip(job.target.tokens(best.tolist()), probable.tolist(), strict=True)),
        )
        for token, piece, row, probable, best in tokens
    ]


def find_heat_map_range(values: Tensor) -> tuple[float, float]:
    """Return the range of a heat map: 0 to 1 if it holds all values, else symmetric about 0."""
    largest = max(values.abs().max().item(), 1e-6)
    return (0.0, 1.0) if values.min() >= 0 and largest <= 1 else (-largest, largest)


def trace_to_dict(trace: SentenceTrace) -> dict[str, Any]:
    """Convert a trace to plain JSON values; those of a cell are [T][H]."""
    recurrences = [
        {
            **cell.path._asdict(),
            "gates": cell.gates,
            "unnamed": cell.unnamed,
            "equations": cell.equations,
            "values": {name: _round_values(value) for name, value in cell.values.items()},
        }
        for cell in trace.recurrences
    ]
    return {
        "text": trace.text,
        "translation": trace.translation,
        "score": trace.score,
        "log_prob": trace.log_prob,
        "source": trace.source,
        "words": [word._asdict() for word in trace.words],
        "attention": None if trace.attention is None else _round_values(trace.attention),
        "beam": [{**branch._asdict(), "piece": trace.spelling[branch.piece]} for branch in trace.beam],
        "recurrences": recurrences,
    }


def truncate(trace: SentenceTrace, positions: int) -> SentenceTrace:
    """Keep the first positions of the source and the translation; texts and score are unchanged."""
    attention = None if trace.attention is None else trace.attention[:positions, :positions]
    return trace._replace(
        source=trace.source[:positions],
        words=trace.words[:positions],
        attention=attention,
        recurrences=[_map_values(cell, lambda value: value[:positions]) for cell in trace.recurrences],
        beam=[branch for branch in trace.beam if branch.position < positions],
    )


def _round_values(values: Tensor) -> list[Any]:
    rows: list[Any] = values.double().mul(10**DIGITS).round().div(10**DIGITS).tolist()
    return rows
