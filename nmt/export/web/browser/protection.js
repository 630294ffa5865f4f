// Protection of what is not a word by copy symbols; as nmt/data/protection.

import { findAll, firstCharacter, lastCharacter, removePrefix, removeSuffix } from "./text.js";

const DEFAULT_KINDS = ["url", "email", "tag", "placeholder"];
const CLOSING = ".,;:!?'\")]}>*|»”’\u2026"; // that can end an address only before more of it
const BRACKETS = { ")": "(", "]": "[", "}": "{" };

export class Protection {
  // `count` symbols; with `wholeWords` only spans between spaces are protected.
  constructor(kinds, count, wholeWords, rules) {
    Object.assign(this, { kinds, count, _wholeWords: wholeWords, _rules: rules });
  }

  // Replace the spans of a line, after the tag at its beginning. A copy is { text, joinsLeft, joinsRight }.
  protect(line, tag) {
    const spans = this._find(line).filter(([start]) => start >= tag.length);
    const copies = [];
    let [text, last] = ["", 0];
    spans.forEach(([start, end], index) => {
      const follows = index > 0 && start === last;
      const precedes = index + 1 < spans.length && spans[index + 1][0] === end;
      const left = !follows && this._isSetOff(lastCharacter(line.slice(0, start)));
      const right = !precedes && this._isSetOff(firstCharacter(line.slice(end)));
      const symbol = `<copy${(index % this.count) + 1}>`;
      text += line.slice(last, start) + (left ? " " : "") + symbol + (right ? " " : "");
      copies.push({ text: line.slice(start, end), joinsLeft: left || follows, joinsRight: right || precedes });
      last = end;
    });
    return { text: text + line.slice(last), copies };
  }

  // Replace the symbols of a text by what they stand for; `copies` by their numbers.
  restore(text, copies) {
    if (!copies.size) return text;
    const texts = text.split(this._rules.patterns.copy); // the text before, a number, the text after, a number ...
    const shown = new Map(); // copies by their index in `texts`
    for (let index = 1; index < texts.length; index += 2) {
      const copy = copies.get(Number(texts[index]));
      texts[index] = copy ? copy.text : `<copy${Number(texts[index])}>`;
      if (copy) shown.set(index, copy);
    }
    for (const [index, copy] of shown) {
      texts[index - 1] = this._joinLeft(texts[index - 1], copy);
      texts[index + 1] = this._joinRight(texts[index + 1], copy);
    }
    for (const [index, copy] of shown) {
      const other = shown.get(index + 2);
      if (other && texts[index + 1] === "" && !(copy.joinsRight || other.joinsLeft)) texts[index + 1] = " ";
    }
    return texts.join("");
  }

  _joinLeft(before, copy) {
    if (copy.joinsLeft) return removeSuffix(before, " ");
    return before + (this._isSetOff(lastCharacter(before)) ? " " : "");
  }

  _joinRight(after, copy) {
    if (copy.joinsRight) return removePrefix(after, " ");
    return (this._isSetOff(firstCharacter(after)) ? " " : "") + after;
  }

  // Whether a symbol is separated from a character by a space.
  _isSetOff(character) {
    return this._rules.is.spaced(character) && !this._rules.is.hangul(character);
  }

  _find(line) {
    let spans = this._findKinds(line);
    const symbols = findAll(this._rules.patterns.copy, line).map((match) => [match.index, match.index + match[0].length]);
    const isFree = ([start, end]) => !spans.some((other) => start < other[1] && other[0] < end);
    spans = [...spans, ...symbols.filter(isFree)].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const isEdge = (character) => character === undefined || character === " ";
    return this._wholeWords ? spans.filter(([a, b]) => isEdge(line[a - 1]) && isEdge(line[b])) : spans;
  }

  _findKinds(line) {
    const needsHint = this.kinds.every((kind) => DEFAULT_KINDS.includes(kind));
    if (needsHint && !this._rules.has("hints", line)) return [];
    return findAll(this._rules.patterns.spans, line).map(trim);
  }
}

// The span of a match; of an address without punctuation after it, such as a bracket that it does not open.
function trim(match) {
  const [start, text] = [match.index, match[0]];
  let end = text.length;
  if (match.groups.url !== undefined || match.groups.email !== undefined) {
    const count = (character) => text.split(character).length - 1;
    const surplus = {};
    for (const [closing, opening] of Object.entries(BRACKETS)) surplus[closing] = count(closing) - count(opening);
    while (end > 1 && CLOSING.includes(text[end - 1])) {
      const last = text[end - 1];
      if (BRACKETS[last] && surplus[last] <= 0) break;
      surplus[last] = (surplus[last] ?? 0) - 1;
      end--;
    }
  }
  return [start, start + end];
}
