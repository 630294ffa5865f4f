// Case: marks of a vocabulary's text, and text in capitals; as nmt/data/vocabulary/case.py and capitals.py.

import { capitalise, endsWithAny, findAll, firstCharacter } from "./text.js";

const [CAPITAL, CAPITALS] = ["\ufdd1", "\ufdd2"];
export const MARK_NAMES = { [CAPITAL]: "<capital>", [CAPITALS]: "<capitals>" };
const ASCII = /^[\x00-\x7f]*$/;
const [HAS_UPPER, HAS_LOWER, HAS_LOWER_OR_TITLE] = [/\p{Uppercase}/u, /\p{Lowercase}/u, /\p{Lowercase}|\p{Lt}/u];
const HAS_UPPER_OR_TITLE = /\p{Uppercase}|\p{Lt}/u;
const LETTER = /\p{L}/u;
const SYNTAX = /[\^$\\.*+?()[\]{}|\/]/g; // of regular expressions
const SMALL_ONLY = /[ßªº]/g; // letters that capitals often leave as they are
const MIN_LETTERS = 5; // of a word if its number of tokens does not show whether it is an acronym
const MIN_SENTENCE = 4; // words; a shorter text may be a list of acronyms
const [LONGEST_ACRONYM, LONGEST_IN_SENTENCE] = [6, 3]; // letters
const UNKNOWN_COST = 8; // tokens
const UNKNOWN = 3; // the token
const DOTTED = ["tr", "tur", "az", "aze"]; // languages with a dotted and a dotless i

const isDotted = (language) => DOTTED.includes(language.split("-")[0]);
const isUpper = (text) => HAS_UPPER.test(text) && !HAS_LOWER_OR_TITLE.test(text);
const isLower = (text) => HAS_LOWER.test(text) && !HAS_UPPER_OR_TITLE.test(text);
const countLetters = (text) => [...text].length;

export function lower(text, language) {
  return (isDotted(language) ? text.replaceAll("I", "ı").replaceAll("İ", "i") : text).toLowerCase();
}

// A text in upper case, apart from copy symbols.
export function upper(text, language) {
  const change = (part) => (isDotted(language) ? part.replaceAll("i", "İ") : part).toUpperCase();
  return text.split(/(<copy[0-9]+>)/).map((part, index) => (index % 2 ? part : change(part))).join("");
}

// A text in lower case, and the same with a capital first letter.
function lowercaseForms(text, language) {
  const small = lower(text, language);
  const first = Math.max(0, small.search(LETTER));
  return [small, small.slice(0, first) + capitalise(small.slice(first))];
}

// The usual case of words in capitals, known from the tokens of a vocabulary.
export class Truecaser {
  constructor(vocabulary, language, rules) {
    this._vocabulary = vocabulary;
    this._language = language;
    this._rules = rules;
  }

  isInCapitals(line) {
    const text = line.normalize("NFC").replace(SMALL_ONLY, "").replace(this._rules.patterns.copy, " ");
    if (!isUpper(text)) return false;
    const found = findAll(this._rules.patterns.letters, text).map((match) => match[0]);
    const words = found.filter((word) => countLetters(word) > 1 && isUpper(word));
    const longest = words.length < MIN_SENTENCE ? LONGEST_ACRONYM : LONGEST_IN_SENTENCE;
    const count = (some) => some.reduce((sum, word) => sum + countLetters(word), 0);
    const ordinary = count(words.filter((word) => this._isOrdinary(word, longest)));
    return words.length > 1 && ordinary >= count(words) / 3;
  }

  // Whether a word in capitals is no acronym, which has at most `longest` letters.
  _isOrdinary(word, longest) {
    const small = Math.min(...lowercaseForms(word, this._language).map((form) => this._cost(form)));
    const capital = this._cost(word);
    const length = countLetters(word);
    if (this._vocabulary.caseTokens.size || small >= length) return small <= capital && length >= MIN_LETTERS;
    return small < capital && (small === 1 || length > longest);
  }

  // A text in capitals as it is usually written: each word in the form with fewest tokens.
  truecase(text) {
    let starts = true;
    const chunks = text.split(" ").map((chunk) => {
      if (this._rules.has("copy", chunk)) return chunk;
      const [small, capital] = lowercaseForms(chunk, this._language);
      const costs = [small, capital, chunk].map((form) => this._cost(form));
      const best = starts ? capital : [small, capital, chunk][costs.indexOf(Math.min(...costs))];
      starts = endsWithAny(chunk, this._rules.ends) || (starts && small === capital);
      return best;
    });
    return chunks.join(" ");
  }

  _cost(text) {
    let cost = 0;
    for (const id of this._vocabulary.encode(text)) {
      cost += !this._vocabulary.caseTokens.has(id) + (id === UNKNOWN ? UNKNOWN_COST : 0);
    }
    return cost;
  }
}

// Conversion of a line to lower case with marks, and back; the case of symbols is not changed.
export class CaseMarks {
  constructor(symbols, rules) {
    const word = rules.patterns.casedWord.source;
    const others = symbols.filter((symbol) => !MARK_NAMES[symbol]).sort((a, b) => b.length - a.length);
    const alternatives = others.map((symbol) => symbol.replace(SYNTAX, "\\$&"));
    this._rules = rules;
    this._words = new RegExp([...alternatives, `(${word})`].join("|"), "gv");
    this._marked = new RegExp(`(${word})([${CAPITAL}${CAPITALS}]*)|[${CAPITAL}${CAPITALS}]+`, "gv");
  }

  // A line in lower case, with a mark after each word that has capitals.
  mark(line) {
    return isLower(line) ? line : line.replace(this._words, (match, word) => this._markWord(match, word));
  }

  _markWord(match, word) {
    const lowered = word?.toLowerCase();
    if (word === undefined || lowered === word) return match;
    const mark = this._findMark(word, lowered);
    return mark ? lowered + mark : word;
  }

  // The mark that restores a word from its lower-case form, before and after normalisation.
  _findMark(word, lowered) {
    const forms = [[word, lowered]];
    if (!ASCII.test(word)) forms.push([word.normalize("NFKC"), lowered.normalize("NFKC")]);
    if (!forms.every(([, low]) => this._rules.matchesAll("casedWord", low))) return null;
    if (forms.every(([form, low]) => capitalise(low) === form)) return CAPITAL;
    return forms.every(([form, low]) => low.toUpperCase() === form) ? CAPITALS : null;
  }

  // Marked text in its case; marks that follow no word are removed.
  restore(text) {
    return text.replace(this._marked, (_, word = "", marks = "") => {
      if (!word || !marks) return word;
      return firstCharacter(marks) === CAPITAL ? capitalise(word) : word.toUpperCase();
    });
  }
}
