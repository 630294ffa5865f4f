"""Beam search over any model that can take one step, for many sentences at once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.vocabulary import EOS
from nmt.decoding.candidates import score_continuations, select
from nmt.decoding.constraints import advance_progress
from nmt.decoding.hypothesis import BeamNode, BeamRows, Continuations, Hypothesis, Selection, SentenceSearch
from nmt.decoding.model import Floats, Model
from nmt.decoding.options import Options, Request
from nmt.errors import UsageError


class TraceStep(NamedTuple):
    """One position of a search: the live hypotheses, their candidates, and those kept.

    The nodes of `live` are the node objects that an earlier step selected. `selected` includes those that end
    here; its `parents` are rows of `live` and of `candidates`.
    """

    live: BeamRows
    candidates: Continuations
    selected: BeamRows


TraceCallback = Callable[[TraceStep], None]

REFILL = 8  # sentences are added in eighths of the batch: encoding a single one is inefficient


class SearchBatch:
    """At most `options.batch` sentences with their live hypotheses; only these have rows in the model."""

    def __init__(self, model: Model, options: Options, trace: TraceCallback | None = None) -> None:
        self.model, self.options, self.trace = model, options, trace
        self.sentences: list[SentenceSearch] = []
        self._rows = BeamRows([], np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))
        self._state: Any = None

    def add(self, requests: Sequence[Request]) -> None:
        """Encode sentences; each starts with one hypothesis per group."""
        if not requests:
            return
        memories = self.model.encode([request.source for request in requests])
        new = [SentenceSearch(*both, self.options) for both in zip(requests, memories, strict=True)]
        groups = self.options.group_count
        first, rows = len(self.sentences) * groups, len(new) * groups
        self._rows = BeamRows(
            self._rows.nodes + [sentence.root for sentence in new for _ in range(groups)],
            np.concatenate([self._rows.parents, np.full(rows, -1)]),
            np.concatenate([self._rows.totals, np.zeros(rows)]),
            np.concatenate([self._rows.groups, np.arange(first, first + rows)]),
        )
        self.sentences += new

    def advance(self) -> list[SentenceSearch]:
        """Advance every sentence by one position; remove and return those that are done."""
        rows = self._rows
        owners = [self.sentences[index] for index in (rows.groups // self.options.group_count).tolist()]
        y = np.array([node.token for node in rows.nodes])
        step = self.model.step(y, self._state, rows.parents, [sentence.memory for sentence in owners])
        if step.weights is None and self.options.coverage_penalty:
            raise UsageError("the coverage penalty needs attention, which this model lacks: omit it")
        extra = 0 if self.trace is None else self.options.beam  # to trace pruned candidates
        candidates = score_continuations(step.scores, rows.nodes, owners, self.options, extra)
        selection = select(candidates, rows, owners, self.options)
        for sentence in self.sentences:
            sentence.length += 1
        selected = self._extend(selection, candidates, owners, step.weights)
        if self.trace is not None:
            self.trace(TraceStep(rows, candidates, selected))
        self._end_blocked_groups(selected)
        live = self._end_hypotheses(selected)
        self._state = step.state
        return self._remove_done(live)

    def _extend(
        self,
        selection: Selection,
        candidates: Continuations,
        owners: Sequence[SentenceSearch],
        weights: Sequence[Floats] | None,
    ) -> BeamRows:
        """Extend hypotheses by the selected continuations, with attention weights if needed."""
        if not (self.options.attention or self.options.coverage_penalty):
            weights = None
        live, values = self._rows, candidates.values[selection]
        nodes = [
            BeamNode(
                token,
                value,
                # A copy, since the model may return views of buffers that it reuses.
                None if weights is None else np.array(weights[row]),
                parent.progress and advance_progress(parent.progress, token, owners[row].required),
                parent,
                owners[row].add_copy(parent, token),
            )
            for row, token, value in zip(
                selection.rows.tolist(), candidates.tokens[selection].tolist(), values.tolist(), strict=True
            )
            for parent in [live.nodes[row]]
        ]
        rows = selection.rows
        return BeamRows(nodes, rows, live.totals[rows] + values, live.groups[rows])

    def _end_blocked_groups(self, selected: BeamRows) -> None:
        """End the hypotheses of a group of which none can be continued."""
        groups = len(self.sentences) * self.options.group_count
        before, after = (np.bincount(rows.groups, minlength=groups) for rows in (self._rows, selected))
        for group in np.flatnonzero((before > 0) & (after == 0)).tolist():
            sentence, index = self._owner(group)
            if not sentence.ended[index]:
                for row in np.flatnonzero(self._rows.groups == group).tolist():
                    sentence.end(index, self._rows.nodes[row], float(self._rows.totals[row]), finished=False)

    def _end_hypotheses(self, selected: BeamRows) -> BeamRows:
        """Remove and record the hypotheses that are finished or have the maximum length."""
        last = np.array([sentence.length == sentence.limit for sentence in self.sentences])
        finished = np.array([node.token == EOS for node in selected.nodes], dtype=bool)
        ended = finished | last[selected.groups // self.options.group_count]
        for row in np.flatnonzero(ended).tolist():
            sentence, index = self._owner(int(selected.groups[row]))
            total = float(selected.totals[row])
            sentence.end(index, selected.nodes[row], total, finished=bool(finished[row]))
        return _keep(selected, ~ended)

    def _owner(self, group: int) -> tuple[SentenceSearch, int]:
        sentence, index = divmod(group, self.options.group_count)
        return self.sentences[sentence], index

    def _remove_done(self, live: BeamRows) -> list[SentenceSearch]:
        """Remove the sentences that are done, with their live hypotheses."""
        owner, group = np.divmod(live.groups, self.options.group_count)
        bounds = np.searchsorted(owner, np.arange(len(self.sentences) + 1)).tolist()
        groups, totals = group.tolist(), live.totals.tolist()
        done = [
            sentence.is_done(groups[start:end], totals[start:end])
            for sentence, (start, end) in zip(self.sentences, pairwise(bounds), strict=True)
        ]
        mask = ~np.array(done)
        new_index = np.cumsum(mask) - 1
        self._rows = _keep(
            live._replace(groups=new_index[owner] * self.options.group_count + group), mask[owner]
        )
        removed = [sentence for sentence, is_done in zip(self.sentences, done, strict=True) if is_done]
        self.sentences = [s for s, is_done in zip(self.sentences, done, strict=True) if not is_done]
        if not self.sentences:
            self._state = None
        return removed


def _keep(rows: BeamRows, mask: NDArray[np.bool_]) -> BeamRows:
    if mask.all():
        return rows
    nodes = [node for node, kept in zip(rows.nodes, mask.tolist(), strict=True) if kept]
    return BeamRows(nodes, rows.parents[mask], rows.totals[mask], rows.groups[mask])


def search(
    model: Model, requests: Iterable[Request], options: Options, trace: TraceCallback | None = None
) -> Iterator[tuple[int, list[Hypothesis]]]:
    """Yield the number and the `n_best` hypotheses, best first, of every request once it is done.

    Finished hypotheses come before those cut at the maximum length, then the higher score, then the one found
    earlier. `pad` and `bos` are never generated, nor `unk` if it is disabled. A tiny vocabulary may give
    fewer. Requests are read as slots of the batch become free. `trace` is called at every position.
    """
    batch, waiting = SearchBatch(model, options, trace), iter(requests)
    while True:
        free = options.batch - len(batch.sentences)
        if not batch.sentences or free >= max(1, options.batch // REFILL):
            batch.add(list(islice(waiting, free)))
        if not batch.sentences:
            return
        for sentence in batch.advance():
            yield sentence.request.number, sentence.hypotheses()
