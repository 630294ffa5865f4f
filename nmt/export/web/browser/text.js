// Strings as Python sees them, and the patterns and classes of characters that the export wrote to text.json.

const SPACES = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SPACE = new RegExp(`^[${SPACES}]*$`, "v");
const LEADING = new RegExp(`^[${SPACES}]+`, "v");
const TRAILING = new RegExp(`[${SPACES}]+$`, "v");
const WORD = new RegExp(`[^${SPACES}]+`, "gv");

export const strip = (text) => stripEnd(text).replace(LEADING, "");
export const stripEnd = (text) => text.replace(TRAILING, "");
export const isBlank = (text) => SPACE.test(text); // true for an empty text, too
export const splitWords = (text) => text.match(WORD) ?? [];

// The first and the last character of a text, which may be two code units.
export const firstCharacter = (text) => (text ? String.fromCodePoint(text.codePointAt(0)) : "");
export function lastCharacter(text) {
  const unit = text.charCodeAt(text.length - 1);
  return text.slice(unit >= 0xdc00 && unit < 0xe000 ? -2 : -1);
}

export const endsWithAny = (text, ends) => ends.some((end) => text.endsWith(end));
export const removeSuffix = (text, end) => (text.endsWith(end) ? text.slice(0, text.length - end.length) : text);
export const removePrefix = (text, start) => (text.startsWith(start) ? text.slice(start.length) : text);

// Remove the characters of a string from the end of a text.
export function stripCharacters(text, characters) {
  while (text && characters.includes(lastCharacter(text))) text = text.slice(0, -lastCharacter(text).length);
  return text;
}

export const capitalise = (word) => {
  const first = firstCharacter(word);
  return first.toUpperCase() + word.slice(first.length);
};

// All matches of a pattern, as arrays with an index.
export const findAll = (pattern, text) => [...text.matchAll(pattern)];

// What text.json describes: `patterns` as regular expressions, and `is.NAME(character)` for classes.
export class TextRules {
  constructor(description) {
    this.ends = [...description.ends]; // of sentences
    this.wideEnds = [...description.wideEnds]; // those that no space follows
    this.closers = description.closers; // brackets and quotation marks after the end of a sentence
    this.shortCodes = description.shortCodes; // of languages, by their long codes
    this.patterns = {};
    for (const [name, source] of Object.entries(description.patterns)) {
      this.patterns[name] = new RegExp(source, "gv");
    }
    this.is = {};
    for (const [name, distances] of Object.entries(description.characters)) {
      this.is[name] = characterClass(distances);
    }
  }

  // Whether a pattern matches the beginning of a text, or all of it.
  matchesStart(name, text) {
    const pattern = new RegExp(this.patterns[name].source, "yv");
    return pattern.test(text);
  }

  matchesAll(name, text) {
    return new RegExp(`^(?:${this.patterns[name].source})$`, "v").test(text);
  }

  // Whether a pattern matches somewhere.
  has(name, text) {
    return text.search(this.patterns[name]) >= 0;
  }

  splitLines(text) {
    const lines = text.split(this.patterns.lineEnd);
    if (lines.at(-1) === "") lines.pop();
    return lines;
  }
}

// The class of characters in ranges, whose bounds are given by the distances between them.
function characterClass(distances) {
  const bounds = [];
  let bound = 0;
  for (const distance of distances) bounds.push((bound += distance));
  return (character) => {
    if (!character) return false;
    const code = character.codePointAt(0);
    let [low, high] = [0, bounds.length]; // the number of bounds that are at most `code`
    while (low < high) {
      const middle = (low + high) >> 1;
      if (bounds[middle] <= code) low = middle + 1;
      else high = middle;
    }
    return low % 2 === 1;
  };
}
