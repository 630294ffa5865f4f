"""Beam search over any model that can take one step, for many sentences at once."""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np

from nmt.data.vocabulary import BOS, EOS
from nmt.decoding.candidates import never_generated, score_continuations, select
from nmt.decoding.constraints import advance_track
from nmt.decoding.hypothesis import (
    UNTRACKED,
    BeamHistory,
    BeamRows,
    Continuations,
    HistoryPosition,
    Hypothesis,
    Selection,
    SentenceSearch,
    Track,
)
from nmt.decoding.model import BeamModel, Doubles, Floats, LiveBeams, Model
from nmt.decoding.options import Options, Request
from nmt.errors import UsageError


class TraceStep(NamedTuple):
    """One position of a search: the live hypotheses, their candidates, and those kept.

    The entries of `live` are rows that an earlier step selected. `selected` includes those that end here,
    with a score; its `parents` are rows of `live` and of `candidates`.
    """

    live: BeamRows
    candidates: Continuations
    selected: BeamRows
    log_probs: Doubles  # of the last tokens of `selected`
    scores: list[float | None]


TraceCallback = Callable[[TraceStep], None]
StartSentence = Callable[[Request, Any, Options], SentenceSearch]
"""A function that starts the search for a sentence that the model has encoded."""

ResultT = TypeVar("ResultT")
SearchSteps = Generator[Sequence[Request], list[list[Hypothesis]], ResultT]
"""A computation that yields requests and is sent the hypotheses of each, once or several times."""

REFILL = 8  # sentences are added in eighths of the batch: encoding a single one is inefficient

POSITIONS = 16  # that a model runs at once for a single sentence: enough that the calls take no time


