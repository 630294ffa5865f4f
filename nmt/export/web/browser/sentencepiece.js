// SentencePiece models (Kudo and Richardson, 2018): normalisation, segmentation, and text of tokens.
//
// As the library does, with the same sums in 32-bit numbers, so that equal scores are decided alike.

import { readFields, readFloat, readText } from "./protobuf.js";

export const KINDS = { normal: 1, unknown: 2, control: 3, symbol: 4, unused: 5, byte: 6 };
const MODEL_TYPES = { 1: "unigram", 2: "bpe", 3: "word", 4: "char" };
const SPACE = "▁";
const UNKNOWN_PENALTY = 10;
const LEAST_MAXIMUM = 1.1754943508222875e-38; // where the library starts to look for the highest score
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

// Read the file of a model.
export function readModel(bytes) {
  const model = {
    pieces: [], // { text, score, kind }
    type: "unigram",
    byteFallback: false,
    unknownSurface: " ⁇ ",
    charsmap: new Uint8Array(0),
    addDummyPrefix: true,
    removeExtraSpaces: true,
    escapeSpaces: true,
    rule: "none",
    hasCase: false,
  };
  for (const [number, value] of readFields(bytes)) {
    if (number === 1) model.pieces.push(readPiece(value));
    else if (number === 2) readTrainer(value, model);
    else if (number === 3) readNormalizer(value, model);
    else if (number === 1000) model.rule = readText(value);
    else if (number === 1001) model.hasCase = true;
  }
  return model;
}

function readPiece(bytes) {
  const piece = { text: "", score: 0, kind: KINDS.normal };
  for (const [number, value] of readFields(bytes)) {
    if (number === 1) piece.text = readText(value);
    else if (number === 2) piece.score = readFloat(value);
    else if (number === 3) piece.kind = value;
  }
  return piece;
}

function readTrainer(bytes, model) {
  for (const [number, value] of readFields(bytes)) {
    if (number === 3) model.type = MODEL_TYPES[value];
    else if (number === 35) model.byteFallback = value === 1;
    else if (number === 44) model.unknownSurface = readText(value);
  }
}

function readNormalizer(bytes, model) {
  for (const [number, value] of readFields(bytes)) {
    if (number === 2) model.charsmap = value;
    else if (number === 3) model.addDummyPrefix = value === 1;
    else if (number === 4) model.removeExtraSpaces = value === 1;
    else if (number === 5) model.escapeSpaces = value === 1;
  }
}

// The longest of some texts at a position.
class PrefixMatcher {
  constructor(texts) {
    this._texts = new Set(texts);
    this._lengths = [...new Set(texts.map((text) => text.length))].sort((a, b) => b - a);
  }

  find(text, position) {
    for (const length of this._lengths) {
      const found = text.slice(position, position + length);
      if (this._texts.has(found)) return found;
    }
    return null;
  }
}

// The replacement of characters by a model's table: a trie of bytes (a double array), and the texts at its leaves.
class CharacterTable {
  constructor(table) {
    const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
    const size = view.getUint32(0, true);
    this._units = Uint32Array.from({ length: size / 4 }, (_, index) => view.getUint32(4 + 4 * index, true));
    this._texts = table.subarray(4 + size);
  }

  // The length of the longest replaced sequence of bytes at a position, and its replacement; null without one.
  find(bytes, position) {
    const units = this._units;
    let node = offset(units[0]);
    let found = null;
    for (let index = position; index < bytes.length; index++) {
      const byte = bytes[index];
      node ^= byte;
      const unit = units[node];
      if (unit === undefined || (unit & 0x800000ff) !== byte) break;
      node ^= offset(unit);
      if (unit & 0x100) found = { length: index + 1 - position, start: units[node] & 0x7fffffff };
    }
    return found && { length: found.length, text: this._read(found.start) };
  }

  _read(start) {
    return decoder.decode(this._texts.subarray(start, this._texts.indexOf(0, start)));
  }
}

const offset = (unit) => (unit >>> 10) << ((unit & 0x200) >>> 6);

