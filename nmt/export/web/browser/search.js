// Beam search for one sentence; as nmt/decoding/beam.py, with the same order of equal hypotheses.
//
// `model.step(tokens, state, parents, memory)` gives the log probabilities [R, V] of the next tokens of the R
// hypotheses, the next state and the attention weights [R, S].

import { BOS, EOS, PAD, UNK } from "./vocabulary.js";

const IMPOSSIBLE = -1000; // log probability of a required token to which the model gives -inf
const TINY = 1.1754943508222875e-38;

export const DEFAULTS = { beam: 5, lengthPenalty: 1, maxRatio: 2, maxExtra: 10, nBest: 1, coveragePenalty: 0 };

const normalise = (logProb, length, alpha) => logProb / ((5 + length) / 6) ** alpha; // GNMT's, eq. 14

// Return the `nBest` hypotheses, best first: { ids, score, isFinished }.
//
// `copies` are the symbols of the source, which an output contains once each; `symbols` the range of all of them;
// `blocksUnknown`: never generate unk. `stop()`, asked at each position, ends the search with null.
export async function search(model, source, options, { copies = [], symbols, blocksUnknown = false, stop }) {
  const sentence = new SentenceSearch(source, new Set(copies), symbols, options, blocksUnknown);
  const memory = await model.encode(source);
  let state = null;
  while (!sentence.isDone) {
    if (await stop?.()) return null;
    const { tokens, parents } = sentence.rows;
    const step = await model.step(tokens, state, parents, memory);
    state = step.state;
    sentence.advance(step);
  }
  return sentence.results();
}

class SentenceSearch {
  constructor(source, copies, symbols, options, blocksUnknown) {
    Object.assign(this, { _copies: copies, _symbols: symbols ?? { start: 0, stop: 0 }, _options: options });
    const limit = Math.trunc(options.maxRatio * source.length) + options.maxExtra;
    this._limit = Math.max(1, limit, copies.size + 1); // positions
    this._never = new Set(blocksUnknown ? [PAD, BOS, UNK] : [PAD, BOS]);
    this._length = 0; // positions so far
    this._history = []; // of each position: { tokens, parents, weights }
    this._ended = []; // best first: { isCut, score, total, entry, length }
    this.isDone = false;
    // The live hypotheses, best first: their last tokens, the rows of the state that they continue, the entries
    // of the history's last position, their log probabilities, and the copy symbols that they contain.
    this.rows = { tokens: [BOS], parents: [0], entries: [-1], totals: [0], copied: [new Set()] };
  }

  // Extend the hypotheses by one position.
  advance({ logProbs, weights }) {
    const live = this.rows;
    const candidates = live.tokens.map((_, row) => this._findCandidates(logProbs[row], live.copied[row]));
    const selected = this._select(candidates, live.totals);
    this._length++;
    this._history.push({
      tokens: selected.map(({ token }) => token),
      parents: selected.map(({ row }) => live.entries[row]),
      weights: this._options.coveragePenalty ? selected.map(({ row }) => weights[row]) : [],
    });
    if (!selected.length && !this._ended.length) {
      live.totals.forEach((total, row) => this._end(live.entries[row], total, this._length - 1));
    }
    const rows = { tokens: [], parents: [], entries: [], totals: [], copied: [] };
    selected.forEach(({ row, token, total }, entry) => {
      if (token === EOS || this._length === this._limit) {
        this._end(entry, total, this._length);
        return;
      }
      rows.tokens.push(token);
      rows.parents.push(row);
      rows.entries.push(entry);
      rows.totals.push(total);
      rows.copied.push(this._copies.has(token) ? new Set([...live.copied[row], token]) : live.copied[row]);
    });
    this.rows = rows;
    this.isDone = rows.totals.every((total) => this._cannotEnter(total));
  }

