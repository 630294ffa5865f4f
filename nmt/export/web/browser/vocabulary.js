// Vocabularies: the division of a line into tokens, and text of tokens; as nmt/data/vocabulary.

import { CaseMarks, MARK_NAMES } from "./case.js";
import { normaliser } from "./normalisation.js";
import { KINDS, SentencePieceModel } from "./sentencepiece.js";
import { isBlank, removeSuffix } from "./text.js";

export const [PAD, BOS, EOS, UNK] = [0, 1, 2, 3];
const SPECIALS = ["<pad>", "<s>", "</s>", "<unk>"];
const JOINER = "@@";
const WORD_END = "</w>";

const isControl = (byte) => (byte < 32 && byte !== 9) || byte === 127; // not written: a line would end at some

// Read the file of a vocabulary: a SentencePiece model or a list of words.
export function readVocabulary(bytes, rules) {
  const start = new TextDecoder().decode(bytes.subarray(0, SPECIALS[PAD].length + 1));
  const isList = start === `${SPECIALS[PAD]}\n` || start === `${SPECIALS[PAD]} `;
  return isList ? new WordVocabulary(bytes, rules) : new SubwordVocabulary(bytes, rules);
}

// The tokens of the copy symbols 1, 2, ..., as a range.
function findCopies(spellings) {
  const start = spellings.indexOf("<copy1>");
  let stop = Math.max(start, 0);
  while (start >= 0 && spellings[stop] === `<copy${stop - start + 1}>`) stop++;
  return { start: Math.max(start, 0), stop };
}

class SubwordVocabulary {
  constructor(bytes, rules) {
    const model = (this._model = new SentencePieceModel(bytes));
    this.dividesWords = true;
    this.spellings = model.pieces.map(({ text }) => text);
    this.normalise = normaliser(model.rule, rules);
    const idsOf = (kind) => [...model.pieces.keys()].filter((id) => model.pieces[id].kind === kind);
    const symbols = idsOf(KINDS.symbol).map((id) => this.spellings[id]);
    this._case = model.hasCase ? new CaseMarks(symbols, rules) : null;
    this.copies = symbols.includes("<copy1>") ? findCopies(this.spellings) : { start: 0, stop: 0 };
    this._tags = new Map(idsOf(KINDS.control).filter((id) => id > UNK).map((id) => [this.spellings[id], id]));
    this._bytes = new Map(idsOf(KINDS.byte).map((id) => [id, parseInt(this.spellings[id].slice(1, -1), 16)]));
    this._byteTokens = new Map([...this._bytes].map(([id, byte]) => [byte, id]));
    this.hasBytes = this._bytes.size > 0;
    this.caseTokens = new Set(this._case ? idsOf(KINDS.symbol).filter((id) => MARK_NAMES[this.spellings[id]]) : []);
  }

  encode(line) {
    const text = this.normalise(line);
    const tag = this.tag(text);
    const rest = tag ? text.slice(tag.length + 1) : text;
    const ids = this._model.encode(this._case ? this._case.mark(rest) : rest);
    return tag ? [this._tags.get(tag), ...ids] : ids;
  }

  // The tag that a line begins with, or an empty string.
  tag(line) {
    const word = line.split(" ", 1)[0];
    return this._tags.has(word) ? word : "";
  }

  decode(ids) {
    const kept = ids.filter((id) => id > EOS);
    const text = this._model.decode(this.hasBytes ? this._repair(kept) : kept);
    return this._case ? this._case.restore(text) : text;
  }

  // Remove bytes that are no character, and control characters.
  _repair(ids) {
    const kept = [];
    let bytes = [];
    const flush = () => {
      for (const byte of completeCharacters(bytes)) if (!isControl(byte)) kept.push(this._byteTokens.get(byte));
      bytes = [];
    };
    for (const id of ids) {
      if (this._bytes.has(id)) bytes.push(this._bytes.get(id));
      else {
        flush();
        kept.push(id);
      }
    }
    flush();
    return kept;
  }

  tokens(ids) {
    return ids.map((id) => (this._case && MARK_NAMES[this.spellings[id]]) || this.spellings[id]);
  }
}

// The bytes that form characters in UTF-8.
function completeCharacters(bytes) {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const kept = [];
  for (let index = 0; index < bytes.length; ) {
    const length = [1, 2, 3, 4].find((size) => {
      try {
        return index + size <= bytes.length && decoder.decode(Uint8Array.from(bytes.slice(index, index + size)));
      } catch {
        return false;
      }
    });
    if (length) kept.push(...bytes.slice(index, index + length));
    index += length ?? 1;
  }
  return kept;
}