export class SentencePieceModel {
  constructor(bytes) {
    const model = (this._model = readModel(bytes));
    this.rule = model.rule;
    this.hasCase = model.hasCase;
    this.pieces = model.pieces;
    this._ids = new Map(); // of what can be a token of text
    this._bytes = []; // the token of each byte
    model.pieces.forEach(({ text, kind }, id) => {
      if ([KINDS.normal, KINDS.symbol, KINDS.unused].includes(kind)) this._ids.set(text, id);
      else if (kind === KINDS.byte) this._bytes[parseInt(text.slice(1, -1), 16)] = id;
    });
    this.unknown = model.pieces.findIndex(({ kind }) => kind === KINDS.unknown);
    const symbols = model.pieces.filter(({ kind }) => kind === KINDS.symbol).map(({ text }) => text);
    this._symbols = new PrefixMatcher(symbols);
    this._table = model.charsmap.length ? new CharacterTable(model.charsmap) : null;
    this._longest = Math.max(...[...this._ids.keys()].map((text) => [...text].length));
    const scores = model.pieces.filter(({ kind }) => kind === KINDS.normal).map(({ score }) => score);
    this._unknownScore = Math.fround(scores.reduce((a, b) => Math.min(a, b), Infinity) - UNKNOWN_PENALTY);
    this._maxScore = scores.reduce((a, b) => Math.max(a, b), LEAST_MAXIMUM);
  }

  // The tokens of a text.
  encode(text) {
    const normalised = this.normalise(text);
    const segments = normalised ? this[`_segment_${this._model.type}`](normalised) : [];
    const ids = [];
    let previous = null;
    for (const [piece, id] of segments) {
      if (id !== this.unknown) ids.push(id);
      else if (this._model.byteFallback) ids.push(...[...encoder.encode(piece)].map((byte) => this._bytes[byte]));
      else if (previous !== this.unknown) ids.push(id);
      previous = id;
    }
    return ids;
  }

  normalise(text) {
    const { addDummyPrefix, removeExtraSpaces, escapeSpaces } = this._model;
    const space = escapeSpaces ? SPACE : " ";
    const parts = [...this._replaceCharacters(text)];
    let result = "";
    let followsSpace = removeExtraSpaces;
    let isStart = true;
    for (let part of parts) {
      if (isStart && removeExtraSpaces && part === " ") continue;
      if (isStart && addDummyPrefix) result += space;
      isStart = false;
      while (followsSpace && part.startsWith(" ")) part = part.slice(1);
      if (part) {
        result += escapeSpaces ? part.replaceAll(" ", SPACE) : part;
        followsSpace = part.endsWith(" ");
      }
      if (!removeExtraSpaces) followsSpace = false;
    }
    if (removeExtraSpaces) while (result.endsWith(space)) result = result.slice(0, -space.length);
    return result;
  }

  // Yield a text in parts, as the model's table replaces them; user-defined symbols stay as they are.
  *_replaceCharacters(text) {
    const bytes = this._table && encoder.encode(text);
    let position = 0; // in bytes
    for (let index = 0; index < text.length; ) {
      const symbol = this._symbols.find(text, index);
      const found = !symbol && this._table ? this._table.find(bytes, position) : null;
      if (found) {
        yield found.text;
        for (const end = position + found.length; position < end; ) {
          const character = String.fromCodePoint(text.codePointAt(index));
          index += character.length;
          position += byteLength(character);
        }
        continue;
      }
      const part = symbol ?? String.fromCodePoint(text.codePointAt(index));
      yield part;
      index += part.length;
      position += byteLength(part);
    }
  }

  // The most probable segmentation (Kudo, 2018), by the library's algorithm of Viterbi.
  _segment_unigram(text) {
    const characters = [...text];
    const starts = [0]; // of each character, in code units, and the end of the text
    for (const character of characters) starts.push(starts.at(-1) + character.length);
    const count = characters.length;
    const best = Array.from({ length: count + 1 }, () => ({ score: 0, start: -1, id: -1 }));
    const offer = (end, score, start, id) => {
      const node = best[end];
      if (node.start < 0 || score > node.score) Object.assign(node, { score: Math.fround(score), start, id });
    };
    for (let start = 0; start < count; start++) {
      const here = best[start].score;
      let isKnown = false;
      for (let end = start + 1; end <= Math.min(count, start + this._longest); end++) {
        const piece = text.slice(starts[start], starts[end]);
        const id = this._ids.get(piece);
        if (id === undefined || this.pieces[id].kind === KINDS.unused) continue;
        const isSymbol = this.pieces[id].kind === KINDS.symbol;
        offer(end, here + (isSymbol ? byteLength(piece) * this._maxScore - 0.1 : this.pieces[id].score), start, id);
        isKnown ||= end === start + 1;
      }
      if (!isKnown) offer(start + 1, Math.fround(here + this._unknownScore), start, this.unknown);
    }
    const segments = [];
    for (let end = count; end > 0; end = best[end].start) {
      segments.push([text.slice(starts[best[end].start], starts[end]), best[end].id]);
    }
    return segments.reverse();
  }