  // The best continuations of a hypothesis that are not blocked: pairs of token and log probability.
  _findCandidates(logProbs, copied) {
    const { start, stop } = this._symbols;
    const missing = [...this._copies].filter((token) => !copied.has(token)).sort((a, b) => a - b);
    if (missing.length) {
      const left = this._limit - this._length;
      const [[best]] = findBest(logProbs, 1, (token) => this._never.has(token));
      if (best === EOS || left <= missing.length + 1) {
        return missing.map((token) => [token, Math.max(logProbs[token], IMPOSSIBLE)]).sort((a, b) => b[1] - a[1]);
      }
    }
    const isBlocked = (token) =>
      this._never.has(token) ||
      (token >= start && token < stop && !missing.includes(token)) ||
      (token === EOS && missing.length > 0);
    return findBest(logProbs, this._options.beam, isBlocked);
  }

  // The continuations to keep; of equal ones that of the better hypothesis, then that with the higher probability.
  _select(candidates, totals) {
    const all = candidates.flatMap((of_row, row) =>
      of_row.map(([token, logProb]) => ({ row, token, total: totals[row] + logProb })),
    );
    return all
      .filter(({ total }) => total > -Infinity)
      .sort((a, b) => b.total - a.total)
      .slice(0, this._options.beam);
  }

  // Record the end of a hypothesis, whose entry is that of the position `length`, if it is among the best.
  _end(entry, total, length) {
    const isCut = length === 0 || this._history[length - 1].tokens[entry] !== EOS;
    let score = normalise(total, length, this._options.lengthPenalty);
    if (this._options.coveragePenalty) score += this._penaliseCoverage(entry, length);
    this._ended.push({ isCut, score, total, entry, length });
    this._ended.sort((a, b) => a.isCut - b.isCut || b.score - a.score);
    this._ended.splice(this._options.nBest);
  }

  _penaliseCoverage(entry, length) {
    const coverage = [];
    for (const { weights } of this._backtrace(entry, length)) {
      weights.forEach((weight, index) => (coverage[index] = (coverage[index] ?? 0) + weight));
    }
    const logs = coverage.map((sum) => Math.log(Math.min(1, Math.max(TINY, sum))));
    return this._options.coveragePenalty * logs.reduce((a, b) => a + b, 0);
  }

  // Whether no continuation of a live hypothesis can enter the results: its best has probability 1.
  _cannotEnter(total) {
    if (this._ended.length < this._options.nBest) return false;
    return normalise(total, this._limit, this._options.lengthPenalty) <= this._ended.at(-1).score;
  }

  // The positions of a hypothesis, from the first: { token, weights }.
  _backtrace(entry, length) {
    const path = [];
    for (let index = length - 1; index >= 0; index--) {
      const position = this._history[index];
      path.push({ token: position.tokens[entry], weights: position.weights[entry] });
      entry = position.parents[entry];
    }
    return path.reverse();
  }

  results() {
    const found = new Map();
    for (const { isCut, score, entry, length } of this._ended) {
      const tokens = this._backtrace(entry, length).map(({ token }) => token);
      const ids = isCut ? tokens : tokens.slice(0, -1);
      const key = `${isCut} ${ids}`;
      if (!found.has(key)) found.set(key, { ids, score, isFinished: !isCut });
    }
    return [...found.values()];
  }
}

// The `count` best tokens of a row that are not blocked, with their log probabilities; of equal ones the lower.
export function findBest(logProbs, count, isBlocked) {
  const best = []; // pairs, best first
  let floor = -Infinity; // what a token must exceed
  for (let token = 0; token < logProbs.length; token++) {
    const value = logProbs[token];
    if (value !== value) throw new Error("the model's output is NaN");
    if (!(value > floor) || isBlocked(token)) continue;
    let index = best.length;
    while (index > 0 && best[index - 1][1] < value) index--;
    best.splice(index, 0, [token, value]);
    if (best.length > count) best.pop();
    if (best.length === count) floor = best[count - 1][1];
  }
  return best.length || count === 0 ? best : [[-1, -Infinity]];
}
