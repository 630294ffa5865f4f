// Normalisation of text before it is divided into tokens; as nmt/data/vocabulary/normalisation.py.

import { firstCharacter, lastCharacter, stripCharacters } from "./text.js";

const ZWJ = "\u200d";
const CONTEXT = 16; // characters on either side of a joiner
const EMOJI_MODIFIERS = "\ufe0e\ufe0f\u{1f3fb}\u{1f3fc}\u{1f3fd}\u{1f3fe}\u{1f3ff}";
const PRINTABLE = /^[\x20-\x7e]*$/;
const SYMBOL = /^\p{So}$/u;

// The rules, and what each does before a subword model's own normalisation.
export function normaliser(rule, rules) {
  if (rule === "none") return (line) => line;
  const remove = (line) => removeInvisible(line, rules);
  if (rule === "nmt_nfkc") return remove;
  return (line) => remove(line).replace(rules.patterns.whiteSpace, " ").normalize("NFC");
}

// Remove characters that are not visible, and joiners where neither the script nor an emoji uses them.
export function removeInvisible(line, rules) {
  if (PRINTABLE.test(line)) return line;
  const visible = line.replace(rules.patterns.invisible, (_, kept) => kept ?? "");
  return visible.replace(rules.patterns.joiners, (joiners, start) => {
    const before = [...visible.slice(Math.max(0, start - 2 * CONTEXT), start)].slice(-CONTEXT);
    const end = start + joiners.length;
    const after = [...visible.slice(end, end + 2 * CONTEXT)].slice(0, CONTEXT);
    return isJoined(joiners[0], before, after, rules.is) ? joiners[0] : "";
  });
}

// Whether a joiner between two texts, given as arrays of characters, is part of the writing.
function isJoined(joiner, before, after, is) {
  if (!before.length) return false;
  if (is.virama(before.at(-1))) return true;
  if (joiner === ZWJ && is.virama(after[0])) return true;
  const script = findJoiningScript([...before].reverse(), is);
  if (script) return joiner === ZWJ || script === findJoiningScript(after, is);
  const emoji = lastCharacter(stripCharacters(before.join(""), EMOJI_MODIFIERS));
  return joiner === ZWJ && isEmoji(emoji) && isEmoji(after[0]);
}

// The joining script of the first letter of a text, marks skipped.
function findJoiningScript(characters, is) {
  const letter = characters.find((character) => !is.combining(character));
  return Object.keys(is).find((name) => name.startsWith("joining ") && is[name](letter));
}

function isEmoji(character) {
  if (!character) return false;
  const code = firstCharacter(character).codePointAt(0);
  return SYMBOL.test(character) || (code >= 0x1f000 && code <= 0x1faff);
}