class SearchBatch:
    """At most `options.batch` sentences with their live hypotheses; only these have rows in the model."""

    def __init__(
        self,
        model: Model,
        options: Options,
        trace: TraceCallback | None = None,
        start: StartSentence = SentenceSearch,
        positions: int = 1,
    ) -> None:
        self.model, self.options, self.trace, self.start = model, options, trace, start
        self.positions = positions
        has_special = options.sample or options.groups > 1 or options.coverage_penalty or options.attention
        self._beam_model = model if isinstance(model, BeamModel) and not (trace or has_special) else None
        self.sentences: list[SentenceSearch] = []
        self._state: Any = None
        self._history = BeamHistory()
        self._rows = self._start([], 0)

    def _start(self, sentences: Sequence[SentenceSearch], first: int) -> BeamRows:
        """Return the first rows of sentences, the first of which has the number `first`."""
        groups = self.options.group_count
        rows, tracks = len(sentences) * groups, list[Track]()
        if any(sentence.is_tracked for sentence in sentences):
            tracks = [sentence.root for sentence in sentences for _ in range(groups)]
        tokens, none = np.full(rows, BOS), np.full(rows, -1)
        return BeamRows(
            tokens, none, none, np.zeros(rows), np.arange(first * groups, first * groups + rows), tracks
        )

    def add(self, requests: Sequence[Request]) -> None:
        """Encode sentences; each starts with one hypothesis per group."""
        if not requests:
            return
        memories = self.model.encode([request.source for request in requests])
        new = [self.start(*both, self.options) for both in zip(requests, memories, strict=True)]
        started = self._start(new, len(self.sentences))
        self._rows = self._rows.join(started) if self.sentences else started
        self.sentences += new

    def advance(self) -> Iterator[tuple[int, list[Hypothesis]]]:
        """Advance every sentence by one position; remove those that are done and yield their results.

        The model may run several positions, at most `positions`, if no hypothesis ends in between.
        """
        live = self._end_hypotheses(self._run_beams() or self._step())
        for sentence in self._remove_done(live):
            yield sentence.request.number, sentence.hypotheses(self._history)
        self._history.truncate(max((sentence.length for sentence in self.sentences), default=0))

    def _run_beams(self) -> BeamRows | None:
        """Let the model run positions; return the hypotheses selected at the last, None if it ran none."""
        model, sentences, rows = self._beam_model, self.sentences, self._rows
        if model is None or not all(sentence.is_free for sentence in sentences):
            return None
        left = min(sentence.limit - sentence.length for sentence in sentences)
        positions = max(1, min(left, self.positions // len(sentences)))
        needed, floors = zip(*(sentence.thresholds(positions) for sentence in sentences), strict=True)
        beams = LiveBeams(
            *(rows.tokens, rows.parents, rows.groups, rows.totals, self.options.beam),
            *(never_generated(self.options), EOS, sentences[0].request.symbols, positions),
            *(np.array(needed), np.array(floors)),
        )
        run = model.run_beams(beams, self._state, [sentence.memory for sentence in sentences])
        if run is None or not len(run.counts):
            return None
        before = [rows.entries[run.parents[0, : run.counts[0]]], *run.parents[1:]]
        selected = zip(run.tokens, run.log_probs, before, strict=True)
        self._history.positions += [HistoryPosition(*position, ()) for position in selected]
        for sentence in sentences:
            sentence.length += len(run.counts)
        self._state, kept = run.state, slice(run.counts[-1])
        return BeamRows(
            *(run.tokens[-1, kept], np.arange(kept.stop), run.parents[-1, kept]),
            *(run.totals[-1, kept], run.sentences[-1, kept], []),
        )

    def _step(self) -> BeamRows:
        """Run a position; return the hypotheses selected."""
        rows = self._rows
        owners = [self.sentences[index] for index in (rows.groups // self.options.group_count).tolist()]
        memories = [sentence.memory for sentence in owners]
        step = self.model.step(rows.tokens, self._state, rows.parents, memories)
        if step.weights is None and self.options.coverage_penalty:
            raise UsageError("the coverage penalty needs attention, which this model lacks: omit it")
        extra = 0 if self.trace is None else self.options.beam  # to trace pruned candidates
        candidates = score_continuations(step.scores, rows, owners, self.options, self._history, extra)
        selection = select(candidates, rows, owners, self.options)
        for sentence in self.sentences:
            sentence.length += 1
        selected = self._extend(selection, candidates, owners, step.weights)
        if self.trace is not None:
            self._call_trace(candidates, selected)
        self._end_blocked_groups(selected)
        self._state = step.state
        return selected

    def remove(self, numbers: Collection[int]) -> None:
        """Remove the sentences whose requests have these numbers; their searches end without results."""
        self._remove(self._rows, [sentence.request.number in numbers for sentence in self.sentences])

    def _extend(
        self,
        selection: Selection,
        candidates: Continuations,
        owners: Sequence[SentenceSearch],
        weights: Sequence[Floats] | None,
    ) -> BeamRows:
        """Extend hypotheses by the selected continuations, with attention weights if needed."""
        live, rows = self._rows, selection.rows
        tokens, values = candidates.tokens[selection], candidates.values[selection]
        kept = list[Floats]()
        if weights is not None and (self.options.attention or self.options.coverage_penalty):
            # Copies, since the model may return views of buffers that it reuses.
            kept = [np.array(weights[row]) for row in rows.tolist()]
        self._history.positions.append(HistoryPosition(tokens, values, live.entries[rows], kept))
        tracks = list[Track]()
        if live.tracks:
            pairs = zip(rows.tolist(), tokens.tolist(), strict=True)
            tracks = [advance_track(owners[row], live.tracks[row], token) for row, token in pairs]
        entries = np.arange(len(rows))
        return BeamRows(tokens, entries, rows, live.totals[rows] + values, live.groups[rows], tracks)

    def _call_trace(self, candidates: Continuations, selected: BeamRows) -> None:
        """Pass this position to the `trace` callback."""
        assert self.trace is not None
        score, owners = self.options.ranking.score, (selected.groups // self.options.group_count).tolist()
        scores: list[float | None] = [
            score(total, self.sentences[owner].length, self._history.backtrace(entry).weights)
            if token == EOS
            else None
            for entry, (owner, token, total) in enumerate(
                zip(owners, selected.tokens.tolist(), selected.totals.tolist(), strict=True)
            )
        ]
        log_probs = self._history.positions[-1].log_probs
        self.trace(TraceStep(self._rows, candidates, selected, log_probs, scores))

    def _end_blocked_groups(self, selected: BeamRows) -> None:
        """End the hypotheses of a group of which none can be continued."""
        if len(selected.groups) and len(self.sentences) == self.options.group_count == 1:
            return  # there is one group, and it is continued
        groups, live = len(self.sentences) * self.options.group_count, self._rows
        before, after = (np.bincount(rows.groups, minlength=groups) for rows in (live, selected))
        for group in np.flatnonzero((before > 0) & (after == 0)).tolist():
            sentence, index = self._owner(group)
            if not sentence.ended[index]:
                for row in np.flatnonzero(live.groups == group).tolist():
                    self._end(live, row, steps_back=1)

    def _end(self, rows: BeamRows, row: int, *, steps_back: int = 0) -> None:
        """Record the end of a hypothesis, whose entry is in the last position, or that many steps back."""
        sentence, index = self._owner(int(rows.groups[row]))
        track = rows.tracks[row] if rows.tracks else UNTRACKED
        entry, total = int(rows.entries[row]), float(rows.totals[row])
        sentence.end(index, entry, total, track, self._history, steps_back=steps_back)

    def _end_hypotheses(self, selected: BeamRows) -> BeamRows:
        """Remove and record the hypotheses that are finished or have the maximum length."""
        ended = selected.tokens == EOS
        last = [sentence.length == sentence.limit for sentence in self.sentences]
        if any(last):
            ended |= np.array(last)[selected.groups // self.options.group_count]
        for row in np.flatnonzero(ended).tolist():
            self._end(selected, row)
        return selected.keep(~ended)

    def _owner(self, group: int) -> tuple[SentenceSearch, int]:
        sentence, index = divmod(group, self.options.group_count)
        return self.sentences[sentence], index

    def _remove_done(self, live: BeamRows) -> list[SentenceSearch]:
        """Remove the sentences that are done, with their live hypotheses."""
        bounds = np.searchsorted(live.groups // self.options.group_count, np.arange(len(self.sentences) + 1))
        groups, totals = (live.groups % self.options.group_count).tolist(), live.totals.tolist()
        done = [
            sentence.is_done(groups[start:end], totals[start:end])
            for sentence, (start, end) in zip(self.sentences, pairwise(bounds.tolist()), strict=True)
        ]
        return self._remove(live, done)

    def _remove(self, live: BeamRows, is_removed: Sequence[bool]) -> list[SentenceSearch]:
        """Keep these rows, without those of some sentences; return these sentences."""
        self._rows = live
        if not any(is_removed):
            return []
        if all(is_removed):
            removed, self.sentences = self.sentences, []
            self._rows, self._state = self._start([], 0), None
            return removed
        mask = ~np.array(is_removed)
        owner, group = np.divmod(live.groups, self.options.group_count)
        live = live._replace(groups=(np.cumsum(mask) - 1)[owner] * self.options.group_count + group)
        self._rows = live.keep(mask[owner])
        pairs = list(zip(self.sentences, is_removed, strict=True))
        self.sentences = [sentence for sentence, removed in pairs if not removed]
        if not (self._rows.parents >= 0).any():
            self._state = None  # no row continues one of it
        return [sentence for sentence, removed in pairs if removed]


def search(
    model: Model,
    requests: Iterable[Request],
    options: Options,
    trace: TraceCallback | None = None,
    start: StartSentence = SentenceSearch,
) -> Iterator[tuple[int, list[Hypothesis]]]:
    """Yield the number and the `n_best` hypotheses, best first, of every request once it is done.

    Finished hypotheses come before those cut at the maximum length, then the higher score, then the one found
    earlier. `pad` and `bos` are never generated, nor `unk` if it is disabled. A tiny vocabulary may give
    fewer. Requests are read as slots of the batch become free. `trace` is called at every position.
    """
    batch, waiting = SearchBatch(model, options, trace, start, POSITIONS), iter(requests)
    while True:
        free = options.batch - len(batch.sentences)
        if not batch.sentences or free >= max(1, options.batch // REFILL):
            batch.add(list(islice(waiting, free)))
        if not batch.sentences:
            return
        yield from batch.advance()


def search_request(request: Request) -> SearchSteps[list[Hypothesis]]:
    """Search for one request."""
    [hypotheses] = yield [request]
    return hypotheses


def run_together(
    computations: Iterable[SearchSteps[ResultT]],
    model: Model,
    options: Options,
    start: StartSentence = SentenceSearch,
) -> list[ResultT]:
    """Run computations, whose requests are searched in the same batches, and return their results."""
    steps, results = list(computations), dict[int, ResultT]()
    answers: dict[int, list[list[Hypothesis]] | None] = dict.fromkeys(range(len(steps)))
    while answers:
        asked = dict[int, Sequence[Request]]()
        for index, answer in answers.items():
            try:
                asked[index] = steps[index].send(answer)  # type: ignore[arg-type]
            except StopIteration as end:
                results[index] = end.value
        flat = enumerate(request for requests in asked.values() for request in requests)
        waiting = [request._replace(number=number) for number, request in flat]
        waiting.sort(key=lambda request: -len(request.source))  # so that batches stay full
        found = iter([hypotheses for _, hypotheses in sorted(search(model, waiting, options, start=start))])
        answers = {index: list(islice(found, len(requests))) for index, requests in asked.items()}
    return [results[index] for index in range(len(steps))]
