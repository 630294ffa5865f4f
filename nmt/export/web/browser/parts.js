// The division of a line into the parts that are translated; as nmt/decoding/parts.py.

import { Truecaser } from "./case.js";
import { endsWithAny, removePrefix } from "./text.js";

const CLAUSE_STOPS = [",", "،", "؛", "၊", "፣"];
const WIDE_CLAUSE_STOPS = ["，", "、", "；", "："];
const SPACE = "▁"; // marks the subwords that begin a word
const JOINER = "@@";

// The parts of a line: { span, ids, gap, inCapitals }, none if the line has no tokens.
// `settings`: source (vocabulary), protection, splitter, rules, language, lengths, longestPart.
export function planParts(text, settings) {
  const parts = [...new Planner(text, settings).parts()];
  return parts.map((part, index) => {
    const before = parts[index - 1];
    const isSame = !before || before.span === part.span;
    return { ...part, gap: isSame ? "" : text.slice(before.span[1], part.span[0]) };
  });
}

class Planner {
  constructor(text, settings) {
    const { source, lengths, longestPart } = settings;
    Object.assign(this, settings);
    this._text = text;
    this._encoded = new Map();
    this._tag = source.tag(text);
    this._truecaser = new Truecaser(source, this.language, this.rules);
    this._mostSentences = lengths?.sentences ?? 1;
    this._mostTokens = Math.min(lengths?.tokens ?? longestPart, longestPart);
    this._inCapitals = this._isInCapitals([0, text.length]);
  }

  *parts() {
    const spans = this.splitter.split(this._text, this.language);
    let groups = spans;
    if (spans.length < 2) groups = [[0, this._text.length]];
    else if (this._mostSentences > 1) groups = this._group(spans, this._mostSentences);
    for (const span of groups) yield* this._encodeGroup(span);
  }

  // Join consecutive spans while they are within the limits, and no layout separates them.
  _group(spans, most) {
    const groups = [];
    let [[start, end], count] = [spans[0], 1];
    let tokens = this._encode(spans[0]).length;
    for (const span of spans.slice(1)) {
      const size = this._encode(span).length;
      const hasLayout = !["", " "].includes(this._text.slice(end, span[0]));
      if (count === most || tokens + size > this._mostTokens || hasLayout) {
        groups.push([start, end]);
        [start, tokens, count] = [span[0], 0, 0];
      }
      [end, tokens, count] = [span[1], tokens + size, count + 1];
    }
    return [...groups, [start, end]];
  }

  // Yield the parts of a group of sentences: usually one.
  *_encodeGroup(span) {
    const inCapitals = this._inCapitals || this._isInCapitals(span);
    let ids = this._encode(span, inCapitals);
    if (ids.length <= this._mostTokens) {
      yield* this._cut(span, ids, inCapitals);
      return;
    }
    const clauses = this._group(this.splitter.splitClauses(this._text, span), ids.length);
    for (const clause of clauses) {
      if (clauses.length > 1) ids = this._encode(clause, inCapitals);
      yield* this._cut(clause, ids, inCapitals);
    }
  }

  // Yield parts of at most `longestPart` tokens.
  *_cut(span, ids, inCapitals) {
    if (!ids.length) return;
    for (const slice of splitTokens(this.source.tokens(ids), this.longestPart, this.rules)) {
      for (const [start, end] of this._divideAtCopies(ids, slice)) {
        yield { span, ids: ids.slice(start, end), inCapitals };
      }
    }
  }

  // Divide a part so that none has more symbols than the vocabulary, each of them once.
  *_divideAtCopies(ids, [first, end]) {
    const { source, protection } = this;
    let [start, seen] = [first, 0];
    for (let index = first; protection && index < end; index++) {
      if (ids[index] < source.copies.start || ids[index] >= source.copies.stop) continue;
      if (++seen <= protection.count) continue;
      const cut = index - (index > start && source.spellings[ids[index - 1]] === SPACE);
      yield [start, cut];
      [start, seen] = [cut, 1];
    }
    yield [start, end];
  }

  // The text of a part of the line, without the tag of the line.
  _untagged([start, end]) {
    const text = this._text.slice(start, end);
    return start ? text : removePrefix(text, this._tag);
  }

  _isInCapitals(span) {
    return this._truecaser.isInCapitals(this._untagged(span));
  }

  // Encode a part of the line, after the tag of the line.
  _encode(span, inCapitals = false) {
    const key = `${span} ${inCapitals}`;
    if (!this._encoded.has(key)) {
      const untagged = this._untagged(span);
      const text = inCapitals ? this._truecaser.truecase(untagged) : untagged;
      const separator = this._tag && span[0] > 0 ? " " : "";
      this._encoded.set(key, this.source.encode(this._tag + separator + text));
    }
    return this._encoded.get(key);
  }
}

// Slices of at most `longest` tokens that cover them all, in order.
function splitTokens(tokens, longest, rules) {
  const slices = [];
  const hasSubwords = tokens.some((token) => token.startsWith(SPACE));
  let start = 0;
  while (tokens.length - start > longest) {
    const end = findSplit(tokens, start, start + longest, hasSubwords, rules);
    slices.push([start, end]);
    start = end;
  }
  return [...slices, [start, tokens.length]];
}

function findSplit(tokens, start, full, hasSubwords, { ends, wideEnds }) {
  let [clauseEnd, wordEnd] = [0, 0];
  for (let end = full; end > Math.floor((start + full) / 2); end--) {
    const last = tokens[end - 1];
    const isBetween = hasSubwords ? tokens[end].startsWith(SPACE) : !last.endsWith(JOINER);
    if (endsWithAny(last, wideEnds) || (isBetween && endsWithAny(last, [...ends, ";", ":"]))) return end;
    if (endsWithAny(last, WIDE_CLAUSE_STOPS) || (isBetween && endsWithAny(last, CLAUSE_STOPS))) clauseEnd ||= end;
    if (isBetween) wordEnd ||= end;
  }
  return clauseEnd || wordEnd || full;
}
