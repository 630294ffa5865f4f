// The sentences and clauses of a line, and the space between their translations; as nmt/data/sentences.py.
//
// `segment(language, text)` is that of the library sentencex. A span is a pair of indices in code units.

import { findAll, firstCharacter, isBlank, lastCharacter, strip, stripCharacters } from "./text.js";

const BLOCK = 1024; // characters that the library gets at once
const [LOWER, UPPER, WORD] = [/^\p{Lowercase}/u, /^\p{Uppercase}/u, /[\p{L}\p{N}]/u];

export class SentenceSplitter {
  constructor(segment, rules) {
    this._segment = segment;
    this._rules = rules;
  }

  // The sentences of a text in a language. White space around them belongs to none.
  split(text, language) {
    if (!this._mayHaveSeveral(text)) return stripSpans(text, [0, text.length]);
    const code = this._languageCode(language);
    const { otherEnd, ellipsis, [`end in ${code}`]: languageEnd } = this._rules.patterns;
    const edges = new Set(this._libraryEdges(text, code));
    for (const pattern of [languageEnd, otherEnd].filter(Boolean)) {
      for (const match of findAll(pattern, text)) edges.add(endOf(match));
    }
    for (const match of findAll(ellipsis, text)) if (UPPER.test(text.slice(endOf(match)))) edges.add(endOf(match));
    const kept = [...edges].filter((edge) => !this._continuesQuotation(text, edge));
    return stripSpans(text, this._joinFragments(text, sortEdges([0, ...kept, text.length])));
  }

  // Whether a sentence may end before the end of the text.
  _mayHaveSeveral(text) {
    const { ends, closers } = this._rules;
    const inner = stripCharacters(strip(text), ends.join("") + closers);
    return [..."\n;\u037e", ...ends].some((end) => inner.includes(end)); // in Greek, a semicolon ends a question
  }

  // The clauses of a sentence.
  splitClauses(text, [start, end]) {
    const pattern = new RegExp(this._rules.patterns.clauseEnd.source, "gv");
    const ends = [];
    const upTo = text.slice(0, end);
    pattern.lastIndex = start;
    for (let match; (match = pattern.exec(upTo)); ) ends.push(endOf(match));
    return stripSpans(text, this._joinFragments(text, sortEdges([start, ...ends, end])));
  }

  // What to write between two translated parts, whose sources are separated by `gap`.
  findSeparator(first, second, gap) {
    if (!first || !second) return "";
    const isUnspaced = [lastCharacter(first), firstCharacter(second)].some((one) =>
      this._rules.matchesStart("unspaced", one),
    );
    if (gap === "" || gap === " ") return isUnspaced ? "" : " ";
    const layout = gap.replace(this._rules.patterns.lineEnd, " ");
    return isUnspaced ? layout : layout.replaceAll("\u3000", " ");
  }

  _languageCode(language) {
    const code = language.toLowerCase().split(/[-_]/, 1)[0];
    return this._rules.shortCodes[code] ?? code;
  }

  // The sentence ends that the library finds; it gets blocks of about equal size.
  *_libraryEdges(text, language) {
    const characters = [...text.replace(this._rules.patterns.unknownSpace, " ")];
    let [start, size, position] = [0, BLOCK, 0]; // position: in code units
    while (start < characters.length) {
      const block = characters.slice(start, start + size).join("");
      const pieces = this._segmentSafely(block, language);
      const isLast = start + size >= characters.length;
      if (pieces.length === 1 && !isLast) {
        size *= 2; // no end of a sentence
        continue;
      }
      for (const piece of isLast ? pieces : pieces.slice(0, -1)) {
        start += [...piece].length;
        yield (position += piece.length);
      }
      size = BLOCK;
    }
  }

  _segmentSafely(block, language) {
    let pieces = [];
    try {
      pieces = this._segment(language, block);
    } catch {
      return [block]; // the library fails at some characters
    }
    return pieces.join("") === block && pieces.every(Boolean) ? pieces : [block];
  }

  // Whether the text before an edge is quoted by the sentence that continues after it.
  _continuesQuotation(text, edge) {
    let end = edge;
    while (end > 0 && isBlank(text[end - 1])) end--;
    if (end === 0 || !this._rules.closers.includes(text[end - 1])) return false;
    const following = text.slice(edge);
    return end < edge ? LOWER.test(following) : this._rules.matchesStart("continuation", following);
  }

  // Join the number of a list with what follows, and what has no letter and no digit with what precedes.
  _joinFragments(text, edges) {
    const kept = edges.slice(0, 1);
    for (const edge of edges.slice(1)) {
      const piece = text.slice(kept.at(-1), edge);
      const hasWord = WORD.test(piece);
      if (!hasWord && kept.length > 1) kept[kept.length - 1] = edge;
      else if (edge === edges.at(-1) || (hasWord && !this._rules.matchesAll("listNumber", piece))) kept.push(edge);
    }
    return kept;
  }
}

const endOf = (match) => match.index + match[0].length;
const sortEdges = (edges) => [...new Set(edges)].sort((a, b) => a - b);

// The spans between edges without the white space around them, and without blank ones.
function stripSpans(text, edges) {
  const spans = [];
  for (let index = 1; index < edges.length; index++) {
    const piece = text.slice(edges[index - 1], edges[index]);
    const stripped = strip(piece);
    if (!stripped) continue;
    const start = edges[index - 1] + piece.indexOf(stripped);
    spans.push([start, start + stripped.length]);
  }
  return spans;
}

