"""Beam search over any model that can take one step, for many sentences at once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple

import numpy as np

from nmt.data.vocabulary import EOS
from nmt.decoding.beam_rows import BeamRows, Selection
from nmt.decoding.candidates import Continuations, score_continuations, select
from nmt.decoding.constraints import advance_progress
from nmt.decoding.hypothesis import Hypothesis, Node, SentenceSearch
from nmt.decoding.model import Floats, Model
from nmt.decoding.options import Options, Request
from nmt.errors import UsageError


class TraceStep(NamedTuple):
    """One position of a search: the hypotheses that were alive, what could follow, and what was kept.

    A node of `before` is the very node that an earlier expansion has grown. `grown` has those that end here,
    too; their `parents` are rows of `before` and of `found`.
    """

    before: BeamRows
    found: Continuations
    grown: BeamRows


TraceCallback = Callable[[TraceStep], None]
"""Takes what the search did at each position."""


SHARE = 8  # sentences enter by an eighth of the batch: to read one alone takes longer than its share of many


class SearchBatch:
    """At most `options.batch` sentences with their live hypotheses; only these have rows in the model."""

    def __init__(self, model: Model, options: Options, record: TraceCallback | None = None) -> None:
        self.model, self.options, self.record = model, options, record
        self.sentences: list[SentenceSearch] = []
        self._rows = BeamRows([], np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))
        self._state: Any = None

    def room(self) -> int:
        """How many sentences should enter now."""
        free = self.options.batch - len(self.sentences)
        return free if not self.sentences or free >= max(1, self.options.batch // SHARE) else 0

    def enter(self, requests: Sequence[Request]) -> None:
        """Read sentences; each starts with one hypothesis in each of its lanes."""
        if not requests:
            return
        memories = self.model.encode([request.source for request in requests])
        entering = [SentenceSearch(*both, self.options) for both in zip(requests, memories, strict=True)]
        lanes = self.options.lanes
        first, rows = len(self.sentences) * lanes, len(entering) * lanes
        self._rows = BeamRows(
            self._rows.nodes + [sentence.root() for sentence in entering for _ in range(lanes)],
            np.concatenate([self._rows.parents, np.full(rows, -1)]),
            np.concatenate([self._rows.totals, np.zeros(rows)]),
            np.concatenate([self._rows.lanes, np.arange(first, first + rows)]),
        )
        self.sentences += entering

    def advance(self) -> list[SentenceSearch]:
        """Take one position in every sentence; those that are settled leave and are returned."""
        rows = self._rows
        owners = [self.sentences[number] for number in (rows.lanes // self.options.lanes).tolist()]
        y = np.array([node.piece for node in rows.nodes])
        step = self.model.step(y, self._state, rows.parents, [sentence.memory for sentence in owners])
        more = 0 if self.record is None else self.options.beam  # to show what was dropped
        found = score_continuations(step.scores, rows.nodes, owners, self.options, more)
        chosen = select(found, rows, owners, self.options)
        for sentence in self.sentences:
            sentence.length += 1
        grown = self._grow(chosen, found, owners, self._weights(step.weights))
        if self.record is not None:
            self.record(TraceStep(rows, found, grown))
        self._end_what_died_out(grown)
        live = self._end_what_ended(grown)
        self._state = step.state
        return self._leave(live)

    def _weights(self, weights: Sequence[Floats] | None) -> Sequence[Floats] | None:
        """Attention weights, if they are needed."""
        if weights is None and self.options.coverage_penalty:
            raise UsageError("this model has no attention, so there is no coverage: leave its penalty out")
        return weights if self.options.attention or self.options.coverage_penalty else None

    def _grow(
        self,
        chosen: Selection,
        found: Continuations,
        owners: Sequence[SentenceSearch],
        weights: Sequence[Floats] | None,
    ) -> BeamRows:
        """The chosen continuations as hypotheses."""
        before, values = self._rows, found.values[chosen]
        nodes = [
            Node(
                piece,
                value,
                # A copy, since the model may hand out views of what it writes into again.
                None if weights is None else np.array(weights[row]),
                before.nodes[row].progress
                and advance_progress(before.nodes[row].progress, piece, owners[row].must),
                before.nodes[row],
            )
            for row, piece, value in zip(
                chosen.rows.tolist(), found.pieces[chosen].tolist(), values.tolist(), strict=True
            )
        ]
        return BeamRows(nodes, chosen.rows, before.totals[chosen.rows] + values, before.lanes[chosen.rows])

    def _end_what_died_out(self, grown: BeamRows) -> None:
        """Where nothing may follow any hypothesis, the output is cut."""
        lanes = len(self.sentences) * self.options.lanes
        before, after = (np.bincount(rows.lanes, minlength=lanes) for rows in (self._rows, grown))
        for lane in np.flatnonzero((before > 0) & (after == 0)).tolist():
            sentence, own = self._owner(lane)
            if not sentence.ends[own]:
                for row in np.flatnonzero(self._rows.lanes == lane).tolist():
                    sentence.end(own, self._rows.nodes[row], float(self._rows.totals[row]), finished=False)

    def _end_what_ended(self, grown: BeamRows) -> BeamRows:
        """Take out the hypotheses that are finished or as long as they may be."""
        last = np.array([sentence.length == sentence.limit for sentence in self.sentences])
        finished = np.array([node.piece == EOS for node in grown.nodes], dtype=bool)
        ended = finished | last[grown.lanes // self.options.lanes]
        for row in np.flatnonzero(ended).tolist():
            sentence, own = self._owner(int(grown.lanes[row]))
            sentence.end(own, grown.nodes[row], float(grown.totals[row]), finished=bool(finished[row]))
        return _pick(grown, ~ended)

    def _owner(self, lane: int) -> tuple[SentenceSearch, int]:
        number, own = divmod(lane, self.options.lanes)
        return self.sentences[number], own

    def _leave(self, live: BeamRows) -> list[SentenceSearch]:
        """Let settled sentences go, with what is alive of them."""
        number, own = np.divmod(live.lanes, self.options.lanes)
        bounds = np.searchsorted(number, np.arange(len(self.sentences) + 1)).tolist()
        lanes, totals = own.tolist(), live.totals.tolist()
        stays = np.array(
            [
                not sentence.settled(lanes[start:end], totals[start:end])
                for sentence, (start, end) in zip(self.sentences, pairwise(bounds), strict=True)
            ]
        )
        if stays.all():
            self._rows = live
            return []
        new_number = np.cumsum(stays) - 1
        kept = _pick(live, stays[number])
        self._rows = kept._replace(lanes=(new_number[number] * self.options.lanes + own)[stays[number]])
        leaving = [sentence for sentence, stay in zip(self.sentences, stays, strict=True) if not stay]
        self.sentences = [sentence for sentence, stay in zip(self.sentences, stays, strict=True) if stay]
        if not self.sentences:
            self._state = None
        return leaving


def _pick(rows: BeamRows, mask: "np.typing.NDArray[np.bool_]") -> BeamRows:
    if mask.all():
        return rows
    nodes = [node for node, kept in zip(rows.nodes, mask.tolist(), strict=True) if kept]
    return BeamRows(nodes, rows.parents[mask], rows.totals[mask], rows.lanes[mask])


def search(
    model: Model, requests: Iterable[Request], options: Options, record: TraceCallback | None = None
) -> Iterator[tuple[int, list[Hypothesis]]]:
    """The `n_best` hypotheses of every request, best first, with its number, as they are found.

    Finished hypotheses come before those cut at the longest length, then the higher score, then the one found
    earlier. `pad` and `bos` are never written, nor `unk` where it is ruled out. There are fewer where the
    vocabulary is tiny. Requests are taken when there is room for them, some at a time. `record` is shown what
    is done at every position.
    """
    batch, waiting = SearchBatch(model, options, record), iter(requests)
    while True:
        batch.enter(list(islice(waiting, batch.room())))
        if not batch.sentences:
            return
        for sentence in batch.advance():
            yield sentence.request.number, sentence.hypotheses()