  // Merges of the pair with the highest score, the leftmost of equal ones.
  _segment_bpe(text) {
    const symbols = [...this._split(text)].map(([piece, isFrozen]) => ({ piece, isFrozen }));
    const unused = new Map(); // the two parts of a merged piece that is not a token
    const scoreOf = (left, right) => {
      if (left.isFrozen || right.isFrozen) return -Infinity;
      const piece = left.piece + right.piece;
      const id = this._ids.get(piece);
      if (id === undefined) return -Infinity;
      if (this.pieces[id].kind === KINDS.unused) unused.set(piece, [left.piece, right.piece]);
      return this.pieces[id].score;
    };
    const scores = symbols.slice(1).map((symbol, index) => scoreOf(symbols[index], symbol));
    for (;;) {
      let at = -1;
      for (let index = 0; index < scores.length; index++) {
        if (scores[index] > (at < 0 ? -Infinity : scores[at])) at = index;
      }
      if (at < 0) break;
      symbols.splice(at, 2, { piece: symbols[at].piece + symbols[at + 1].piece, isFrozen: false });
      scores.splice(at, 1);
      if (at > 0) scores[at - 1] = scoreOf(symbols[at - 1], symbols[at]);
      if (at < scores.length) scores[at] = scoreOf(symbols[at], symbols[at + 1]);
    }
    const divide = (piece) => {
      const id = this._find(piece);
      if (this.pieces[id]?.kind !== KINDS.unused || !unused.has(piece)) return [[piece, id]];
      return unused.get(piece).flatMap(divide);
    };
    return symbols.flatMap(({ piece }) => divide(piece));
  }

  _segment_char(text) {
    return [...this._split(text)].map(([piece]) => [piece, this._find(piece)]);
  }

  _segment_word(text) {
    const words = text.match(/▁[^▁]*|[^▁]+/g) ?? [];
    return words.map((word) => [word, this._find(word)]);
  }

  _find(piece) {
    return this._ids.get(piece) ?? this.unknown;
  }

  // Yield the characters of a text, and its user-defined symbols, which are not divided.
  *_split(text) {
    for (let index = 0; index < text.length; ) {
      const symbol = this._symbols.find(text, index);
      const piece = symbol ?? String.fromCodePoint(text.codePointAt(index));
      yield [piece, symbol !== null];
      index += piece.length;
    }
  }

  // The text of tokens; bytes that are no character become U+FFFD.
  decode(ids) {
    const { addDummyPrefix, removeExtraSpaces, unknownSurface } = this._model;
    let text = "";
    let bytes = [];
    let isFirst = true; // whether a space is still the one that begins a text
    const flush = () => {
      text += decoder.decode(Uint8Array.from(bytes));
      bytes = [];
    };
    for (const id of ids) {
      const { text: piece, kind } = this.pieces[id];
      if (kind === KINDS.byte) {
        bytes.push(parseInt(piece.slice(1, -1), 16));
        continue;
      }
      flush();
      isFirst &&= text === "";
      if (kind === KINDS.control) continue;
      if (kind === KINDS.unknown) {
        text += unknownSurface;
        continue;
      }
      let shown = piece;
      if (isFirst && (addDummyPrefix || removeExtraSpaces) && shown.startsWith(SPACE)) {
        shown = shown.slice(1);
        isFirst = removeExtraSpaces;
      }
      text += shown.replaceAll(SPACE, " ");
    }
    flush();
    return text;
  }
}

function byteLength(text) {
  let length = 0;
  for (const character of text) {
    const code = character.codePointAt(0);
    length += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return length;
}
