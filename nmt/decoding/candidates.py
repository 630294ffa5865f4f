"""Continuations of the live hypotheses: blocked tokens, their scores, and the selection of those kept."""

from collections.abc import Iterator, Sequence

import numpy as np

from nmt.data.vocabulary import BOS, EOS, PAD, UNK
from nmt.decoding.constraints import required_tokens, select_constrained
from nmt.decoding.copying.constraint import constrain_copies, contains_copies
from nmt.decoding.hypothesis import (
    UNTRACKED,
    BeamHistory,
    BeamRows,
    Continuations,
    Selection,
    SentenceSearch,
    Track,
)
from nmt.decoding.model import Doubles, Ints, TokenScores
from nmt.decoding.options import Options
from nmt.decoding.sampling import sample_tokens
from nmt.errors import DataError


def never_generated(options: Options) -> list[int]:
    """Return the tokens that are never generated."""
    return [PAD, BOS] if options.unk else [PAD, BOS, UNK]


def blocked_tokens(
    sentence: SentenceSearch, token: int, entry: int, track: Track, history: BeamHistory
) -> Iterator[int]:
    """Yield the tokens that must not follow a hypothesis with this last token; some may be repeated."""
    if sentence.length < sentence.minimum or sentence.count_missing(track):
        yield EOS
    if token in sentence.request.openings:
        started = zip(track.progress, sentence.required, strict=True)
        yield from (sequence[0] for met, sequence in started if met == 0)
    order, sequences = sentence.options.no_repeat_ngram, sentence.request.forbidden
    if order or sequences:
        ids = history.backtrace(entry).tokens
        if order:
            yield from repeated_ngram_tokens(ids, order)
        for sequence in sequences:
            if sequence and (len(sequence) == 1 or ids[1 - len(sequence) :] == list(sequence[:-1])):
                yield sequence[-1]


def repeated_ngram_tokens(ids: list[int], order: int) -> Iterator[int]:
    """Yield the tokens that would repeat an n-gram of this order (Paulus et al., 2018)."""
    last = ids[len(ids) - order + 1 :]
    for start in range(len(ids) - order + 1):
        if ids[start : start + order - 1] == last:
            yield ids[start + order - 1]


def score_continuations(
    scores: TokenScores,
    rows: BeamRows,
    owners: Sequence[SentenceSearch],
    options: Options,
    history: BeamHistory,
    extra: int = 0,
) -> Continuations:
    """Return the continuations of each hypothesis: enough to include the best of its group, and `extra`.

    Raises DataError for NaN.
    """
    prefixes, never = list[tuple[int, int]](), never_generated(options)
    if all(sentence.is_plain for sentence in owners):
        result = _best_tokens(scores, len(never) + extra, options)
        result.block_everywhere(never)
    else:
        prefixed = [(row, s.request.prefix[s.length :]) for row, s in enumerate(owners)]
        prefixes = [(row, prefix[0]) for row, prefix in prefixed if prefix]
        if len(prefixes) == len(owners):
            result = Continuations(np.empty((len(owners), 1)), np.empty((len(owners), 1), np.int64))
        else:
            result = _constrain(scores, rows, owners, options, history, never, extra)
    if prefixes:
        forced, tokens = _split_pairs(prefixes)
        result.values[forced] = -np.inf
        result.write(scores, forced, tokens, 0)
    if np.isnan(result.values).any():
        raise DataError("the model's output is NaN; check its training log for a NaN loss")
    return result


def _constrain(
    scores: TokenScores,
    rows: BeamRows,
    owners: Sequence[SentenceSearch],
    options: Options,
    history: BeamHistory,
    never: Sequence[int],
    extra: int,
) -> Continuations:
    """Return the continuations that the constraints of the sentences permit, and those that they require."""
    tracks = rows.tracks or [UNTRACKED] * len(owners)
    restricted = [row for row, s in enumerate(owners) if s.is_restricted or s.length < s.minimum]
    last = list(zip(rows.tokens.tolist(), rows.entries.tolist(), tracks, strict=True))
    blocked = {
        (row, token) for row in restricted for token in blocked_tokens(owners[row], *last[row], history)
    }
    required = {(row, token) for row in restricted for token in required_tokens(owners[row], tracks[row])}
    closed = [row for row in restricted if owners[row].ends_word(tracks[row])]
    most = int(np.bincount([row for row, _ in blocked]).max()) if blocked else 0
    most += max((len(owners[row].request.continuations) for row in closed), default=0)
    symbols, ends = owners[0].request.symbols, any(owner.copies for owner in owners)
    spare = len(never) + most + extra + ends
    result = _best_tokens(scores, spare, options)
    if contains_copies(result.tokens, symbols):
        result = _best_tokens(scores, spare + len(symbols), options)
    if required:
        result = result.add_missing(scores, *_split_pairs(sorted(required)))
    result.block_everywhere(never)
    if blocked:
        result.block(*_split_pairs(sorted(blocked)))
    for row in closed:
        extends = np.isin(result.tokens[row], owners[row].request.continuations)
        result.values[row, extends] = -np.inf
    constrain_copies(result, scores, tracks, owners)
    return result


def _split_pairs(pairs: Sequence[tuple[int, int]]) -> tuple[Ints, Ints]:
    """Return the rows and the tokens of pairs."""
    rows, tokens = np.array(pairs, dtype=np.int64).T
    return rows, tokens