class WordVocabulary {
  constructor(bytes, rules) {
    const lines = removeSuffix(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes), "\n").split("\n");
    const [rule = "none", ...properties] = lines[0].split(" ").slice(1);
    const count = Number(properties.find((one) => one.startsWith("codes="))?.slice(6) ?? 0);
    this._rules = rules;
    this.dividesWords = false;
    this.spellings = [...SPECIALS, ...lines.slice(SPECIALS.length, lines.length - count)];
    this.normalise = normaliser(rule, rules);
    this._codes = count ? new BpeCodes(lines.slice(lines.length - count)) : null;
    this._isJoined = count > 0 || properties.includes("joined");
    this._ids = new Map(this.spellings.map((word, id) => [word, id]).slice(UNK + 1));
    this.copies = findCopies(this.spellings);
    this.hasBytes = false;
    this.caseTokens = new Set();
  }

  encode(line) {
    return this._split(this.normalise(line)).map((word) => this._ids.get(word) ?? UNK);
  }

  _split(line) {
    const words = (this._codes ? this._join(line) : line).split(" ").filter((word) => !isBlank(word));
    return this._codes ? words.flatMap((word) => this._segment(word)) : words;
  }

  _segment(word) {
    const isTag = this._rules.matchesAll("tag", word) && this._ids.has(word);
    return isTag ? [word] : this._codes.segment(word, this._ids);
  }

  _join(text) {
    return text.replace(this._rules.patterns.segmentJoint, "");
  }

  tag(line) {
    const word = line.split(" ", 1)[0];
    const id = this._rules.matchesAll("tag", word) ? this._ids.get(word) : undefined;
    return id !== undefined && !(id >= this.copies.start && id < this.copies.stop) ? word : "";
  }

  decode(ids) {
    const text = this.tokens(ids.filter((id) => id > EOS)).join(" ");
    return this._isJoined ? this._join(text) : text;
  }

  tokens(ids) {
    return ids.map((id) => this.spellings[id]);
  }
}

// Byte-pair encoding by the codes of subword-nmt; as nmt/data/vocabulary/codes.py.
class BpeCodes {
  constructor(lines) {
    const hasVersion = lines[0].startsWith("#version:");
    this._separatesEnd = !hasVersion || lines[0].slice(9).trim() === "0.1";
    this._ranks = new Map();
    this._parts = new Map();
    lines.slice(hasVersion ? 1 : 0).forEach((line, rank) => {
      const merge = line.replace(/[\r ]+$/, "");
      if (this._ranks.has(merge)) return;
      this._ranks.set(merge, rank);
      const [left, right] = merge.split(" ");
      this._parts.set(left + right, [left, right]);
    });
  }

  segment(word, known) {
    const merged = this._merge(word);
    const parts = merged.flatMap((part, index) => this._undo(part, known, index === merged.length - 1));
    return parts.map((part, index) => (index === parts.length - 1 ? part : part + JOINER));
  }

  // Undo merges until every segment is known or cannot be split.
  _undo(segment, known, isLast) {
    if (known.has(isLast ? segment : segment + JOINER)) return [segment];
    const parts = this._parts.get(segment + (isLast ? WORD_END : ""));
    if (!parts) return [segment];
    const right = isLast ? removeSuffix(parts[1], WORD_END) : parts[1];
    return [...this._undo(parts[0], known, false), ...this._undo(right, known, isLast)];
  }

  _merge(word) {
    let symbols = [...word];
    if (symbols.length === 1) return symbols;
    if (this._separatesEnd) symbols.push(WORD_END);
    else symbols.push(symbols.pop() + WORD_END);
    while (symbols.length > 1) {
      const ranks = symbols.slice(1).map((right, index) => this._ranks.get(`${symbols[index]} ${right}`) ?? Infinity);
      const best = Math.min(...ranks);
      if (best === Infinity) break;
      const at = ranks.indexOf(best);
      symbols = replacePair(symbols, symbols[at], symbols[at + 1]);
    }
    if (symbols.at(-1) === WORD_END) symbols.pop();
    symbols.push(removeSuffix(symbols.pop(), WORD_END));
    return symbols;
  }
}

function replacePair(symbols, left, right) {
  const merged = [];
  for (let index = 0; index < symbols.length; index++) {
    if (symbols[index] === left && symbols[index + 1] === right) merged.push(left + symbols[++index]);
    else merged.push(symbols[index]);
  }
  return merged;
}