def _best_tokens(scores: TokenScores, spare: int, options: Options) -> Continuations:
    """Return the best tokens of each row, enough that `spare` of them may be blocked."""
    if not options.sample:
        best = scores.best(options.beam + spare)
    elif options.top_k:
        best = scores.best(options.top_k + spare)
    else:
        log_probs = scores.all()
        if options.top_p < 1:
            best = scores.best(log_probs.shape[1])
        else:
            best = log_probs, np.broadcast_to(np.arange(log_probs.shape[1]), log_probs.shape)
    values, tokens = best
    return Continuations(np.array(values, np.float64), np.array(tokens, np.int64))


def select(
    candidates: Continuations, rows: BeamRows, owners: Sequence[SentenceSearch], options: Options
) -> Selection:
    """Select the continuations to keep; `owners` are the sentences of the rows."""
    if options.sample:
        streams = zip(owners, (rows.groups % options.group_count).tolist(), strict=True)
        uniforms = np.array([sentence.uniforms[group, sentence.length] for sentence, group in streams])
        return sample_tokens(candidates.values, uniforms, options)
    keys = rows.totals[:, None] + candidates.values
    if options.groups > 1:
        return select_diverse(keys, candidates.tokens, rows.groups, options)
    if not any(sentence.required for sentence in owners):
        return select_per_group(keys, rows.groups, options.group_width)
    return _select_some_constrained(keys, candidates, rows, owners, options)


def select_per_group(keys: Doubles, groups: Ints, width: int) -> Selection:
    """Select the `width` continuations of each group with the highest keys [R, C], never one of -inf.

    Of equal keys the lower row comes first, then the lower column.
    """
    if not len(groups):
        return Selection(groups, groups)
    columns = keys.shape[1]
    if groups[0] == groups[-1]:  # as in a batch of one sentence
        best = (-keys).ravel().argsort(kind="stable")[:width]
        best = best[keys.ravel()[best] > -np.inf]
        return Selection(best // columns, best % columns)
    starts = np.searchsorted(groups, np.arange(groups[-1] + 1))
    ranks = np.arange(len(groups)) - starts[groups]
    grid = np.full((len(starts), int(ranks.max()) + 1, columns), -np.inf)
    grid[groups, ranks] = keys
    flat = grid.reshape(len(starts), -1)
    order = np.argsort(-flat, axis=1, kind="stable")[:, :width]
    group, index = np.nonzero(np.take_along_axis(flat, order, axis=1) > -np.inf)
    rank, column = np.divmod(order[group, index], columns)
    return Selection(starts[group] + rank, column)


def select_diverse(keys: Doubles, tokens: Ints, groups: Ints, options: Options) -> Selection:
    """Select the best continuations of each group; groups [R], keys and tokens [R, C].

    A token costs `diversity` for each time that an earlier group of the sentence chose it at this position
    (Hamming diversity). The cost is not part of a hypothesis' log probability.
    """
    sentences, numbers = np.divmod(groups, options.groups)
    taken = np.full((sentences[-1] + 1, options.beam), -1)
    selected = []
    for number in range(options.groups):
        rows = np.flatnonzero(numbers == number)
        times = (tokens[rows, :, None] == taken[sentences[rows], None, :]).sum(axis=-1)
        best = select_per_group(keys[rows] - options.diversity * times, sentences[rows], options.group_width)
        best = Selection(rows[best.rows], best.columns)
        owners = sentences[best.rows]  # ascending
        ranks = np.arange(len(owners)) - np.searchsorted(owners, owners)
        taken[owners, number * options.group_width + ranks] = tokens[best]
        selected.append(best)
    return _join(selected, groups)


def _select_some_constrained(
    keys: Doubles,
    candidates: Continuations,
    rows: BeamRows,
    owners: Sequence[SentenceSearch],
    options: Options,
) -> Selection:
    """Select for sentences with required phrases one by one, for the others together."""
    free = np.flatnonzero([not sentence.required for sentence in owners])
    best = select_per_group(keys[free], rows.groups[free], options.group_width)
    selected = [Selection(free[best.rows], best.columns)]
    for sentence in dict.fromkeys(s for s in owners if s.required):
        live = np.flatnonzero([owner is sentence for owner in owners])
        tracks, tokens = [rows.tracks[row] for row in live.tolist()], candidates.tokens[live]
        # Of each row its best and those required: how many others there are depends on the other sentences.
        order = np.argsort(-candidates.values[live], axis=1, kind="stable")
        eligible = np.argsort(order, axis=1) < options.group_width
        for row, track in enumerate(tracks):
            eligible[row] |= np.isin(tokens[row], [*required_tokens(sentence, track)])
        best = select_constrained(
            sentence.required,
            [track.progress for track in tracks],
            np.where(eligible, keys[live], -np.inf),
            tokens,
            options.group_width,
        )
        selected.append(Selection(live[best.rows], best.columns))
    return _join(selected, rows.groups)


def _join(parts: Sequence[Selection], groups: Ints) -> Selection:
    """Join selections, in the order of the groups [R]; the order within a group is kept."""
    rows, columns = map(np.concatenate, zip(*parts, strict=True))
    order = np.argsort(groups[rows], kind="stable")
    return Selection(rows[order], columns[order])
